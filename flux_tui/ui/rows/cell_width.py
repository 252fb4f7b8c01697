"""Widths in terminal cells, not in characters: `日` takes two cells, a combining accent none. Pure.

Textual measures with the same table, so text that fits here is not cut there.
"""

import re

from rich.cells import cell_len, split_graphemes

from flux_tui.core.text.plain import Plain


def width(text: str) -> int:
    """Return the width of a text in cells."""
    return len(text) if text.isascii() else cell_len(text)


def head(text: Plain, cells: int) -> Plain:
    """Return as much of the beginning of a text as fits in `cells`."""
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
    """Return as much of the end of a text as fits in `cells`."""
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
    """Pad a text at its right to `cells`."""
    return Plain(text + " " * (cells - width(text)))


def right(text: Plain, cells: int) -> Plain:
    """Pad a text at its left to `cells`."""
    return Plain(" " * (cells - width(text)) + text)


def cut(text: Plain, cells: int) -> Plain:
    """Return a text of at most `cells`. A longer text loses its middle."""
    if width(text) <= cells:
        return text
    keep = max(cells - 1, 0)
    return Plain(head(text, keep - keep // 3) + "…" + tail(text, keep // 3)) if cells > 0 else Plain("")


def fit(text: Plain, cells: int) -> Plain:
    """Return a text of exactly `cells`, cut in the middle or padded."""
    return left(cut(text, cells), cells)


def wrapped(text: Plain, cells: int) -> list[Plain]:
    """Wrap a text into lines of at most `cells`. A longer word is broken.

    A no-break space (U+00A0) is never a place to break.
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
