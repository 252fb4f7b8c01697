"""Reads the chunks that are sent: queued by CID, and read from disk only when the peer's stream is ready.

So a gigabyte granted to a peer costs a few kilobytes here, and a slow peer costs the others nothing.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial

import trio

from flux_tui.core.api.inputs import ChunksGone
from flux_tui.core.ids import Cid, PeerId
from flux_tui.net.port import LoadedChunk, Network
from flux_tui.node.engine import Engine

LOAD_BYTES = 1024 * 1024
"""Bytes read for one stream at a time."""
LOAD_CHUNKS = 256
"""Chunks read at a time, where they are small."""


class _Queue:
    """One peer's queue: its chunks in portions, and how many portions its stream was told to ask for."""

    __slots__ = ("asked", "portions", "queued")

    def __init__(self) -> None:
        self.queued: set[Cid] = set()
        self.portions: deque[tuple[Cid, ...]] = deque()
        self.asked = 0

    def next(self) -> list[Cid]:
        """Take the next portion, without chunks that are no longer wanted; an empty list if there is none."""
        self.asked -= 1
        while self.portions:
            if wanted := [cid for cid in self.portions.popleft() if cid in self.queued]:
                self.queued.difference_update(wanted)
                return wanted
        return []


class Serving:
    """The queues of granted chunks, by peer."""

    def __init__(self, engine: Engine, network: Network) -> None:
        self._engine = engine
        self._network = network
        self._queues: dict[PeerId, _Queue] = {}

    def serve(self, peer: PeerId, cids: Sequence[Cid]) -> None:
        """Queue these chunks, in order, in portions that are read at once."""
        queue = self._queues.setdefault(peer, _Queue())
        queue.queued.update(cids)
        portion: list[Cid] = []
        size = 0
        for cid in cids:
            chunk = self._engine.store.size_of(cid) or 0
            if portion and (size + chunk > LOAD_BYTES or len(portion) == LOAD_CHUNKS):
                queue.portions.append(tuple(portion))
                portion, size = [], 0
            portion.append(cid)
            size += chunk
        if portion:
            queue.portions.append(tuple(portion))
        while queue.asked < len(queue.portions):
            if not self._network.serve(peer, partial(self._load, peer, queue)):
                # The peer's stream broke, and the core will hear of it. If these chunks stayed, they would
                # count as asked for on the next stream. That stream would then send the old chunks, and never
                # its last ones.
                self.forget(peer)
                return
            queue.asked += 1

    def unserve(self, peer: PeerId, cids: Sequence[Cid]) -> None:
        """Remove chunks that are no longer wanted, as far as they are not read yet."""
        if queue := self._queues.get(peer):
            queue.queued.difference_update(cids)
            # Otherwise a peer that wants and cancels without ever reading would pile up empty portions.
            queue.portions = deque(p for p in queue.portions if not queue.queued.isdisjoint(p))

    def forget(self, peer: PeerId) -> None:
        """Remove the queue of a peer that is gone."""
        self._queues.pop(peer, None)

    async def _load(self, peer: PeerId, queue: _Queue) -> Sequence[LoadedChunk]:
        wanted = queue.next()
        if not wanted:
            return ()
        # Chunks in the page cache are read at once. A thread waits for the disk.
        result = self._engine.store.read(wanted, wait=False)
        if result is None:
            result = await trio.to_thread.run_sync(self._engine.store.read, wanted)
        for lost in result.lost:
            gone = ChunksGone(
                path=str(lost.path), cids=tuple(lost.cids), size=lost.size, text=lost.why, peer=peer
            )
            self._engine.feed(gone, lost=lost.cids)
        return [LoadedChunk(cid, data) for cid, data in result.chunks]
