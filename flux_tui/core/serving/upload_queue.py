"""Upload queues: granted chunks that have not left yet, one queue for each peer. Pure.

- Without limits, all granted chunks are released at once, and the streams of the peers do the rest.
- With limits, one chunk at a time is released, peer after peer, so that a limit is shared evenly.
- A chunk that would wait longer than MAX_WAIT_SECONDS is refused (`rate_limited`) instead of queued: the peer
  can get it from another holder meanwhile.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable, TokenBucket
from flux_tui.core.series.policy import Policy, rate_limit

MAX_WAIT_SECONDS = 2.0
"""Seconds that a chunk may wait because of a limit. It is long enough that a requester's next grant comes
before its queue is empty."""
PROMISED_SECONDS = 4.0
"""The same for one chunk of a peer that was told to come back, and did."""
MAX_QUEUED = 1024
"""Chunks that one peer may have in its queue here: what a requester grants to one holder at a time."""
MAX_RESTING = 4096
"""Peers without queued chunks whose token buckets are remembered."""


class Queue:
    """The chunks that one peer waits for, and its token buckets."""

    __slots__ = ("bytes", "chunks", "leaving", "size", "waiting", "waiting_size")

    def __init__(self, policy: Policy, now: float) -> None:
        self.waiting: OrderedDict[Cid, int] = OrderedDict()
        """Granted chunks that a limit delays, with their sizes in bytes."""
        self.leaving: dict[Cid, int] = {}
        """Chunks that are released but not written yet."""
        self.size = 0
        """Bytes of both."""
        self.waiting_size = 0
        self.bytes = rate_limit(policy.per_peer_limit, now)
        self.chunks = rate_limit(policy.per_peer_chunks, now)

    def __contains__(self, cid: Cid) -> bool:
        return cid in self.waiting or cid in self.leaving

    def __len__(self) -> int:
        return len(self.waiting) + len(self.leaving)


class Uplink:
    """The upload queues of all peers."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.policy = policy
        self.queues: dict[PeerId, Queue] = {}
        """The queues of the peers that are being served."""
        self._resting: BoundedTable[PeerId, Queue] = BoundedTable(MAX_RESTING)
        """Empty queues. They are remembered because their buckets remember what was sent."""
        self._turns: OrderedDict[PeerId, None] = OrderedDict()
        """Peers with chunks that are delayed, the next peer first."""
        self.size = 0
        """Bytes in all queues, which are sent before a new peer's chunks."""
        self._waiting_size = 0
        self._waiting_chunks = 0
        self.bytes = rate_limit(policy.upload_limit, now)
        self.chunks = rate_limit(policy.upload_chunks, now)

    def change(self, policy: Policy, now: float) -> None:
        """Apply other limits. Queued chunks stay queued."""
        self.policy = policy
        self.bytes, self.chunks = rate_limit(policy.upload_limit, now), rate_limit(policy.upload_chunks, now)
        self._resting.clear()
        for queue in self.queues.values():
            queue.bytes = rate_limit(policy.per_peer_limit, now)
            queue.chunks = rate_limit(policy.per_peer_chunks, now)

    def wait(self, peer: PeerId, now: float) -> float:
        """Seconds that the limits would delay a chunk that this peer grants now."""
        whole = max(self.bytes.wait(now, self._waiting_size), self.chunks.wait(now, self._waiting_chunks))
        queue = self._queue(peer, now)
        own = max(queue.bytes.wait(now, queue.waiting_size), queue.chunks.wait(now, len(queue.waiting)))
        return max(whole, own)

    def add(
        self, peer: PeerId, sizes: Mapping[Cid, int], now: float, first: float = MAX_WAIT_SECONDS
    ) -> tuple[list[Cid], list[Cid]]:
        """Queue chunks, in order. Returns the queued chunks, and those that would have to wait too long.

        `first`: seconds that the first one may wait.
        """
        queue = self._queue(peer, now)
        self.queues[peer] = queue
        self._resting.pop(peer, None)
        taken: list[Cid] = []
        for cid, size in sizes.items():
            most = MAX_WAIT_SECONDS if taken else first
            if self.wait(peer, now) > most or len(queue) >= MAX_QUEUED:
                break
            queue.waiting[cid] = size
            queue.size += size
            queue.waiting_size += size
            self.size += size
            self._waiting_size += size
            self._waiting_chunks += 1
            taken.append(cid)
        if queue.waiting:
            self._turns.setdefault(peer)
        self._rest(peer)
        return taken, list(sizes)[len(taken) :]

    def due(self, now: float) -> dict[PeerId, list[Cid]]:
        """The chunks that may leave now, by peer."""
        released: dict[PeerId, list[Cid]] = {}
        blocked: list[PeerId] = []
        while self._turns and self._ready_at(now) <= now:
            peer, _ = self._turns.popitem(last=False)
            queue = self.queues[peer]
            if _ready(queue.bytes, queue.chunks, now) > now:
                blocked.append(peer)
                continue
            cid, size = queue.waiting.popitem(last=False)
            queue.leaving[cid] = size
            self._unwait(queue, size)
            for bucket, amount in (
                (self.bytes, size), (self.chunks, 1), (queue.bytes, size), (queue.chunks, 1),
            ):  # fmt: skip
                if bucket.rate:
                    bucket.take(amount, now)
            released.setdefault(peer, []).append(cid)
            if queue.waiting:
                self._turns[peer] = None
        for peer in reversed(blocked):
            self._turns[peer] = None
            self._turns.move_to_end(peer, last=False)
        return released

    def next_deadline(self, now: float) -> float:
        """When `due` has chunks; infinity if nothing is delayed."""
        if not self._turns:
            return float("inf")
        peers = (self.queues[peer] for peer in self._turns)
        soonest = min(_ready(queue.bytes, queue.chunks, now) for queue in peers)
        return max(soonest, self._ready_at(now))

    def remove(self, peer: PeerId, cids: Iterable[Cid]) -> list[Cid]:
        """Take chunks out that left or are not wanted any more. Returns those that were in the queue."""
        queue = self.queues.get(peer)
        if queue is None:
            return []
        gone: list[Cid] = []
        for cid in cids:
            if (size := queue.waiting.pop(cid, None)) is not None:
                self._unwait(queue, size)
            elif (size := queue.leaving.pop(cid, None)) is None:
                continue
            queue.size -= size
            self.size -= size
            gone.append(cid)
        self._rest(peer)
        return gone

    def forget(self, peer: PeerId) -> None:
        """A peer disconnected, and its queue is gone with its stream."""
        if (queue := self.queues.get(peer)) is not None:
            self.remove(peer, [*queue.waiting, *queue.leaving])

    def shortest(self) -> int:
        """Bytes of the shortest queue, which will be the first to give its place free."""
        return min((queue.size for queue in self.queues.values()), default=0)

    def _queue(self, peer: PeerId, now: float) -> Queue:
        found = self.queues.get(peer) or self._resting.get(peer)
        if found is None:
            found = self._resting[peer] = Queue(self.policy, now)
        return found

    def _rest(self, peer: PeerId) -> None:
        """Give the place of a peer free if its queue is empty."""
        queue = self.queues[peer]
        if not queue.waiting:
            self._turns.pop(peer, None)
        if not len(queue):
            self._resting[peer] = self.queues.pop(peer)

    def _unwait(self, queue: Queue, size: int) -> None:
        queue.waiting_size -= size
        self._waiting_size -= size
        self._waiting_chunks -= 1

    def _ready_at(self, now: float) -> float:
        return _ready(self.bytes, self.chunks, now)


def _ready(size: TokenBucket, chunks: TokenBucket, now: float) -> float:
    return now + max(size.wait(now), chunks.wait(now))
