"""Draws the block map of an object as lines of signs, each for some blocks, and a legend. Pure.

A sign says whether its blocks are here, on their way or missing. Its colour and a letter say which peer sent
or sends them. Signs of one peer that follow each other begin with its letter: large for blocks that are here,
small for blocks on their way.
"""

from collections.abc import Mapping

from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import ObjectState
from flux_tui.core.text.quantities import counted
from flux_tui.ui.rows.glyphs import Role, Sign
from flux_tui.ui.rows.view_and_lines import Line, View, merged, span, wide
from flux_tui.ui.series.block_map import BlockKind, BlockMap, Cell

SIGNS: Mapping[BlockKind, Sign] = {
    "here": Sign("█", "#", "text"),
    "owed": Sign("▓", "=", "text"),
    "refused": Sign("▒", "!", "bad"),
    "missing": Sign("░", ".", "dim"),
}
WORDS: Mapping[BlockKind, str] = {
    "here": "here", "owed": "on its way", "refused": "refused", "missing": "nobody yet",
}  # fmt: skip
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""The letters of peers, in the order of their first block. Later peers have none."""
ROLES: tuple[Role, ...] = ("in", "bar", "peer", "out", "strong")
"""The colours of peers, by their roles. The sixth has that of the first: the letters tell them apart."""
INDENT, NARROW = 2, 72
MAX_WIDE = 4
"""Columns of one block, where there are few of them."""


def map_lines(view: View, blocks: BlockMap, found: ObjectState, rows: int) -> list[Line]:
    """Return at most `rows` lines of the block map, then a line that says how blocks are ordered, then the legend.

    Empty: no block is known.
    """
    width = max(10, view.width - INDENT)
    total = found.chunks_total or 0
    cells = blocks.cells(width * rows, found.chunks_have, total)
    if not cells:
        return []
    total = max(total, len(cells))
    wide_cells = [cell for cell in cells for _ in range(max(1, min(MAX_WIDE, width // len(cells))))]
    lines = [
        [span(" " * INDENT, "dim"), *_cells(view, blocks, wide_cells[start : start + width])]
        for start in range(0, len(wide_cells), width)
    ]
    order = (
        "in the order in which they were granted or came"
        if view.width >= NARROW
        else "in the order of grants"
    )
    each = (
        counted(total, "block")
        if total <= len(cells)
        else f"{total:,} blocks, {-(-total // len(cells)):,} a cell"
    )
    lines.append([span(f"{' ' * INDENT}{each}, {order}", "dim")])
    return lines + legend_lines(view, blocks, found)


def _cells(view: View, blocks: BlockMap, cells: list[Cell]) -> Line:
    """Return one line of the block map.

    In each run of equal cells (the same kind and the same peer), the first cell shows the peer's letter, if the peer
    has one: upper case for blocks that are here, else lower case.
    """
    line: Line = []
    before: Cell | None = None
    for cell in cells:
        sign = SIGNS[cell.kind]
        letter = letter_of(blocks, cell.holder)
        text = view.glyphs.glyph(sign)
        if letter and cell != before:
            text = letter if cell.kind == "here" else letter.lower()
        line.append(span(text, sign.role if cell.holder is None else role_of(blocks, cell.holder)))
        before = cell
    return merged(line)


def legend_lines(view: View, blocks: BlockMap, found: ObjectState) -> list[Line]:
    """Return the legend of the block map: each sign and letter, its meaning, and how many blocks it has.

    The lines are wrapped to the panel's width.
    """
    counts = blocks.counts()
    owed, refused = sum(one.owed for one in counts.values()), blocks.count("refused")
    here = max(found.chunks_have, sum(one.here for one in counts.values()))
    missing = max(0, (found.chunks_total or 0) - here - owed - refused)
    items: list[Line] = []
    numbers: dict[BlockKind, int] = {"here": here, "owed": owed, "refused": refused, "missing": missing}
    for kind, number in numbers.items():
        if number:
            sign = SIGNS[kind]
            items.append(
                [span(f"{view.glyphs.glyph(sign)} ", sign.role), span(f"{number:,} {WORDS[kind]}", "dim")]
            )
    for peer, one in counts.items():
        letter = letter_of(blocks, peer)
        if peer is None or not letter:
            continue
        words = [f"{one.here:,} sent"] if one.here else []
        words += [f"{one.owed:,} to come"] if one.owed else []
        items.append(
            [
                span(f"{letter} ", role_of(blocks, peer)),
                span(f"{view.peer(peer)} ", "peer"),
                span(", ".join(words), "dim"),
            ]
        )
    return _wrapped(items, view.width)


def letter_of(blocks: BlockMap, peer: PeerId | None) -> str:
    """Return the letter that stands for a peer in the block map. Empty: the peer has none."""
    number = _number(blocks, peer)
    return LETTERS[number] if number is not None and number < len(LETTERS) else ""


def role_of(blocks: BlockMap, peer: PeerId | None) -> Role:
    """Return the role by which the theme colours a peer's blocks.

    It is `text` if the block map does not list the peer.
    """
    number = _number(blocks, peer)
    return "text" if number is None else ROLES[number % len(ROLES)]


def _number(blocks: BlockMap, peer: PeerId | None) -> int | None:
    return None if peer is None else blocks.number(peer)


def _wrapped(items: list[Line], width: int) -> list[Line]:
    """Put items into lines of at most `width` columns, with two spaces between items. An item is not split."""
    lines: list[Line] = []
    line: Line = []
    for item in items:
        if line and wide(line) + 2 + wide(item) > width:
            lines.append(line)
            line = []
        line = [*line, span("  ", "dim"), *item]
    return [*lines, line] if line else lines
