"""The rows of the Flow panel: one lane a peer over time, this node's lane on top. Pure.

Time runs to the right and ends at the cursor. In a lane, in the order in which it is read:

- a rail where the want reached the peer, dots while no answer came;
- a mark for each answer, with its word where there is room; for a NO its sign, and a hatched bar until it may be asked
  again;
- a line while it owes chunks that it was granted; blocks for chunks that came, the higher the more;
- nothing after it is gone.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeVar

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.next_try import DUE_SECONDS
from flux_tui.core.text.names import WHO_WIDTH
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs, Role, Sign
from flux_tui.ui.rows.view import Line, Row, View, merged, span
from flux_tui.ui.series.flow import Cell, FlowWindow, Lane, MarkKind

T = TypeVar("T")
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds of one column, the closest first."""
ORDERS = ("answer", "bytes", "name")
"""How lanes can be sorted: by the first answer, by the bytes that passed, by name."""
YOU = "you"
SIGNS: dict[MarkKind, Sign] = {
    "told": Sign("╷", "|", "out"),
    "connected": Sign("●", "+", "good"),
    "grant": Sign("⇒", "=", "out"),
    "asked": Sign("◂", "?", "accent"),
    "chunks": Sign("█", "#", "in"),
    "sent": Sign("▲", "^", "out"),
    "have": Sign("◄", "<", "good"),
    "yes": Sign("◄", "<", "good"),
    "offered": Sign("▸", ">", "good"),
    "lapsed": Sign("⇍", "x", "warn"),
    "wasted": Sign("↯", "w", "warn"),
    "error": Sign("!", "!", "bad"),
    "no": Sign("✗", "!", "bad"),
    "refused": Sign("▸", ">", "bad"),
    "gone": Sign("○", "-", "dim"),
    "cancelled": Sign("⊘", "x", "warn"),
    "again": Sign("▽", "v", "out"),
    "want": Sign("▼", "V", "out"),
    "whole": Sign("✓", "*", "good"),
}
WORDS: dict[MarkKind, str] = {
    "want": "want", "again": "again", "whole": "whole", "cancelled": "cancelled", "yes": "yes", "have": "has it",
    "gone": "gone", "error": "failed", "lapsed": "late", "asked": "asks", "offered": "yes", "grant": "may send",
}  # fmt: skip
"""The word beside a mark, where there is room."""
HATCH, OWED, WAITING = Sign("▒", "/", "warn"), Sign("─", "-", "out"), Sign("·", ".", "dim")
NARROW, ROOMY = 76, 100
"""Below this width, names and the words at the end are shorter; from this one, they are longer."""


class Frame(NamedTuple):
    """The stretch of time that is drawn."""

    first: int
    """The first bin."""
    columns: int
    name: int
    """Columns for the name of a peer, with the space after it."""
    tail: int
    """Columns for the words at the end of a lane, with the space before them."""


def frame(width: int, now: float, step: float) -> Frame:
    """Return the stretch that fits in `width` columns and ends at `now`."""
    name = WHO_WIDTH + 1
    tail = 11 if width < NARROW else 17 if width < ROOMY else 24
    columns = max(8, width - name - tail)
    return Frame(int(now // step) - columns + 1, columns, name, tail)


def fitting_step(width: int, since: float, now: float) -> float:
    """Return the closest step at which everything since `since` fits in the panel."""
    columns = frame(width, now, 1.0).columns
    return next((step for step in STEPS if step * columns >= now - since), STEPS[-1])


def flow_rows(
    view: View, flow: FlowWindow, order: str = ORDERS[0], tail: Callable[[PeerId], Plain] | None = None
) -> list[Row]:
    """Return the axis, this node's lane and a lane for each peer.

    `tail`: the words at the end of a peer's lane; None: what passed in the window.
    """
    shown = frame(view.width, view.now, flow.step)
    if shown.first * flow.step < (flow.since or view.now) and not flow.lanes and not flow.own.cells:
        return []
    top = _highest(flow, shown)
    rows = [Row("", _axis(view, flow, shown), title=True)]
    rows.append(Row(YOU, _line(view, flow, shown, flow.own, plain(YOU), _own_words(flow), top)))
    for peer, lane in _ordered(view, flow, order, shown):
        words = tail(peer) if tail is not None else lane_words(view, peer, lane)
        rows.append(Row(peer, _line(view, flow, shown, lane, view.peer(peer), words, top), words=peer))
    return rows


def lane_words(view: View, peer: PeerId, lane: Lane) -> Plain:
    """Return the words at the end of a lane: what it waits for, or what passed."""
    known, brief = view.state.peers.get(peer), view.width < NARROW
    if known is not None and not view.dead:
        if not known.connected:
            return plain(f"gone {human_seconds(view.now - known.seen_at)}")
        if known.denies:
            return plain("denies" if brief else "never: denies")
        if known.until is not None and known.until > view.now - DUE_SECONDS and known.reason is not None:
            left = human_seconds(known.until - view.now)
            return plain(f"in {left}" if brief else f"again in {left}")
    if lane.chunks:
        size = human_size(lane.bytes_in + lane.bytes_out)
        return plain(size if brief else f"{counted(lane.chunks, 'chunk')} {size}")
    if lane.owes:
        return plain(f"owes {lane.owes:,}" if brief else f"owes {counted(lane.owes, 'chunk')}")
    return plain("")


def step_words(step: float) -> str:
    """Return the seconds of a column, as the title says it."""
    return f"{human_seconds(step) if step >= 1 else f'{step * 1000:.0f} ms'} a column"


def _own_words(flow: FlowWindow) -> Plain:
    """Return the words at the end of this node's lane: how many peers the marks are of."""
    return plain(counted(len(flow.lanes), "peer"))


def _ordered(view: View, flow: FlowWindow, order: str, shown: Frame) -> list[tuple[PeerId, Lane]]:
    """Return the lanes in an order that does not jump: by the first answer, by bytes, or by name."""
    lanes = [(peer, lane) for peer, lane in flow.lanes.items() if _visible(lane, shown)]
    match order:
        case "bytes":
            lanes.sort(key=lambda one: -(one[1].bytes_in + one[1].bytes_out))
        case "name":
            lanes.sort(key=lambda one: str(view.peer(one[0])).casefold())
        case _:
            lanes.sort(key=lambda one: one[1].answered if one[1].answered is not None else math.inf)
    return lanes


def _visible(lane: Lane, shown: Frame) -> bool:
    """Whether anything of a lane is in the stretch that is drawn."""
    return bool(lane.cells) or lane.owes > 0 or any(bar.until > shown.first for bar in lane.bars)


def _highest(flow: FlowWindow, shown: Frame) -> int:
    """Return the most bytes of any bin, for the height of blocks."""
    sizes = (cell.bytes_in + cell.bytes_out for lane in flow.lanes.values() for cell in lane.cells.values())
    return max(sizes, default=0)


def _axis(view: View, flow: FlowWindow, shown: Frame) -> Line:
    """Return the line of times. Labels stand at round times, so that they move with the marks."""
    label = 8 if flow.step >= 1 else 10
    every = max(1, math.ceil((label + 4) / 10) * 10)
    text = [" "] * shown.columns
    for column in range(shown.columns - label):
        number = shown.first + column
        if number % every == 0:
            words = _clock(number * flow.step, flow.step)
            text[column : column + len(words)] = f"{'┆' if view.glyphs.unicode else '|'}{words}"[
                : len(words) + 1
            ]
    return [span(" " * shown.name, "dim"), span("".join(text)[: shown.columns], "dim")]


def _clock(at: float, step: float) -> str:
    found = datetime.fromtimestamp(at)
    return found.strftime("%H:%M:%S") + (f".{found.microsecond // 100_000}" if step < 1 else "")


def _line(
    view: View, flow: FlowWindow, shown: Frame, lane: Lane, name: Plain, words: Plain, top: int
) -> Line:
    line: Line = [
        span(cell_width.fit(name, shown.name - 1) + " ", "peer" if lane is not flow.own else "strong")
    ]
    line += _marks(view.glyphs, flow, shown, lane, top)
    line.append(span(" " + cell_width.cut(words, shown.tail - 1), "dim"))
    return merged(line)


def _marks(glyphs: Glyphs, flow: FlowWindow, shown: Frame, lane: Lane, top: int) -> Line:
    """Return the columns of a lane."""
    drawn: list[tuple[str, Role]] = []
    owes = _before(lane.owed, shown.first, 0)
    here = _before(lane.here, shown.first, True)
    waiting = False
    for number in range(shown.first, shown.first + shown.columns):
        owes = lane.owed.get(number, owes)
        here = lane.here.get(number, here)
        cell = lane.cells.get(number)
        if cell is not None:
            waiting = _waits(cell, waiting)
            drawn.append(_cell(glyphs, cell, top))
        elif not here:
            waiting = False
            drawn.append((" ", "text"))
        elif (bar := lane.until((number + 0.5) * flow.step)) is not None:
            drawn.append((glyphs.glyph(HATCH), REASON_SIGNS[bar.reason].role))
        elif owes:
            drawn.append((glyphs.glyph(OWED), OWED.role))
        else:
            drawn.append((glyphs.glyph(WAITING), WAITING.role) if waiting else (" ", "text"))
    _write_words(drawn, lane, shown)
    return [span(text, role) for text, role in drawn]


def _before(steps: dict[int, T], first: int, default: T) -> T:
    """Return the value at the beginning of the stretch."""
    last = max((number for number in steps if number < first), default=None)
    return default if last is None else steps[last]


def _waits(cell: Cell, waiting: bool) -> bool:
    """Whether the peer owes an answer after a bin."""
    if cell.kind == "told":
        return True
    return waiting and cell.kind in ("connected", "asked", "sent")


def _cell(glyphs: Glyphs, cell: Cell, top: int) -> tuple[str, Role]:
    if cell.kind == "no" and cell.reason is not None:
        sign = REASON_SIGNS[cell.reason]
        return glyphs.glyph(sign), sign.role
    sign = SIGNS[cell.kind]
    if cell.kind in ("chunks", "sent") and top:
        size = cell.bytes_in if cell.kind == "chunks" else cell.bytes_out
        return glyphs.spark([float(size)], float(top)), sign.role
    return glyphs.glyph(sign), sign.role


def _write_words(drawn: list[tuple[str, Role]], lane: Lane, shown: Frame) -> None:
    """Write the word of each mark beside it, where nothing else is marked."""
    for number in sorted(number for number in lane.cells if number >= shown.first):
        cell, column = lane.cells[number], number - shown.first
        word = _word(cell)
        room = range(column + 1, column + 1 + len(word))
        if not word or room.stop > shown.columns or any(shown.first + at in lane.cells for at in room):
            continue
        role = REASON_SIGNS[cell.reason].role if cell.kind == "no" and cell.reason else SIGNS[cell.kind].role
        for at, letter in zip(room, word, strict=True):
            drawn[at] = letter, role


def _word(cell: Cell) -> str:
    reason: Reason | None = cell.reason
    if cell.kind in ("no", "refused") and reason is not None:
        return REASON_SHORT[reason]
    return WORDS.get(cell.kind, "")
