"""What is drawn over time: throughput, the header's story, the timeline. Pure."""

from flux_tui.core.ids import short
from flux_tui.core.state import State
from flux_tui.core.words import counted, human_size
from flux_tui.ui.glyphs import Role
from flux_tui.ui.view import Line, Row, Span, View, text_of

RATE_SECONDS = 3
"""Rates are means over this many seconds: long enough to be read, short enough to be true."""

# ── throughput ──────────────────────────────────────────────────────────────────────────────────


def throughput_rows(view: View) -> list[Row]:
    """In, out and entries over the last two minutes, newest at the right."""
    state = view.state
    room = max(8, view.width - 27)
    inward, outward, entries = _history(state, view.now, room)
    rows: list[Row] = []
    for label, values, role, unit in (
        (f"{view.glyphs.down} in", inward, "in", "/s"),
        (f"{view.glyphs.up} out", outward, "out", "/s"),
        ("entries", entries, "text", ""),
    ):
        recent = values[-RATE_SECONDS - 1 : -1] or [0.0]
        rate = sum(recent) / len(recent)
        amount = f"{human_size(rate)}{unit}" if unit else f"{rate:,.0f}/s"
        line: Line = [(label.ljust(8), "dim"), (amount.rjust(12), "strong"), ("  ", "text")]
        line.append((view.glyphs.spark(values), role))  # type: ignore[arg-type]  # the roles are literals
        rows.append(Row(label, line))
    waste = sum(state.wasted_bytes.values())
    totals: Line = [("total".ljust(8), "dim"), (human_size(state.received_bytes).rjust(12), "strong")]
    totals.append((f" in  {human_size(state.sent_bytes)} out  dup ", "dim"))
    totals.append((f"{state.duplicate_factor:.3f}", "good" if state.duplicate_factor < 1.02 else "warn"))
    if waste:
        totals.append((f"  wasted {human_size(waste)}", "warn"))
    rows.append(Row("total", totals))
    return rows


def _history(state: State, now: float, seconds: int) -> tuple[list[float], list[float], list[float]]:
    last = int(now)
    first = last - seconds + 1
    inward, outward, entries = [0.0] * seconds, [0.0] * seconds, [0.0] * seconds
    for second in state.recent:
        index = second.t - first
        if 0 <= index < seconds:
            inward[index] = second.bytes_in
            outward[index] = second.bytes_out
            entries[index] = second.entries
    return inward, outward, entries


def rate_in(state: State, now: float) -> float:
    """Bytes/s that came lately; the current second counts as far as it has gone."""
    total = sum(s.bytes_in for s in state.recent if now - RATE_SECONDS <= s.t)
    first = min((s.t for s in state.recent if now - RATE_SECONDS <= s.t), default=int(now))
    return total / max(now - first, 0.5)


def rate_out(state: State, now: float) -> float:
    total = sum(s.bytes_out for s in state.recent if now - RATE_SECONDS <= s.t)
    first = min((s.t for s in state.recent if now - RATE_SECONDS <= s.t), default=int(now))
    return total / max(now - first, 0.5)


# ── header and timeline ─────────────────────────────────────────────────────────────────────────


def header_line(view: View, *, status: Span, frozen_note: str) -> Line:
    """The story in one line: who, live or held, peers, rates, the pending gauge, duplicates.

    What does not fit is left out by importance, so that no part is ever cut in two.
    """
    state, glyphs = view.state, view.glyphs
    who = "no node yet" if state.peer_id is None else ("this node" if view.masked else short(state.peer_id))
    gauge = state.pushed / state.max_pending if state.max_pending else 0.0
    waiting = len(state.pending) - state.pushed
    inward = [float(second.bytes_in) for second in state.recent[-6:]]
    good = state.duplicate_factor < 1.02
    parts: list[tuple[int, Line]] = [
        (6, [(" flux-tui", "accent")]),
        (3, [(f" {who} ", "strong")]),
        (0, [(" ", "text"), status, (f" {frozen_note}" if frozen_note else "", "warn")]),
        (2, [(f"   {counted(state.connected, 'peer')}", "text")]),
        (1, [(f"   {glyphs.down} {human_size(rate_in(state, view.now))}/s", "in")]),
        (8, [(f" {glyphs.spark(inward):<6}", "in")]),
        (5, [(f"  {glyphs.up} {human_size(rate_out(state, view.now))}/s", "out")]),
        (4, [("   pending ", "dim")]),
        (7, [(f"{glyphs.bar(gauge, 8)} ", "warn" if waiting else "bar")]),
        (4, [(f"{state.pushed:,}/{state.max_pending:,}", "strong")]),
        (4, [(f" +{waiting:,}" if waiting else "", "warn")]),
        (9, [("   dup ", "dim"), (f"{state.duplicate_factor:.2f}", "good" if good else "warn")]),
    ]
    return fitting(parts, view.width)


def fitting(parts: list[tuple[int, Line]], width: int) -> Line:
    """The parts that fit in `width` columns, in their order; the least important (highest) go first."""
    room = width
    kept = set()
    for priority in sorted({priority for priority, _ in parts}):
        needed = sum(len(text_of(line)) for other, line in parts if other == priority)
        if needed > room:
            break
        room -= needed
        kept.add(priority)
    return [span for priority, line in parts if priority in kept for span in line]


def timeline_line(view: View) -> Line:
    """A strip: a column a second, its height the entries, its colour the share of NO; now at the right."""
    label = " 2 min ago " if view.width >= 100 else " "
    end = " now " if view.width >= 100 else " "
    room = max(10, view.width - len(label) - len(end))
    last = int(view.now)
    by_second = {second.t: second for second in view.state.recent}
    span = max(1.0, 120 / room)
    line: Line = [(label, "dim")]
    top = max((second.entries for second in view.state.recent), default=0)
    for column in range(room):
        t = last - int((room - 1 - column) * span)
        second = by_second.get(t)
        if second is None or not second.entries:
            line.append((view.glyphs.dash if not view.glyphs.unicode else "·", "rail"))
            continue
        noes = second.noes / second.entries
        role: Role = "bad" if noes > 0.3 else "warn" if noes > 0.05 else "good"
        line.append((view.glyphs.spark([second.entries], top), role))
    line.append((end, "dim"))
    return line
