"""The blocks of an open store, read in the node's own process; those that are not here can be wanted."""

from collections.abc import Callable, Mapping, Sequence

import trio

from flux_tui.core.ids import Cid
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.store.index.chunk_index import ChunkIndex

LOOK_SECONDS = 0.01
"""Seconds between two looks whether a block has come."""
REPEAT_SECONDS = 5.0
"""Seconds until a want is pushed again: another program may have cancelled it."""


class StoreBlocks:
    """The blocks of a node's store. `want` pushes wants for blocks; None: what is not here is not fetched."""

    def __init__(self, chunks: ChunkIndex, want: Callable[[Sequence[Cid]], None] | None = None) -> None:
        self._chunks = chunks
        self._want = want
        self._wanted: dict[Cid, float] = {}

    @property
    def wanted(self) -> Sequence[Cid]:
        """The blocks that were wanted and have not been read."""
        return tuple(self._wanted)

    async def read(self, cids: Sequence[Cid]) -> Mapping[Cid, bytes]:
        """Return the bytes of all of these blocks, and wait for those that are fetched. Raises NotHereError."""
        while lacking := [cid for cid in cids if self._chunks.size_of(cid) is None]:
            self._push(lacking)
            await trio.sleep(LOOK_SECONDS)
        result = self._chunks.read(cids, wait=False)
        if result is None:
            result = await trio.to_thread.run_sync(self._chunks.read, cids)
        found = dict(result.chunks)
        for cid in cids:
            self._wanted.pop(cid, None)
            if cid not in found:
                raise ReadError(f"the block {cid} was here, and its file was changed or removed")
        return found

    async def expect(self, cids: Sequence[Cid]) -> None:
        """Want those of these blocks that are not here."""
        if self._want is not None:
            self._push([cid for cid in cids if self._chunks.size_of(cid) is None])

    def _push(self, cids: Sequence[Cid]) -> None:
        if not cids:
            return
        if self._want is None:
            raise NotHereError(cids[0])
        now = trio.current_time()
        if due := [cid for cid in cids if now >= self._wanted.get(cid, float("-inf")) + REPEAT_SECONDS]:
            self._wanted.update(dict.fromkeys(due, now))
            self._want(due)
