"""The rows of the panels Pending and Retries. Pure."""

from collections.abc import Iterable, Mapping
from typing import cast

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.next_try import Tries, Try, WaitReason, why_waiting
from flux_tui.core.series.state import Hold, ObjectState, Pending
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from flux_tui.ui.rows.cell_width import fit, width
from flux_tui.ui.rows.glyphs import REASON_SIGNS, Role, reason_words
from flux_tui.ui.rows.view_and_lines import Line, Row, Span, View, cut, span, wide

EARLY = 256 * 1024
"""Below this many bytes of an object, its rate gives no useful eta."""
LOOSE_SHOWN = 100
"""How many loose chunks are listed. Beyond that, the panel shows their number."""

# ── pending ─────────────────────────────────────────────────────────────────────────────────────


def pending_rows(view: View) -> list[Row]:
    """Return the rows of the panel Pending, each with what it waits for.

    They are wanted objects, loose chunks (chunks that are wanted alone), and holds (replicas wanted on other
    nodes).
    """
    state = view.state
    rows: list[Row] = []
    senders = senders_of(view)
    loose: list[Pending] = []
    totals = [
        _total(found) for pending in state.pending.values() if (found := state.objects.get(pending.cid))
    ]
    digits = max(map(len, totals), default=0)
    tries = Tries(state, view.now)
    for pending in state.pending.values():
        found = state.objects.get(pending.cid)
        if found is None:
            loose.append(pending)
            continue
        rows += _object_rows(view, pending, found, senders.get(pending.cid, set()), digits, tries)
    if loose:
        rows += _loose_rows(view, loose, senders, tries)
    return rows + hold_rows(view)


def senders_of(view: View) -> dict[Cid, set[PeerId]]:
    """Return the connected peers that were granted chunks and have not sent them yet.

    They are grouped by the object of these chunks, or by the chunk if it is wanted alone. Empty: none, or the
    node does not run.
    """
    found: dict[Cid, set[PeerId]] = {}
    for cid, lease in () if view.dead else view.state.leases.items():
        # Right after a start, leases from before the stop are still in the state. Their peers are not
        # connected yet.
        if (peer := view.state.peers.get(lease.peer)) and peer.connected:
            found.setdefault(lease.root or cid, set()).add(lease.peer)
    return found


def hold_rows(view: View) -> list[Row]:
    """Return two rows for each object of which this node wants replicas, and one about replicas kept for others."""
    state = view.state
    rows: list[Row] = []
    for hold in state.holds.values():
        bar = 6 if view.width < 44 else 10
        line: Line = [
            span(fit(view.name(hold.root), max(8, min(24, view.width - bar - 22))) + " ", "name"),
            span(view.glyphs.bar(hold.whole / hold.replicas, bar), "bar"),
            span(f" {hold.whole}/{counted(hold.replicas, 'replica')}", "strong" if hold.lacking else "good"),
        ]
        rows.append(Row(hold.root, cut(line, view.width, view.glyphs.ellipsis)))
        why: Line = [
            span("  ", "text"),
            span(keeping_words(view, hold, view.width - 2), "warn" if hold.lacking else "good"),
        ]
        rows.append(Row(f"{hold.root}/why", cut(why, view.width, view.glyphs.ellipsis), title=True))
    if state.kept:
        size = sum(kept.charge for kept in state.kept.values())
        quota = f" of {human_size(state.policy.quota)}" if state.policy.quota else ""
        text = f"{counted(len(state.kept), 'replica')} kept for others, {human_size(size)}{quota}"
        rows.append(Row("kept", cut([span(text, "dim")], view.width, view.glyphs.ellipsis), title=True))
    return rows


def keeping_words(view: View, hold: Hold, room: int) -> str:
    """Return a text about a hold (replicas wanted on other nodes).

    It says which peers keep replicas, which refuse and why, and when others are asked again. If it does not
    fit in `room` columns, the names of the peers that refused are left out, but not the time. If no replica
    is missing, the text only says which peers keep them.
    """
    kept: list[str] = []
    if hold.keepers:
        kept.append("kept by " + ", ".join(view.peer(peer) for peer in list(hold.keepers)[:2]))
        if len(hold.keepers) > 2:
            kept[-1] += f" and {len(hold.keepers) - 2} more"
    if not hold.lacking:
        return ", ".join(kept) or "all keepers are there"
    if not hold.refused and not hold.keepers:
        kept.append("nobody has answered yet")
    again = (
        [] if hold.next_push_at is None else [f"next try in {human_seconds(hold.next_push_at - view.now)}"]
    )
    noes = list(hold.refused.values())[-2:]
    full = [f"{_reason(view, no.reason)}: {view.peer(no.peer)}" for no in noes]
    long = list(dict.fromkeys(_reason(view, no.reason) for no in noes))
    short = list(dict.fromkeys(reason_words(no.reason, view.glyphs) for no in noes))
    return _longest([", ".join([*kept, *reasons, *again]) for reasons in (full, long, short)], room)


def _total(found: ObjectState) -> str:
    return "?" if found.chunks_total is None else f"{found.chunks_total:,}"


def _object_rows(
    view: View, pending: Pending, found: ObjectState, senders: set[PeerId], digits: int, tries: Tries
) -> list[Row]:
    # The count is as wide at the start as at the end, and for every object. So nothing jumps.
    count = f"{found.chunks_have:>{digits},}/{_total(found):<{digits}}"
    bar = 6 if view.width < 44 else 10 if view.width < 72 else 20
    room = view.width - bar - 6 - len(count) - 3
    line: Line = [
        span(fit(view.name(pending.cid), min(max(8, room), 40)) + " ", "name"),
        span(view.glyphs.bar(found.progress, bar), "bar"),
        span(f" {found.progress:>4.0%}", "strong"),
        span(f"  {count}", "dim"),
    ]
    # Between two grants nobody sends for a moment. The rate is still shown, in the same place.
    rate = view.trends.object_rate(pending.cid, view.now) if view.connected else 0.0
    flows: Line = []
    if senders or rate:
        seconds = eta_of(view, pending, found)
        eta = f"  eta {human_seconds(seconds)}" if seconds is not None else ""
        flows = [span(f"{view.glyphs.down} {human_size(rate)}/s{eta}  ", "good")]
    waits = waiting_words(view, pending, senders, view.width - 2 - wide(flows), tries)
    why: Line = [span("  ", "text"), *flows, span(waits, "good" if _any_on_time(view, senders) else "warn")]
    return [
        Row(pending.cid, cut(line, view.width, view.glyphs.ellipsis)),
        Row(f"{pending.cid}/why", cut(why, view.width, view.glyphs.ellipsis), title=True),
    ]


def eta_of(view: View, pending: Pending, found: ObjectState) -> float | None:
    """Return the estimated seconds until an object is whole.

    None: the size is not known, or too few bytes came, or too unevenly, to estimate.
    """
    if not found.size or found.have_bytes < EARLY:
        return None
    since = max(pending.since, view.state.started_at or 0.0)
    return view.trends.object_eta(pending.cid, since, view.now, max(0, found.size - found.have_bytes))


def _loose_rows(
    view: View, loose: list[Pending], senders: Mapping[Cid, set[PeerId]], tries: Tries
) -> list[Row]:
    waiting = sum(1 for pending in loose if pending.queued)
    text = counted(len(loose), "loose chunk")
    if waiting:
        text += f", {waiting:,} wait for room"
    rows = [Row("loose", [span(text, "strong")], title=True)]
    for pending in loose[:LOOSE_SHOWN]:
        line: Line = [span(view.name(pending.cid), "name"), span(f"  push {pending.pushes}  ", "dim")]
        own = senders.get(pending.cid, set())
        waits = waiting_words(view, pending, own, view.width - wide(line), tries)
        line.append(span(waits, "good" if _any_on_time(view, own) else "warn"))
        rows.append(Row(pending.cid, cut(line, view.width, view.glyphs.ellipsis)))
    if len(loose) > LOOSE_SHOWN:
        rows.append(Row("more", [span(f"and {len(loose) - LOOSE_SHOWN:,} more", "dim")], title=True))
    return rows


def waiting_words(
    view: View, pending: Pending, senders: Iterable[PeerId], room: int, tries: Tries | None = None
) -> str:
    """Return a text of at most `room` columns that says what a want waits for.

    `senders`: the peers that were granted chunks of it and have not sent them. `tries`: the next tries of all
    wants. None: they are computed here.
    """
    senders = list(senders)
    if senders:
        who = view.peer(senders[0]) if len(senders) == 1 else f"{len(senders)} peers"
        return f"from {who}" if _any_on_time(view, senders) else f"late: {who}"
    if view.dead or not view.state.running:
        return "no node is running"
    if pending.queued:
        return f"waits for room: {view.state.max_pending:,} intents are out"
    if not view.state.connected:
        return "no peer is connected"
    tries = tries or Tries(view.state, view.now)
    one = tries.next_of(pending)
    long, short, of = _why(view, why_waiting(view.state, pending, one, tries))
    if one is None:
        return _longest([long, short], room)
    left = human_seconds(one.at - view.now)
    told = [f"{why}, next try in {left}{of}" for why in (long, short)]
    told += [f"{short}, again in {left}{of}", f"{short}, {left}{of}", f"{short}, {left}", short]
    return _longest(told, room)


def _any_on_time(view: View, senders: Iterable[PeerId]) -> bool:
    """Return whether at least one of these peers is not late with the chunks that it was granted."""
    return any(not view.state.peers[peer].late for peer in senders)


def _why(view: View, why: WaitReason) -> tuple[str, str, str]:
    """Return three texts: why a want waits, the same in fewer words, and who gave the reason.

    The third is a colon and the peer's name or the number of peers, or empty. The reason comes first in a line,
    because a narrow line loses its end.
    """
    of = f": {view.peer(why.peer)}" if why.peer is not None else ""
    match why.reason:
        case "late":
            return "late", "late", of
        case "gone":
            holders = "its holder is" if why.peers < 2 else f"its {why.peers} holders are"
            return f"{holders} gone", "gone", of
        case "unwritten":
            return CAUSES["unwritten"], SHORT_CAUSES["unwritten"], ""
        case "yes":
            return f"{why.peers} said yes, none sends now", f"{why.peers} said yes", ""
        case "unanswered":
            return "nobody has answered yet", "no answer yet", ""
        case reason:
            of = of or (f": {why.peers} peers" if why.peers else "")
            return _reason(view, reason), reason_words(reason, view.glyphs), of


# ── retries ─────────────────────────────────────────────────────────────────────────────────────

CAUSES = {
    "retry_after": "a NO said so",
    "eta": "promised for then",
    "lapsed": "nobody is left to send it",
    "silence": "on silence",
    "asked": "asked for",
    "unwritten": "could not be written here",
}
SHORT_CAUSES = CAUSES | {"lapsed": "nobody sends it", "unwritten": "cannot be written"}
"""The causes for narrow lines."""


def retry_rows(view: View, limit: int = 200) -> list[Row]:
    """Return the rows of the panel Retries: for each want, the time until its next try, the soonest first.

    A want whose time has come has no row while its chunks are on their way. At most `limit` rows are
    returned. Empty: no node runs, or no want is going to be tried again.
    """
    if view.dead:
        return []
    leases = view.state.leases
    sent = {*leases, *(lease.root for lease in leases.values())}
    tries = Tries(view.state, view.now)
    due = [
        (one, pending)
        for pending in view.state.pending.values()
        # A want that is due is not pushed again while its chunks are on their way.
        if (one := tries.next_of(pending)) is not None and (one.at > view.now or pending.cid not in sent)
    ]
    due.sort(key=lambda found: found[0].at)
    rows = []
    bar, name = (10, 20) if view.width >= 72 else (8, 14) if view.width >= 56 else (5, 10)
    for one, pending in due[:limit]:
        start = one.since or pending.last_push_at or pending.since
        left = one.at - view.now
        line: Line = [
            span(fit(view.name(pending.cid), name) + " ", "name"),
            span(view.glyphs.bar(1 - left / max(one.at - start, 0.001), bar), "bar"),
            span(f"{human_seconds(left) if left > 0 else 'now':>7} ", "strong"),
        ]
        line.append(_cause(view, pending, tries, one, view.width - wide(line), sent=pending.cid in sent))
        rows.append(Row(pending.cid, cut(line, view.width, view.glyphs.ellipsis), words=one.reason or ""))
    return rows


def _cause(view: View, pending: Pending, tries: Tries, one: Try, room: int, *, sent: bool) -> Span:
    """Return a text of at most `room` columns: which push of a want comes next, and why.

    `one`: the next try of this want. `tries`: the next tries of all wants. `sent`: chunks of it are on their
    way, so the want is pushed only if they do not come.
    """
    ordinals = [f" push {pending.pushes + 1} ", f" #{pending.pushes + 1} "]
    if view.width < 60:
        del ordinals[0]  # so that all lines look alike
    if one.how == "grant":
        ordinals = [" "]  # the peer is granted a part of it: nothing is pushed
    why = why_waiting(view.state, pending, one, tries)
    if why.reason in ("unanswered", "unwritten", "yes") or (sent and one.peer is None):
        causes = (CAUSES[one.cause], SHORT_CAUSES[one.cause])
        if sent and one.cause in ("lapsed", "silence"):
            causes = ("if nothing comes by then", "if nothing comes")
        role: Role = "warn" if one.cause == "retry_after" else "dim"
        return span(_longest([ordinal + cause for cause in causes for ordinal in ordinals], room), role)
    long, short, of = _why(view, why)
    told = [f"{ordinal}{long}{of}" for ordinal in ordinals]
    told += [f"{ordinals[-1]}{short}{of}", f" {short}{of}", f" {short}"]
    sign = REASON_SIGNS.get(cast("Reason", why.reason))
    return span(_longest(told, room), "warn" if sign is None else sign.role)


def _reason(view: View, reason: Reason) -> str:
    return reason_words(reason, view.glyphs, short=False)


def _longest(texts: list[str], room: int) -> str:
    """Return the first text that fits in `room` columns, or else the last.

    `texts` are sorted, the longest first.
    """
    return next((text for text in texts if width(text) <= room), texts[-1])
