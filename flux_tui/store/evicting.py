"""Removing what is kept for others, and nothing else.

A replica's files stand in a folder of their own, `held/ROOT`. When it goes, so do its files, the index of the
chunks in them, and its inner nodes; except what another object here is made of as well. Which that is, the
other objects' inner nodes tell: they are walked (some 3 ms for each thousand chunks). A leaf that has to
stay is indexed where the user's copy of the same object has it, or gets a place of its own.

Rows first, then files, then the tree's own row; so a crash in between is gone on from by doing it again. What
went is remembered until the object is begun anew: the entry that tells of it may have to be written again.
"""

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from flux_tui.core import unixfs
from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, is_leaf
from flux_tui.store.trees import Trees, remove

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
    files: dict[int, str]
    """Its files and their paths inside it."""
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
        index = self._index
        with self._lock:
            known = self._trees.by_root.get(root)
            if known is not None and known.path == path:
                del self._trees.by_root[root]
            copy = self._find(root, path)
        if not copy.trees:
            return self._remembered(root)
        inner: dict[Cid, int] = {}
        for cid in made_of(index.read_block, root):
            if not is_leaf(cid) and (size := index.size_of(cid)) is not None:
                inner[cid] = size
        stay: set[Cid] = set()
        for other in others:
            stay.update(c for c in made_of(index.read_block, other) if c in copy.leaves or c in inner)
        self._move(stay, root, copy)
        inner = {cid: size for cid, size in inner.items() if cid not in stay}
        large = [place for cid in inner if (place := index.file_of(cid)) is not None]
        with self._lock:
            gone = self._forget_rows(root, copy, inner)
        for place in (*_on_disk(path, root), *large):
            remove(place)
        with self._lock:
            for tree in copy.trees:
                forget_tree(self._db, tree)
        return gone

    def _find(self, root: Cid, path: Path) -> _Copy:
        rows = self._db.execute("SELECT id FROM tree WHERE root = ? AND path = ?", (root, str(path)))
        trees = [int(row[0]) for row in rows.fetchall()]
        files: dict[int, str] = {}
        leaves: dict[Cid, tuple[int, int]] = {}
        for tree in trees:
            files.update(self._db.execute("SELECT id, rel FROM file WHERE tree = ?", (tree,)).fetchall())
        for file in files:
            for key, size in self._db.execute("SELECT cid, size FROM chunk WHERE file = ?", (file,)):
                leaves[cid_from_bytes(key)] = (size, file)
        return _Copy(trees, files, leaves)

    def _move(self, stay: set[Cid], root: Cid, copy: _Copy) -> None:
        """Leaves that stay are indexed elsewhere from now on."""
        with self._lock:
            heirs = self._heirs(root, copy)
        for cid in stay & copy.leaves.keys():
            file = copy.leaves[cid][1]
            if (heir := heirs.get(file)) is not None:
                with self._lock:
                    row = (heir, cid_bytes(cid), file)
                    self._db.execute("UPDATE chunk SET file = ? WHERE cid = ? AND file = ?", row)
            elif self._index.set_apart(cid):
                mark_apart(self._db, self._lock, cid)

    def _heirs(self, root: Cid, copy: _Copy) -> dict[int, int]:
        """For files of the copy: the same file of the same object, where it stands whole and is the user's."""
        query = "SELECT id FROM tree WHERE root = ? AND part IS NULL ORDER BY id"
        heirs: dict[int, int] = {}
        for (tree,) in self._db.execute(query, (root,)).fetchall():
            if tree in copy.trees:
                continue
            files = self._db.execute("SELECT id, rel FROM file WHERE tree = ?", (tree,)).fetchall()
            theirs = {rel: file for file, rel in files}
            heirs.update((file, theirs[rel]) for file, rel in copy.files.items() if rel in theirs)
        return heirs

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
