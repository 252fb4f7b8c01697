"""The user's files that are shared: the rows of their files, and which of them are unchanged since the last add.

The row of a file has its stat and the root of its blocks. While the stat is the same, the bytes count as the same
(store/disk/file_io.py). So an add of the same path again reads only files that are new or were changed, as long as
all blocks of the others are still in the index.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flux_tui.core.content import nodes
from flux_tui.core.content.unixfs_trees import BadBlockError, decode_node
from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, is_leaf
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.index.blocks_of_running_adds import AddsUnderWay
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.store_values import SharedFile

AT_ONCE = 500
"""Rows that one query looks up."""

_Known = tuple[int, FileStat, bytes | None]
"""A row of a file: its number, its stat, and the root of its blocks (None: not known)."""


class UnchangedFile(NamedTuple):
    """A file that is as it was when it was added before, and whose blocks are all in the index."""

    root: Cid
    size: int
    """Bytes of its content."""
    tsize: int
    """Bytes of all its blocks, repeats counted."""
    chunks: int
    """Its blocks, repeats counted."""
    blocks: tuple[Cid, ...]
    """Its blocks, each once."""


class SharedFiles:
    """The rows of the files of one shared path. Several threads may use it at once."""

    def __init__(
        self,
        db: sqlite3.Connection,
        lock: threading.RLock,
        index: ChunkIndex,
        adds: AddsUnderWay,
        tree: int,
    ) -> None:
        """Make it for the path with the row number `tree`. `lock` guards `db`, `index` and `adds`."""
        self._db = db
        self._lock = lock
        self._index = index
        self._adds = adds
        self._tree = tree

    def unchanged(
        self, files: Sequence[tuple[str, os.stat_result]], stop: Callable[[], bool] = lambda: False
    ) -> dict[str, UnchangedFile]:
        """Return those of these files that need not be read again. `files`: relative paths with their present stat.

        Their blocks count as found by the running add of this path, so no removal takes them meanwhile. Once `stop()`
        is true, it looks no further. Raises StoreError, sqlite3.Error.
        """
        stats = dict(files)
        found: dict[str, UnchangedFile] = {}
        for start in range(0, len(files), AT_ONCE):
            roots: dict[str, Cid] = {}
            for rel, rows in self._rows(rel for rel, _ in files[start : start + AT_ONCE]).items():
                now = stats[rel]
                root = next((root for _, stat, root in rows if root is not None and stat.proves(now)), None)
                if root is not None:
                    roots[rel] = cid_from_bytes(root)
            self._note(roots.values())
            gone = self._index.lacking(roots.values(), committed=True)
            for rel, root_cid in roots.items():
                if stop():
                    return found
                if (
                    root_cid not in gone
                    and (same := self._blocks_of(root_cid, stats[rel].st_size)) is not None
                ):
                    found[rel] = same
        return found

    def insert(self, files: Sequence[SharedFile]) -> list[int]:
        """Add rows for these files, inside the caller's transaction and lock. Return the numbers of the rows.

        If a file has a row with the same stat, that row is used. Chunks that were shared from an older content of a
        file keep the older row, whose stat does not match any more. Raises sqlite3.Error.
        """
        known = self._known([file.rel for file in files])
        last = int(self._db.execute("SELECT coalesce(max(id), 0) FROM file").fetchone()[0])
        numbers: list[int] = []
        new: list[tuple[object, ...]] = []
        again: list[tuple[int, bytes | None, int]] = []
        for rel, stat, _, root in files:
            key = None if root is None else cid_bytes(root)
            number = next((one[0] for one in known.get(rel, ()) if one[1][:4] == stat[:4]), None)
            if number is None:
                last += 1
                number = last
                new.append((number, self._tree, rel, *stat, key))
                known.setdefault(rel, []).append((number, stat, key))
            else:
                again.append((stat.recorded_ns, key, number))
            numbers.append(number)
        self._db.executemany(
            "INSERT INTO file (id, tree, rel, size, mtime_ns, ctime_ns, inode, recorded_ns, dag_root)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            new,
        )
        self._db.executemany(
            "UPDATE file SET recorded_ns = ?, dag_root = coalesce(?, dag_root) WHERE id = ?", again
        )
        return numbers

    def _rows(self, rels: Iterable[str]) -> dict[str, list[_Known]]:
        with self._lock:
            return self._known(list(rels))

    def _known(self, rels: Sequence[str]) -> dict[str, list[_Known]]:
        found: dict[str, list[_Known]] = {}
        if self._db.execute("SELECT 1 FROM file WHERE tree = ? LIMIT 1", (self._tree,)).fetchone() is None:
            return found
        for start in range(0, len(rels), AT_ONCE):
            some = rels[start : start + AT_ONCE]
            marks = ",".join("?" * len(some))
            columns = "rel, id, dag_root, size, mtime_ns, ctime_ns, inode, recorded_ns"
            query = f"SELECT {columns} FROM file WHERE tree = ? AND rel IN ({marks}) AND size IS NOT NULL"  # noqa: S608
            rows = self._db.execute(query, (self._tree, *some))
            for rel, number, root, *stat in rows:
                found.setdefault(rel, []).append((number, FileStat(*stat), root))
        return found

    def _note(self, cids: Iterable[Cid]) -> None:
        with self._lock:
            self._adds.note(self._tree, cids, ())

    def _blocks_of(self, root: Cid, size: int) -> UnchangedFile | None:
        """Return the file with this root, which is in the index. None: it has not `size` bytes, or lacks a block."""
        if is_leaf(root):
            return UnchangedFile(root, size, size, 1, (root,)) if self._index.size_of(root) == size else None
        chunks, whole, tsize = 0, 0, 0
        leaves: dict[Cid, int] = {}
        inner: dict[Cid, None] = {}
        stack = [root]
        while stack:
            cid = stack.pop()
            self._note((cid,))
            data = self._index.read_block(cid)
            if data is None:
                return None
            try:
                node = decode_node(cid, data)
            except BadBlockError:
                return None
            if not isinstance(node, nodes.FileNode):
                return None
            inner[cid] = None
            chunks += 1
            tsize += len(data)
            whole += len(node.data)
            for child in node.children:
                if is_leaf(child.cid):
                    leaves[child.cid] = child.size
                    chunks += 1
                    whole += child.size
                    tsize += child.size
                else:
                    stack.append(child.cid)
        self._note(leaves)
        if whole != size or self._index.lacking((*inner, *leaves), committed=True):
            return None
        return UnchangedFile(root, size, tsize, chunks, (*inner, *leaves))
