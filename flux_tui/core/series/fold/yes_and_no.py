"""The fold of answers to wants: which peers have the object, which said NO, and what each want waits for.

Only fold/fetching.py calls it.
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series import peer_backoff
from flux_tui.core.series.events import Reason, RetryCause
from flux_tui.core.series.state import NAMED, No, PeerState, Pending, State


def refused(state: State, peer: PeerState, event: ev.StatusNo) -> None:
    """Apply a peer's NO to the state: when the peer may be asked again, and the last NO of each want that it names."""
    peer.has_it = event.has_it
    if event.about == "want":
        peer_backoff.refused(peer, event, state.at)
    elif peer.until is None or peer.until <= state.at:
        peer.reason, peer.retry_after, peer.until = event.reason, event.retry_after, None
    peer.counts[event.reason] = peer.counts.get(event.reason, 0) + 1
    for cid in event.cids if event.about == "want" else ():
        pending = state.pending.get(cid)
        granted = state.leases.get(cid)
        peer.took_back += granted is not None and granted.peer == event.peer and event.reason == "not_held"
        if pending is None and (lease := state.leases.get(cid)) and lease.root is not None:
            # It is about chunks of an object: the object is what is pending.
            pending = state.pending.get(lease.root) if lease.peer == event.peer else None
        elif pending is not None:
            _refused(pending, event)
        if pending is not None:
            pending.last_no = No(
                peer=event.peer,
                reason=event.reason,
                has_it=event.has_it,
                retry_after=event.retry_after,
                at=state.at,
            )


def promised(state: State, peer: PeerState, event: ev.DelayedYes) -> None:
    """Apply a delayed yes to the state: the peer has these objects."""
    peer.yes += 1
    peer.has_it = True
    peer.eta = event.eta
    peer_backoff.promised(peer, event)
    for cid in event.cids:
        if pending := state.pending.get(cid):
            _promised(pending, event.peer)
        if found := state.objects.get(cid):
            found.name = found.name or event.name
            found.size = found.size if found.size is not None else event.size


def announced(state: State, peer: PeerState, event: ev.HaveReceived) -> None:
    """Apply a peer's announcement to the state: it has an object that is pending here."""
    peer.has_it = True
    peer.denies = False
    if peer.connected and (pending := state.pending.get(event.root)):
        _promised(pending, event.peer)


def retry_set(state: State, event: ev.RetrySet) -> None:
    """Set the new time of the next push of wants or holds."""
    for cid in event.cids:
        if event.about == "hold":
            if hold := state.holds.get(cid):
                hold.next_push_at = event.next_push_at
                hold.cause = event.cause
        elif pending := state.pending.get(cid):
            pending.next_push_at = event.next_push_at
            pending.cause = event.cause
            pending.cause_peer = event.peer
            known = None if event.peer is None else state.peers.get(event.peer)
            pending.cause_reason = None if known is None else _reason_now(state, pending, known, event.cause)


def _reason_now(state: State, pending: Pending, peer: PeerState, cause: RetryCause) -> Reason | None:
    """Return the reason of the NO for which a want is pushed again; None if no NO is the cause.

    If a peer let a lease lapse, an old NO of this peer is not the reason why nothing comes.
    """
    if cause == "retry_after" or (peer.until is not None and peer.until > state.at):
        return peer.reason
    no = pending.last_no
    return no.reason if no is not None and no.peer == peer.peer and no.at == state.at else None


def _refused(pending: Pending, no: ev.StatusNo) -> None:
    """Apply a peer's NO to a want. If the NO is for now only, remember that the peer can be asked later.

    Otherwise the peer does not count as a holder of the object any more.
    """
    peer = no.peer
    if not peer_backoff.gives_later(no):
        for peers in (pending.yes, pending.noes):
            if peer in peers:
                peers.remove(peer)
    elif peer not in pending.yes and peer not in pending.noes and len(pending.noes) < NAMED:
        pending.noes.append(peer)


def _promised(pending: Pending, peer: PeerId) -> None:
    if peer in pending.noes:
        pending.noes.remove(peer)
    if peer not in pending.yes and len(pending.yes) < NAMED:
        pending.yes.append(peer)
