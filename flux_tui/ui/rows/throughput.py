"""The rows of the panel Throughput, and the line of the header. Pure."""

from typing import NamedTuple

from flux_tui.core.series.flow_rate import RATE_SECONDS, rate_of
from flux_tui.core.series.state import State
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.ui.rows.glyphs import Role
from flux_tui.ui.rows.view_and_lines import Line, Row, Span, View, cut, span, wide

FULL = 80
"""From this many columns, the header also shows how many intents may be out."""
GOOD_FACTOR = 1.02
"""The duplicate factor (received over unique bytes) below which the panel shows no warning."""

# ── throughput ──────────────────────────────────────────────────────────────────────────────────


class _Gauge(NamedTuple):
    label: str
    amount: str
    values: list[float]
    role: Role


def throughput_rows(view: View) -> list[Row]:
    """Return the charts of the panel Throughput: bytes in, bytes out, entries and duplicates of each second.

    The newest second is at the right. A taller panel has taller charts. The last row has the totals.
    """
    state = view.state
    room = max(8, view.width - 23)
    inward, outward, entries, duplicates = _history(state, view.now, room)
    factor = state.duplicate_factor

    rates = rates_of(view)
    lately = 0.0 if view.dead else _recent(entries)
    gauges = [
        _Gauge(f"{view.glyphs.down} in", f"{human_size(rates[0])}/s", inward, "in"),
        _Gauge(f"{view.glyphs.up} out", f"{human_size(rates[1])}/s", outward, "out"),
        _Gauge("entries", f"{lately:,.0f}/s", entries, "text"),
        _Gauge("dup", f"{factor:.3f}", duplicates, "good" if factor < GOOD_FACTOR else "warn"),
    ]
    tall = max(1, (view.height - 1) // len(gauges)) if view.height else 1
    rows: list[Row] = []
    for gauge in gauges:
        # The chart of duplicates shows their share. A tenth of all bytes is its top; more is drawn as the
        # top.
        chart = view.glyphs.chart(gauge.values, tall, 0.1 if gauge.label == "dup" else None)
        for level, text in enumerate(chart):
            last = level == tall - 1
            line: Line = [span(gauge.label.ljust(8) if last else " " * 8, "dim")]
            line += [
                span(gauge.amount.rjust(12) if last else " " * 12, "strong"),
                span("  ", "text"),
                span(text, gauge.role),
            ]
            rows.append(
                Row(f"{gauge.label} {level}", cut(line, view.width, view.glyphs.ellipsis), title=True)
            )
    totals: Line = [span("total".ljust(8), "dim"), span(human_size(state.received_bytes).rjust(12), "strong")]
    totals.append(span(f"  in, {human_size(state.sent_bytes)} out", "dim"))
    if waste := sum(state.wasted_bytes.values()):
        why = ", ".join(f"{human_size(size)} {cause}" for cause, size in state.wasted_bytes.items() if size)
        words = f", {human_size(waste)} wasted"
        room = view.width - wide(totals)
        totals.append(span(f"{words}: {why}" if len(f"{words}: {why}") <= room else words, "warn"))
    totals += _disk(view, view.width - wide(totals))
    rows.append(Row("total", cut(totals, view.width, view.glyphs.ellipsis), title=True))
    return rows


def _disk(view: View, room: int) -> Line:
    """Return what the series takes on disk, and what 30 days add, if there is room for it."""
    if view.disk is None:
        return []
    size = human_size(view.disk.segment_bytes + view.disk.database_bytes)
    month = "" if view.disk.month_bytes is None else f", 30 days add {human_size(view.disk.month_bytes)}"
    for words in (f"   series on disk {size}{month}", f"   series {size}"):
        if len(words) <= room:
            return [span(words, "dim")]
    return []


def _recent(values: list[float]) -> float:
    recent = values[-RATE_SECONDS - 1 : -1] or [0.0]
    return sum(recent) / len(recent)


def _history(state: State, now: float, seconds: int) -> tuple[list[float], ...]:
    last = int(now)
    first = last - seconds + 1
    inward, outward, entries, duplicates = ([0.0] * seconds for _ in range(4))
    for second in state.recent:
        index = second.t - first
        if 0 <= index < seconds:
            inward[index] = second.bytes_in
            outward[index] = second.bytes_out
            entries[index] = second.entries
            duplicates[index] = 1 - second.unique_in / second.bytes_in if second.bytes_in else 0.0
    return inward, outward, entries, duplicates


def rates_of(view: View) -> tuple[float, float]:
    """Return the bytes per second received and sent in the last RATE_SECONDS.

    Both are 0 while no peer is connected. All places of the screen use this function.
    """
    if not view.connected:
        return (0.0, 0.0)
    recent = view.state.recent
    return (
        rate_of({second.t: second.bytes_in for second in recent}, view.now),
        rate_of({second.t: second.bytes_out for second in recent}, view.now),
    )


# ── header ──────────────────────────────────────────────────────────────────────────────────────


def header_line(view: View, *, status: Span, frozen_note: str) -> Line:
    """Return the header: node, status (live, frozen and so on), peers, rates, pending intents, duplicate factor.

    `frozen_note`: a text after the status; empty: none. Less important parts that do not fit are left out. No
    part is ever cut in two.
    """
    state, glyphs = view.state, view.glyphs
    who = (
        "no node yet" if state.peer_id is None else ("this node" if view.masked else view.peer(state.peer_id))
    )
    gauge = state.pushed / state.max_pending if state.max_pending else 0.0
    waiting = state.queued
    inward = _history(state, view.now, 6)[0]
    rates = rates_of(view)
    good = state.duplicate_factor < GOOD_FACTOR
    full = view.width >= FULL
    # Where there is no room for the gauge: all that is wanted, as in the panel, not only what is in the network.
    out = f"{state.pushed:,}/{state.max_pending:,}" if full else f"{len(state.pending):,}"
    parts: list[tuple[int, Line]] = [
        (6, [span(" flux-tui", "accent")]),
        (3, [span(f" {who} ", "strong")]),
        (0, [span(" ", "text"), status, span(f" {frozen_note}" if frozen_note else "", "warn")]),
        (2, [span(f"   {counted(view.connected, 'peer')}", "text")]),
        (1, [span(f"   {glyphs.down} {human_size(rates[0])}/s".ljust(15), "in")]),
        (8, [span(f" {glyphs.spark(inward):<6}", "in")]),
        (5, [span(f"  {glyphs.up} {human_size(rates[1])}/s".ljust(14), "out")]),
        (4, [span("   pending " if full else "  ", "dim")]),
        (9, [span(f"{glyphs.bar(gauge, 8)} ", "warn" if waiting else "bar")]),
        (4, [span(out, "strong")]),
        (4, [span(f" +{waiting:,}" if waiting and full else "", "warn")]),
        (4, [span("" if full else " pending", "dim")]),
        (7, [span("   dup ", "dim"), span(f"{state.duplicate_factor:.2f}", "good" if good else "warn")]),
    ]
    return fitting(parts, view.width)


def fitting(parts: list[tuple[int, Line]], width: int) -> Line:
    """Return the parts that fit in `width` columns, in their order.

    A part is (importance, line). The parts with the highest numbers are left out first.
    """
    room = width
    kept = set()
    for priority in sorted({priority for priority, _ in parts}):
        needed = sum(wide(line) for other, line in parts if other == priority)
        if needed > room:
            break
        room -= needed
        kept.add(priority)
    return [span for priority, line in parts if priority in kept for span in line]
