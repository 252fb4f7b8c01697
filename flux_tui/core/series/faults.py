"""Faults of a peer, which fade.

Each fault weighs one, and half as much a minute later, by the times in the series. One fault is forgiven
after a minute; repeated faults are not.
"""

from flux_tui.core.series.state import PeerState

HALF_SECONDS = 60.0
"""Seconds in which a fault loses half of its weight."""
MAX_BLAME = 64.0
"""The greatest weight. It fades within seven minutes, however many faults there were."""
BAD = 0.5
"""Above this weight a peer is at fault."""


def add(peer: PeerState, count: int, at: float) -> None:
    """A peer broke the protocol `count` more times."""
    peer.faults += count
    peer.blame = min(_faded(peer, at) + count, MAX_BLAME)
    peer.blamed_at = at


def at_fault(peer: PeerState, now: float) -> bool:
    """Whether a peer's faults still weigh enough."""
    return _faded(peer, now) > BAD


def _faded(peer: PeerState, now: float) -> float:
    return float(peer.blame * 0.5 ** (max(0.0, now - peer.blamed_at) / HALF_SECONDS))
