"""Which chunk is granted to whom, and until when.

Leases are kept by grant, not by chunk: what one push granted lapses together, and one heap entry
watches all of it.
"""

import heapq
from itertools import count

from flux_tui.core.fetch import Fetch
from flux_tui.core.holders import Holder
from flux_tui.core.ids import Cid

MAX_EXTENSIONS = 3
"""How often a sole holder that is late is given more time before its lease lapses all the same."""


class Batch:
    """The chunks of one grant that have not come yet."""

    __slots__ = ("chunks", "deadline", "estimate", "extended", "holder", "seconds")

    def __init__(self, holder: Holder, chunks: dict[Cid, Fetch], estimate: int) -> None:
        self.holder = holder
        self.chunks = chunks
        """Chunk → the fetch that it was granted for."""
        self.estimate = estimate
        """Bytes that one of them was taken to have."""
        self.deadline = 0.0
        self.seconds = 0.0
        self.extended = 0


class Leases:
    """All live leases of this node."""

    def __init__(self) -> None:
        self.by_chunk: dict[Cid, Batch] = {}
        self._heap: list[tuple[float, int, Batch]] = []
        self._order = count()

    def add(self, batch: Batch, now: float, seconds: float) -> None:
        """A grant was pushed."""
        for cid, fetch in batch.chunks.items():
            self.by_chunk[cid] = batch
            fetch.granted += 1
        self.watch(batch, now, seconds)

    def watch(self, batch: Batch, now: float, seconds: float) -> None:
        """Set or move a batch's deadline."""
        batch.seconds = seconds
        batch.deadline = now + seconds
        heapq.heappush(self._heap, (batch.deadline, next(self._order), batch))

    def release(self, cid: Cid) -> Batch | None:
        """This chunk came, or is not expected any more: its lease ends."""
        batch = self.by_chunk.pop(cid, None)
        if batch is not None:
            batch.chunks.pop(cid).granted -= 1
            batch.holder.released(batch.estimate)
        return batch

    def of(self, holder: Holder) -> list[Batch]:
        """The batches that a holder has not finished."""
        found: dict[int, Batch] = {}
        for _, _, batch in self._heap:
            if batch.holder is holder and batch.chunks:
                found[id(batch)] = batch
        return list(found.values())

    def next_deadline(self) -> float:
        """When the first lease lapses; infinity if none is live."""
        while self._heap and self._stale():
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def lapsing(self, now: float) -> list[Batch]:
        """Batches whose deadline has passed; each is returned once."""
        late: list[Batch] = []
        while self._heap and (self._stale() or self._heap[0][0] <= now):
            deadline, _, batch = heapq.heappop(self._heap)
            if batch.chunks and batch.deadline == deadline:
                late.append(batch)
        return late

    def _stale(self) -> bool:
        deadline, _, batch = self._heap[0]
        return not batch.chunks or batch.deadline != deadline
