"""Draws the facts in the window Inspect as lines: long texts are wrapped, and wide tables lose columns. Pure."""

from flux_tui.core.text.plain import Plain, plain
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.inspect.facts import Fact
from flux_tui.ui.rows.view_and_lines import Line, Row, span

GAP = 2
"""Columns between the name of a fact and its text, and between the columns of a table."""
LEAST = 20
"""The fewest columns for the text of a fact."""


FIRST = 36
"""The columns down to which the first column of a table is narrowed for the others: `busy, until 12:01:03 (2.9 s)`."""


def fact_rows(facts: list[Fact], width: int) -> list[Row]:
    """Return the lines of the facts, at most `width` columns wide.

    The key of a fact's first line is the fact's index; its other lines cannot be selected. All facts with
    `cells` form one table. If the table is too wide, its last columns are left out. Text that is still too
    wide is wrapped.
    """
    names = max((cell_width.width(fact.name) for fact in facts), default=0)
    room = max(LEAST, width - names - GAP)
    widths = column_widths([fact.cells for fact in facts if fact.cells], room)
    rows: list[Row] = []
    for number, fact in enumerate(facts):
        texts = table_lines(fact.cells, widths) if fact.cells else wrapped(fact.text, room)
        for at, text in enumerate(texts or [plain("")]):
            name = fact.name if at == 0 else ""
            line: Line = [
                span(" " * (names - cell_width.width(name)) + name + " " * GAP, "dim"),
                span(text, "accent" if fact.link else "text"),
            ]
            rows.append(Row(f"{number}" if at == 0 else f"{number}/{at}", line, title=at > 0))
    return rows


def column_widths(rows: list[tuple[Plain, ...]], room: int) -> list[int]:
    """Return the widths of the first columns of a table, as many columns as fit into `room`, but at least one.

    `room`: a number of terminal columns. The first column may be narrowed to FIRST, and its text is then
    wrapped. Other columns are not narrowed. Empty: the table has no rows.
    """
    if not rows:
        return []
    widths = [max(map(cell_width.width, column)) for column in zip(*rows, strict=True)]
    for count in range(len(widths), 1, -1):
        left = room - sum(widths[1:count]) - GAP * (count - 1)
        if left >= min(widths[0], FIRST):
            return [min(widths[0], left), *widths[1:count]]
    return [min(widths[0], room)]


def table_lines(cells: tuple[Plain, ...], widths: list[int]) -> list[Plain]:
    """Return the lines of one row of a table. The text of its first cell is wrapped."""
    first = wrapped(cells[0], widths[0]) or [plain("")]
    gap = " " * GAP
    rest = [cell_width.left(cell, wide) for cell, wide in zip(cells[1:], widths[1:], strict=False)]
    head = gap.join([cell_width.left(first[0], widths[0]) if rest else first[0], *rest]).rstrip()
    return [plain(head), *first[1:]]
