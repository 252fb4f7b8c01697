"""Chunks that go out: queued as names, read from disk only when the peer's stream is ready for them.

So a peer that was granted a gigabyte costs a few kilobytes here, and a slow peer costs nobody else.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial

import trio

from flux_tui.core.api.effects import ChunksGone
from flux_tui.core.ids import Cid, PeerId
from flux_tui.net.port import LoadedChunk, Network
from flux_tui.node.engine import Engine

LOAD_BYTES = 1024 * 1024
"""Bytes read for one stream at a time."""
LOAD_CHUNKS = 256
"""Chunks read at a time, where they are small."""


class _Queue:
    """One peer's: what it is to get, in portions, and how many of these its stream was told to ask for."""

    __slots__ = ("asked", "portions", "queued")

    def __init__(self) -> None:
        self.queued: set[Cid] = set()
        self.portions: deque[tuple[Cid, ...]] = deque()
        self.asked = 0

    def next(self) -> list[Cid]:
        """The next portion of which something is still wanted; empty if there is none."""
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
        """Queue these, in order, in portions of what is read at once."""
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
                # Its stream broke, and the core has yet to hear of it. Kept, these would be taken for asked on the
                # next stream, whose chunks would then be the old ones, and whose last ones would never go.
                self.forget(peer)
                return
            queue.asked += 1

    def unserve(self, peer: PeerId, cids: Sequence[Cid]) -> None:
        """These are not wanted any more; what has not been read yet will not be."""
        if queue := self._queues.get(peer):
            queue.queued.difference_update(cids)
            # Who grants and cancels without ever reading is not to pile up portions of nothing.
            queue.portions = deque(p for p in queue.portions if not queue.queued.isdisjoint(p))

    def forget(self, peer: PeerId) -> None:
        """The peer is gone."""
        self._queues.pop(peer, None)

    async def _load(self, peer: PeerId, queue: _Queue) -> Sequence[LoadedChunk]:
        wanted = queue.next()
        if not wanted:
            return ()
        # What the page cache has is read at once; a disk is waited for in a thread.
        result = self._engine.store.read(wanted, wait=False)
        if result is None:
            result = await trio.to_thread.run_sync(self._engine.store.read, wanted)
        for lost in result.lost:
            gone = ChunksGone(
                path=str(lost.path), cids=tuple(lost.cids), size=lost.size, text=lost.why, peer=peer
            )
            self._engine.feed(gone, lost=lost.cids)
        return [LoadedChunk(cid, data) for cid, data in result.chunks]
