"""The fold: entries in, state out.

    derive(entries)            from nothing
    extend(state, entries)     continue from a state, in place
    snapshot(state) / restore  a checkpoint: the state as bytes

Laws (tests/core/series/test_fold.py): derive(a + b) == extend(derive(a), b) for every split;
restore(snapshot(s)) == s; folding never raises, whatever the order of entries, because another version may
have written the series. The fold asks no clock: an entry carries its time. Each entry costs O(what it names),
never O(what there is).
"""

from collections.abc import Iterable

import msgspec

from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.series import backoff, clock_steps, faults, fold_answers, fold_replicas
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, LapseCause
from flux_tui.core.series.state import (
    MAX_PEERS,
    RECENT_SECONDS,
    Adding,
    Lease,
    ObjectState,
    PeerState,
    Pending,
    Removing,
    Second,
    State,
)

STATE_VERSION = 9
"""Raised whenever State or the fold changes its meaning. Older checkpoints are then folded anew."""

EXCUSED: tuple[LapseCause, ...] = ("refused", "unwritten", "restarted", "moved")
"""Causes of a lapse that is not the holder's fault. It said NO in time, this node could not write the chunk,
this node restarted, or this node let another holder send the chunk."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[int, State]] = msgspec.msgpack.Decoder(tuple[int, State])


def derive(entries: Iterable[Entry]) -> State:
    """The state after these entries, from nothing."""
    return extend(State(), entries)


def extend(state: State, entries: Iterable[Entry]) -> State:
    """Fold more entries into `state`, in place, and return it."""
    for entry in entries:
        apply(state, entry)
    return state


def snapshot(state: State) -> bytes:
    """The state as bytes, for a checkpoint."""
    return _encoder.encode((STATE_VERSION, state))


def restore(data: bytes) -> State | None:
    """The state of a checkpoint; None if another version of the fold made it."""
    try:
        version, state = _decoder.decode(data)
    except msgspec.MsgspecError:
        return None
    return state if version == STATE_VERSION else None


def copy(state: State) -> State:
    """A separate copy of a state (about 1 µs for each thing that is open or named)."""
    duplicate = restore(snapshot(state))
    if duplicate is None:
        raise AssertionError("a snapshot of this version restores")
    return duplicate


def apply(state: State, entry: Entry) -> None:
    """Fold one entry."""
    state.seq, state.at, event = entry
    if isinstance(event, ev.ClockStepped):
        clock_steps.shift(state, event.seconds)
    second = _second(state)
    match event:
        case ev.ChunkReceived():
            _chunk_received(state, second, event)
        case ev.ChunksSent():
            peer = _peer(state, event.peer)
            peer.bytes_out += event.size
            peer.chunks_out += len(event.cids)
            state.sent_bytes += event.size
            second.bytes_out += event.size
        case ev.Requested():
            _requested(state, event)
        case ev.PushedWant():
            for cid in event.cids:
                _pushed(state, cid, event)
        case ev.WentDormant():
            for cid in event.cids:
                if pending := state.pending.get(cid):
                    _leave(state, pending)
                    pending.dormant = True
                    state.dormant += 1
        case ev.Granted():
            peer = _peer(state, event.peer)
            peer.granted += len(event.cids)
            for cid in event.cids if not event.hedge else ():
                state.leases[cid] = Lease(
                    peer=event.peer, root=event.root, granted_at=state.at, deadline=event.deadline
                )
        case ev.StatusNo():
            second.noes += 1
            fold_answers.refused(state, _peer(state, event.peer), event)
            if event.about == "hold":
                fold_replicas.refused(state, event)
        case ev.DelayedYes():
            fold_answers.promised(state, _peer(state, event.peer), event)
        case ev.RetrySet():
            fold_answers.retry_set(state, event)
        case ev.LeaseExtended():
            _peer(state, event.peer).late = True
            for cid in event.cids:
                lease = state.leases.get(cid)
                if lease and lease.peer == event.peer:
                    lease.deadline = event.deadline
        case ev.LeaseLapsed():
            peer = _peer(state, event.peer)
            backoff.lapsed(peer, event, state.at)
            peer.lapsed += len(event.cids)
            peer.late = False
            if event.cause not in EXCUSED:
                peer.broken += len(event.cids)
            for cid in event.cids:
                lease = state.leases.get(cid)
                if lease and lease.peer == event.peer:
                    del state.leases[cid]
        case ev.ChunkWasted():
            state.received_bytes += event.size
            state.wasted_bytes[event.cause] = state.wasted_bytes.get(event.cause, 0) + event.size
            peer = _peer(state, event.peer)
            peer.bytes_in += event.size
            peer.wasted += event.size
            second.bytes_in += event.size
        case ev.ObjectMapped():
            if found := state.objects.get(event.root):
                found.size = event.size
                found.chunks_total = event.chunks
                found.chunks_have = event.have
                found.have_bytes = event.have_bytes
            if kept := state.kept.get(event.root):
                kept.size = max(kept.size, event.size)
        case ev.ObjectAdded():
            _object_added(state, event)
        case ev.ObjectRemoved():
            _object_removed(state, event)
        case ev.ObjectFreed():
            state.removing.pop(event.root, None)
            state.chunk_count = max(0, state.chunk_count - event.chunks)
            state.chunk_bytes = max(0, state.chunk_bytes - event.size)
        case ev.AddCancelled():
            state.adding.pop(event.path, None)
        case ev.ObjectCompleted():
            if event.path is not None or event.root in state.objects:
                found = _wanted(state, event.root)
                found.size = found.have_bytes = event.size
                found.path = event.path or found.path
                found.completed_at = state.at
            _drop_pending(state, event.root)
            fold_replicas.completed(state, event.root)
        case ev.ObjectRefused():
            state.refused[event.root] = event.path
        case ev.ObjectDiscarded():
            state.refused.pop(event.root, None)
            state.chunk_count = max(0, state.chunk_count - event.chunks)
            state.chunk_bytes = max(0, state.chunk_bytes - event.size)
        case ev.AddProgressed():
            state.adding[event.path] = Adding(path=event.path, bytes_done=event.bytes_done, size=event.size)
        case ev.Cancelled():
            _cancelled(state, event)
        case ev.ChunksLost():
            state.chunk_count = max(0, state.chunk_count - len(event.cids))
            state.chunk_bytes = max(0, state.chunk_bytes - event.size)
            for root in event.roots:
                if found := state.objects.get(root):
                    found.broken = True
        case ev.HaveReceived():
            fold_answers.announced(state, _peer(state, event.peer), event)
        case ev.IntentReceived():
            _peer(state, event.peer)
            for cid in event.cids if state.kept else ():
                fold_replicas.wanted(state, cid)
        case ev.ErrorReceived() | ev.AnsweredLater():
            _peer(state, event.peer)
        case ev.AnsweredNo():
            peer = _peer(state, event.peer)
            peer.said[event.reason] = peer.said.get(event.reason, 0) + 1
        case ev.GrantReceived() | ev.CancelReceived():
            _peer(state, event.peer)
        case ev.PeerConnected():
            peer = _peer(state, event.peer)
            peer.connected = True
            backoff.connected(peer)
            peer.addr = event.addr or peer.addr
        case ev.PeerDisconnected():
            _peer(state, event.peer).connected = False
        case ev.PeerFaulted():
            faults.add(_peer(state, event.peer), event.count, state.at)
        case ev.NodeStarted():
            _node_started(state, event)
        case ev.ClockStepped():
            pass  # the shift above moved all times before this entry was counted
        case ev.AddrsChanged():
            state.addrs = event.addrs
        case ev.PolicyChanged():
            state.policy = event.policy
        case ev.NodeStopped():
            state.running = False
            for peer in state.peers.values():
                peer.connected = False
        case ev.ErrorOccurred():
            state.errors += 1
            state.last_error = event.text
            if event.cid is not None and (pending := state.pending.get(event.cid)):
                pending.trouble = event.text
            if event.path is not None:
                state.adding.pop(event.path, None)
        case ev.CustomReceived() | ev.ClockDiffers() | ev.MessagePassedOver():
            _peer(state, event.peer)
        case (
            ev.CanHold()
            | ev.PushedKeep()
            | ev.ReplicaHeld()
            | ev.ReplicaLost()
            | ev.OfferedHold()
            | ev.KeepReceived()
            | ev.ReplicaWanted()
            | ev.ReleaseReceived()
        ):
            _peer(state, event.peer)
            fold_replicas.fold(state, event)
        case ev.ReplicaDropped() | ev.ReplicaAdopted():
            if (pending := state.pending.get(event.root)) and pending.held:
                _drop_pending(state, event.root)
            fold_replicas.fold(state, event)
        case ev.HoldRequested() | ev.PushedHold() | ev.Released() | ev.ReplicaEvicted():
            fold_replicas.fold(state, event)
        case ev.PushedHave() | ev.PushedCustom() | ev.Unknown():
            pass


def _second(state: State) -> Second:
    """The throughput bucket of the current entry."""
    t = int(state.at)
    recent = state.recent
    if recent and recent[-1].t >= t:
        second = recent[-1]
    else:
        second = Second(t=t)
        recent.append(second)
        while recent[0].t <= t - RECENT_SECONDS:
            del recent[0]
    second.entries += 1
    return second


def _peer(state: State, peer_id: PeerId) -> PeerState:
    peer = state.peers.get(peer_id)
    if peer is None:
        if len(state.peers) >= MAX_PEERS:
            _forget_a_peer(state)
        peer = state.peers[peer_id] = PeerState(peer=peer_id)
    peer.seen_at = state.at
    return peer


def _forget_a_peer(state: State) -> None:
    gone = [peer for peer in state.peers.values() if not peer.connected]
    # Peers that gave or took something are worth more than strangers.
    gone.sort(key=lambda peer: (peer.bytes_in + peer.bytes_out > 0, peer.seen_at))
    for peer in gone[: max(1, MAX_PEERS // 8)]:
        del state.peers[peer.peer]


def _node_started(state: State, event: ev.NodeStarted) -> None:
    state.peer_id = event.peer_id
    state.addrs = event.addrs
    state.version = event.version
    state.max_pending = event.max_pending
    state.running = True
    state.started_at = state.at
    state.adding.clear()
    # A killed node could not write that its streams had closed and its intents had ended.
    for peer in state.peers.values():
        peer.connected = False
        backoff.connected(peer)
    state.pushed = state.dormant = 0
    for pending in state.pending.values():
        _wait_for_room(pending)


def _wait_for_room(pending: Pending) -> None:
    """Start a want again: nobody has answered, and it waits for a place."""
    pending.in_network = pending.dormant = False
    pending.next_push_at = None
    pending.cause, pending.cause_peer, pending.cause_reason = "silence", None, None
    pending.yes.clear()
    pending.noes.clear()


def _requested(state: State, event: ev.Requested) -> None:
    pending = state.pending.get(event.cid)
    if pending is None:
        state.pending[event.cid] = Pending(cid=event.cid, since=state.at, by=event.by, held=event.held)
    else:
        if pending.held and not event.held:
            pending.held, pending.by = False, event.by
        _leave(state, pending)
        _wait_for_room(pending)
    known = state.objects.get(event.cid)
    held = event.held or (known is not None and known.origin == "held")
    if held or event.path is not None or event.name is not None or not is_leaf(event.cid):
        found = _wanted(state, event.cid)
        if held:
            found.origin = "held" if event.held else "wanted"  # from now on it is the user's
        found.name = event.name or found.name
        found.size = event.size if event.size is not None else found.size
        found.limit = None if event.held else event.size
        found.path = event.path or found.path
        found.completed_at = None
        found.cancelled = found.broken = False


def _wanted(state: State, root: Cid) -> ObjectState:
    found = state.objects.get(root)
    if found is None:
        found = state.objects[root] = ObjectState(root=root, origin="wanted", since=state.at)
    return found


def _object_added(state: State, event: ev.ObjectAdded) -> None:
    state.objects[event.root] = ObjectState(
        root=event.root,
        origin="added",
        since=state.at,
        name=event.name,
        size=event.size,
        chunks_have=event.chunks,
        chunks_total=event.chunks,
        have_bytes=event.size,
        path=event.path,
        completed_at=state.at,
    )
    state.adding.pop(event.path, None)
    state.chunk_count += event.stored_chunks
    state.chunk_bytes += event.stored


def _object_removed(state: State, event: ev.ObjectRemoved) -> None:
    state.objects.pop(event.root, None)
    state.removing[event.root] = Removing(mark=state.seq, name=event.name, path=event.path, by=event.by)
    if (kept := state.kept.get(event.root)) and kept.own:
        kept.own = kept.whole = False  # the replica that others were promised needs a copy of its own


def _pushed(state: State, cid: Cid, event: ev.PushedWant) -> None:
    if pending := state.pending.get(cid):
        pending.pushes += 1
        pending.last_push_at = state.at
        if pending.noes:
            pending.noes = [peer for peer in pending.noes if peer not in event.peers]
        if event.besides:
            return
        if not pending.in_network:
            _leave(state, pending)
            pending.in_network = True
            state.pushed += 1
        pending.next_push_at = event.next_push_at
        pending.cause, pending.cause_peer, pending.cause_reason = "silence", None, None


def _leave(state: State, pending: Pending) -> None:
    """Count a want as neither in the network nor dormant."""
    state.pushed -= pending.in_network
    state.dormant -= pending.dormant
    pending.in_network = pending.dormant = False


def _drop_pending(state: State, cid: Cid) -> None:
    pending = state.pending.pop(cid, None)
    if pending is not None:
        _leave(state, pending)


def _chunk_received(state: State, second: Second, event: ev.ChunkReceived) -> None:
    size = event.size
    state.chunk_count += 1
    state.chunk_bytes += size
    state.received_bytes += size
    state.unique_bytes += size
    second.bytes_in += size
    second.unique_in += size
    peer = _peer(state, event.peer)
    peer.bytes_in += size
    peer.chunks_in += 1
    peer.late = False
    peer.took_back = max(0, peer.took_back - 1)
    peer.has_it = True
    backoff.delivered(peer, state.at)
    state.leases.pop(event.cid, None)
    if not event.roots:
        _drop_pending(state, event.cid)
    for root in event.roots:
        if found := state.objects.get(root):
            found.chunks_have += 1
            found.have_bytes += event.fills
        if pending := state.pending.get(root):
            pending.trouble = None
        if kept := state.kept.get(root):
            kept.stored += size


def _cancelled(state: State, event: ev.Cancelled) -> None:
    for cid in event.cids:
        _drop_pending(state, cid)
        if found := state.objects.get(cid):
            found.cancelled = found.completed_at is None
    gone = set(event.cids)
    for cid in [cid for cid, lease in state.leases.items() if cid in gone or lease.root in gone]:
        del state.leases[cid]
