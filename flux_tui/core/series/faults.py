"""How much a peer is at fault now. Each fault weighs one, and half as much a minute later, by the series' time: one
is forgiven after a minute, a habit is not.
"""

from flux_tui.core.series.state import PeerState

HALF_SECONDS = 60.0
"""In which a fault loses half of its weight."""
MAX_BLAME = 64.0
"""So much is forgiven after seven minutes, however many faults there were."""
BAD = 0.5
"""From so much on, a peer is at fault."""


def add(peer: PeerState, count: int, at: float) -> None:
    """A peer broke the protocol so many times more."""
    peer.faults += count
    peer.blame = min(_faded(peer, at) + count, MAX_BLAME)
    peer.blamed_at = at


def at_fault(peer: PeerState, now: float) -> bool:
    """Whether what a peer did wrong still weighs."""
    return _faded(peer, now) > BAD


def _faded(peer: PeerState, now: float) -> float:
    return float(peer.blame * 0.5 ** (max(0.0, now - peer.blamed_at) / HALF_SECONDS))
