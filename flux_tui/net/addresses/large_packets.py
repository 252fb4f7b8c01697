"""Notices a way on which large packets are lost: small messages pass, and a chunk never does.

Some routers and tunnels drop packets that are too large for them, and do not say so (RFC 2923, "black hole"). The
connection then stands still at its first chunk. It ends, and the peer is dialled with small packets
(`upstream/own_addresses.py`). If chunks pass then, a person should hear of it: every other program on this machine
has the same trouble.

Pure: times are arguments, in seconds.
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable

STILL_SECONDS = 10.0
"""Seconds for which a link has to be up before it counts as one that stands still."""
REMEMBER_SECONDS = 600.0
"""Seconds for which a link that stood still is remembered."""
MAX_REMEMBERED = 1024


class LargePackets:
    """Remembers the peers whose last link stood still at its first chunk."""

    def __init__(self) -> None:
        self._stood_still: BoundedTable[PeerId, float] = BoundedTable(MAX_REMEMBERED, refresh=True)

    def ended(self, peer: PeerId, now: float, *, seconds: float, waited: bool, carried: bool) -> None:
        """Note that a link to this peer ended after so many seconds.

        `waited`: whether a chunk was due on it. `carried`: whether a large chunk had passed.
        """
        if carried:
            self._stood_still.pop(peer, None)
        elif waited and seconds >= STILL_SECONDS:
            self._stood_still[peer] = now

    def suspects(self, peer: PeerId, now: float) -> bool:
        """Whether the last link to this peer stood still, so that the next one should have small packets."""
        at = self._stood_still.get(peer)
        return at is not None and now - at < REMEMBER_SECONDS

    def carries(self, peer: PeerId, now: float, *, small: bool) -> bool:
        """Note that a large chunk passed on a link to this peer. `small`: whether this link has small packets.

        Returns whether that shows that large packets are lost. It does so once after each link that stood still.
        """
        suspected = self.suspects(peer, now)
        self._stood_still.pop(peer, None)
        return small and suspected
