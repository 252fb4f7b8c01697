"""Upload queues: for each peer, the chunks that the peer granted and that are not written yet. Pure.

A peer grants chunks when it tells this node to send them. These queues are the only record of the granted
chunks. The stream to a peer takes the next chunks from the peer's queue when it can write them (`next_chunks`).
So a chunk is cancelled by removing it from the queue. Only bytes that the stream is already writing cannot be
cancelled.

- Without limits, every granted chunk is released at once: the stream may take it.
- With limits, one chunk at a time is released, from each peer's queue in turn, so that the peers share a limit
  evenly.
- A chunk that would wait longer than MAX_WAIT_SECONDS is refused (`rate_limited`) instead of queued: the peer
  can get it from another holder meanwhile.
- A chunk stays in its queue until it is written. While it is being written, a cancel comes too late and changes
  nothing. So a chunk that is cancelled and granted again meanwhile is not sent a second time.
- Grants are sent in their order. Within one grant the order may change: on a slow line (`spread`), the chunks come
  first that were not just sent to another peer. So several peers that fetch the same object soon have different
  chunks, which they can pass on to each other. And a peer is not sent a chunk just while it learns that another one
  has it now.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from itertools import count, takewhile
from math import inf
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.giving_policy import Policy, rate_limit

MAX_WAIT_SECONDS = 2.0
"""Seconds that a chunk may wait because of a limit. It is long enough that a requester's next grant comes
before its queue is empty."""
PROMISED_SECONDS = 4.0
"""Seconds that the first chunk of a peer may wait, if the peer was told to ask again at this time, and did."""
MAX_QUEUED = 1024
"""Chunks that one peer may have in its queue here: what a requester grants to one holder at a time."""
MAX_RESTING = 4096
"""Peers without queued chunks whose token buckets are remembered."""
MAX_LEFT = 4096
"""Chunks of which it is remembered when they were sent last."""


class QueuedChunk(NamedTuple):
    """A queued chunk that the limits allow to be sent now."""

    number: int
    """Chunks are numbered in the order of their release, all peers together, from 1."""
    cid: Cid
    size: int
    """Bytes of the chunk."""


class _Limits:
    """Two upload limits that apply together: bytes a second and chunks a second. 0 means no limit."""

    __slots__ = ("_bytes", "_chunks", "_unlimited")

    def __init__(self, byte_rate: float, chunk_rate: float, now: float) -> None:
        self._bytes = rate_limit(byte_rate, now)
        self._chunks = rate_limit(chunk_rate, now)
        self._unlimited = not byte_rate and not chunk_rate

    def wait(self, now: float, size: int = 0, chunks: int = 0) -> float:
        """Return the seconds until `size` more bytes and `chunks` more chunks may be sent."""
        if self._unlimited:
            return 0.0
        return max(self._bytes.wait(now, size), self._chunks.wait(now, chunks))

    def charge(self, size: int, now: float) -> None:
        """Count one sent chunk of `size` bytes against both limits."""
        if self._unlimited:
            return
        for bucket, tokens in ((self._bytes, size), (self._chunks, 1)):
            if bucket.rate:
                bucket.take(tokens, now)


class UploadQueue:
    """The queue of chunks to send to one peer, and the limits for this peer."""

    __slots__ = ("_delayed", "_grants", "_leaving", "_limits", "_released", "delayed_size", "size")

    def __init__(self, policy: Policy, now: float) -> None:
        self._delayed: OrderedDict[Cid, int] = OrderedDict()
        """Chunks that a limit delays, with their bytes."""
        self._released: dict[Cid, QueuedChunk] = {}
        """Chunks that may be sent, in this order."""
        self._grants: dict[Cid, int] = {}
        """The number of the grant that each of both belongs to."""
        self._leaving: set[Cid] = set()
        """Released chunks that are being written."""
        self.size = 0
        """Bytes of both."""
        self.delayed_size = 0
        """Bytes of the delayed chunks."""
        self.limit(policy, now)

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._delayed or cid in self._released

    def __len__(self) -> int:
        return len(self._delayed) + len(self._released)

    @property
    def delayed(self) -> int:
        """The number of queued chunks that a limit delays."""
        return len(self._delayed)

    def cids(self) -> tuple[Cid, ...]:
        """Return the queued chunks, in the order in which they are sent."""
        return *self._released, *self._delayed

    def limit(self, policy: Policy, now: float) -> None:
        """Apply the limits of a new policy. Queued chunks stay queued."""
        self._limits = _Limits(policy.per_peer_limit, policy.per_peer_chunks, now)

    def wait(self, now: float) -> float:
        """Return the seconds for which this peer's limits would delay one more chunk."""
        return self._limits.wait(now, self.delayed_size, len(self._delayed))

    def ready_at(self, now: float) -> float:
        """Return when this peer's limits allow the next chunk."""
        return now + self._limits.wait(now)

    def add(self, cid: Cid, size: int, grant: int) -> None:
        """Queue a chunk of `size` bytes at the end. A limit may delay it. `grant`: the number of its grant."""
        self._delayed[cid] = size
        self._grants[cid] = grant
        self.size += size
        self.delayed_size += size

    def release(self, number: int, now: float) -> QueuedChunk:
        """Allow the next delayed chunk to be sent, give it this number, and count it against this peer's limits."""
        cid, size = self._delayed.popitem(last=False)
        self.delayed_size -= size
        self._limits.charge(size, now)
        chunk = self._released[cid] = QueuedChunk(number, cid, size)
        return chunk

    def leaves(self, cid: Cid) -> None:
        """Note that a released chunk is being written."""
        if cid in self._released:
            self._leaving.add(cid)

    def is_leaving(self, cid: Cid) -> bool:
        """Whether a chunk is being written."""
        return cid in self._leaving

    def remove(self, cid: Cid) -> tuple[int, bool] | None:
        """Remove a chunk. Returns its bytes and whether a limit delayed it; None if it is not queued."""
        self._grants.pop(cid, None)
        if (size := self._delayed.pop(cid, None)) is not None:
            self.size -= size
            self.delayed_size -= size
            return size, True
        if (chunk := self._released.pop(cid, None)) is not None:
            self._leaving.discard(cid)
            self.size -= chunk.size
            return chunk.size, False
        return None

    def next_chunks(self, after: int, through: int, max_bytes: int, max_chunks: int) -> list[QueuedChunk]:
        """Return released chunks with numbers from `after` + 1 to `through`; see `UploadQueues.next_chunks`."""
        allowed = takewhile(lambda chunk: chunk.number <= through, self._released.values())
        waiting = (chunk for chunk in allowed if chunk.number > after and chunk.cid not in self._leaving)
        return _portion(waiting, max_bytes, max_chunks)

    def spread_chunks(
        self, through: int, max_bytes: int, max_chunks: int, left: Mapping[Cid, int]
    ) -> list[QueuedChunk]:
        """Return released chunks with numbers up to `through`; see `UploadQueues.next_chunks`, `spread`.

        `left`: a number for each chunk that has begun to leave lately, the latest has the highest.
        """
        allowed = takewhile(lambda chunk: chunk.number <= through, self._released.values())
        waiting = [chunk for chunk in allowed if chunk.cid not in self._leaving]
        same = [chunk for chunk in waiting if self._grants[chunk.cid] == self._grants[waiting[0].cid]]
        return _portion(sorted(same, key=lambda chunk: left.get(chunk.cid, 0)), max_bytes, max_chunks)


def _portion(chunks: Iterable[QueuedChunk], max_bytes: int, max_chunks: int) -> list[QueuedChunk]:
    """Return the first of these chunks: `max_chunks` and `max_bytes` at most, but one whatever its size."""
    found: list[QueuedChunk] = []
    size = 0
    for chunk in chunks:
        size += chunk.size
        if len(found) == max_chunks or (found and size > max_bytes):
            break
        found.append(chunk)
    return found


class UploadQueues:
    """The upload queues of all peers. A peer has a queue while this node has chunks to send to it."""

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._queues: dict[PeerId, UploadQueue] = {}
        """The queues of the peers that are being served."""
        self._resting: BoundedTable[PeerId, UploadQueue] = BoundedTable(MAX_RESTING)
        """Empty queues. They are remembered because their buckets remember what was sent."""
        self._turns: OrderedDict[PeerId, None] = OrderedDict()
        """Peers with chunks that are delayed, the next peer first."""
        self._number = 0
        """The number of the chunk that was released last."""
        self._grant_numbers = count(1)
        self._left: BoundedTable[Cid, int] = BoundedTable(MAX_LEFT, refresh=True)
        """A number for each chunk that has begun to leave, whoever it was for. The latest has the highest."""
        self._left_numbers = count(1)
        self.size = 0
        """Bytes in all queues, which are sent before a new peer's chunks."""
        self._delayed_size = 0
        self._delayed_chunks = 0
        self._limits = _Limits(policy.upload_limit, policy.upload_chunks, now)

    def __len__(self) -> int:
        return len(self._queues)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._queues

    @property
    def peers(self) -> tuple[PeerId, ...]:
        """The peers that have chunks in an upload queue."""
        return tuple(self._queues)

    def of(self, peer: PeerId) -> Collection[Cid]:
        """Return the chunks that are queued for a peer, in the order in which they are sent."""
        queue = self._queues.get(peer)
        return queue.cids() if queue is not None else ()

    def has(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this chunk is queued for this peer."""
        queue = self._queues.get(peer)
        return queue is not None and cid in queue

    def change(self, policy: Policy, now: float) -> None:
        """Apply the limits of a new policy. Queued chunks stay queued."""
        self._policy = policy
        self._limits = _Limits(policy.upload_limit, policy.upload_chunks, now)
        self._resting.clear()
        for queue in self._queues.values():
            queue.limit(policy, now)

    def wait(self, peer: PeerId, now: float) -> float:
        """Return the seconds for which the limits would delay a chunk that this peer asks for now."""
        return self._wait(self._queue(peer, now), now)

    def _wait(self, queue: UploadQueue, now: float) -> float:
        return max(self._limits.wait(now, self._delayed_size, self._delayed_chunks), queue.wait(now))

    def add(
        self, peer: PeerId, sizes: Mapping[Cid, int], now: float, first: float = MAX_WAIT_SECONDS
    ) -> tuple[list[Cid], list[Cid]]:
        """Queue chunks (bytes by CID), in order. Returns the queued chunks, and the refused chunks.

        A chunk is refused if it would wait longer than MAX_WAIT_SECONDS, or if the queue is full. So is every chunk
        after it. `first`: seconds that the first of these chunks may wait instead.
        """
        queue = self._queue(peer, now)
        self._queues[peer] = queue
        self._resting.pop(peer, None)
        taken: list[Cid] = []
        grant = next(self._grant_numbers)
        for cid, size in sizes.items():
            most = MAX_WAIT_SECONDS if taken else first
            if self._wait(queue, now) > most or len(queue) >= MAX_QUEUED:
                break
            queue.add(cid, size, grant)
            self.size += size
            self._delayed_size += size
            self._delayed_chunks += 1
            taken.append(cid)
        if queue.delayed:
            self._turns.setdefault(peer)
        self._free_slot_if_empty(peer)
        return taken, list(sizes)[len(taken) :]

    def release(self, now: float) -> dict[PeerId, int]:
        """Release the chunks that the limits allow now. Returns the number of each peer's last released chunk."""
        released: dict[PeerId, int] = {}
        if not self._turns:
            return released
        blocked: list[PeerId] = []
        while self._turns and now + self._limits.wait(now) <= now:
            peer, _ = self._turns.popitem(last=False)
            queue = self._queues[peer]
            if queue.ready_at(now) > now:
                blocked.append(peer)
                continue
            self._number += 1
            chunk = queue.release(self._number, now)
            self._delayed_size -= chunk.size
            self._delayed_chunks -= 1
            self._limits.charge(chunk.size, now)
            released[peer] = chunk.number
            if queue.delayed:
                self._turns[peer] = None
        for peer in reversed(blocked):
            self._turns[peer] = None
            self._turns.move_to_end(peer, last=False)
        return released

    def next_deadline(self, now: float) -> float:
        """Return when `release` has something to release; infinity if no chunk is delayed."""
        if not self._turns:
            return inf
        soonest = min(self._queues[peer].ready_at(now) for peer in self._turns)
        return max(soonest, now + self._limits.wait(now))

    def next_chunks(
        self, peer: PeerId, *, after: int, through: int, max_bytes: int, max_chunks: int, spread: bool = False
    ) -> list[QueuedChunk]:
        """Return the chunks to send next to a peer; an empty list if there are none. They stay queued.

        `after`: the number of the chunk that its stream took last. `through`: the number of the last chunk
        whose entry is durable. At most `max_chunks` chunks and `max_bytes` bytes, but at least one chunk
        whatever its size.

        `spread`: of the peer's first grant, return the chunks first that began to leave longest ago, whoever they
        were for. Then `after` is ignored: the caller has written all that it took before.
        """
        queue = self._queues.get(peer)
        if queue is None:
            return []
        if spread:
            return queue.spread_chunks(through, max_bytes, max_chunks, self._left)
        return queue.next_chunks(after, through, max_bytes, max_chunks)

    def leaving(self, peer: PeerId, cids: Iterable[Cid]) -> None:
        """Note that chunks are being written to a peer's stream."""
        if (queue := self._queues.get(peer)) is not None:
            for cid in cids:
                queue.leaves(cid)
                self._left[cid] = next(self._left_numbers)

    def cancel(self, peer: PeerId, cids: Iterable[Cid]) -> list[Cid]:
        """Take chunks out that a peer does not want any more, unless they are being written.

        Returns those that were taken out.
        """
        queue = self._queues.get(peer)
        if queue is None:
            return []
        return self.remove(peer, [cid for cid in cids if not queue.is_leaving(cid)])

    def remove(self, peer: PeerId, cids: Iterable[Cid]) -> list[Cid]:
        """Remove chunks that were written or cancelled. Returns the chunks that were queued."""
        queue = self._queues.get(peer)
        if queue is None:
            return []
        gone: list[Cid] = []
        for cid in cids:
            if (found := queue.remove(cid)) is not None:
                size, delayed = found
                self.size -= size
                if delayed:
                    self._delayed_size -= size
                    self._delayed_chunks -= 1
                gone.append(cid)
        self._free_slot_if_empty(peer)
        return gone

    def clear(self, peer: PeerId) -> tuple[Cid, ...]:
        """Empty a peer's queue. Returns the chunks that were queued."""
        return tuple(self.remove(peer, self.of(peer)))

    def shortest(self) -> int:
        """Return the bytes in the shortest queue, which will probably be empty first; 0 if there is no queue."""
        return min((queue.size for queue in self._queues.values()), default=0)

    def _queue(self, peer: PeerId, now: float) -> UploadQueue:
        found = self._queues.get(peer)
        if found is None:
            found = self._resting.get(peer)
        if found is None:
            found = self._resting[peer] = UploadQueue(self._policy, now)
        return found

    def _free_slot_if_empty(self, peer: PeerId) -> None:
        """Free the upload slot of a peer if its queue is empty."""
        queue = self._queues[peer]
        if not queue.delayed:
            self._turns.pop(peer, None)
        if not len(queue):
            self._resting[peer] = self._queues.pop(peer)
