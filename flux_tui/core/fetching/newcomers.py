"""Tell a peer that connects what is wanted here, however much that is. Pure.

What is in the network, the peer is told at once (retry.py). Dormant wants follow, the newest first, one intent every
few seconds: 128 wants a second are a third of what a peer admits from a stranger (admission.py).

A peer's place in the list is a number, so it costs nothing to remember. The cost of every call is independent of how
many wants there are.
"""

from bisect import bisect_left
from collections.abc import Callable

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire.messages import MAX_CIDS_WANT

STEP_SECONDS = 2.0
"""Between two intents to one newcomer."""
MAX_LOOKS = 2048
"""Wants that are looked at for one intent."""
MAX_NEWCOMERS = 256
"""Peers that are being told at a time; the one that came first is left alone then."""
SLACK = 1024
"""Wants that are gone and still in the list, before the list is drawn up anew."""


class Newcomers:
    """All wants in the order that they came in, and how far down each newcomer was told."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._roots: list[Cid] = []
        self._number_of: dict[Cid, int] = {}
        self._next = 0
        self._cursors: dict[PeerId, tuple[float, int]] = {}
        """By peer: when it is told more, and the number below which that begins."""

    def add(self, root: Cid) -> None:
        """A new want."""
        self._number_of[root] = self._next
        self._numbers.append(self._next)
        self._roots.append(root)
        self._next += 1

    def forget(self, root: Cid) -> None:
        """It is not wanted any more."""
        self._number_of.pop(root, None)
        if len(self._roots) > 2 * len(self._number_of) + SLACK:
            live = [(n, r) for n, r in zip(self._numbers, self._roots, strict=True) if self._live(n, r)]
            self._numbers = [number for number, _ in live]
            self._roots = [root for _, root in live]

    def met(self, peer: PeerId, now: float) -> None:
        """A peer connected."""
        if self._number_of:
            self._cursors.pop(peer, None)
            self._cursors[peer] = (now + STEP_SECONDS, self._next)
            if len(self._cursors) > MAX_NEWCOMERS:
                del self._cursors[next(iter(self._cursors))]

    def left(self, peer: PeerId) -> None:
        """It is gone."""
        self._cursors.pop(peer, None)

    def next_deadline(self) -> float:
        """When somebody is told more; infinity if nobody is."""
        return min((at for at, _ in self._cursors.values()), default=float("inf"))

    def due(self, now: float) -> list[PeerId]:
        """Who is told more now."""
        return [peer for peer, (at, _) in self._cursors.items() if at <= now]

    def more(self, peer: PeerId, now: float, tells: Callable[[Cid], bool]) -> list[Cid]:
        """What this peer is told next, of those wants that `tells` is true of."""
        _, below = self._cursors.pop(peer)
        index = bisect_left(self._numbers, below)
        chosen: list[Cid] = []
        last = max(0, index - MAX_LOOKS)
        while index > last and len(chosen) < MAX_CIDS_WANT:
            index -= 1
            root = self._roots[index]
            if self._live(self._numbers[index], root) and tells(root):
                chosen.append(root)
        if index:
            self._cursors[peer] = (now + STEP_SECONDS if chosen else now, self._numbers[index])
        return chosen

    def _live(self, number: int, root: Cid) -> bool:
        return self._number_of.get(root) == number
