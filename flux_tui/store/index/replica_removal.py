"""Removes replicas, and the unfinished parts of objects that cannot be fetched; and nothing else.

A replica's leaves are in a file of their own, `held/ROOT`. Removing the replica removes this file, the rows
of its chunks, and its inner nodes, except the blocks that another object here contains. To find those, the
inner nodes of the other objects are read (some 3 ms for each thousand chunks). A leaf that another object
needs is indexed in another file that has it, or gets a place of its own. The parts of a refused object are
removed in the same way.

The rows of chunks are removed first, then the files, then the object's own row. So after a crash in between,
the removal is simply repeated. The counts are remembered until the object is fetched again, because the entry
about them may have to be written again.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.content import nodes, unixfs_trees
from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, is_leaf
from flux_tui.store.disk.object_trees import Trees, remove
from flux_tui.store.index.chunk_index import ChunkIndex

NO_TREE = -1
"""The tree of files that are gone. Their row numbers are not used again while the store is open: a chunk that
was landing while they went must not count as a chunk of another file.
"""


SetApart = Callable[[Cid], bool]
"""Gives a chunk a place of its own. Returns False if its bytes are wrong."""


class RemovalCounts(NamedTuple):
    """How many chunks a removal forgot, and their bytes together."""

    chunks: int
    size: int


class _Copy(NamedTuple):
    """The copy of an object that a removal deletes: its rows, its unfinished files, and the leaves in its files."""

    trees: list[int]
    parts: list[str]
    """The temporary paths of the unfinished copy."""
    files: list[int]
    leaves: dict[Cid, tuple[int, int]]
    """Chunks that are indexed there, with their sizes and files."""


class Evictions:
    """Removes replicas and unfinished objects, one at a time, in a worker thread.

    Raises sqlite3.Error, OSError.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        lock: threading.RLock,
        trees: Trees,
        index: ChunkIndex,
        set_apart: SetApart,
    ) -> None:
        self._db = db
        self._lock = lock
        self._trees = trees
        self._index = index
        self._set_apart = set_apart

    def evict(self, root: Cid, path: Path, others: Iterable[Cid]) -> RemovalCounts:
        """Remove the replica of object `root` at `path`, except the blocks that the objects `others` contain.

        Return the counts of what was forgotten; if it was removed before, the counts of that removal.
        """
        copy = self._find(root, "path = ?", path)
        if not copy.trees:
            return self._remembered(root)
        return self._remove(root, copy, others, _on_disk(path, root))

    def discard(self, root: Cid, path: Path, others: Iterable[Cid]) -> RemovalCounts:
        """Remove the unfinished object `root` at `path`, except the blocks that the objects `others` contain.

        If all blocks of the object are also here outside of this copy, its inner nodes stay. Return the
        counts of what was forgotten; if it was removed before, the counts of that removal.
        """
        copy = self._find(root, "path = ? AND part IS NOT NULL", path)
        if not copy.trees:
            return self._remembered(root)
        if self._is_whole_elsewhere(root, copy):
            others = (*others, root)
        return self._remove(root, copy, others, [Path(part) for part in copy.parts])

    def _remove(self, root: Cid, copy: _Copy, others: Iterable[Cid], places: list[Path]) -> RemovalCounts:
        index = self._index
        inner: dict[Cid, int] = {}
        for cid in made_of(index.read_block, root):
            if not is_leaf(cid) and (size := index.size_of(cid)) is not None:
                inner[cid] = size
        stay: set[Cid] = set()
        for other in others:
            stay.update(c for c in made_of(index.read_block, other) if c in copy.leaves or c in inner)
        self._move(stay, copy)
        inner = {cid: size for cid, size in inner.items() if cid not in stay}
        large = [place for cid in inner if (place := index.file_of(cid)) is not None]
        with self._lock:
            gone = self._forget_rows(root, copy, inner)
        for place in (*places, *large):
            remove(place)
        with self._lock:
            for tree in copy.trees:
                forget_tree(self._db, tree)
        return gone

    def _is_whole_elsewhere(self, root: Cid, copy: _Copy) -> bool:
        """Return whether each block of the object is also here outside of this copy, so that its inner nodes must stay.

        False, too, if no leaf of the object is known.
        """
        leaves = False
        for cid in made_of(self._index.read_block, root):
            if self._index.size_of(cid) is None or cid in copy.leaves:
                return False
            leaves = leaves or is_leaf(cid)
        return leaves

    def _find(self, root: Cid, which: str, path: Path) -> _Copy:
        with self._lock:
            known = self._trees.by_root.get(root)
            if known is not None and known.path == path:
                self._trees.drop(root)
        self._trees.wait_for_writers(root)
        with self._lock:
            query = f"SELECT id, part FROM tree WHERE root = ? AND {which}"  # noqa: S608 - ours, both times
            rows = self._db.execute(query, (root, str(path))).fetchall()
            trees = [int(row[0]) for row in rows]
            files: list[int] = []
            leaves: dict[Cid, tuple[int, int]] = {}
            for tree in trees:
                found = self._db.execute("SELECT id FROM file WHERE tree = ?", (tree,)).fetchall()
                files += [int(row[0]) for row in found]
            for file in files:
                for key, size in self._db.execute("SELECT cid, size FROM chunk WHERE file = ?", (file,)):
                    leaves[cid_from_bytes(key)] = (size, file)
        return _Copy(trees, [row[1] for row in rows if row[1]], files, leaves)

    def _move(self, stay: set[Cid], copy: _Copy) -> None:
        """Keep those of the blocks `stay` that are in the copy's files, which will be deleted.

        Index each in another file that has it, or copy it to a place of its own.
        """
        going = set(copy.files)
        for cid in stay & copy.leaves.keys():
            key, file = cid_bytes(cid), copy.leaves[cid][1]
            with self._lock:
                spares = self._db.execute("SELECT file, offset FROM spare WHERE cid = ?", (key,)).fetchall()
                elsewhere = next((spare for spare in spares if spare[0] not in going), None)
                if elsewhere is not None:
                    row = (*elsewhere, key, file)
                    self._db.execute("UPDATE chunk SET file = ?, offset = ? WHERE cid = ? AND file = ?", row)
            if elsewhere is None and self._set_apart(cid):
                mark_apart(self._db, self._lock, cid)

    def _forget_rows(self, root: Cid, copy: _Copy, inner: dict[Cid, int]) -> RemovalCounts:
        """Delete the rows of the chunks that are still in the copy's files, and of its inner nodes.

        Return the counts.
        """
        leaves: dict[Cid, int] = {}
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for file in copy.files:
                rows = self._db.execute("SELECT cid, size FROM chunk WHERE file = ?", (file,)).fetchall()
                leaves.update((cid_from_bytes(key), size) for key, size in rows)
                self._db.execute("DELETE FROM chunk WHERE file = ?", (file,))
            spares = "DELETE FROM spare WHERE file IN (SELECT id FROM file WHERE tree = ?)"
            self._db.executemany(spares, [(tree,) for tree in copy.trees])
            keys = [(cid_bytes(cid),) for cid in inner]
            self._db.executemany("DELETE FROM chunk WHERE cid = ?", keys)
            gone = RemovalCounts(len(leaves) + len(inner), sum(leaves.values()) + sum(inner.values()))
            if gone.chunks:
                row = (_marker(root), f"{gone.chunks} {gone.size}")
                self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
            else:
                gone = self._remembered(root)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            self._db.execute("ROLLBACK")
            raise
        self._index.forget((*inner, *leaves), copy.files)
        return gone

    def _remembered(self, root: Cid) -> RemovalCounts:
        """Return the counts of the last removal of this object; zeros if there was none."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (_marker(root),)).fetchone()
        return (
            RemovalCounts(0, 0) if row is None else RemovalCounts(*(int(number) for number in row[0].split()))
        )


def forget_tree(db: sqlite3.Connection, tree: int) -> None:
    """Note in the database that the files of this tree (an object's files) are deleted."""
    db.execute("UPDATE file SET tree = ?, rel = '' WHERE tree = ?", (NO_TREE, tree))
    db.execute("DELETE FROM tree WHERE id = ?", (tree,))


def begin_anew(db: sqlite3.Connection, root: Cid) -> None:
    """Delete the remembered counts of earlier removals of an object, because the object is fetched again."""
    db.execute("DELETE FROM meta WHERE name = ?", (_marker(root),))


def tidy(db: sqlite3.Connection) -> None:
    """Delete the rows of deleted files. Call it when the store is opened, while no chunk is being written."""
    db.execute("DELETE FROM file WHERE tree = ?", (NO_TREE,))


def made_of(read: Callable[[Cid], bytes | None], root: Cid) -> Iterator[Cid]:
    """Yield the CIDs of the blocks of an object, as far as its inner nodes are here.

    A leaf is yielded once for each place that it has in the object. `read` returns the bytes of an inner
    node.
    """
    seen, stack = {root}, [root]
    while stack:
        cid = stack.pop()
        yield cid
        data = None if is_leaf(cid) else read(cid)
        if data is None:
            continue
        for child in _children(cid, data):
            if is_leaf(child):
                yield child
            elif child not in seen:
                seen.add(child)
                stack.append(child)


def _children(cid: Cid, data: bytes) -> Iterable[Cid]:
    try:
        node = unixfs_trees.decode_node(cid, data)
    except unixfs_trees.BadBlockError:
        return ()
    match node:
        case nodes.FileNode():
            return [child for child, _, _ in node.children]
        case nodes.ShardNode():
            return [*(child for _, child, _ in node.entries), *node.subshards]
        case nodes.FolderNode():
            return [child for _, child, _ in node.entries]
        case nodes.SymlinkNode():
            return ()


def _on_disk(path: Path, root: Cid) -> list[Path]:
    """Return the paths of a replica's files in the folder of replicas, under their final or temporary names."""
    return [found for found in path.parent.iterdir() if root in found.name] if path.parent.is_dir() else []


def apart_marker(cid: Cid) -> str:
    """Return the key of the database's note that a chunk was copied to a place of its own: see `mark_apart`."""
    return f"apart {cid}"


def mark_apart(db: sqlite3.Connection, lock: threading.RLock, cid: Cid) -> None:
    """Note that a chunk was copied to a place of its own, because its file is being removed.

    The chunk is removed with the last object that needs it.
    """
    with lock:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (apart_marker(cid),))


def _marker(root: Cid) -> str:
    return f"evicted {root}"
