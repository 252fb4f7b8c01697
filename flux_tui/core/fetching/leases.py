"""Which chunk is granted to whom, and until when.

Leases are kept by grant, not by chunk: what one push granted lapses together, and one heap entry
watches all of it. A chunk has one lease; while it is overdue and nothing else is left to be granted, it
may have a second one, its hedge. Whichever comes first ends both.
"""

import heapq
from collections.abc import Callable, Iterable
from itertools import count

from flux_tui.core.fetching.download import Fetch
from flux_tui.core.fetching.sources import Holder
from flux_tui.core.ids import Cid

MAX_EXTENSIONS = 3
"""How often a sole holder that is late is given more time before its lease lapses all the same."""


class Batch:
    """The chunks of one grant that have not come yet."""

    __slots__ = (
        "chunks", "deadline", "due", "estimate", "extended", "hedge", "holder", "inherited", "seconds",
    )  # fmt: skip

    def __init__(
        self, holder: Holder, chunks: dict[Cid, Fetch], estimate: int, *, hedge: bool = False
    ) -> None:
        self.holder = holder
        self.chunks = chunks
        """Chunk → the fetch that it was granted for."""
        self.estimate = estimate
        """Bytes that one of them was taken to have."""
        self.hedge = hedge
        """The second lease of its chunk, and then of this one alone."""
        self.deadline = 0.0
        """When the lease lapses."""
        self.due = 0.0
        """When all of it should have come, at the rate that was seen; from then on it is overdue."""
        self.seconds = 0.0
        self.extended = 0
        self.inherited = False
        """Granted before this node was started again: its holder's queue went with the old stream, so it
        ends without blame."""

    @classmethod
    def inherited_from(cls, holder: Holder, deadline: float) -> "Batch":
        """What was granted to a holder before this node was started again; its chunks are added as they are found
        to be wanted still."""
        batch = cls(holder, {}, 0)
        batch.inherited = True
        batch.deadline = deadline
        return batch


class Leases:
    """All live leases of this node."""

    def __init__(self) -> None:
        self.by_chunk: dict[Cid, Batch] = {}
        self.hedges: dict[Cid, Batch] = {}
        self.overdue: dict[int, Batch] = {}
        """Batches that should have come, by id; some may be empty by now."""
        self._deadlines: list[tuple[float, int, Batch]] = []
        self._dues: list[tuple[float, int, Batch]] = []
        self._order = count()

    def add(self, batch: Batch, now: float, seconds: float, expected: float | None = None) -> None:
        """A grant was pushed; `expected`: the seconds that it should take, if that is known."""
        for cid, fetch in batch.chunks.items():
            if batch.hedge:
                self.hedges[cid] = batch
            else:
                self.by_chunk[cid] = batch
                fetch.granted += 1
        self.watch(batch, now, seconds)
        if expected is not None and not batch.hedge:
            batch.due = now + expected
            heapq.heappush(self._dues, (batch.due, next(self._order), batch))

    def inherit(self, batch: Batch, cid: Cid, fetch: Fetch) -> None:
        """One more chunk of a batch that the node's last life granted."""
        if not batch.chunks:
            heapq.heappush(self._deadlines, (batch.deadline, next(self._order), batch))
        batch.chunks[cid] = fetch
        self.by_chunk[cid] = batch
        batch.holder.outstanding += 1  # no bytes, and no clock that is started: it is nothing to learn from
        fetch.granted += 1

    def watch(self, batch: Batch, now: float, seconds: float) -> None:
        """Set or move a batch's deadline."""
        batch.seconds = seconds
        batch.deadline = now + seconds
        heapq.heappush(self._deadlines, (batch.deadline, next(self._order), batch))

    def holds(self, cid: Cid, holder: Holder) -> bool:
        """Whether this holder has a lease of this chunk, or its hedge."""
        batch, hedge = self.by_chunk.get(cid), self.hedges.get(cid)
        return (batch is not None and batch.holder is holder) or (
            hedge is not None and hedge.holder is holder
        )

    def release(self, cid: Cid) -> list[Batch]:
        """This chunk came, or is not expected any more: its leases end. Returns the batches it was in."""
        ended = [batch for batch in (self.by_chunk.pop(cid, None), self.hedges.pop(cid, None)) if batch]
        for batch in ended:
            self._leave(batch, cid)
        return ended

    def end(self, cid: Cid, holder: Holder) -> bool:
        """This holder will not send it. Returns whether nobody else is to."""
        hedge = self.hedges.get(cid)
        if hedge is not None and hedge.holder is holder:
            del self.hedges[cid]
            self._leave(hedge, cid)
            return cid not in self.by_chunk
        batch = self.by_chunk.get(cid)
        if batch is None or batch.holder is not holder:
            return False
        fetch = batch.chunks[cid]
        del self.by_chunk[cid]
        self._leave(batch, cid)
        if hedge is None:
            return True
        del self.hedges[cid]  # it is the lease now
        self.by_chunk[cid] = hedge
        fetch.granted += 1
        hedge.hedge = False
        return False

    def _leave(self, batch: Batch, cid: Cid) -> None:
        fetch = batch.chunks.pop(cid)
        if not batch.hedge:
            fetch.granted -= 1
        batch.holder.released(batch.estimate)
        if not batch.chunks:
            self.overdue.pop(id(batch), None)

    def of(self, holder: Holder) -> list[Batch]:
        """The batches that a holder has not finished."""
        found: dict[int, Batch] = {}
        for _, _, batch in self._deadlines:
            if batch.holder is holder and batch.chunks:
                found[id(batch)] = batch
        return list(found.values())

    def next_deadline(self) -> float:
        """When the first lease lapses or is overdue; infinity if none is live."""
        return min(_soonest(self._deadlines, _lapsed), _soonest(self._dues, _came))

    def lapsing(self, now: float) -> list[Batch]:
        """Batches whose deadline has passed; each is returned once."""
        return [batch for batch in _passed(self._deadlines, _lapsed, now) if batch.chunks]

    def falling_due(self, now: float) -> list[Batch]:
        """Batches that are overdue from now on; each is returned once, and kept in `overdue`."""
        late = [batch for batch in _passed(self._dues, _came, now) if batch.chunks and not batch.hedge]
        self.overdue.update((id(batch), batch) for batch in late)
        return late


def _lapsed(batch: Batch, at: float) -> bool:
    return not batch.chunks or batch.deadline != at


def _came(batch: Batch, _: float) -> bool:
    return not batch.chunks


Stale = Callable[[Batch, float], bool]


def _soonest(heap: list[tuple[float, int, Batch]], stale: Stale) -> float:
    while heap and stale(heap[0][2], heap[0][0]):
        heapq.heappop(heap)
    return heap[0][0] if heap else float("inf")


def _passed(heap: list[tuple[float, int, Batch]], stale: Stale, now: float) -> Iterable[Batch]:
    while _soonest(heap, stale) <= now:
        yield heapq.heappop(heap)[2]
