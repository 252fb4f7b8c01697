"""The fold of the events about replicas: those that other nodes keep (`holds`), and those kept here (`kept`)."""

from typing import assert_never

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import stored_totals, want_tables
from flux_tui.core.series.fold.peer_table import seen
from flux_tui.core.series.state import Hold, KeeperState, KeptReplica, No, State

MAX_REFUSED = 64
"""Refusals that are remembered for one hold. The oldest are forgotten first."""


def fold(state: State, event: ev.ReplicationEvent) -> None:
    """Apply one event about replicas to the state."""
    match event:
        case ev.HoldRequested() | ev.Released() | ev.PushedHold():
            _own_hold(state, event)
        case ev.CanHold() | ev.PushedKeep() | ev.ReplicaHeld() | ev.ReplicaLost():
            seen(state, event.peer)
            _keeper(state, event)
        case ev.OfferedHold():
            seen(state, event.peer)
        case ev.KeepReceived():
            seen(state, event.peer)
            _keep(state, event)
        case ev.ReplicaWanted():
            seen(state, event.peer)
            wanted(state, event.root)
        case ev.ReleaseReceived():
            seen(state, event.peer)
            if kept := state.kept.get(event.root):
                kept.origins.pop(event.peer, None)
        case ev.ReplicaDropped() | ev.ReplicaAdopted() | ev.ReplicaEvicted():
            _stop_keeping(state, event)
        case _:
            assert_never(event)


def refused(state: State, event: ev.StatusNo) -> None:
    """Record that a peer will not keep a replica. A keeper that has said how much it has stays a keeper."""
    for cid in event.cids:
        if (hold := state.holds.get(cid)) is None:
            continue
        known = hold.keepers.get(event.peer)
        if known is not None and known.how is None:
            del hold.keepers[event.peer]
        _say_no(
            hold,
            No(
                peer=event.peer,
                reason=event.reason,
                has_it=event.has_it,
                retry_after=event.retry_after,
                at=state.at,
            ),
        )


def wanted(state: State, root: Cid) -> None:
    """Record that a peer wants an object, if it is a replica that is kept here."""
    if kept := state.kept.get(root):
        kept.last_wanted = state.at


def completed(state: State, root: Cid) -> None:
    """Record that a replica that is kept here is whole, if this object is one."""
    if kept := state.kept.get(root):
        kept.whole = True


def _own_hold(state: State, event: ev.HoldRequested | ev.PushedHold | ev.Released) -> None:
    """Apply an event of this node's own holds: one was requested, pushed or released."""
    match event:
        case ev.HoldRequested():
            hold = state.holds.get(event.root)
            if hold is None:
                hold = state.holds[event.root] = Hold(
                    root=event.root, replicas=event.replicas, since=state.at
                )
            hold.replicas = event.replicas
            hold.size = event.size or hold.size
            hold.name = event.name or hold.name
            hold.by = event.by
            hold.next_push_at = None
            hold.quiet = 0
        case ev.PushedHold():
            if (hold := state.holds.get(event.root)) is not None:
                hold.pushes += 1
                hold.quiet += event.gossip
                hold.last_push_at = state.at
                hold.next_push_at = event.next_push_at
                hold.cause = "silence"
        case ev.Released():
            for cid in event.cids:
                state.holds.pop(cid, None)
        case _:
            assert_never(event)


def _keeper(state: State, event: ev.CanHold | ev.PushedKeep | ev.ReplicaHeld | ev.ReplicaLost) -> None:
    """Apply an event about a peer that keeps a replica for this node, or offers to."""
    if (hold := state.holds.get(event.root)) is None:
        return
    match event:
        case ev.CanHold():
            hold.quiet = 0
            hold.refused.pop(event.peer, None)
        case ev.PushedKeep():
            hold.keepers[event.peer] = KeeperState(peer=event.peer, since=state.at, until=event.deadline)
        case ev.ReplicaHeld():
            _held(state, hold, event)
        case ev.ReplicaLost():
            hold.keepers.pop(event.peer, None)
        case _:
            assert_never(event)


def _held(state: State, hold: Hold, event: ev.ReplicaHeld) -> None:
    if event.how != "gone":
        replica = hold.keepers.setdefault(event.peer, KeeperState(peer=event.peer, since=state.at))
        replica.how, replica.until = event.how, None
        return
    hold.keepers.pop(event.peer, None)
    if event.reason is not None:
        no = No(peer=event.peer, reason=event.reason, has_it=False, retry_after=None, at=state.at)
        _say_no(hold, no)


def _say_no(hold: Hold, no: No) -> None:
    hold.refused.pop(no.peer, None)
    hold.refused[no.peer] = no
    if len(hold.refused) > MAX_REFUSED:
        del hold.refused[next(iter(hold.refused))]


def _keep(state: State, event: ev.KeepReceived) -> None:
    kept = state.kept.get(event.root)
    if kept is None:
        kept = state.kept[event.root] = KeptReplica(root=event.root, since=state.at, last_wanted=state.at)
        known = state.objects.get(event.root)
        if known is not None and known.completed_at is not None and known.origin != "held":
            kept.whole = kept.own = True
    kept.size = max(kept.size, event.size)
    kept.name = kept.name or event.name
    kept.origins[event.peer] = state.at


def _stop_keeping(state: State, event: ev.ReplicaDropped | ev.ReplicaAdopted | ev.ReplicaEvicted) -> None:
    """Apply an event by which this node stops keeping a replica: dropped, adopted or evicted."""
    match event:
        case ev.ReplicaDropped():
            _drop_want(state, event.root)
            _dropped(state, event)
        case ev.ReplicaAdopted():
            _drop_want(state, event.root)
            if kept := state.kept.get(event.root):
                kept.own = kept.whole = True
                state.dropping[event.root] = kept.name
        case ev.ReplicaEvicted():
            state.dropping.pop(event.root, None)
            stored_totals.freed(state, event.chunks, event.size)
        case _:
            assert_never(event)


def _drop_want(state: State, root: Cid) -> None:
    """Remove the want by which a replica was fetched. A want of the user stays."""
    if (pending := state.pending.get(root)) and pending.held:
        want_tables.drop(state, root)


def _dropped(state: State, event: ev.ReplicaDropped) -> None:
    kept = state.kept.pop(event.root, None)
    known = state.objects.get(event.root)
    if kept is None or kept.own:
        return
    state.dropping[event.root] = event.name
    if known is None or known.origin != "held":
        return
    del state.objects[event.root]
    for cid in [cid for cid, lease in state.leases.items() if event.root in (cid, lease.root)]:
        del state.leases[cid]


def origins_of(state: State, root: Cid) -> tuple[PeerId, ...]:
    """Return the origins for which this node keeps a replica."""
    kept = state.kept.get(root)
    return tuple(kept.origins) if kept is not None else ()
