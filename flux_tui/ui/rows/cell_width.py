"""Widths of text in terminal columns, not in characters: `日` takes two columns, a combining accent none.

Pure. Textual measures with the same table, so text that fits by these functions is not cut by Textual.
"""

import re

from rich.cells import cell_len, split_graphemes

from flux_tui.core.text.plain import Plain


def width(text: str) -> int:
    """Return the width of a text in terminal columns."""
    return len(text) if text.isascii() else cell_len(text)


def head(text: Plain, cells: int) -> Plain:
    """Return the beginning of a text, as much as fits in `cells` terminal columns."""
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
    """Return the end of a text, as much as fits in `cells` terminal columns."""
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
    """Return a text aligned to the left: spaces are added at its right, up to `cells` terminal columns.

    A wider text is returned as it is.
    """
    return Plain(text + " " * (cells - width(text)))


def right(text: Plain, cells: int) -> Plain:
    """Return a text aligned to the right: spaces are added at its left, up to `cells` terminal columns.

    A wider text is returned as it is.
    """
    return Plain(" " * (cells - width(text)) + text)


def cut(text: Plain, cells: int) -> Plain:
    """Return a text cut to at most `cells` terminal columns. A longer text loses its middle."""
    if width(text) <= cells:
        return text
    keep = max(cells - 1, 0)
    return Plain(head(text, keep - keep // 3) + "…" + tail(text, keep // 3)) if cells > 0 else Plain("")


def fit(text: Plain, cells: int) -> Plain:
    """Return a text of exactly `cells` terminal columns: cut in its middle, or filled with spaces at its right."""
    return left(cut(text, cells), cells)


def wrapped(text: Plain, cells: int) -> list[Plain]:
    """Wrap each line of a text into lines of at most `cells` terminal columns.

    A word that is longer than a line is broken. No line is broken at a no-break space (U+00A0), which becomes
    a space.
    """
    lines: list[Plain] = []
    for paragraph in text.splitlines():
        line = ""
        for part in re.findall(r"[^ ]+", paragraph):
            word = part.replace("\u00a0", " ")
            if line and width(line) + 1 + width(word) > cells:
                lines.append(Plain(line))
                line = ""
            while width(word) > cells and (first := head(Plain(word), cells)):
                lines.append(first)
                word = word[len(first) :]
            line = f"{line} {word}" if line else word
        lines.append(Plain(line))
    return lines
