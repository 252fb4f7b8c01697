"""Removing what is kept for others, and what came of objects that cannot be had; and nothing else.

A replica's leaves stand in a file of their own, `held/ROOT`. When it goes, so does that file, the index of the
chunks in it, and its inner nodes; except what another object here is made of as well. Which that is, the
other objects' inner nodes tell: they are walked (some 3 ms for each thousand chunks). A leaf that has to
stay is indexed where another file has it, or gets a place of its own. The parts of an object that was refused
go in the same way.

Rows first, then files, then the tree's own row; so a crash in between is gone on from by doing it again. What
went is remembered until the object is begun anew: the entry that tells of it may have to be written again.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from flux_tui.core.content import unixfs
from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, is_leaf
from flux_tui.store.disk.object_trees import Trees, remove

HELD = "held"
"""The folder of a home that replicas are in."""
NO_TREE = -1
"""Rows of files that are gone. Their numbers are not used again in this life of the store: what was landing
while they went must not be taken for a chunk of another file.
"""


class Gone(NamedTuple):
    """What went."""

    chunks: int
    size: int


class Index(Protocol):
    """What this needs of the store."""

    def read_block(self, cid: Cid) -> bytes | None:
        """An inner node."""

    def size_of(self, cid: Cid) -> int | None:
        """Bytes of a chunk that is here."""

    def file_of(self, cid: Cid) -> Path | None:
        """The file that a chunk is in; None: it is inline, or not here."""

    def set_apart(self, cid: Cid) -> bool:
        """Give a chunk a place of its own. False: it is not what it should be."""

    def forget(self, cids: Iterable[Cid], files: Collection[int]) -> None:
        """These chunks, and all that is in these files, are not there any more."""


class _Copy(NamedTuple):
    """A replica's copy as it stands in the store."""

    trees: list[int]
    parts: list[str]
    """Where it stands while it is not whole."""
    files: list[int]
    leaves: dict[Cid, tuple[int, int]]
    """Chunks that are indexed there, with their sizes and files."""


class Evictions:
    """Removals, one after the other, in a worker thread. Raise sqlite3.Error, OSError."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock, trees: Trees, index: Index) -> None:
        self._db = db
        self._lock = lock
        self._trees = trees
        self._index = index

    def evict(self, root: Cid, path: Path, others: Iterable[Cid]) -> Gone:
        """Remove the copy at `path`; what `others` are made of stays."""
        copy = self._find(root, "path = ?", path)
        if not copy.trees:
            return self._remembered(root)
        return self._remove(root, copy, others, _on_disk(path, root))

    def discard(self, root: Cid, path: Path, others: Iterable[Cid]) -> Gone:
        """Remove what was to become the object at `path`; what `others` are made of stays."""
        copy = self._find(root, "path = ? AND part IS NOT NULL", path)
        if not copy.trees:
            return self._remembered(root)
        if self._stands_elsewhere(root, copy):
            others = (*others, root)
        return self._remove(root, copy, others, [Path(part) for part in copy.parts])

    def _remove(self, root: Cid, copy: _Copy, others: Iterable[Cid], places: list[Path]) -> Gone:
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

    def _stands_elsewhere(self, root: Cid, copy: _Copy) -> bool:
        """Whether all of the object is here without this copy: then its inner nodes are needed."""
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
        self._trees.rest(root)
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
        """Leaves that stay are indexed elsewhere from now on: in another file that has them, or by themselves."""
        going = set(copy.files)
        for cid in stay & copy.leaves.keys():
            key, file = cid_bytes(cid), copy.leaves[cid][1]
            with self._lock:
                spares = self._db.execute("SELECT file, offset FROM spare WHERE cid = ?", (key,)).fetchall()
                heir = next((spare for spare in spares if spare[0] not in going), None)
                if heir is not None:
                    row = (*heir, key, file)
                    self._db.execute("UPDATE chunk SET file = ?, offset = ? WHERE cid = ? AND file = ?", row)
            if heir is None and self._index.set_apart(cid):
                mark_apart(self._db, self._lock, cid)

    def _forget_rows(self, root: Cid, copy: _Copy, inner: dict[Cid, int]) -> Gone:
        """Take it out of the index: what is still in its files, and its inner nodes."""
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
            gone = Gone(len(leaves) + len(inner), sum(leaves.values()) + sum(inner.values()))
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

    def _remembered(self, root: Cid) -> Gone:
        """What went when this copy was removed the last time."""
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (_marker(root),)).fetchone()
        return Gone(0, 0) if row is None else Gone(*(int(number) for number in row[0].split()))


def forget_tree(db: sqlite3.Connection, tree: int) -> None:
    """The files of this tree are gone."""
    db.execute("UPDATE file SET tree = ?, rel = '' WHERE tree = ?", (NO_TREE, tree))
    db.execute("DELETE FROM tree WHERE id = ?", (tree,))


def begin_anew(db: sqlite3.Connection, root: Cid) -> None:
    """An object is fetched again: what went of it before is told."""
    db.execute("DELETE FROM meta WHERE name = ?", (_marker(root),))


def tidy(db: sqlite3.Connection) -> None:
    """The store is opened: nothing is landing in files that are gone."""
    db.execute("DELETE FROM file WHERE tree = ?", (NO_TREE,))


def made_of(read: Callable[[Cid], bytes | None], root: Cid) -> Iterator[Cid]:
    """The blocks of an object, as far as its inner nodes are here. Leaves come as often as they stand in it."""
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
        node = unixfs.decode_node(cid, data)
    except unixfs.BadBlockError:
        return ()
    match node:
        case unixfs.FileNode():
            return [child for child, _, _ in node.children]
        case unixfs.ShardNode():
            return [*(child for _, child, _ in node.entries), *node.subshards]
        case unixfs.FolderNode():
            return [child for _, child, _ in node.entries]
        case unixfs.SymlinkNode():
            return ()


def _on_disk(path: Path, root: Cid) -> list[Path]:
    """Whatever stands of it in the folder of replicas, under its name or a temporary one."""
    return [found for found in path.parent.iterdir() if root in found.name] if path.parent.is_dir() else []


def apart_marker(cid: Cid) -> str:
    """Under which it is remembered that a chunk stands apart because of what was removed around it."""
    return f"apart {cid}"


def mark_apart(db: sqlite3.Connection, lock: threading.RLock, cid: Cid) -> None:
    """A chunk has got a place of its own because its file goes: with the last object it goes, too."""
    with lock:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (apart_marker(cid),))


def _marker(root: Cid) -> str:
    return f"evicted {root}"
