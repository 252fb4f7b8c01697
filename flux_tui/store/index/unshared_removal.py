"""Forgets the blocks of an object that is no longer shared, and no others.

A block is forgotten if no other object contains it. To find out, the inner nodes of the other objects are
read (some 3 ms for each thousand chunks). A leaf that a person wanted by itself is in the database or in a
file of the store's own, and stays.

A block that stays may be in a file that only the removed object had, and the user may delete that file next.
So the block is indexed in a file of another object, or is copied to a place of its own.

Only files that the store made itself are deleted from the disk: objects without a path, unfinished downloads,
files of single chunks, and what came through a pipe. Rows are deleted first, then files. The counts are
remembered, so after a crash in between the removal is simply repeated.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid, cid_bytes, is_leaf
from flux_tui.store.disk.file_places import KEPT, OWN
from flux_tui.store.disk.object_trees import Trees, remove
from flux_tui.store.disk.piped_files import sweep
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.replica_removal import NO_TREE, SetApart, apart_marker, made_of, mark_apart


class FreedBlocks(NamedTuple):
    """Blocks that the index has forgotten, because no object contains them: their CIDs, number and bytes."""

    cids: tuple[Cid, ...]
    """Empty where the blocks were forgotten before a crash: then only the figures are known."""
    chunks: int
    size: int


class _Row(NamedTuple):
    size: int
    file: int | None
    apart: bool
    """Whether the store copied it out of an object that was removed or evicted."""


class Freeing:
    """Forgets blocks of objects that are no longer shared, one object at a time, in a worker thread.

    Raises sqlite3.Error, OSError.
    """

    def __init__(
        self,
        home: Path,
        db: sqlite3.Connection,
        lock: threading.RLock,
        trees: Trees,
        index: ChunkIndex,
        set_apart: SetApart,
    ) -> None:
        self._home = home
        self._db = db
        self._lock = lock
        self._trees = trees
        self._index = index
        self._set_apart = set_apart

    def free(
        self,
        root: Cid,
        mark: int,
        others: Collection[Cid],
        paths: Collection[str],
        adding: Callable[[Cid], bool],
    ) -> FreedBlocks:
        """Forget the blocks that only the object `root` contains, and return them.

        If a crash came after that, the second call returns only their number and bytes. `mark`: the number of
        the entry that removed the object. `others` and `paths`: the other objects, and their paths. `adding`
        returns whether a file that is being added now contains a block.
        """
        blocks = dict.fromkeys(made_of(self._index.read_block, root))
        stay = self.needed(blocks, others)
        covered = _Covered(self._db, self._lock, frozenset(others), frozenset(paths))
        self._move(stay, covered)
        went = self._forget(
            [cid for cid in blocks if cid not in stay],
            lambda cid, row: self._is_forgotten(root, cid, row),
            adding,
        )
        if went.chunks:
            self._remember(root, mark, went)
        else:
            went = self._remembered(root, mark)
        self._delete_own(root, others, paths)
        sweep(self._home, lambda path: str(path) in paths or self._has_chunks(path))
        return went

    def forget(self, blocks: Iterable[Cid], others: Collection[Cid], adding: Callable[[Cid], bool]) -> None:
        """Forget the blocks of an add (sharing of a path) that was cancelled, unless other objects contain them.

        `others`: the other objects. `adding` returns whether a file that is being added now contains a block.
        """
        known = dict.fromkeys(blocks)
        stay = self.needed(known, others)
        gone = [cid for cid in known if cid not in stay]
        self._forget(gone, lambda cid, row: True, adding)
        with self._lock:  # those whose rows were never committed
            self._index.forget([cid for cid in gone if self._row(cid) is None and not adding(cid)], ())

    def needed(self, blocks: Collection[Cid], others: Iterable[Cid]) -> set[Cid]:
        """Return those of `blocks` that the objects `others` contain."""
        found: set[Cid] = set()
        for other in others:
            found.update(cid for cid in made_of(self._index.read_block, other) if cid in blocks)
        return found

    def _is_forgotten(self, root: Cid, cid: Cid, row: _Row) -> bool:
        """Return whether a block of the removed object `root` is forgotten too. `row`: its row in the chunk index.

        The caller has checked that no other object contains it. Only a leaf that was also wanted by itself
        stays.
        """
        if cid == root or not is_leaf(cid) or row.apart:
            return True
        return row.file is not None and not self._is_own(row.file)

    def _is_own(self, file: int) -> bool:
        with self._lock:
            row = self._db.execute("SELECT tree FROM file WHERE id = ?", (file,)).fetchone()
        return row is not None and row[0] == OWN

    def _row(self, cid: Cid) -> _Row | None:
        with self._lock:
            row = self._db.execute("SELECT size, file FROM chunk WHERE cid = ?", (cid_bytes(cid),)).fetchone()
            if row is None:
                return None
            apart = self._db.execute("SELECT 1 FROM meta WHERE name = ?", (apart_marker(cid),)).fetchone()
        return _Row(row[0], row[1], apart is not None)

    def _move(self, stay: Iterable[Cid], covered: "_Covered") -> None:
        """Keep the blocks `stay`: index each in a file of another object, or copy it to a place of its own.

        `covered` returns whether a file (by its row number) belongs to another object.
        """
        for cid in stay:
            row = self._row(cid)
            if row is None or row.file is None or covered(row.file):
                continue
            with self._lock:
                spares = self._db.execute(
                    "SELECT file, offset FROM spare WHERE cid = ?", (cid_bytes(cid),)
                ).fetchall()
                spares += [tree.spares[cid] for tree in self._trees.active() if cid in tree.spares]
            for file, offset in spares:
                if covered(file) and self._index.has_at(cid, file, offset, row.size):
                    with self._lock:
                        self._db.execute(
                            "UPDATE chunk SET file = ?, offset = ? WHERE cid = ? AND file = ?",
                            (file, offset, cid_bytes(cid), row.file),
                        )
                    break
            else:
                if self._set_apart(cid):
                    mark_apart(self._db, self._lock, cid)

    def _forget(
        self, cids: list[Cid], goes: Callable[[Cid, _Row], bool], adding: Callable[[Cid], bool]
    ) -> FreedBlocks:
        gone: dict[Cid, int] = {}
        own: list[Path] = []
        for cid in cids:
            row = self._row(cid)
            if row is not None and goes(cid, row):
                gone[cid] = row.size
                if row.file is not None and self._is_own(row.file):
                    place = self._index.file_of(cid)
                    own += [place] if place is not None else []
        with self._lock:
            gone = {cid: size for cid, size in gone.items() if not adding(cid)}
            self._db.execute("BEGIN IMMEDIATE")
            try:
                keys = [(cid_bytes(cid),) for cid in gone]
                self._db.executemany("DELETE FROM chunk WHERE cid = ?", keys)
                self._db.executemany("DELETE FROM spare WHERE cid = ?", keys)
                self._db.executemany(
                    "DELETE FROM meta WHERE name = ?", [(apart_marker(cid),) for cid in gone]
                )
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('untidy', '1')")
                self._db.execute("COMMIT")
            except sqlite3.Error:
                self._db.execute("ROLLBACK")
                raise
            self._index.forget(tuple(gone), ())
        for place in own:
            if cid_of(place) in gone:
                remove(place)
        return FreedBlocks(tuple(gone), len(gone), sum(gone.values()))

    def _delete_own(self, root: Cid, others: Collection[Cid], paths: Collection[str]) -> None:
        """Delete those of the object's files that the store made itself and that no other object needs.

        `others` and `paths`: the other objects, and their paths. Files at a path that the user chose are not
        deleted.
        """
        objects = self._home / KEPT
        with self._lock:
            trees = self._db.execute("SELECT id, path, part FROM tree WHERE root = ?", (root,)).fetchall()
            active = self._trees.by_root.get(root)
        for number, path, part in trees:
            if path in paths or (active is not None and active.number == number):
                continue
            if part is not None:
                if root in others:
                    continue
                remove(Path(part))
                with self._lock:
                    self._db.execute("UPDATE file SET tree = ?, rel = '' WHERE tree = ?", (NO_TREE, number))
                    self._db.execute("DELETE FROM tree WHERE id = ?", (number,))
            elif Path(path).parent == objects:
                remove(Path(path))

    def _has_chunks(self, path: Path) -> bool:
        """Whether the index has a chunk in a file that was shared from this path."""
        query = (
            "SELECT 1 FROM tree JOIN file ON file.tree = tree.id JOIN chunk ON chunk.file = file.id"
            " WHERE tree.root = '' AND tree.path = ? LIMIT 1"
        )
        with self._lock:
            return self._db.execute(query, (str(path),)).fetchone() is not None

    def _remember(self, root: Cid, mark: int, went: FreedBlocks) -> None:
        with self._lock:
            row = (f"freed {root}", f"{mark} {went.chunks} {went.size}")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)

    def _remembered(self, root: Cid, mark: int) -> FreedBlocks:
        """Return the counts of the removal `mark`, if it was done before a crash; zeros otherwise."""
        with self._lock:
            row = self._db.execute("SELECT value FROM meta WHERE name = ?", (f"freed {root}",)).fetchone()
        known = [int(number) for number in row[0].split()] if row is not None else []
        return FreedBlocks((), known[1], known[2]) if known and known[0] == mark else FreedBlocks((), 0, 0)


class _Covered:
    """A function of a file's row number: whether an object other than the removed one has the file, too.

    The result is also True for the store's own files of single chunks.
    """

    def __init__(
        self, db: sqlite3.Connection, lock: threading.RLock, others: frozenset[Cid], paths: frozenset[str]
    ) -> None:
        self._db = db
        self._lock = lock
        self._others = others
        self._paths = paths
        self._known: dict[int, bool] = {}

    def __call__(self, file: int) -> bool:
        found = self._known.get(file)
        if found is None:
            found = self._known[file] = self._look(file)
        return found

    def _look(self, file: int) -> bool:
        with self._lock:
            row = self._db.execute(
                "SELECT tree.id, root, path, part, rel FROM file JOIN tree ON tree.id = file.tree"
                " WHERE file.id = ?",
                (file,),
            ).fetchone()
        if row is None:
            return False
        tree, root, path, part, rel = row
        if tree == OWN:
            return True
        if part is not None:
            return root in self._others
        place = f"{path}/{rel}" if rel else path
        while place not in self._paths:
            place = os.path.dirname(place)
            if len(place) <= 1:
                return False
        return True


def tidy_piped(home: Path, db: sqlite3.Connection) -> None:
    """Delete what programs that were killed left of piped files: those that were never shared."""
    known = "SELECT 1 FROM tree WHERE root = '' AND path = ?"
    sweep(home, lambda path: db.execute(known, (str(path),)).fetchone() is not None)


def tidy(db: sqlite3.Connection) -> None:
    """Delete the rows of files that hold no chunk any more, for files that were shared or belong to removed objects.

    Call it when the store is opened, before anything is read or added.
    """
    if db.execute("SELECT 1 FROM meta WHERE name = 'untidy'").fetchone() is None:
        return
    db.executescript(
        """BEGIN IMMEDIATE;
        DELETE FROM spare WHERE NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.cid = spare.cid);
        DELETE FROM file WHERE tree IN (SELECT id FROM tree WHERE part IS NULL
                AND (root = '' OR EXISTS (SELECT 1 FROM meta WHERE name = 'freed ' || root)))
            AND NOT EXISTS (SELECT 1 FROM chunk WHERE chunk.file = file.id)
            AND id NOT IN (SELECT file FROM spare);
        DELETE FROM tree WHERE id != 0 AND part IS NULL -- 0: files of the store's own
            AND (root = '' OR EXISTS (SELECT 1 FROM meta WHERE name = 'freed ' || root))
            AND NOT EXISTS (SELECT 1 FROM file WHERE file.tree = tree.id);
        DELETE FROM meta WHERE name = 'untidy';
        COMMIT;"""
    )


def cid_of(place: Path) -> Cid:
    """Return the CID of the chunk in a file of the store's own. The file's name is the CID."""
    return Cid(place.name)
