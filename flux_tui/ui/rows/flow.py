"""The rows of the Flow panel: a lane (line over time) for each peer, below this node's own lane. Pure.

Time runs to the right and ends at the cursor. The signs in a peer's lane, from left to right:

- a mark when the want reached the peer, then dots until it answers;
- a mark for each answer, with its word where there is room; after a NO, a hatched bar until the peer may be
  asked again;
- a line while the peer has not sent all chunks that it was granted; blocks for chunks that came, higher for
  more bytes;
- nothing after the peer has disconnected.
"""

import math
from datetime import datetime
from typing import NamedTuple, TypeVar

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.state import PeerState
from flux_tui.core.series.want_explanation import why
from flux_tui.core.text.names import WHO_WIDTH
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from flux_tui.core.text.why import why_words
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs, Role, Sign
from flux_tui.ui.rows.view_and_lines import Line, Row, View, merged, span
from flux_tui.ui.series.flow_marks import OWN, Cell, FlowWindow, Lane, MarkKind, WaitPeriod

T = TypeVar("T")
STEPS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds of one column, the closest first."""
ORDERS = ("answer", "bytes", "name")
"""How lanes can be sorted: by the first answer, by the bytes that passed, by name."""
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
    """The period of time that the Flow panel draws, and the widths of the texts before and after it."""

    first: int
    """The first bin."""
    columns: int
    name: int
    """Columns for the name of a peer, with the space after it."""
    tail: int
    """Columns for the words at the end of a lane, with the space before them."""


def frame(width: int, now: float, step: float) -> Frame:
    """Return the period of time that fits in a panel of `width` columns and ends at `now`.

    `step`: the seconds of one column. The period has at least 8 columns, even if the panel has no room for
    them.
    """
    name, tail = WHO_WIDTH + 1, tail_of(width)
    columns = max(8, width - name - tail)
    return Frame(int(now // step) - columns + 1, columns, name, tail)


def tail_of(width: int) -> int:
    """Return the number of columns for the words at the end of a lane, in a panel of `width` columns."""
    return 11 if width < NARROW else 17 if width < ROOMY else 24


def fitting_step(width: int, since: float, now: float) -> float:
    """Return the smallest of STEPS (seconds a column) at which the time from `since` to `now` fits in the panel.

    If it fits at none of them, return the largest. `width`: the width of the panel in columns.
    """
    columns = frame(width, now, 1.0).columns
    return next((step for step in STEPS if step * columns >= now - since), STEPS[-1])


def flow_rows(view: View, flow: FlowWindow, order: str = ORDERS[0]) -> list[Row]:
    """Return the rows of the Flow panel: the line of times, this node's lane, and a lane for each peer.

    If the panel shows one pending object, lines follow that say what comes next for this object. Returns an empty
    list if no peer has a lane and this node's lane has no mark. `order`: how peers are sorted, one of ORDERS.
    """
    shown = frame(view.width, view.now, flow.step)
    lanes = _ordered(view, flow, order, shown)
    if not lanes and not flow.own.cells:
        return []
    top = _highest(flow)
    rows = [Row("", _axis(view, flow, shown), title=True)]
    own = plain(counted(len(lanes), "peer"))
    rows.append(Row(OWN, _line(view, flow, shown, flow.own, plain(OWN), own, top, None)))
    for peer, lane in lanes:
        known = view.state.peers.get(peer)
        words, wait = lane_words(view, known, lane), _wait_period_now(view, known)
        rows.append(Row(peer, _line(view, flow, shown, lane, view.peer(peer), words, top, wait), words=peer))
    return [*rows, *_next_rows(view, flow)]


def lane_words(view: View, known: PeerState | None, lane: Lane) -> Plain:
    """Return the text at the end of a peer's lane: how long it is gone, that it denies, or when it is asked again.

    In all other cases: how many chunks flowed, or else how many it was granted and has not sent. Empty: none.
    `known`: the peer's state. None: the state does not know the peer, so the text is only about chunks. It is
    also only about chunks while the shown node does not run.
    """
    brief = view.width < NARROW
    if known is not None and not view.dead:
        if not known.connected:
            return plain(f"gone {human_seconds(view.now - known.seen_at)}")
        if known.denies:
            return plain("denies" if brief else "never: denies")
        if known.until is not None and known.until > view.now and known.reason is not None:
            left = human_seconds(known.until - view.now)
            return plain(f"in {left}" if brief else f"again in {left}")
    if lane.chunks:
        size = human_size(lane.bytes_in + lane.bytes_out)
        words = plain(f"{counted(lane.chunks, 'chunk')} {size}")
        return words if view.width >= ROOMY and len(words) < tail_of(view.width) else plain(size)
    if lane.owes:
        return plain(f"owes {lane.owes:,}" if brief else f"owes {counted(lane.owes, 'chunk')}")
    return plain("")


def step_words(step: float) -> str:
    """Return a text for the panel's title that says how many seconds a column stands for."""
    return f"{human_seconds(step) if step >= 1 else f'{step * 1000:.0f} ms'} a column"


def _next_rows(view: View, flow: FlowWindow) -> list[Row]:
    """Return lines that say what comes next for the object whose lanes are shown.

    Empty: all objects are shown, or the object is not pending.
    """
    if flow.root is None or flow.root not in view.state.pending:
        return []
    told = why_words(why(view.state, flow.root, view.now), view, view.now, running=not view.dead)
    texts = (text for sentence in told.next for text in cell_width.wrapped(sentence, view.width))
    lines: list[Line] = [[], *([span(text, "strong")] for text in texts)]
    return [Row(f"next/{number}", line, title=True) for number, line in enumerate(lines)]


def _wait_period_now(view: View, known: PeerState | None) -> WaitPeriod | None:
    """Return the period in which a peer may not be asked, if the view's time is in it. Otherwise None.

    `known`: the peer's state. None: the state does not know the peer, so there is no such period. The period
    may have begun before the first entry of the window.
    """
    if known is None or known.until is None or known.reason is None or known.until <= view.now:
        return None
    start = known.until - known.retry_after if known.retry_after is not None else view.now
    return WaitPeriod(start, known.until, known.reason)


def _ordered(view: View, flow: FlowWindow, order: str, shown: Frame) -> list[tuple[PeerId, Lane]]:
    """Return the peers to show with their lanes. `order`: sorted by `bytes`, by `name`, or else by the first answer.

    A peer is shown if its lane has something in the period `shown`. If one object is shown, the peers that
    were asked for it are shown, too. If all objects are shown, all connected peers are.
    """
    pending = view.state.pending.get(flow.root) if flow.root is not None else None
    known = pending.answers if pending is not None else [
        peer.peer for peer in view.state.peers.values() if peer.connected and flow.root is None
    ]  # fmt: skip
    peers = dict.fromkeys(
        (*(peer for peer, lane in flow.lanes.items() if _visible(lane, flow, shown)), *known)
    )
    lanes = [(peer, flow.lane_of(peer)) for peer in peers]
    match order:
        case "bytes":
            lanes.sort(key=lambda one: -(one[1].bytes_in + one[1].bytes_out))
        case "name":
            lanes.sort(key=lambda one: str(view.peer(one[0])).casefold())
        case _:
            lanes.sort(key=lambda one: one[1].answered if one[1].answered is not None else math.inf)
    return lanes


def _visible(lane: Lane, flow: FlowWindow, shown: Frame) -> bool:
    """Return whether a lane has anything to show in the period that is drawn."""
    return bool(lane.cells) or lane.owes > 0 or any(bar.until > shown.first * flow.step for bar in lane.waits)


def _highest(flow: FlowWindow) -> int:
    """Return the largest number of bytes that a peer's lane has in one column; 0 if no bytes flowed."""
    sizes = (cell.bytes_in + cell.bytes_out for lane in flow.lanes.values() for cell in lane.cells.values())
    return max(sizes, default=0)


def _axis(view: View, flow: FlowWindow, shown: Frame) -> Line:
    """Return the line with the times above the lanes.

    Each label stays at its round time, so it moves to the left together with the marks of that time.
    """
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
    view: View,
    flow: FlowWindow,
    shown: Frame,
    lane: Lane,
    name: Plain,
    words: Plain,
    top: int,
    wait: WaitPeriod | None,
) -> Line:
    line: Line = [
        span(cell_width.fit(name, shown.name - 1) + " ", "peer" if lane is not flow.own else "strong")
    ]
    line += _marks(view.glyphs, flow, shown, lane, top, wait)
    line.append(span(" " + cell_width.cut(words, shown.tail - 1), "dim"))
    return merged(line)


def _marks(
    glyphs: Glyphs, flow: FlowWindow, shown: Frame, lane: Lane, top: int, wait: WaitPeriod | None
) -> Line:
    """Return the drawn columns of one lane.

    `wait`: the time during which the peer may not be asked, if it lasts now. `top`: the bytes that the
    highest block stands for.
    """
    drawn: list[tuple[str, Role]] = []
    owes = _last_before(lane.owed, shown.first, 0)
    here = _last_before(lane.here, shown.first, True)
    waiting = False
    for number in range(shown.first, shown.first + shown.columns):
        owes = lane.owed.get(number, owes)
        here = lane.here.get(number, here)
        cell = lane.cells.get(number)
        if cell is not None:
            waiting = _awaits_answer(cell, waiting)
            drawn.append(_cell(glyphs, cell, top))
        elif not here:
            waiting = False
            drawn.append((" ", "text"))
        elif (bar := _wait_period_at(lane, wait, (number + 0.5) * flow.step)) is not None:
            drawn.append((glyphs.glyph(HATCH), REASON_SIGNS[bar.reason].role))
        elif owes:
            drawn.append((glyphs.glyph(OWED), OWED.role))
        else:
            drawn.append((glyphs.glyph(WAITING), WAITING.role) if waiting else (" ", "text"))
    _write_words(glyphs, drawn, lane, shown)
    return [span(text, role) for text, role in drawn]


def _wait_period_at(lane: Lane, wait: WaitPeriod | None, at: float) -> WaitPeriod | None:
    """Return the period in which the peer may not be asked, if the moment `at` is in it. Otherwise None.

    `wait`: such a period that lasts now, which `lane` may not know.
    """
    if (bar := lane.wait_at(at)) is not None:
        return bar
    return wait if wait is not None and wait.start <= at < wait.until else None


def _last_before(steps: dict[int, T], first: int, default: T) -> T:
    """Return the last value before column `first`, or `default` if there is none.

    `steps` has the columns in which the value changed, each with the new value.
    """
    last = max((number for number in steps if number < first), default=None)
    return default if last is None else steps[last]


def _awaits_answer(cell: Cell, waiting: bool) -> bool:
    """Return whether the peer still has to answer a want after this column of its lane.

    `waiting`: whether it had to answer one before this column.
    """
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


def _write_words(glyphs: Glyphs, drawn: list[tuple[str, Role]], lane: Lane, shown: Frame) -> None:
    """Write into `drawn` a word at the right of each mark of a lane.

    A word is left out if it does not fit, or if another mark is in its place. In ASCII, where a sign can be a
    letter, a space stands before the word if there is room for both.
    """
    for number in sorted(number for number in lane.cells if number >= shown.first):
        cell, column = lane.cells[number], number - shown.first
        word = _word(cell)
        for text in (word,) if glyphs.unicode else (f" {word}", word):
            room = range(column + 1, column + 1 + len(text))
            if word and room.stop <= shown.columns and not any(shown.first + at in lane.cells for at in room):
                role = (
                    REASON_SIGNS[cell.reason].role
                    if cell.kind == "no" and cell.reason
                    else SIGNS[cell.kind].role
                )
                drawn[room.start : room.stop] = [(letter, role) for letter in text]
                break


def _word(cell: Cell) -> str:
    reason: Reason | None = cell.reason
    if cell.kind in ("no", "refused") and reason is not None:
        return REASON_SHORT[reason]
    return WORDS.get(cell.kind, "")
