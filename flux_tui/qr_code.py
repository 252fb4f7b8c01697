"""QR codes of tickets as lines of text, by segno (an extra). Two modules of a code stand in one character.

A ticket counts the same in upper case, and a code holds upper-case letters and digits in less room. The code itself
is dark on light: whoever prints it gives it these colours, as many cameras read no other.
"""

from importlib.util import find_spec

LACKING = "QR codes are an extra: pip install 'flux-tui[qr]'"
BORDER = 2
"""Modules of light around the code. The standard asks for 4; cameras are content with 2, and a terminal is small."""
HALVES = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
"""The character of two modules, the upper and the lower one; 1 is dark."""


class QrError(Exception):
    """A QR code cannot be made. The message is one sentence for a person."""


def qr_lines(ticket: str) -> list[str]:
    """Return the QR code of a ticket as lines of equal length.

    Raises QrError if the extra is missing, or if the ticket is too long.
    """
    if find_spec("segno") is None:
        raise QrError(LACKING)
    import segno

    try:
        code = segno.make_qr(ticket.upper(), error="l", boost_error=False)
    except segno.DataOverflowError:
        raise QrError("the ticket is too long for a QR code") from None
    rows = [[int(module) for module in row] for row in code.matrix_iter(border=BORDER)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    return [
        "".join(HALVES[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]
