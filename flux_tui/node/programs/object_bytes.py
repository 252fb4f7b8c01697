"""The bytes of an object's files for a program, in order, from the node's own store. Nothing is fetched."""

from collections.abc import AsyncIterator

from typing_extensions import override

from flux_tui.core.content.protobufs import BadBlockError
from flux_tui.core.ids import Cid
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.reading.object_reader import ObjectReader
from flux_tui.reading.store_blocks import StoreBlocks
from flux_tui.store.index.chunk_index import ChunkIndex

__all__ = ["NotHereError", "Pieces", "ReadError"]

WINDOW = 4 * 1024 * 1024
"""Bytes that are read together. The blocks on the way to them are read once for that."""


class Pieces(AsyncIterator[bytes]):
    """A stream of a file's content. A program may leave it where it likes: it holds nothing open.

    `root`: the object, of which `path` is a file; an empty path is the object itself.
    """

    def __init__(self, chunks: ChunkIndex, root: Cid, path: str) -> None:
        self._reader = ObjectReader(StoreBlocks(chunks))
        self._root = root
        self._names = tuple(name for name in path.split("/") if name)
        self._file: Cid | None = None
        self._at = 0
        self._ready: list[bytes] = []

    @override
    async def __anext__(self) -> bytes:
        if not self._ready:
            await self._read(WINDOW)
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.pop(0)

    async def whole(self) -> bytes:
        """Return all that is left. Raises ReadError."""
        await self._read(None)
        found = b"".join(self._ready)
        self._ready.clear()
        return found

    async def _read(self, size: int | None) -> None:
        """Read the next bytes, at most `size`. Raises ReadError."""
        try:
            if self._file is None:
                self._file = (await self._reader.resolve(self._root, self._names)).cid
            stop = None if size is None else self._at + size
            async for piece in self._reader.read(self._file, self._at, stop):
                self._ready.append(bytes(piece))
                self._at += len(piece)
        except BadBlockError as error:
            raise ReadError(str(error)) from None
