"""State into rows: what the panels show, as plain data. Pure: the clock is an argument.

A row is a key, by which a panel keeps its place, and a line of spans, each with a role for the theme to
colour. Nothing here knows Textual, so all of it is tested without a screen.
"""

import time
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from flux_tui.core.events import REASONS, Entry, Reason, StatusNo, kind_of
from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.report import describe, human_seconds, human_size
from flux_tui.core.state import ObjectState, PeerState, Pending, State
from flux_tui.ui.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs, Role

Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = list[Span]

RATE_SECONDS = 3
"""Rates are means over this many seconds: long enough to be read, short enough to be true."""


class Row(NamedTuple):
    """One line of a panel."""

    key: str
    line: Line
    title: bool = False
    """A heading, which cannot be selected."""


class View(NamedTuple):
    """What every row builder needs."""

    state: State
    now: float
    """Seconds since 1970: of the wall while live, of the cursor while frozen."""
    width: int
    glyphs: Glyphs
    masked: bool = False

    def peer(self, peer: PeerId) -> str:
        """A peer's short name; its place in the list while masked."""
        if not self.masked:
            return short(peer)
        known = list(self.state.peers)
        return f"peer {known.index(peer) + 1}" if peer in self.state.peers else "a peer"

    def name(self, cid: Cid) -> str:
        """An object's name, or its CID's short form."""
        found = self.state.objects.get(cid)
        if found is not None and found.name:
            return found.name
        return "a chunk" if self.masked else short(cid)


def text_of(line: Line) -> str:
    """The characters of a line."""
    return "".join(text for text, _ in line)


def names_for(state: State, masked: bool) -> dict[Cid, str]:
    """Names for `describe`: of the objects that have one."""
    del masked
    return {root: found.name for root, found in state.objects.items() if found.name}


# ── series ──────────────────────────────────────────────────────────────────────────────────────


def entry_line(entry: Entry, view: View, *, newest: float | None = None) -> Line:
    """An entry: time, glyph, kind, words. `newest`: show ages before that time instead of times."""
    kind = kind_of(entry.event)
    sign = view.glyphs.kind(kind)
    clock = _clock(entry.at) if newest is None else f"-{human_seconds(newest - entry.at)}".rjust(12)
    if view.width < 60:
        clock = clock[:8]
    words = describe(entry.event, names_for(view.state, view.masked))
    if view.masked:
        words = _mask(words)
    role: Role = sign.role
    line: Line = [(clock, "time"), (" ", "text"), (view.glyphs.glyph(sign), role), (" ", "text")]
    line += [(kind.ljust(17), role)]
    if isinstance(entry.event, StatusNo):
        reason = REASON_SIGNS[entry.event.reason]
        line += [(view.glyphs.glyph(reason) + " ", reason.role)]
    line.append((words, "text"))
    return line


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03}"


def _mask(words: str) -> str:
    """Short ids and addresses out of a sentence."""
    out = []
    for word in words.split(" "):
        bare = word.strip(",.:;")
        hidden = "…" in bare or bare.startswith(("/ip4/", "/ip6/", "/", "12D3"))
        out.append(word.replace(bare, "•••") if hidden else word)
    return " ".join(out)


# ── pending ─────────────────────────────────────────────────────────────────────────────────────


def pending_rows(view: View) -> list[Row]:
    """Objects that are wanted, with progress and what they wait for; then loose chunks."""
    state = view.state
    rows: list[Row] = []
    senders: dict[Cid | None, set[PeerId]] = {}
    for lease in state.leases.values():
        senders.setdefault(lease.root, set()).add(lease.peer)
    loose: list[Pending] = []
    for pending in state.pending.values():
        found = state.objects.get(pending.cid)
        if found is None:
            loose.append(pending)
            continue
        rows += _object_rows(view, pending, found, senders.get(pending.cid, set()))
    if loose:
        rows += _loose_rows(view, loose, senders.get(None, set()))
    return rows


def _object_rows(view: View, pending: Pending, found: ObjectState, senders: set[PeerId]) -> list[Row]:
    wide = view.width >= 56
    name = _fit(view.name(pending.cid), max(10, view.width // 3 if wide else view.width // 2 - 4))
    bar = 12 if wide else 8
    total = "?" if found.chunks_total is None else f"{found.chunks_total:,}"
    line: Line = [
        (name + " ", "name"),
        (view.glyphs.bar(found.progress, bar), "bar"),
        (f" {found.progress:>4.0%}", "strong"),
    ]
    if wide:
        line.append((f"  {found.chunks_have:,}/{total}", "dim"))
    waits = waiting_words(view, pending, senders)
    if senders:
        rate = _rate_in(view.state, view.now)
        left = max(0, (found.size or 0) - found.have_bytes)
        eta = f"  eta {human_seconds(left / rate)}" if rate > 0 and found.size else ""
        waits = f"{view.glyphs.down} {human_size(rate)}/s{eta}  {waits}"
    rows = [Row(pending.cid, line)]
    rows.append(
        Row(f"{pending.cid}/why", [("  ", "text"), (waits, "good" if senders else "warn")], title=True)
    )
    return rows


def _loose_rows(view: View, loose: list[Pending], senders: set[PeerId]) -> list[Row]:
    waiting = sum(1 for pending in loose if not pending.in_network)
    text = f"{len(loose):,} loose {'chunk' if len(loose) == 1 else 'chunks'}"
    if waiting:
        text += f", {waiting:,} wait for room"
    rows = [Row("loose", [(text, "strong")], title=True)]
    for pending in loose[:100]:
        words = waiting_words(view, pending, senders)
        rows.append(
            Row(
                pending.cid,
                [(view.name(pending.cid), "name"), (f"  push {pending.pushes}  ", "dim"), (words, "warn")],
            )
        )
    return rows


def waiting_words(view: View, pending: Pending, senders: Iterable[PeerId]) -> str:
    """What a want waits for, as a person would say it."""
    senders = list(senders)
    if len(senders) == 1:
        return f"from {view.peer(senders[0])}"
    if senders:
        return f"from {len(senders)} peers"
    if not view.state.running:
        return "no node is running"
    if not pending.in_network:
        return f"waits for room: {view.state.max_pending:,} intents are out"
    if not view.state.connected:
        return "no peer is connected"
    again = ""
    if pending.next_push_at is not None:
        again = f", next try in {human_seconds(pending.next_push_at - view.now)}"
    if (no := pending.last_no) is not None:
        return f"{view.peer(no.peer)} says {no.reason}{again}"
    if pending.holders:
        return f"{pending.holders} said yes{again}"
    return f"nobody has answered yet{again}"


# ── NO by node ──────────────────────────────────────────────────────────────────────────────────


def no_rows(view: View) -> list[Row]:
    """A matrix: nodes down, reasons across, how often; and when each may be asked again."""
    nodes = [peer for peer in view.state.peers.values() if peer.counts]
    if not nodes:
        return []
    seen: list[Reason] = [r for r in REASONS if any(r in peer.counts for peer in nodes)]
    # Columns that do not fit fall away from the right, the rarest first.
    width = view.width - 31
    shown = sorted(seen, key=lambda r: -sum(peer.counts.get(r, 0) for peer in nodes))[: max(1, width // 11)]
    shown.sort(key=REASONS.index)
    head: Line = [("node".ljust(11), "dim"), ("has it ", "dim")]
    for reason in shown:
        sign = REASON_SIGNS[reason]
        head.append((f"{view.glyphs.glyph(sign)} {REASON_SHORT[reason]}".rjust(11), sign.role))
    head.append(("   again in", "dim"))
    rows = [Row("head", head, title=True)]
    nodes.sort(key=lambda peer: (peer.until is None or peer.until <= view.now, -sum(peer.counts.values())))
    for peer in nodes:
        line: Line = [(view.peer(peer.peer).ljust(11), "peer"), _has_it(peer)]
        for reason in shown:
            count = peer.counts.get(reason, 0)
            role: Role = REASON_SIGNS[reason].role if peer.reason == reason else "text"
            line.append(
                (f"{count:,}".rjust(11) if count else view.glyphs.dash.rjust(11), role if count else "dim")
            )
        left = 0.0 if peer.until is None else peer.until - view.now
        line.append((f"   {human_seconds(left)}" if left > 0 else "   now" if peer.until else "", "warn"))
        rows.append(Row(peer.peer, line))
    return rows


def _has_it(peer: PeerState) -> Span:
    if peer.has_it is None:
        return ("?".ljust(7), "dim")
    return ("yes".ljust(7), "good") if peer.has_it else ("no".ljust(7), "dim")


# ── retries ─────────────────────────────────────────────────────────────────────────────────────

CAUSES = {
    "retry_after": "said",
    "eta": "promised for then",
    "lapsed": "nobody is left to send it",
    "silence": "if nobody answers",
    "asked": "asked for",
}


def retry_rows(view: View, limit: int = 200) -> list[Row]:
    """Countdowns to the next push, the soonest first."""
    due = [p for p in view.state.pending.values() if p.next_push_at is not None and p.in_network]
    due.sort(key=lambda p: p.next_push_at or 0.0)
    rows = []
    width = 10 if view.width >= 50 else 6
    for pending in due[:limit]:
        assert pending.next_push_at is not None
        start = pending.last_push_at or pending.since
        if pending.last_no is not None:
            start = max(start, pending.last_no.at)
        whole = max(pending.next_push_at - start, 0.001)
        left = pending.next_push_at - view.now
        line: Line = [
            (_fit(view.name(pending.cid), 14) + " ", "name"),
            (view.glyphs.bar(1 - left / whole, width), "bar"),
            (f" {human_seconds(left) if left > 0 else 'now':>7}  ", "strong"),
            (_cause(view, pending), "warn" if pending.cause == "retry_after" else "dim"),
        ]
        rows.append(Row(pending.cid, line))
    return rows


def _cause(view: View, pending: Pending) -> str:
    ordinal = f"push {pending.pushes + 1}: "
    if pending.cause == "retry_after" and pending.cause_peer is not None:
        reason = pending.last_no.reason if pending.last_no else "NO"
        return f"{ordinal}{view.peer(pending.cause_peer)} said {reason}"
    return ordinal + CAUSES[pending.cause]


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


def peer_rows(view: View) -> list[Row]:
    """Who is there, what flowed, and how well promises were kept."""
    if not view.state.peers:
        return []
    wide = view.width >= 92
    head = f"  {'peer':<11}{'in':>10}{'out':>10}{'kept':>7}"
    head += f"{'granted':>9}{'lapsed':>8}{'faults':>8}  address" if wide else "  address"
    rows = [Row("head", [(head, "dim")], title=True)]
    for peer in sorted(
        view.state.peers.values(), key=lambda p: (not p.connected, -(p.bytes_in + p.bytes_out))
    ):
        dot: Span = (view.glyphs.dot, "good") if peer.connected else (view.glyphs.ring, "dim")
        kept = f"{1 - peer.lapsed / peer.granted:.0%}" if peer.granted else view.glyphs.dash
        line: Line = [dot, (" ", "text"), (view.peer(peer.peer).ljust(11), "peer")]
        line += [(human_size(peer.bytes_in).rjust(10), "in"), (human_size(peer.bytes_out).rjust(10), "out")]
        line.append((kept.rjust(7), "warn" if peer.lapsed else "text"))
        if wide:
            line += [(f"{peer.granted:,}".rjust(9), "text"), (f"{peer.lapsed:,}".rjust(8), "text")]
            line.append((f"{peer.faults:,}".rjust(8), "bad" if peer.faults else "text"))
        addr = "•••" if view.masked else peer.addr.rpartition("/p2p/")[0] or peer.addr
        line.append((f"  {addr}", "dim"))
        rows.append(Row(peer.peer, line))
    return rows


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
    totals.append((f" in, {human_size(state.sent_bytes)} out, duplicates ", "dim"))
    totals.append((f"{state.duplicate_factor:.3f}", "good" if state.duplicate_factor < 1.02 else "warn"))
    if waste:
        totals.append((f", wasted {human_size(waste)}", "warn"))
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


def _rate_in(state: State, now: float) -> float:
    """Bytes/s that came lately; the current second counts as far as it has gone."""
    total = sum(s.bytes_in for s in state.recent if now - RATE_SECONDS <= s.t)
    first = min((s.t for s in state.recent if now - RATE_SECONDS <= s.t), default=int(now))
    return total / max(now - first, 0.5)


def _rate_out(state: State, now: float) -> float:
    total = sum(s.bytes_out for s in state.recent if now - RATE_SECONDS <= s.t)
    first = min((s.t for s in state.recent if now - RATE_SECONDS <= s.t), default=int(now))
    return total / max(now - first, 0.5)


# ── header and timeline ─────────────────────────────────────────────────────────────────────────


def header_line(view: View, *, status: Span, frozen_note: str) -> Line:
    """The story in one line: who, live or held, peers, rates, the pending gauge, duplicates."""
    state, glyphs, width = view.state, view.glyphs, view.width
    who = "no node yet" if state.peer_id is None else ("this node" if view.masked else short(state.peer_id))
    line: Line = [(" flux-tui ", "accent"), (who, "strong"), ("  ", "text"), status]
    if frozen_note:
        line.append((f" {frozen_note}", "warn"))
    line.append((f"   {state.connected} {'peer' if state.connected == 1 else 'peers'}", "text"))
    inward = [float(s.bytes_in) for s in state.recent[-6:]]
    line.append((f"   {glyphs.down} {human_size(_rate_in(state, view.now))}/s ", "in"))
    if width >= 100:
        line.append((glyphs.spark(inward), "in"))
    line.append((f"  {glyphs.up} {human_size(_rate_out(state, view.now))}/s", "out"))
    if width >= 76:
        share = state.pushed / state.max_pending if state.max_pending else 0.0
        gauge = glyphs.bar(share, 6 if width < 110 else 10)
        waiting = len(state.pending) - state.pushed
        line.append(("   pending ", "dim"))
        line.append((gauge, "warn" if waiting else "bar"))
        line.append((f" {state.pushed:,}/{state.max_pending:,}", "strong"))
        if waiting and width >= 120:
            line.append((f" +{waiting:,}", "warn"))
    if width >= 96:
        good = state.duplicate_factor < 1.02
        line.append(("   dup ", "dim"))
        line.append((f"{state.duplicate_factor:.2f}", "good" if good else "warn"))
    return line


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


def _fit(text: str, width: int) -> str:
    """Exactly `width` columns: cut in the middle, or padded."""
    if len(text) <= width:
        return text.ljust(width)
    keep = width - 1
    return text[: keep - keep // 3] + "…" + text[-(keep // 3) :] if keep // 3 else text[:keep] + "…"
