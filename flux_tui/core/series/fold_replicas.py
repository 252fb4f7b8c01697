"""The fold of replicas: those that others keep for this node (`holds`), and those that this node keeps
(`kept`).

It is a part of fold.py, with the same laws: it never raises, whatever the order of entries; it asks no clock;
each entry costs O(what it names).
"""

from typing import TypeAlias, assert_never

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import Hold, Kept, No, Replica, State

MAX_REFUSED = 64
"""Refusals that are remembered for one hold. The oldest are forgotten first."""

ReplicaEvent: TypeAlias = (
    ev.HoldRequested
    | ev.PushedHold
    | ev.CanHold
    | ev.PushedKeep
    | ev.ReplicaHeld
    | ev.ReplicaLost
    | ev.Released
    | ev.OfferedHold
    | ev.KeepReceived
    | ev.ReplicaWanted
    | ev.ReleaseReceived
    | ev.ReplicaDropped
    | ev.ReplicaAdopted
    | ev.ReplicaEvicted
)


def fold(state: State, event: ReplicaEvent) -> None:
    """Fold one event about replicas."""
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
        case ev.Released():
            for cid in event.cids:
                state.holds.pop(cid, None)
        case ev.PushedHold() | ev.CanHold() | ev.PushedKeep() | ev.ReplicaHeld() | ev.ReplicaLost():
            if (hold := state.holds.get(event.root)) is not None:
                _asked(state, hold, event)
        case ev.OfferedHold():
            pass
        case ev.KeepReceived():
            _keep(state, event)
        case ev.ReplicaWanted():
            wanted(state, event.root)
        case ev.ReleaseReceived():
            if kept := state.kept.get(event.root):
                kept.origins.pop(event.peer, None)
        case ev.ReplicaDropped():
            _dropped(state, event)
        case ev.ReplicaAdopted():
            if kept := state.kept.get(event.root):
                kept.own = kept.whole = True
                state.dropping[event.root] = kept.name
        case ev.ReplicaEvicted():
            state.dropping.pop(event.root, None)
            state.chunk_count = max(0, state.chunk_count - event.chunks)
            state.chunk_bytes = max(0, state.chunk_bytes - event.size)
        case _:
            assert_never(event)


def refused(state: State, event: ev.StatusNo) -> None:
    """A peer will not keep a replica."""
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
    """A peer wants an object that may be kept here for others."""
    if kept := state.kept.get(root):
        kept.last_wanted = state.at


def completed(state: State, root: Cid) -> None:
    """An object is whole."""
    if kept := state.kept.get(root):
        kept.whole = True


def _asked(
    state: State,
    hold: Hold,
    event: ev.PushedHold | ev.CanHold | ev.PushedKeep | ev.ReplicaHeld | ev.ReplicaLost,
) -> None:
    match event:
        case ev.PushedHold():
            hold.pushes += 1
            hold.quiet += event.gossip
            hold.last_push_at = state.at
            hold.next_push_at = event.next_push_at
            hold.cause = "silence"
        case ev.CanHold():
            hold.quiet = 0
            hold.refused.pop(event.peer, None)
        case ev.PushedKeep():
            hold.keepers[event.peer] = Replica(peer=event.peer, since=state.at, until=event.deadline)
        case ev.ReplicaHeld():
            if event.how != "gone":
                replica = hold.keepers.setdefault(event.peer, Replica(peer=event.peer, since=state.at))
                replica.how, replica.until = event.how, None
                return
            hold.keepers.pop(event.peer, None)
            if event.reason is not None:
                no = No(peer=event.peer, reason=event.reason, has_it=False, retry_after=None, at=state.at)
                _say_no(hold, no)
        case ev.ReplicaLost():
            hold.keepers.pop(event.peer, None)
        case _:
            assert_never(event)


def _say_no(hold: Hold, no: No) -> None:
    hold.refused.pop(no.peer, None)
    hold.refused[no.peer] = no
    if len(hold.refused) > MAX_REFUSED:
        del hold.refused[next(iter(hold.refused))]


def _keep(state: State, event: ev.KeepReceived) -> None:
    kept = state.kept.get(event.root)
    if kept is None:
        kept = state.kept[event.root] = Kept(root=event.root, since=state.at, last_wanted=state.at)
        known = state.objects.get(event.root)
        if known is not None and known.completed_at is not None and known.origin != "held":
            kept.whole = kept.own = True
    kept.size = max(kept.size, event.size)
    kept.name = kept.name or event.name
    kept.origins[event.peer] = state.at


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
    """The origins that a replica is kept for."""
    kept = state.kept.get(root)
    return tuple(kept.origins) if kept is not None else ()
