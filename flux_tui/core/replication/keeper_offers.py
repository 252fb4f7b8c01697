"""Offers of a keeper: a `keep` message counts only if this node sent that peer a `can_hold` before.

Without this rule any peer could fill the quota with unasked `keep` messages. The table is bounded and in memory
only. An origin whose offer was forgotten is answered NO, and asks again.
"""

from flux_tui.core.ids import Cid, PeerId

OFFER_SECONDS = 180.0
"""Seconds that an offer counts. An origin remembers an offer that it does not need at once for 120 s
(origin.py)."""
MAX_OFFERS = 1024
"""Offers that are remembered: about 300 KB."""


class Offers:
    """The offers to keep an object that this node has made. If there are too many, one is forgotten.

    The peer with the most offers loses its oldest one.
    """

    def __init__(self) -> None:
        self._until: dict[PeerId, dict[Cid, float]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, peer: PeerId, root: Cid, until: float) -> None:
        """Record that this node offered a peer to keep this object. The offer ends at the time `until`."""
        self.drop(peer, root)
        self._until.setdefault(peer, {})[root] = until
        self._count += 1
        if self._count > MAX_OFFERS:
            most = max(self._until, key=lambda one: len(self._until[one]))
            self.drop(most, next(iter(self._until[most])))

    def drop(self, peer: PeerId, root: Cid) -> None:
        """Remove an offer that was accepted or does not count any more."""
        offers = self._until.get(peer)
        if offers is None or offers.pop(root, None) is None:
            return
        self._count -= 1
        if not offers:
            del self._until[peer]

    def live(self, peer: PeerId, root: Cid, now: float) -> bool:
        """Whether an offer to keep this object, made to this peer, still counts."""
        return self._until.get(peer, {}).get(root, 0.0) > now
