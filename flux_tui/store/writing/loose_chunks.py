"""Loose chunks: chunks that belong to no file. Each is stored by itself in the home."""

import threading
from pathlib import Path

from flux_tui.core.ids import Cid, matches
from flux_tui.store.database import DATABASE
from flux_tui.store.disk import file_io, fsync
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.object_trees import Trees
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.store_values import Landed, StoreErrors

INLINE_MAX = 64 * 1024
"""Bytes; a larger loose chunk gets a file of its own."""


class LooseChunks:
    """Writes the loose chunks of one home: small ones into the database, each large one into its own file."""

    def __init__(self, home: Path, index: ChunkIndex, trees: Trees, disk_space: DiskSpace) -> None:
        self._home = home
        self._index = index
        self._trees = trees
        self._disk_space = disk_space
        self._unflushed: list[str] = []
        """Files that were written since the store was opened."""
        self._lock = threading.Lock()
        """Guards the list of these files."""

    def write(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a verified chunk, which belongs to no file. Return the row to commit. Raises StoreError."""
        if len(data) <= INLINE_MAX:
            return Landed(cid, len(data), data=bytes(data))
        with StoreErrors(self._home / DATABASE, self._home):
            self._disk_space.take(self._home, len(data))
            file, where = self._trees.own_file(cid)
            file_io.write_at(where, [0], data, create=True)
            with self._lock:
                self._unflushed.append(where.rel)
        return Landed(cid, len(data), file, 0)

    def set_apart(self, cid: Cid) -> bool:
        """Copy a chunk to a place of its own, and index it there. Return whether that was done.

        False: the chunk is not here, or its bytes are wrong. Raises StoreError.
        """
        data = self._index.read_block(cid)
        if data is None or not matches(cid, data):
            return False
        self._index.move(self.write(cid, data))
        return True

    def flush(self) -> None:
        """Flush to the device all files of loose chunks that were written since the store was opened.

        Raises OSError.
        """
        with self._lock:
            if self._unflushed:
                fsync.flush(self._home / "chunks", self._unflushed)
                self._unflushed.clear()
