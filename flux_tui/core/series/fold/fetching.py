"""The fold of the requester's events: wants, answers of peers, leases, and chunks that come."""

from typing import assert_never

from flux_tui.core.ids import is_leaf
from flux_tui.core.series import events as ev
from flux_tui.core.series import peer_backoff
from flux_tui.core.series.events import LapseCause
from flux_tui.core.series.fold import pending_answers, replication, stored_totals, want_tables, yes_and_no
from flux_tui.core.series.fold.peer_table import seen
from flux_tui.core.series.fold.want_tables import wanted_object
from flux_tui.core.series.state import Lease, Pending, State

EXCUSED: tuple[LapseCause, ...] = ("refused", "unwritten", "restarted", "moved")
"""Causes of a lapse that is not the holder's fault. It said NO in time, this node could not write the chunk,
this node restarted, or this node let another holder send the chunk."""


def fold(state: State, event: ev.FetchingEvent) -> None:  # noqa: C901 - a flat match: one line a case
    """Apply one event of the requester to the state."""
    match event:
        case ev.ChunkReceived():
            chunk_received(state, event)
        case ev.ChunkWasted():
            _chunk_wasted(state, event)
        case ev.Granted():
            _granted(state, event)
        case ev.StatusNo():
            _refused(state, event)
        case ev.DelayedYes():
            state.totals.yes_in += 1
            yes_and_no.promised(state, seen(state, event.peer), event)
            pending_answers.promised(state, event)
        case ev.Requested():
            _requested(state, event)
        case ev.PushedWant():
            _pushed(state, event)
        case ev.WentDormant():
            _went_dormant(state, event)
        case ev.RetrySet():
            yes_and_no.retry_set(state, event)
        case ev.LeaseExtended():
            _extended(state, event)
        case ev.LeaseLapsed():
            _lapsed(state, event)
        case ev.HaveReceived():
            yes_and_no.announced(state, seen(state, event.peer), event)
            pending_answers.announced(state, event)
        case ev.Cancelled():
            _cancelled(state, event)
        case ev.ErrorReceived():
            seen(state, event.peer)
            pending_answers.failed(state, event)
        case ev.PushedHave():
            state.to_announce = event.left
            state.announced_by = state.at + event.seconds if event.left else None
        case ev.RecordsProvided():
            state.to_provide = event.left
            state.provided_by = state.at + event.seconds if event.left else None
        case _:
            assert_never(event)


def _requested(state: State, event: ev.Requested) -> None:
    pending = state.pending.get(event.cid)
    if pending is None:
        state.pending[event.cid] = Pending(cid=event.cid, since=state.at, by=event.by, held=event.held)
        state.pending[event.cid].block = event.block
    else:
        if pending.held and not event.held:
            pending.held, pending.by = False, event.by
        pending.block = pending.block and event.block
        want_tables.start_again(state, pending)
    if event.block:
        return
    known = state.objects.get(event.cid)
    held = event.held or (known is not None and known.origin == "held")
    if held or event.path is not None or event.name is not None or not is_leaf(event.cid):
        found = wanted_object(state, event.cid)
        if held:
            found.origin = "held" if event.held else "wanted"  # from now on it is the user's
        found.name = event.name or found.name
        found.size = event.size if event.size is not None else found.size
        found.limit = None if event.held else event.size
        found.path = event.path or found.path
        found.completed_at = None
        found.cancelled = found.broken = False


def _pushed(state: State, event: ev.PushedWant) -> None:
    state.totals.pushes += 1
    state.totals.retries += event.retry
    for cid in event.cids:
        if (pending := state.pending.get(cid)) is None:
            continue
        pending.pushes += 1
        pending.last_push_at = state.at
        if pending.noes:
            pending.noes = [peer for peer in pending.noes if peer not in event.peers]
        if not event.besides:
            want_tables.enter_network(state, pending)
            pending.next_push_at = event.next_push_at
            pending.cause, pending.cause_peer, pending.cause_reason = "silence", None, None
    pending_answers.asked(state, event)


def _went_dormant(state: State, event: ev.WentDormant) -> None:
    for cid in event.cids:
        if pending := state.pending.get(cid):
            want_tables.go_dormant(state, pending)


def _refused(state: State, event: ev.StatusNo) -> None:
    state.recent[-1].noes += 1
    noes = state.totals.noes_in
    noes[event.reason] = noes.get(event.reason, 0) + 1
    yes_and_no.refused(state, seen(state, event.peer), event)
    if event.about == "want":
        pending_answers.refused(state, event)
    elif event.about == "hold":
        replication.refused(state, event)


def _granted(state: State, event: ev.Granted) -> None:
    if event.again:
        return  # these chunks are counted, and have their leases
    seen(state, event.peer).granted += len(event.cids)
    state.totals.granted += len(event.cids)
    pending_answers.granted(state, event)
    if event.hedge:
        return  # the lease stays with the holder that is overdue
    for cid in event.cids:
        state.leases[cid] = Lease(
            peer=event.peer, root=event.root, granted_at=state.at, deadline=event.deadline
        )


def _extended(state: State, event: ev.LeaseExtended) -> None:
    seen(state, event.peer).late = True
    for cid in event.cids:
        lease = state.leases.get(cid)
        if lease and lease.peer == event.peer:
            lease.deadline = event.deadline


def _lapsed(state: State, event: ev.LeaseLapsed) -> None:
    peer = seen(state, event.peer)
    lapsed = state.totals.lapsed
    lapsed[event.cause] = lapsed.get(event.cause, 0) + len(event.cids)
    peer_backoff.lapsed(peer, event, state.at)
    peer.lapsed += len(event.cids)
    peer.late = False
    if event.cause not in EXCUSED:
        peer.broken += len(event.cids)
    for cid in event.cids:
        lease = state.leases.get(cid)
        if lease and lease.peer == event.peer:
            del state.leases[cid]


def chunk_received(state: State, event: ev.ChunkReceived) -> None:
    """Apply an event about a chunk that came to the state. It is the most frequent event of a node that fetches."""
    size = event.size
    stored_totals.stored(state, 1, size)
    state.totals.chunks_in += 1
    state.received_bytes += size
    state.unique_bytes += size
    second = state.recent[-1]
    second.bytes_in += size
    second.unique_in += size
    peer = seen(state, event.peer)
    peer.bytes_in += size
    peer.chunks_in += 1
    if peer.late:
        peer.late = False
    if peer.took_back:
        peer.took_back -= 1
    if not peer.has_it:
        peer.has_it = True
    peer_backoff.delivered(peer, state.at)
    state.leases.pop(event.cid, None)
    if not event.roots:
        want_tables.drop(state, event.cid)
    for root in event.roots:
        if found := state.objects.get(root):
            found.chunks_have += 1
            found.have_bytes += event.fills
        if pending := state.pending.get(root):
            if pending.trouble is not None:
                pending.trouble = None
            if found:
                pending_answers.came(pending, event, state.at)
        if kept := state.kept.get(root):
            kept.stored += size


def _chunk_wasted(state: State, event: ev.ChunkWasted) -> None:
    state.received_bytes += event.size
    state.totals.chunks_wasted += 1
    state.wasted_bytes[event.cause] = state.wasted_bytes.get(event.cause, 0) + event.size
    peer = seen(state, event.peer)
    peer.bytes_in += event.size
    peer.wasted += event.size
    state.recent[-1].bytes_in += event.size


def _cancelled(state: State, event: ev.Cancelled) -> None:
    for cid in event.cids:
        want_tables.drop(state, cid)
        if found := state.objects.get(cid):
            found.cancelled = found.completed_at is None
    gone = set(event.cids)
    for cid in [cid for cid, lease in state.leases.items() if cid in gone or lease.root in gone]:
        del state.leases[cid]
