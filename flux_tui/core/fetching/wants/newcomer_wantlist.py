"""The wants to push to a peer that has connected (a newcomer), however many there are. Pure.

Wants that are in the network are pushed to the newcomer at once (want_pusher.py). Dormant wants (those that are
neither in the network nor queued for it) follow, the newest first, one intent every NEWCOMER_SECONDS
(next_try.py). 128 wants a second are a third of what a peer admits from a stranger (push_admission.py).

For each newcomer, one number says how far it was told: it was told of the wants that are newer. So a newcomer
costs almost nothing to remember. The cost of every call is independent of the number of wants.
"""

from bisect import bisect_left
from collections.abc import Callable
from math import inf

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.next_try import NEWCOMER_SECONDS, NEWCOMER_WANTS

MAX_CHECKS = 2048
"""Wants that are checked for one intent."""
MAX_TOLD = 256
"""Newcomers to which wants are being pushed at a time. If there are more, the first one gets no more wants."""
SLACK = 1024
"""Entries of ended wants that may stay in the list before it is rebuilt."""


class Wantlist:
    """All wants in the order in which they were made, and which of them each newcomer must still be told of.

    A newcomer is a peer that has just connected. It is told of the newest want first.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._roots: list[Cid] = []
        self._number_of: dict[Cid, int] = {}
        self._next = 0
        self._cursors: BoundedTable[PeerId, tuple[float, int]] = BoundedTable(MAX_TOLD, refresh=True)
        """By newcomer: when the next wants are pushed to it, and the number below which they begin. The newest
        go first."""

    def add(self, root: Cid) -> None:
        """Add a new want to the end of the list."""
        self._number_of[root] = self._next
        self._numbers.append(self._next)
        self._roots.append(root)
        self._next += 1

    def forget(self, root: Cid) -> None:
        """Remove a want that has ended."""
        self._number_of.pop(root, None)
        if len(self._roots) > 2 * len(self._number_of) + SLACK:
            live = [(n, r) for n, r in zip(self._numbers, self._roots, strict=True) if self._live(n, r)]
            self._numbers = [number for number, _ in live]
            self._roots = [root for _, root in live]

    def peer_up(self, peer: PeerId, now: float) -> None:
        """Add a newcomer. It must be told of every want that is in the list now. Does nothing if there is none."""
        if self._number_of:
            self._cursors[peer] = (now + NEWCOMER_SECONDS, self._next)

    def peer_down(self, peer: PeerId) -> None:
        """Forget how far a newcomer was told of the wants, because it has disconnected."""
        self._cursors.pop(peer, None)

    def next_deadline(self) -> float:
        """Return when the next wants are pushed to a newcomer; infinity if no newcomer has wants left."""
        return min((at for at, _ in self._cursors.values())) if self._cursors else inf

    def due(self, now: float) -> list[PeerId]:
        """Return the newcomers to which the next wants should be pushed now."""
        return [peer for peer, (at, _) in self._cursors.items() if at <= now] if self._cursors else []

    def next_wants(self, peer: PeerId, now: float, tells: Callable[[Cid], bool]) -> list[Cid]:
        """Return the next wants to push to this newcomer, and note that it was told of them.

        `tells(root)`: whether this want should be pushed to it. The list is empty if no want that was looked at
        should be.
        """
        _, below = self._cursors.pop(peer)
        index = bisect_left(self._numbers, below)
        chosen: list[Cid] = []
        last = max(0, index - MAX_CHECKS)
        while index > last and len(chosen) < NEWCOMER_WANTS:
            index -= 1
            root = self._roots[index]
            if self._live(self._numbers[index], root) and tells(root):
                chosen.append(root)
        if index:
            self._cursors[peer] = (now + NEWCOMER_SECONDS if chosen else now, self._numbers[index])
        return chosen

    def _live(self, number: int, root: Cid) -> bool:
        return self._number_of.get(root) == number
