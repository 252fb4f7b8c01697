"""Leases: which chunk is granted to which holder, and until when.

Leases are grouped by grant, not by chunk. The chunks of one pushed grant lapse together, and one heap entry
watches all of them. A chunk has one lease. When it is overdue and nothing else is left to be granted, it may
have a second lease, its hedge. The first copy that comes ends both leases.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from math import inf

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.holders import RTT_MAX, Holder
from flux_tui.core.ids import Cid

EXTENSION_MAX = 120.0
"""Seconds of one extension at most. Each is twice as long as the one before."""
MAX_EXTENSIONS = 24
"""How often a late holder gets more time for chunks that no other one can send, before its lease lapses: forty minutes.
On a line of 64 kbit/s, each of sixteen getters waits so long while the others are sent a chunk."""
WAITING_EXTENSIONS = 2
"""Extensions after which a late chunk probably waits in its holder's queue."""
MAX_PASSED_OVER = 3
"""The same, if the holder has sent what was granted later."""


class Batch:
    """The chunks of one grant that have not come yet. They have one deadline."""

    __slots__ = (
        "_chunks", "deadline", "due", "estimate", "extended", "hedge", "holder", "inherited", "number", "repeated",
        "seconds",
    )  # fmt: skip

    def __init__(
        self, holder: Holder, chunks: dict[Cid, Download], estimate: int, *, hedge: bool = False
    ) -> None:
        self.holder = holder
        self._chunks = chunks
        self.estimate = estimate
        """Bytes that each chunk is assumed to have."""
        self.hedge = hedge
        """Whether this is a hedge: the second lease of a chunk. A hedge has one chunk only."""
        self.deadline = 0.0
        """When the lease lapses."""
        self.due = 0.0
        """When all chunks should have come, at the holder's measured rate. From then on the batch is overdue."""
        self.seconds = 0.0
        """How long the lease lasts."""
        self.number = 0
        """Grants are numbered in the order in which they were pushed. A holder sends chunks in that order."""
        self.extended = 0
        """How often it was extended."""
        self.repeated = 0
        """The extension during which the grant was pushed again last; 0: it was not pushed again."""
        self.inherited = False
        """The batch was granted before this node was restarted. The holder's queue went with the old stream,
        so the holder is not blamed when the lease ends."""

    @classmethod
    def inherited_from(cls, holder: Holder, deadline: float) -> "Batch":
        """Make an empty batch for a grant from before this node was restarted.

        Chunks are added to the batch when they turn out to be still wanted.
        """
        batch = cls(holder, {}, 0)
        batch.inherited = True
        batch.deadline = deadline
        return batch

    @property
    def chunks(self) -> Mapping[Cid, Download]:
        """Each chunk, and the download for which it was granted."""
        return self._chunks

    def add(self, cid: Cid, download: Download) -> None:
        """Add a chunk to an inherited batch, because it turned out to be still wanted."""
        self._chunks[cid] = download

    def remove(self, cid: Cid) -> Download:
        """Remove a chunk that came or is not expected any more. Returns the download for which it was granted."""
        return self._chunks.pop(cid)

    def reassign(self, cid: Cid, download: Download) -> None:
        """Let a chunk be granted for another download, which contains it too."""
        self._chunks[cid] = download

    def expect_by(self, due: float) -> None:
        """Set the time by which all chunks should have come. After it, the batch is overdue."""
        self.due = due

    def last_until(self, now: float, seconds: float) -> None:
        """Set the deadline to `seconds` from `now`."""
        self.seconds = seconds
        self.deadline = now + seconds

    def count_extension(self) -> None:
        """Count one more extension: the holder is late, but no other peer has the chunks."""
        self.extended += 1

    @property
    def waits(self) -> bool:
        """Whether the chunks probably wait in the queue of a slow holder, if it is not sending them."""
        return (
            self.extended >= WAITING_EXTENSIONS
            or self.holder.least(self.estimate) == 1
            or self.holder.rtt >= RTT_MAX  # what it was granted before waited there as well
        )

    def in_order(self) -> list[tuple[Cid, Download]]:
        """Return the chunks in the order in which they probably come.

        A holder chooses the order within a grant. So all that is known is which chunk is coming now.
        """
        return sorted(self._chunks.items(), key=lambda item: not self.holder.begun(item[0]))

    def forget_extensions(self) -> None:
        """Set the number of extensions back to 0, because the holder is sending."""
        self.extended = 0
        self.repeated = 0

    def may_repeat(self) -> bool:
        """Whether the grant may be pushed again: it is late, and was not pushed again during this extension."""
        return self.extended > self.repeated and not self.hedge

    def count_repeat(self) -> None:
        """Record that the grant was pushed again during this extension."""
        self.repeated = self.extended

    def become_lease(self) -> None:
        """Turn this hedge into the chunk's normal lease, because the chunk's other lease has ended."""
        self.hedge = False


class Leases:
    """All leases of this node that have not ended."""

    def __init__(self) -> None:
        self.by_chunk: dict[Cid, Batch] = {}
        self.hedges: dict[Cid, Batch] = {}
        self.overdue: dict[int, Batch] = {}
        """Overdue batches, by id. Some may be empty by now."""
        self._deadlines: list[tuple[float, int, Batch]] = []
        self._dues: list[tuple[float, int, Batch]] = []
        self._order = count()

    def add(self, batch: Batch, now: float, seconds: float, expected: float | None = None) -> None:
        """Record a grant that was pushed and lapses after `seconds`.

        `expected`: the seconds after which the batch is overdue; None: it is never overdue. Nor is a hedge.
        """
        batch.number = next(self._order)
        (self.hedges if batch.hedge else self.by_chunk).update(dict.fromkeys(batch.chunks, batch))
        self.watch(batch, now, seconds)
        if expected is not None and not batch.hedge:
            batch.expect_by(now + expected)
            heapq.heappush(self._dues, (batch.due, next(self._order), batch))

    def inherit(self, batch: Batch, cid: Cid, download: Download) -> None:
        """Add a still wanted chunk to a batch that this node granted before it was restarted."""
        if not batch.chunks:
            heapq.heappush(self._deadlines, (batch.deadline, next(self._order), batch))
        batch.add(cid, download)
        self.by_chunk[cid] = batch
        batch.holder.inherited()

    def watch(self, batch: Batch, now: float, seconds: float) -> None:
        """Set a batch's deadline to `seconds` from `now`. When it has passed, `lapsing` returns the batch."""
        batch.last_until(now, seconds)
        heapq.heappush(self._deadlines, (batch.deadline, next(self._order), batch))

    def holds(self, cid: Cid, holder: Holder) -> bool:
        """Whether this holder has a lease of this chunk (or its hedge, the second lease)."""
        return self.of_chunk(cid, holder) is not None

    def of_chunk(self, cid: Cid, holder: Holder) -> Batch | None:
        """Return this holder's lease of a chunk, or its hedge of it; None if it has neither."""
        batch = self.by_chunk.get(cid)  # this runs twice for each chunk that comes
        if batch is not None and batch.holder is holder:
            return batch
        batch = self.hedges.get(cid)
        return batch if batch is not None and batch.holder is holder else None

    def release(self, cid: Cid) -> list[Batch]:
        """End all leases of a chunk that came or is not wanted any more. Returns the batches that contained it."""
        ended: list[Batch] = []
        for leases in (self.by_chunk, self.hedges) if self.hedges else (self.by_chunk,):
            if (batch := leases.pop(cid, None)) is not None:
                self._leave(batch, cid)
                ended.append(batch)
        return ended

    def end(self, cid: Cid, holder: Holder) -> Download | None:
        """End this holder's lease of a chunk, because the holder will not send it.

        Returns the download for which the chunk was granted. None: this holder had no lease of the chunk, or
        another holder still has one.
        """
        hedge = self.hedges.get(cid)
        if hedge is not None and hedge.holder is holder:
            del self.hedges[cid]
            download = self._leave(hedge, cid)
            return None if cid in self.by_chunk else download
        batch = self.by_chunk.get(cid)
        if batch is None or batch.holder is not holder:
            return None
        del self.by_chunk[cid]
        download = self._leave(batch, cid)
        if hedge is None:
            return download
        del self.hedges[cid]
        self.by_chunk[cid] = hedge
        hedge.become_lease()
        return None

    def reassign(self, cid: Cid, download: Download, new_owner: Download) -> None:
        """If a chunk is granted for `download`, let it be granted for `new_owner` from now on."""
        for batch in (self.by_chunk.get(cid), self.hedges.get(cid)):
            if batch is not None and batch.chunks[cid] is download:
                batch.reassign(cid, new_owner)

    def _leave(self, batch: Batch, cid: Cid) -> Download:
        download = batch.remove(cid)
        batch.holder.released(batch.estimate)
        if not batch.chunks:
            self.overdue.pop(id(batch), None)
        return download

    def of(self, holder: Holder) -> list[Batch]:
        """Return the batches that were granted to this holder and of which chunks have not come yet."""
        found: dict[int, Batch] = {}
        for _, _, batch in self._deadlines:
            if batch.holder is holder and batch.chunks:
                found[id(batch)] = batch
        return list(found.values())

    def next_deadline(self) -> float:
        """Return when the next lease lapses or becomes overdue; infinity if there is no lease."""
        lapse, due = _soonest(self._deadlines, _lapsed), _soonest(self._dues, _came)
        return lapse if lapse < due else due

    def lapsing(self, now: float) -> list[Batch]:
        """Return the batches whose deadline has passed and that still have chunks. Each is returned only once."""
        if _soonest(self._deadlines, _lapsed) > now:
            return []
        return [batch for batch in _passed(self._deadlines, _lapsed, now) if batch.chunks]

    def falling_due(self, now: float) -> list[Batch]:
        """Return the batches that have become overdue. Each is returned only once; it stays in `overdue`."""
        if _soonest(self._dues, _came) > now:
            return []
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
    return heap[0][0] if heap else inf


def _passed(heap: list[tuple[float, int, Batch]], stale: Stale, now: float) -> Iterable[Batch]:
    while _soonest(heap, stale) <= now:
        yield heapq.heappop(heap)[2]
