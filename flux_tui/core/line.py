"""Who was told to come back: first come, first served. Pure.

A NO says when to come back, and who comes then finds its place kept: others that ask meanwhile hear NO themselves.
Without that, a place goes to whoever happens to ask next: of three peers that wanted all of a slow holder's
chunks, one was told "in a second" sixty times and was not served once.

A place is kept for as long as its peer is expected, and no longer; and only before those who came later.
"""

from collections import OrderedDict
from collections.abc import Container
from typing import NamedTuple

from flux_tui.core.ids import PeerId

TURN_SECONDS = 5.0
"""How long a peer may go on being served while others wait for its place."""
SOON_SECONDS = 2.0
"""A place that is free now is kept for whoever is expected within this."""
LATE_SECONDS, LATE_SHARE = 0.5, 0.15
"""How late a peer may be, and by which share of its wait: what its jitter and the way take."""
GAP_SECONDS = 2.0
"""A turn ends when nothing was granted for so long."""
MAX_IN_LINE = 256
"""Peers in the line, and turns that are remembered; the next have no place."""


class Before(NamedTuple):
    """What is kept for those who come before a peer: one chunk for each."""

    places: int
    """Of those who are not being served yet."""
    chunks: int
    size: int
    """Bytes."""


NOBODY = Before(0, 0, 0)


class _Place(NamedTuple):
    due: float
    late: float
    """When it is not expected any more."""
    size: int


class Line:
    """Of one node."""

    def __init__(self) -> None:
        self._places: OrderedDict[PeerId, _Place] = OrderedDict()
        """In the order in which they were first told."""
        self._turns: OrderedDict[PeerId, tuple[float, float]] = OrderedDict()
        """When the serving of a peer began, and when it last was granted something."""

    def told(self, peer: PeerId, wait: float, size: int, now: float) -> None:
        """A peer is to come back in `wait` seconds, for a chunk of so many bytes and more."""
        if peer not in self._places and len(self._places) >= MAX_IN_LINE:
            self._forget_late(now)
            if len(self._places) >= MAX_IN_LINE:
                return
        due = now + wait
        self._places[peer] = _Place(due, due + LATE_SECONDS + LATE_SHARE * wait, size)

    def served(self, peer: PeerId, now: float) -> None:
        """It is granted something."""
        self._places.pop(peer, None)
        began, last = self._turns.pop(peer, (now, now))
        self._turns[peer] = (began if now - last <= GAP_SECONDS else now, now)
        if len(self._turns) > MAX_IN_LINE:
            self._turns.popitem(last=False)

    def forget(self, peer: PeerId) -> None:
        """It is gone, or has heard yes: it waits no more."""
        self._places.pop(peer, None)

    def turn_is_over(self, peer: PeerId, now: float) -> bool:
        """Whether it was served for so long that others come first now."""
        return now - self._turns.get(peer, (now, now))[0] > TURN_SECONDS

    def before(self, peer: PeerId, serving: Container[PeerId], now: float) -> Before:
        """Those who came first and are expected soon. `serving`: who has a place already."""
        places = chunks = size = 0
        for other, place in list(self._places.items()):
            if other == peer:
                break
            if place.late < now:
                del self._places[other]
            elif place.due <= now + SOON_SECONDS:
                places += other not in serving
                chunks += 1
                size += place.size
        return Before(places, chunks, size)

    def _forget_late(self, now: float) -> None:
        for peer in [peer for peer, place in self._places.items() if place.late < now]:
            del self._places[peer]
