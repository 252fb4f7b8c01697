"""Decides which root this node provides next in the DHT, and with which others.

Roots that a peer wanted before come first. Of the others, the newest come first; but each OLD_TURNS-th turn takes the
oldest, those first that are to be told again. So none waits for ever.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from heapq import heapify, heappop, heappush
from itertools import chain, islice

from flux_tui.core.ids import Cid
from flux_tui.net.port import MAX_PROVIDED
from flux_tui.net.upstream.kad import key_of

OLD_TURNS = 4
"""One turn of so many takes the oldest roots."""
MAX_SEARCHED = 16_384
"""Waiting roots that one turn searches for those near to its first: some 50 ms at first, as their places are hashed."""
HASH_BITS = 256
"""Bits of a place in the DHT: the sha256 of a key, or of a peer's id."""


class Schedule:
    """Decides which roots this node provides (announces in the DHT) next.

    At most MAX_PROVIDED roots are in the schedule. Beyond that, roots that were provided already are removed, those
    that were first provided longest ago first. If there are none, the oldest root is removed.
    """

    def __init__(self) -> None:
        self._wanted: OrderedDict[Cid, None] = OrderedDict()
        """Roots to be provided for the first time that a peer wanted before. The first to come is first."""
        self._fresh: OrderedDict[Cid, None] = OrderedDict()
        """The other roots to be provided for the first time. The newest is last, and is taken first."""
        self._kept: dict[Cid, float] = {}
        """The provided roots, with the time at which each is due again."""
        self._due: list[tuple[float, Cid]] = []
        """The same as a heap. An entry whose time is not that of its root is out of date."""
        self._places: dict[Cid, int] = {}
        """The places in the DHT of roots in the schedule, as far as they were needed."""
        self._turns = 0
        """Passes since one took the oldest roots."""

    def __len__(self) -> int:
        return len(self._wanted) + len(self._fresh) + len(self._kept)

    @property
    def kept(self) -> frozenset[Cid]:
        """The roots that were provided, and will be provided again in time."""
        return frozenset(self._kept)

    def left(self, now: float) -> int:
        """Return how many roots are to be provided now."""
        return len(self._wanted) + len(self._fresh) + sum(at <= now for at in self._kept.values())

    def add(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        """Add roots to be provided for the first time. Roots that were provided already keep their time."""
        for root in roots:
            if root in self._kept:
                continue
            if wanted:
                self._fresh.pop(root, None)
                self._wanted[root] = None
            elif root not in self._wanted:
                self._fresh[root] = None
                self._fresh.move_to_end(root)
        while len(self) > MAX_PROVIDED:
            if self._kept:
                self._forget(next(iter(self._kept)))
            else:
                self._forget(next(iter(self._fresh or self._wanted)))

    def remove(self, roots: Iterable[Cid]) -> None:
        """Remove roots, so that they are not provided again."""
        for root in roots:
            self._forget(root)

    def take(self, now: float) -> Cid | None:
        """Take out the root to provide now, and return it. `provided` puts it back.

        None: every root was provided, and for none has the time come to provide it again.
        """
        root = next(self._in_order(now, self._turns + 1), None)
        if root is not None:
            self._turns = self._turns % OLD_TURNS + 1
            self._forget(root)
        return root

    def take_like(self, root: Cid, bits: int, most: int, now: float) -> list[Cid]:
        """Take out further roots to provide now. Their places in the DHT share the first `bits` with that of `root`."""
        shift = HASH_BITS - bits
        place = place_of(key_of(root)) >> shift
        waiting = islice(self._in_order(now, self._turns), MAX_SEARCHED)
        like = (other for other in waiting if not bits or self._place(other) >> shift == place)
        found = list(islice(like, most))
        self.remove(found)
        return found

    def provided(self, root: Cid, again_at: float) -> None:
        """Note that a root was provided, and is to be provided again at the time `again_at`."""
        self._wanted.pop(root, None)
        self._fresh.pop(root, None)
        self._kept[root] = again_at
        heappush(self._due, (again_at, root))

    def next_at(self) -> float:
        """Return the time at which the next provided root is to be provided again; infinity if there is none."""
        self._drop_stale()
        return self._due[0][0] if self._due else float("inf")

    def make_all_due(self) -> None:
        """Let all provided roots be provided again from now on, because other nodes are now the closest to them."""
        self._due = [(0.0, root) for root in self._kept]
        heapify(self._due)
        self._kept = dict.fromkeys(self._kept, 0.0)

    def _in_order(self, now: float, turn: int) -> Iterator[Cid]:
        """Yield the roots to provide now, in their order. In each OLD_TURNS-th turn, the oldest come first."""
        due = self._due_now(now)
        if turn == OLD_TURNS:
            return chain(due, self._fresh, self._wanted)
        return chain(self._wanted, reversed(self._fresh), due)

    def _due_now(self, now: float) -> Iterator[Cid]:
        """Yield the provided roots that are due now: the one that is due for the longest time, then the others."""
        self._drop_stale()
        if not self._due or self._due[0][0] > now:
            return
        first = self._due[0][1]
        yield first
        yield from (root for root, at in self._kept.items() if at <= now and root != first)

    def _drop_stale(self) -> None:
        while self._due and self._kept.get(self._due[0][1]) != self._due[0][0]:
            heappop(self._due)

    def _place(self, root: Cid) -> int:
        place = self._places.get(root)
        if place is None:
            place = self._places[root] = place_of(key_of(root))
        return place

    def _forget(self, root: Cid) -> None:
        self._wanted.pop(root, None)
        self._fresh.pop(root, None)
        self._kept.pop(root, None)
        self._places.pop(root, None)


def place_of(key: bytes) -> int:
    """Return the place of a key, or of the bytes of a peer's id, in the DHT."""
    return int.from_bytes(sha256(key).digest(), "big")
