"""The next step that this node plans for a want: which peer it contacts, and when. Pure.

A step is a grant to a holder that said yes, a repeated want to one peer that said NO, a want to one peer that has
just connected, or a push to all peers. The steps are ordered as the requester takes them. The panels, `get` and
`state` all use this module.
"""

from collections import Counter
from functools import cached_property
from typing import Literal, NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason, RetryCause
from flux_tui.core.series.state import PeerState, Pending, State

DUE_SECONDS = 2.0
"""Seconds after which something that was due is not expected to happen any more."""
NEWCOMER_SECONDS = 2.0
"""Seconds from a new connection to the first push of dormant wants to that peer, and between two such pushes."""
NEWCOMER_WANTS = 256
"""The most dormant wants in one such push. The wants that were made last are pushed first."""


class Try(NamedTuple):
    """One planned step for a want: when it is due, what is sent, and to which peer."""

    at: float
    how: Literal["grant", "tell", "ask", "push"]
    """grant: a holder that said yes is granted chunks; tell: the want is repeated to one peer that said NO; ask: the
    want is pushed to one peer that has just connected; push: the intent is pushed to all peers again."""
    cause: RetryCause
    peer: PeerId | None = None
    """The peer that named the time, or that has just connected; None: the step is for all peers."""
    reason: Reason | None = None
    """Why that peer said NO; None: the peer let a lease lapse."""
    since: float | None = None
    """When the peer named the time; None: not known."""


class Tries:
    """Finds the next planned steps (`Try`) of all pending wants in one state, at one moment."""

    def __init__(self, state: State, now: float) -> None:
        self._now = now
        paused = [
            peer for peer in state.peers.values()
            if peer.connected and not peer.denies and peer.until is not None and peer.until > now - DUE_SECONDS
        ]  # fmt: skip
        # Made once here, not again for each of ten thousand wants.
        self._grants = {peer.peer: _of_peer("grant", peer) for peer in paused}
        self._tells = {peer.peer: _of_peer("tell", peer) for peer in paused}
        self._order = sorted(self._grants, key=lambda peer: self._rank(self._grants[peer].at))
        self._objects = state.objects
        self._pending = state.pending
        self._newcomers = [
            (peer.connected_at, peer.peer) for peer in state.peers.values()
            if peer.connected and peer.connected_at is not None and peer.connected_at > now - self._longest_asking
        ]  # fmt: skip
        self._granted: Counter[Cid] = Counter(lease.root or cid for cid, lease in state.leases.items())

    def all_of(self, pending: Pending) -> list[Try]:
        """Return every planned step for a want, in no particular order; an empty list if none is planned."""
        if pending.queued:
            return []
        found = [*self._of_peers(pending), *self._asks(pending)]
        if pending.next_push_at is not None:
            peer, reason = pending.cause_peer, pending.cause_reason
            found.append(Try(pending.next_push_at, "push", pending.cause, peer, reason))
        return found

    def next_of(self, pending: Pending) -> Try | None:
        """Return the first planned step for a want; None if this node only waits for messages from peers."""
        if pending.queued:
            return None
        found = self._timed(pending)
        asks = self._asks(pending)
        if asks and (found is None or self._rank(asks[0].at) < self._rank(found.at)):
            return asks[0]
        return found

    def _timed(self, pending: Pending) -> Try | None:
        """Return the want's earliest step whose time is in the state; None: there is none.

        This is a grant to a holder, a repeated want to a peer that said NO, or the next push to all peers.
        """
        at = pending.next_push_at
        pushed = at is not None and at > self._now - DUE_SECONDS
        if self._order and not stopped(pending, self._now) and self._lacks(pending):
            # Try the peer that is due soonest first: most of ten thousand wants wait for this peer.
            for peer in self._order:
                if pushed and at is not None and self._rank(at) < self._rank(self._grants[peer].at):
                    break
                if peer in pending.yes:
                    return self._grants[peer]
                if peer in pending.noes:
                    return self._tells[peer]
        if not pushed or at is None:
            return None
        return Try(at, "push", pending.cause, pending.cause_peer, pending.cause_reason)

    def soonest_named(self, pending: Pending) -> Try | None:
        """Return the earliest step whose time was named by a peer that has the wanted object; None if there is none.

        A push to all peers may come sooner. That push only asks whether other peers have the object too.
        """
        found = (
            (peer, peer in pending.yes) for peer in self._order if peer in pending.yes or peer in pending.noes
        )
        return next(((self._grants if yes else self._tells)[peer] for peer, yes in found), None)

    def _rank(self, at: float) -> tuple[bool, float]:
        """Return a sort key for the time of a step: steps in the future sort before steps that are already due."""
        return at <= self._now, at

    def _of_peers(self, pending: Pending) -> list[Try]:
        if not self._grants or stopped(pending, self._now) or not self._lacks(pending):
            return []
        found = [self._grants[peer] for peer in pending.yes if peer in self._grants]
        found += [self._tells[peer] for peer in pending.noes if peer in self._tells]
        return found

    @property
    def _longest_asking(self) -> float:
        """Seconds after which a peer that connects now has been pushed every want that is pending now."""
        return NEWCOMER_SECONDS * (2 + len(self._pending) // NEWCOMER_WANTS)

    @cached_property
    def _dormant_order(self) -> dict[Cid, int]:
        """The order in which dormant wants are pushed to a peer that has just connected: by CID, a number from 0.

        A want is dormant if it gave up its place among the `max_pending` wants in the network, because no holder was
        about to send its object.
        """
        dormant = (cid for cid, pending in reversed(self._pending.items()) if pending.dormant)
        return {cid: number for number, cid in enumerate(dormant)}

    def _asks(self, pending: Pending) -> list[Try]:
        """Return the coming pushes of a dormant want to peers that have just connected, in the order of their times.

        Peers that said yes are left out, because they are granted chunks at once. The list is empty for a want that is
        not dormant: it was pushed to the peers at the moment when they connected.
        """
        if not self._newcomers or not pending.dormant:
            return []
        wait = NEWCOMER_SECONDS * (1 + self._dormant_order[pending.cid] // NEWCOMER_WANTS)
        return sorted(
            Try(connected_at + wait, "ask", "silence", peer, since=connected_at)
            for connected_at, peer in self._newcomers
            if connected_at + wait > self._now and peer not in pending.yes and pending.since <= connected_at
        )

    def _lacks(self, pending: Pending) -> bool:
        """Whether some chunks of this want are neither stored here nor granted to any peer, as far as is known."""
        granted = self._granted.get(pending.cid, 0)
        found = self._objects.get(pending.cid)
        if found is None or found.chunks_total is None:
            return not granted
        return found.chunks_total - found.chunks_have > granted


def stopped(pending: Pending, now: float) -> bool:
    """Whether this want is stopped until its next push is due, because its chunks cannot be written to disk."""
    at = pending.next_push_at
    return pending.cause == "unwritten" and at is not None and at > now


def _of_peer(how: Literal["grant", "tell"], peer: PeerState) -> Try:
    assert peer.until is not None
    since = None if peer.retry_after is None else peer.until - peer.retry_after
    cause: RetryCause = "lapsed" if peer.reason is None else "retry_after"
    return Try(peer.until, how, cause, peer.peer, peer.reason, since)


def next_try(state: State, pending: Pending, now: float) -> Try | None:
    """Return the first planned step for one want; None if this node only waits for messages from peers."""
    return Tries(state, now).next_of(pending)


class WaitReason(NamedTuple):
    """The reason why no chunk of a want arrives now, and which peer or how many peers cause that."""

    reason: Reason | Literal["late", "gone", "unwritten", "yes", "unanswered"]
    """The reason of a NO, or:

    - late: a lease lapsed.
    - gone: all peers that said yes are disconnected.
    - unwritten: it cannot be written here.
    - yes: peers said yes, and none of them sends.
    - unanswered: nobody has answered.
    """
    peer: PeerId | None = None
    """The peer that causes the wait. None: several peers do, or no peer, or the next step does not wait for that
    peer."""
    peers: int = 0
    """How many peers cause the wait, if that is known; else 0."""


def why_waiting(state: State, pending: Pending, one: Try | None, tries: Tries) -> WaitReason:
    """Return why no chunk of a want arrives before `one`, the next planned step for the want; None: none is planned.

    `tries`: the planned steps in the same state.
    """
    if one is not None and one.peer is not None and one.how != "ask":
        known = state.peers.get(one.peer)
        if known is None or not known.connected:
            return WaitReason("gone", one.peer)
        return WaitReason(one.reason or "late", one.peer)
    if one is not None and one.cause == "unwritten":
        return WaitReason("unwritten")
    if (named := tries.soonest_named(pending)) is not None:
        return WaitReason(named.reason or "late")
    no = pending.last_no
    here = [peer for peer in pending.yes if (known := state.peers.get(peer)) is not None and known.connected]
    if here and (no is None or no.peer not in here):
        return WaitReason("yes", peers=len(here))
    if pending.yes and not here:
        return WaitReason("gone", pending.yes[0] if len(pending.yes) == 1 else None, len(pending.yes))
    if no is None:
        return WaitReason("unanswered")
    same = [
        one for one in pending.answers.values()
        if one.reason == no.reason and (known := state.peers.get(one.peer)) is not None and known.connected
    ]  # fmt: skip
    return WaitReason(no.reason, None, len(same)) if len(same) > 1 else WaitReason(no.reason, no.peer)


def asked_again_at(state: State, peer: PeerState) -> float | None:
    """Return when a peer that said NO may be asked again, in seconds since 1970.

    None: no time is known, or nothing is pending that the peer could be asked for.
    """
    times = [peer.until] if state.pending else []
    times += [
        no.until if hold.next_push_at is None else hold.next_push_at
        for hold in state.holds.values()
        if hold.lacking and (no := hold.refused.get(peer.peer)) is not None and no.until is not None
    ]
    return min((at for at in times if at is not None), default=None)
