"""Widths in cells of the terminal, not in characters: `日` takes two cells, a combining accent none. Pure.

Measured by the same table as Textual draws by, so that what fits here is not cut there.
"""

from rich.cells import cell_len, split_graphemes

from flux_tui.core.text.plain import Plain


def width(text: str) -> int:
    """Cells that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def head(text: Plain, cells: int) -> Plain:
    """As much of a text's beginning as fits in so many cells."""
    if text.isascii():
        return Plain(text[: max(cells, 0)])
    end = 0
    for _, stop, wide in split_graphemes(text)[0]:
        cells -= wide
        if cells < 0:
            break
        end = stop
    return Plain(text[:end])


def tail(text: Plain, cells: int) -> Plain:
    """As much of a text's end as fits in so many cells."""
    if text.isascii():
        return Plain(text[len(text) - max(cells, 0) :] if cells < len(text) else text)
    start = len(text)
    for begin, _, wide in reversed(split_graphemes(text)[0]):
        cells -= wide
        if cells < 0:
            break
        start = begin
    return Plain(text[start:])


def left(text: Plain, cells: int) -> Plain:
    """Padded at its right to so many cells."""
    return Plain(text + " " * (cells - width(text)))


def right(text: Plain, cells: int) -> Plain:
    """Padded at its left to so many cells."""
    return Plain(" " * (cells - width(text)) + text)


def cut(text: Plain, cells: int) -> Plain:
    """At most so many cells: what is too much is cut out of the middle."""
    if width(text) <= cells:
        return text
    keep = max(cells - 1, 0)
    return Plain(head(text, keep - keep // 3) + "…" + tail(text, keep // 3)) if cells > 0 else Plain("")


def fit(text: Plain, cells: int) -> Plain:
    """Exactly so many cells: cut in the middle, or padded."""
    return left(cut(text, cells), cells)
