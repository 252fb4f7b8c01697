"""When a peer may be asked again: one rule. The fold applies it to each entry, the requester grants by what
it says, and the panels count down to the same moment.

- A NO with a time: not before that time. The latest word counts.
- A NO without a time from a peer that has it: the peer is left alone for a while, doubled each time.
- A lease that the peer let lapse: it is left alone for a moment, if others can be asked.
- A chunk that comes in between changes nothing: a limited holder sends one chunk and still wants its pause.
- A yes to all of something, or a new connection, ends the wait.
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import DelayedYes, LapseCause, LeaseLapsed, Reason, StatusNo
from flux_tui.core.series.state import PeerState, State

RETRY_MIN = 0.25
"""Seconds; nobody is asked again sooner, whatever it said."""
VAGUE_MIN, VAGUE_MAX = 1.0, 64.0
"""Seconds that a holder is left alone which says NO to what it has, and not until when; doubling."""
SNUB = 2.0
"""Seconds that a holder which let a lease lapse is left alone, if others can be asked."""
SNUBS: tuple[LapseCause, ...] = ("deadline", "slow")
"""Lapses after which a holder is left alone."""
GIVES_NOTHING: frozenset[Reason] = frozenset({"denied", "shutting_down"})
"""Reasons that hold for everything that a node has."""


def free_at(state: State, peer: PeerId) -> float | None:
    """When this peer may be granted something, or be told of a want again, by the clock on the wall; None, or in the
    past: now."""
    found = state.peers.get(peer)
    return None if found is None else found.until


def gives_later(no: StatusNo) -> bool:
    """Whether the peer has it, and would send it at another time."""
    return no.has_it and no.reason not in GIVES_NOTHING


def refused(peer: PeerState, no: StatusNo, at: float) -> None:
    """A peer said NO to a want, or to what it was granted."""
    peer.denies = peer.denies or no.reason in GIVES_NOTHING
    if no.retry_after is not None:
        peer.reason, peer.retry_after = no.reason, no.retry_after
        peer.until = at + max(no.retry_after, RETRY_MIN)
    elif peer.until is not None and peer.until > at:
        return  # it is about something else: the time that was given stands
    else:
        peer.reason, peer.retry_after, peer.until = no.reason, None, None
        if gives_later(no):
            peer.until = at + min(VAGUE_MIN * 2.0 ** min(peer.vague, 16), VAGUE_MAX)
            peer.vague += 1


def lapsed(peer: PeerState, lapse: LeaseLapsed, at: float) -> None:
    """A peer let a lease lapse."""
    if lapse.cause in SNUBS and (peer.until is None or at + SNUB > peer.until):
        peer.reason, peer.retry_after, peer.until = None, None, at + SNUB


def promised(peer: PeerState, yes: DelayedYes) -> None:
    """A peer said yes. That it has another part of something is news, and no leave to ask for it."""
    peer.denies = False
    if yes.have is None and peer.reason is not None:
        _end(peer)


def delivered(peer: PeerState, at: float) -> None:
    """A chunk came from a peer: a NO whose time is over is answered."""
    peer.vague = 0
    if peer.until is None or peer.until <= at:
        _end(peer)


def connected(peer: PeerState) -> None:
    """A stream to a peer is open: it is asked at once."""
    peer.vague = 0
    if peer.until is not None:
        _end(peer)


def _end(peer: PeerState) -> None:
    peer.reason = peer.retry_after = peer.until = None
