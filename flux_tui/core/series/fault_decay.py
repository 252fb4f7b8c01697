"""The weight of a peer's faults, which fades with time.

Each fault adds a weight of one, which halves every minute (by the times in the series). So a peer with one
fault is not at fault any more after a minute. Repeated faults count for longer.
"""

from flux_tui.core.series.state import PeerState

HALF_SECONDS = 60.0
"""Seconds in which a fault loses half of its weight."""
MAX_BLAME = 64.0
"""The greatest weight. It fades within seven minutes, however many faults there were."""
BAD = 0.5
"""Above this weight a peer is at fault."""


def add(peer: PeerState, count: int, at: float) -> None:
    """Add `count` faults to a peer, because it broke the protocol at time `at`."""
    peer.faults += count
    peer.blame = min(_faded(peer, at) + count, MAX_BLAME)
    peer.blamed_at = at


def at_fault(peer: PeerState, now: float) -> bool:
    """Whether the weight of a peer's faults is still above the limit at time `now`."""
    return _faded(peer, now) > BAD


def _faded(peer: PeerState, now: float) -> float:
    return float(peer.blame * 0.5 ** (max(0.0, now - peer.blamed_at) / HALF_SECONDS))
