"""What a want waits for next, as the requester will do it: a grant to a holder that said yes, a word to a peer
that said NO, or a push to all. Pure; the panels, `get` and `state` all tell it from here.
"""

from collections import Counter
from typing import Literal, NamedTuple

from flux_tui.core.events import Reason, RetryCause
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.state import PeerState, Pending, State

DUE_SECONDS = 2.0
"""What was due for longer is not about to happen."""


class Try(NamedTuple):
    """The next thing that is done for a want."""

    at: float
    how: Literal["grant", "tell", "push"]
    """grant: a holder that said yes is granted some of it; tell: a peer that said NO is told of it again, alone;
    push: the intent is pushed again to all."""
    cause: RetryCause
    peer: PeerId | None = None
    """Whose time it is; None: nobody named one."""
    reason: Reason | None = None
    """Why that peer said NO; None: it let a lease lapse."""
    since: float | None = None
    """When it said so; None: that is not known."""


class Tries:
    """The next tries of all wants of a state, seen at one moment."""

    def __init__(self, state: State, now: float) -> None:
        self._now = now
        self._paused: dict[PeerId, PeerState] = {
            peer.peer: peer
            for peer in state.peers.values()
            if peer.connected
            and not peer.denies
            and peer.until is not None
            and peer.until > now - DUE_SECONDS
        }
        """Whom something is asked of as soon as it may be."""
        self._objects = state.objects
        self._granted: Counter[Cid] = Counter(lease.root or cid for cid, lease in state.leases.items())

    def all_of(self, pending: Pending) -> list[Try]:
        """All that is going to be done for a want, in no order."""
        if pending.queued:
            return []
        found: list[Try] = []
        at = pending.next_push_at
        stopped = pending.cause == "unwritten" and at is not None and at > self._now
        if self._paused and not stopped and self._lacks(pending):
            found += [self._of_peer("grant", peer) for peer in pending.yes if peer in self._paused]
            found += [self._of_peer("tell", peer) for peer in pending.noes if peer in self._paused]
        if at is not None:
            peer, reason = pending.cause_peer, pending.cause_reason
            found.append(Try(at, "push", pending.cause, peer, reason))
        return found

    def _lacks(self, pending: Pending) -> bool:
        """Whether some of it is neither here nor granted to anybody, as far as is known."""
        granted = self._granted[pending.cid]
        found = self._objects.get(pending.cid)
        if found is None or found.chunks_total is None:
            return not granted
        return found.chunks_total - found.chunks_have > granted

    def next_of(self, pending: Pending) -> Try | None:
        """What is done first. None: nothing is due; what came makes it go on."""
        known = [one for one in self.all_of(pending) if one.at > self._now - DUE_SECONDS]
        return min(
            (one for one in known if one.at > self._now), default=min(known, default=None, key=_at), key=_at
        )

    def _of_peer(self, how: Literal["grant", "tell"], peer: PeerId) -> Try:
        known = self._paused[peer]
        assert known.until is not None
        since = None if known.retry_after is None else known.until - known.retry_after
        return Try(
            known.until, how, "lapsed" if known.reason is None else "retry_after", peer, known.reason, since
        )


def _at(one: Try) -> float:
    return one.at


def next_try(state: State, pending: Pending, now: float) -> Try | None:
    """What is done first for one want."""
    return Tries(state, now).next_of(pending)


def asked_again_at(state: State, peer: PeerState) -> float | None:
    """When a peer that said NO may be asked again; None: no time is known, or nothing is left to be asked of it."""
    times = [peer.until] if state.pending else []
    times += [
        no.until if hold.next_push_at is None else hold.next_push_at
        for hold in state.holds.values()
        if hold.lacking and (no := hold.refused.get(peer.peer)) is not None and no.until is not None
    ]
    return min((at for at in times if at is not None), default=None)
