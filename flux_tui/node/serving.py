"""Chunks that go out: queued as names, read from disk only when the peer's stream is ready for them.

So a peer that was granted a gigabyte costs a few kilobytes here, and a slow peer costs nobody else.
"""

from collections.abc import Sequence

import trio

from flux_tui.core.effects import ChunksGone
from flux_tui.core.ids import Cid, PeerId
from flux_tui.net.network import LoadedChunk, Network
from flux_tui.node.engine import Engine

LOAD_BYTES = 1024 * 1024
"""Bytes read for one stream at a time."""
LOAD_CHUNKS = 256
"""Chunks read at a time, where they are small."""


class Serving:
    """The queues of granted chunks, by peer."""

    def __init__(self, engine: Engine, network: Network) -> None:
        self._engine = engine
        self._network = network
        self._queued: dict[PeerId, set[Cid]] = {}

    def serve(self, peer: PeerId, cids: Sequence[Cid]) -> None:
        """Queue these, in order, in portions of what is read at once."""
        self._queued.setdefault(peer, set()).update(cids)
        portion: list[Cid] = []
        size = 0
        for cid in cids:
            chunk = self._engine.store.size_of(cid) or 0
            if portion and (size + chunk > LOAD_BYTES or len(portion) == LOAD_CHUNKS):
                self._queue(peer, tuple(portion))
                portion, size = [], 0
            portion.append(cid)
            size += chunk
        if portion:
            self._queue(peer, tuple(portion))

    def unserve(self, peer: PeerId, cids: Sequence[Cid]) -> None:
        """These are not wanted any more; what has not been read yet will not be."""
        if queued := self._queued.get(peer):
            queued.difference_update(cids)

    def forget(self, peer: PeerId) -> None:
        """The peer is gone."""
        self._queued.pop(peer, None)

    def _queue(self, peer: PeerId, portion: tuple[Cid, ...]) -> None:
        async def load() -> Sequence[LoadedChunk]:
            return await self._load(peer, portion)

        self._network.serve(peer, load)

    async def _load(self, peer: PeerId, portion: tuple[Cid, ...]) -> Sequence[LoadedChunk]:
        queued = self._queued.get(peer, set())
        wanted = [cid for cid in portion if cid in queued]
        if not wanted:
            return ()
        queued.difference_update(wanted)
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
