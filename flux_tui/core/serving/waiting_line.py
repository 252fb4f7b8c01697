"""The waiting line: which peers were told to ask again later, and which were served for a whole turn. Pure.

A peer's turn is the time for which it is served without a pause, TURN_SECONDS at most while others wait.

A NO tells a peer when to ask again. Without a waiting line, another peer could take the free slot a moment
earlier, every time. This was measured with three peers that wanted everything from two slow holders: each holder
told one of the peers sixty times to come back in a second, and served it once.

So a peer that asks again at its time may queue one chunk beyond the normal limit. And while another peer waits for
one of the slots (`max_uploads`), no peer keeps its slot for longer than a turn. No slot is reserved meanwhile, so
a holder sends as much as before.
"""

from typing import NamedTuple

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable

TURN_SECONDS = 5.0
"""Seconds that a peer may go on being served while others wait for its slot."""
GAP_SECONDS = 2.0
"""Seconds without a grant after which a turn ends."""
LATE_SECONDS = 2.0
"""Seconds after its time until a peer is not expected any more."""
EARLY_SECONDS = 0.05
"""Seconds before its time at which a peer may already come: clocks and rounding differ."""
AFTER_SECONDS = 0.25
"""Seconds after the other waiting peers until a peer whose turn is over comes back."""
MAX_IN_LINE = 256
"""Peers that are expected, and turns that are remembered, at most."""


class _Turn(NamedTuple):
    began: float
    last: float
    """When the peer last granted chunks here."""


class WaitingLine:
    """Remembers when each waiting peer may ask again, and since when each served peer has been served."""

    def __init__(self) -> None:
        self._due: BoundedTable[PeerId, float] = BoundedTable(MAX_IN_LINE, refresh=True)
        """By peer: when it may ask again, as it was told."""
        self._turns: BoundedTable[PeerId, _Turn] = BoundedTable(MAX_IN_LINE, refresh=True)

    def expect(self, peer: PeerId, wait: float, now: float) -> None:
        """Note that a waiting peer was told to ask again in `wait` seconds."""
        self._due[peer] = now + wait

    def served(self, peer: PeerId, now: float) -> None:
        """Note that a peer is being served: its turn begins, or continues."""
        self._due.pop(peer, None)
        turn = self._turns.get(peer)
        began = turn.began if turn and now - turn.last <= GAP_SECONDS else now
        self._turns[peer] = _Turn(began, now)

    def forget(self, peer: PeerId) -> None:
        """Forget a peer that disconnected."""
        self._due.pop(peer, None)
        self._turns.pop(peer, None)

    def is_due(self, peer: PeerId, now: float) -> bool:
        """Whether this peer was told to ask again at about the time `now`."""
        due = self._due.get(peer)
        return due is not None and due - EARLY_SECONDS <= now <= due + LATE_SECONDS

    def turn_over(self, peer: PeerId, now: float) -> float | None:
        """Return the seconds until a served peer may ask again; None: it may go on.

        A peer has to leave its slot if it was served for TURN_SECONDS and other peers wait.
        """
        turn = self._turns.get(peer)
        if turn is None or now - turn.last > GAP_SECONDS or now - turn.began <= TURN_SECONDS:
            return None
        for other in [other for other, due in self._due.items() if due + LATE_SECONDS < now]:
            del self._due[other]
        waits = [due - now for other, due in self._due.items() if other != peer]
        return max(0.0, *waits) + AFTER_SECONDS if waits else None
