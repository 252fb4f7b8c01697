"""What a keeper offered to keep, and to whom: a `keep` counts only if a `can_hold` went before it.

Without this any peer could fill a quota by pushes that answer nothing. A table of bounded size, in memory only: an
origin whose offer is forgotten hears a NO, and asks again.
"""

from flux_tui.core.ids import Cid, PeerId

OFFER_SECONDS = 180.0
"""How long an offer counts. An origin remembers one that it does not need at once for 120 s (hold.py)."""
MAX_OFFERS = 1024
"""Offers that are remembered: some 300 KB."""


class Offers:
    """A bounded table. When it is full, the peer with the most offers loses its oldest one."""

    def __init__(self) -> None:
        self._until: dict[PeerId, dict[Cid, float]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, peer: PeerId, root: Cid, until: float) -> None:
        """This peer heard that there is room for this."""
        self.drop(peer, root)
        self._until.setdefault(peer, {})[root] = until
        self._count += 1
        if self._count > MAX_OFFERS:
            most = max(self._until, key=lambda one: len(self._until[one]))
            self.drop(most, next(iter(self._until[most])))

    def drop(self, peer: PeerId, root: Cid) -> None:
        """It was taken up, or does not count any more."""
        offers = self._until.get(peer)
        if offers is None or offers.pop(root, None) is None:
            return
        self._count -= 1
        if not offers:
            del self._until[peer]

    def live(self, peer: PeerId, root: Cid, now: float) -> bool:
        """Whether an offer of this to this peer still counts."""
        return self._until.get(peer, {}).get(root, 0.0) > now
