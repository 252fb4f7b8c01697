"""The backoff for each peer: the time from which a peer may be asked again.

The fold applies this rule to each entry. The requester grants by it, and the panels count down to the same
moment.

- A NO with a time: not before that time. The latest NO counts.
- A NO without a time from a peer that has the object: the peer is not asked for a while, doubled each time.
- A lease that the peer let lapse: the peer is not asked for a moment, if others can be asked.
- A chunk that comes during the wait changes nothing: a rate-limited holder may send one chunk and still need its
  pause.
- A yes for a whole object, or a new connection, ends the wait.
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import Backoff
from flux_tui.core.series.events import DelayedYes, LapseCause, LeaseLapsed, Reason, StatusNo
from flux_tui.core.series.state import PeerState, State

RETRY_MIN = 0.25
"""Least seconds until a peer is asked again, whatever it said."""
VAGUE = Backoff(first=1.0, most=64.0)
"""How long a holder is left alone that has the chunks and says NO without a time."""
SNUB = 2.0
"""Seconds that a holder is left alone that let a lease lapse, if others can be asked."""
SNUBS: tuple[LapseCause, ...] = ("deadline", "slow")
"""Lapses after which a holder is left alone."""
GIVES_NOTHING: frozenset[Reason] = frozenset({"denied", "shutting_down"})
"""Reasons that apply to everything that a node has."""


def free_at(state: State, peer: PeerId) -> float | None:
    """Return the wall time from which this peer may be asked again (granted chunks, or pushed a want).

    None, or a time in the past: it may be asked now.
    """
    found = state.peers.get(peer)
    return None if found is None else found.until


def gives_later(no: StatusNo) -> bool:
    """Whether a NO means that the peer has the object and will send it at another time."""
    return no.has_it and no.reason not in GIVES_NOTHING


def refused(peer: PeerState, no: StatusNo, at: float) -> None:
    """Set the time until which a peer is not asked again, after its NO to a want or to granted chunks.

    `at`: the time of the NO. A NO without a time does not change a time that still runs.
    """
    peer.denies = peer.denies or no.reason in GIVES_NOTHING
    if no.retry_after is not None:
        peer.reason, peer.retry_after = no.reason, no.retry_after
        peer.until = at + max(no.retry_after, RETRY_MIN)
    elif peer.until is not None and peer.until > at:
        return  # this NO is about something else: the time that was given stands
    else:
        peer.reason, peer.retry_after, peer.until = no.reason, None, None
        if gives_later(no):
            peer.until = at + VAGUE.wait(peer.vague + 1)
            peer.vague += 1


def lapsed(peer: PeerState, lapse: LeaseLapsed, at: float) -> None:
    """Set the time until which a peer is not asked again, after it let a lease lapse at time `at`.

    Does nothing if the cause of the lapse is not the peer's fault, or if the peer's time is later already.
    """
    if lapse.cause in SNUBS and (peer.until is None or at + SNUB > peer.until):
        peer.reason, peer.retry_after, peer.until = None, None, at + SNUB


def promised(peer: PeerState, yes: DelayedYes) -> None:
    """End the backoff of a peer that offered a whole object (`yes`): this node may ask it again at once.

    An offer of a part of an object leaves the backoff as it is. Any offer clears `peer.denies`.
    """
    peer.denies = False
    if yes.have is None and peer.reason is not None:
        _end(peer)


def delivered(peer: PeerState, at: float) -> None:
    """Clear a peer's last NO, because a chunk came from the peer at time `at`.

    If the peer may not be asked again yet, the NO and its time stay.
    """
    if peer.vague:
        peer.vague = 0
    if peer.reason is None and peer.until is None:
        return  # mostly: there is no NO that could end
    if peer.until is None or peer.until <= at:
        _end(peer)


def connected(peer: PeerState) -> None:
    """Let a peer be asked again at once, because it has connected again."""
    peer.vague = 0
    if peer.until is not None:
        _end(peer)


def _end(peer: PeerState) -> None:
    peer.reason = peer.retry_after = peer.until = None
