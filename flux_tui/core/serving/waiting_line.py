"""Who was told to come back, and who was served for long enough. Pure.

A NO says when to come back. Where others are always a moment quicker, that is worth nothing: of three peers that
wanted all that two slow holders had, one was told "in a second" sixty times by each, and served once.

So whoever was told to come back, and comes, has one chunk taken beyond what the limits would queue for others; and
while somebody waits for one of the places (`max_uploads`), nobody stays in one for longer than a turn. Nothing is
kept free for anybody meanwhile: a holder is as busy as before.
"""

from collections import OrderedDict
from typing import NamedTuple

from flux_tui.core.ids import PeerId

TURN_SECONDS = 5.0
"""How long a peer may go on being served while others wait for its place."""
GAP_SECONDS = 2.0
"""A turn ends when nothing was granted for so long."""
LATE_SECONDS = 2.0
"""After its time, until a peer is not expected any more."""
EARLY_SECONDS = 0.05
"""Before its time, a peer is not too early: clocks and roundings."""
AFTER_SECONDS = 0.25
"""Whose turn is over comes back so long after the others."""
MAX_IN_LINE = 256
"""Peers that are expected, and turns that are remembered."""


class _Turn(NamedTuple):
    began: float
    last: float
    """When something was granted last."""


class Line:
    """Of one node."""

    def __init__(self) -> None:
        self._due: OrderedDict[PeerId, float] = OrderedDict()
        """When each is to come back."""
        self._turns: OrderedDict[PeerId, _Turn] = OrderedDict()

    def told(self, peer: PeerId, wait: float, now: float) -> None:
        """A peer that has nothing here yet is to come back in `wait` seconds."""
        self._due[peer] = now + wait
        self._due.move_to_end(peer)
        if len(self._due) > MAX_IN_LINE:
            self._due.popitem(last=False)

    def served(self, peer: PeerId, now: float) -> None:
        """It is granted something."""
        self._due.pop(peer, None)
        turn = self._turns.pop(peer, None)
        began = turn.began if turn and now - turn.last <= GAP_SECONDS else now
        self._turns[peer] = _Turn(began, now)
        if len(self._turns) > MAX_IN_LINE:
            self._turns.popitem(last=False)

    def forget(self, peer: PeerId) -> None:
        """It is gone."""
        self._due.pop(peer, None)
        self._turns.pop(peer, None)

    def is_due(self, peer: PeerId, now: float) -> bool:
        """Whether it was told to come back about now."""
        due = self._due.get(peer)
        return due is not None and due - EARLY_SECONDS <= now <= due + LATE_SECONDS

    def turn_over(self, peer: PeerId, now: float) -> float | None:
        """Seconds for which others come first, if they wait and this peer was served for a turn; None if not."""
        turn = self._turns.get(peer)
        if turn is None or now - turn.last > GAP_SECONDS or now - turn.began <= TURN_SECONDS:
            return None
        for other in [other for other, due in self._due.items() if due + LATE_SECONDS < now]:
            del self._due[other]
        waits = [due - now for other, due in self._due.items() if other != peer]
        return max(0.0, *waits) + AFTER_SECONDS if waits else None
