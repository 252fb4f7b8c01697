"""The store: the series and the chunk index in one transaction; the chunks' bytes are written before it.

The bytes of a chunk are in one of three places:

- inline in the database: inner nodes and small loose chunks.
- in a file that is being fetched, written at its offset. The download *is* the chunk store, so a file takes
  its size on disk once.
- in the user's own file, which was added or fetched, and is never copied.

Rules:

- Bytes are written first. The row that claims them commits with the entry that tells of them.
- In this process, a chunk that is written but not committed counts as here (`size_of`). After a crash it is
  not there: it is fetched again, into the same place.
- One thread commits at a time. Other threads may land, place and read beside it.

`index/chunk_index.py` looks chunks up and reads them.
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, matches
from flux_tui.core.series.events import Event, encode_event
from flux_tui.store import checkpoints
from flux_tui.store.checkpoints import Kept
from flux_tui.store.disk import file_io, fsync
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.disk.object_trees import HELD, OWN, Spot, Tree, remove
from flux_tui.store.disk.room import Room
from flux_tui.store.index.adds_under_way import Shares
from flux_tui.store.index.chunk_index import Shelf
from flux_tui.store.index.evicting import Evictions, Gone, begin_anew, forget_tree, tidy
from flux_tui.store.index.freeing import Freeing, WhatWent
from flux_tui.store.index.freeing import tidy as tidy_freed
from flux_tui.store.index.places import Landed, Leaf, Lost, Placed, ReadResult, Where, Whole
from flux_tui.store.schema import (
    DATABASE,
    UPSERT_CHUNK,
    NoRoomError,
    StoreError,
    UnfitError,
    explain,
    explain_os,
    open_writer,
)
from flux_tui.store.series import SeriesReader

__all__ = [
    "Landed",
    "Leaf",
    "Lost",
    "NoRoomError",
    "Placed",
    "ReadResult",
    "Store",
    "StoreError",
    "UnfitError",
    "Whole",
]

INLINE_MAX = 64 * 1024
"""Bytes; a larger loose chunk gets a file of its own."""


class Store(Shelf):
    """One home's store. Open it under the home's lock."""

    def __init__(self, home: Path, db: sqlite3.Connection) -> None:
        super().__init__(home, db)
        self.room = Room()
        self._own_unflushed: list[str] = []
        """Files of the store's own that were written since it was opened."""
        self._gone_files: set[int] = set()
        """Files of removed replicas. Chunks that were landing in them meanwhile are not there."""
        self.last_seq = int(db.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])
        last = db.execute("SELECT at FROM entry WHERE seq = ?", (self.last_seq,)).fetchone()
        self.last_at = float(last[0]) if last is not None else 0.0
        """The time of the last entry."""
        self._checkpoints = [
            Kept(*row) for row in db.execute("SELECT seq, length(state) FROM checkpoint ORDER BY seq")
        ]
        tidy(db)
        tidy_freed(db)
        self._shares = Shares()
        self.lost_at_open = self._verify_after_power_loss()
        """Chunks that a power loss took: the node reports them in the series."""

    @classmethod
    def open(cls, home: Path) -> "Store":
        """Open a home's store, or create it. Raises StoreError."""
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os(error, home) from error
        db = open_writer(home / DATABASE)
        try:
            return cls(home, db)
        except sqlite3.Error as error:
            db.close()
            raise explain(error, home / DATABASE) from error

    def close(self) -> None:
        """Close the store. After a close in order, its own files need no check at the next boot."""
        with self._lock:
            try:
                if self._own_unflushed:
                    self._flush_own(self._own_unflushed)
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('closed', '1')")
            except (sqlite3.Error, OSError, StoreError):
                pass  # a full or broken disk: the next boot checks the files
            self._db.close()

    def _flush_own(self, rels: list[str]) -> None:
        fsync.flush(self.home / "chunks", rels)

    def reader(self) -> SeriesReader:
        """Return a reader with its own connection."""
        return SeriesReader.open(self.path)

    # ── committing ──────────────────────────────────────────────────────────────────────────────

    def commit(
        self,
        events: Sequence[tuple[float, Event]],
        landed: Sequence[Landed] = (),
        lost: Sequence[Cid] = (),
        checkpoint: bytes | None = None,
    ) -> int:
        """Append entries and the rows that they claim, all or nothing. Returns the last entry's number.

        `checkpoint`: fold.snapshot of the state after the last entry. Raises StoreError. Then nothing has
        changed, and the same call may be made again.
        """
        rows = [
            (self.last_seq + number, at, encode_event(event)) for number, (at, event) in enumerate(events, 1)
        ]
        seq = self.last_seq + len(rows)
        with self._lock:
            landed = [row for row in landed if row.file not in self._gone_files]
            chunks = [(cid_bytes(row.cid), row.size, row.file, row.offset, row.data) for row in landed]
            kept = self._checkpoints
            try:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
                self._db.executemany("INSERT INTO set_back VALUES (?)", _set_back(self.last_at, rows))
                # A chunk that was lost and has arrived again since is here.
                gone = [(cid_bytes(cid),) for cid in lost]
                self._db.executemany("DELETE FROM chunk WHERE cid = ?", gone)
                self._db.executemany("DELETE FROM spare WHERE cid = ?", gone)
                self._db.executemany(UPSERT_CHUNK, chunks)
                if checkpoint is not None:
                    self._db.execute("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", (seq, checkpoint))
                    kept = [one for one in kept if one.seq != seq] + [Kept(seq, len(checkpoint))]
                    superfluous = checkpoints.superfluous(kept, checkpoints.budget(seq))
                    self._db.executemany(
                        "DELETE FROM checkpoint WHERE seq = ?", [(one.seq,) for one in superfluous]
                    )
                    kept = [one for one in kept if one not in superfluous]
                self._db.execute("COMMIT")
            except BaseException as error:  # an interrupted command goes on to clean up
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise explain(error, self.path) from error
                raise
            self._checkpoints = kept
            for cid in lost:
                self._sizes.pop(cid, None)
                self._gone.discard(cid)
            for row in landed:
                if self._overlay.get(row.cid) is row:
                    del self._overlay[row.cid]
                self._remember(row.cid, row.size)
        self.last_seq = seq
        self.last_at = rows[-1][1] if rows else self.last_at
        return seq

    # ── objects that are being fetched ──────────────────────────────────────────────────────────

    def open_tree(self, root: Cid, path: Path, limit: int | None = None) -> None:
        """Begin or continue an object whose files are to stand at `path`; at most `limit` bytes of it are written.

        An object among the replicas is kept as leaves in one file. Raises StoreError.
        """
        pack = path.parent == self.home / HELD
        with self._guarded(path):
            begin_anew(self._db, root)
            self._trees.open(root, path, pack=pack, limit=limit)

    def check_room(self, root: Cid, size: int, names: int) -> None:
        """Check that the rest of an object of this size has room. Raises NoRoomError."""
        tree = self._tree(root)
        left = max(0, size - tree.here - tree.written)
        self.room.check(tree.folder, left, 1 if tree.pack else max(0, names - len(tree.files)))

    def place_folder(self, root: Cid, rel: str) -> None:
        """Create a folder of the object."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_folder(rel)

    def place_file(self, root: Cid, rel: str, size: int | None) -> None:
        """Create a file of the object, of this size if it is known."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.make_file(rel, size)
            self._trees.add_file(tree, rel)

    def place_mode(self, root: Cid, rel: str, mode: int) -> None:
        """Set the permissions of a file or folder of the object, where they may be applied. Objects in the
        home have the usual permissions."""
        tree = self._tree(root)
        if not tree.path.is_relative_to(self.home):
            with self._guarded(tree.part):
                tree.set_mode(rel, mode)

    def place_data(self, root: Cid, rel: str, offset: int, data: bytes) -> None:
        """Write content of a file that came inside an inner node."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            file_io.write_at(tree.at(rel), [offset], data)

    def place_symlink(self, root: Cid, rel: str, target: str) -> None:
        """Note a symbolic link of the object, made when the object is finished. A link that could lead out is
        not made. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            tree.link(rel, target)

    def place_leaves(self, root: Cid, rel: str, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note where leaves of a file belong, as (cid, offset, size). Leaves that are here already are put in place.

        Raises StoreError, also for a leaf of another size.
        """
        tree = self._tree(root)
        file = tree.files[rel]
        spots = ((cid, Spot(file, rel, offset, size)) for cid, offset, size in leaves)
        return self._place(tree, spots, (file,))

    def place_blocks(self, root: Cid, leaves: Iterable[tuple[Cid, int, int | None]]) -> Placed:
        """Note leaves of a replica: each stands somewhere in its pack. Raises StoreError."""
        tree = self._tree(root)
        with self._guarded(tree.part):
            file = self._trees.open_pack(tree)
            rel = next(rel for rel, number in tree.files.items() if number == file)
            file_io.size_to(tree.at(rel), None, lambda _: None)
        spots = ((cid, Spot(file, rel, None, size)) for cid, _, size in leaves)
        return self._place(tree, spots, tuple(tree.files.values()))

    def _place(self, tree: Tree, spots: Iterable[tuple[Cid, Spot]], own: Collection[int]) -> Placed:
        present: list[Cid] = []
        missing: list[Cid] = []
        lost: list[Lost] = []
        copied = 0
        try:
            for cid, spot in spots:
                with self._lock:
                    tree.places.setdefault(cid, []).append(spot)
                    where = self._where(cid)
                if where is not None:
                    _check_size(tree, cid, spot, where.size)
                if where is None:
                    missing.append(cid)
                elif where.file in own and spot.offset in (None, where.offset):
                    present.append(cid)
                elif (size := self._copy_into(tree, spot, cid, lost)) is not None:
                    copied += size
                    present.append(cid)
                else:
                    missing.append(cid)
        except StoreError:
            tree.written -= copied  # the copying will be repeated
            raise
        return Placed(present, missing, lost)

    def _copy_into(self, tree: Tree, spot: Spot, cid: Cid, lost: list[Lost]) -> int | None:
        """Copy a chunk that is already elsewhere, if its bytes are right. Returns their number, or None."""
        result = self.read([cid])
        data = result.chunks[0][1] if result.chunks else None
        if data is not None and not matches(cid, data):
            why = f"{self.path} has wrong bytes for a chunk of {len(data)} bytes: it is fetched again"
            result.lost.append(Lost(self.path, (cid,), len(data), why))
            data = None
        if data is None:
            lost += result.lost
            if result.lost:
                with self._lock:
                    self._sizes.pop(cid, None)
                    self._overlay.pop(cid, None)
                    self._gone.add(cid)
            return None
        with self._guarded(tree.part):
            tree.take(len(data))
            with self._lock:
                offset = tree.pack_at(len(data)) if spot.offset is None else spot.offset
            if spot.offset is None or file_io.read_inside(tree.at(spot.rel), offset, len(data)) != data:
                self.room.take(tree.folder, len(data))
                file_io.write_at(tree.at(spot.rel), [offset], data)
        tree.spares[cid] = (spot.file, offset)
        return len(data)

    def land(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a verified chunk to all its places. Returns the row to commit with its entry.

        Several threads may land chunks at once. Raises StoreError; UnfitError where an object has no place
        for the chunk, and then nothing was written.
        """
        written: set[Spot] = set()
        landed: Landed | None = None
        while True:
            with self._lock:
                trees = [tree for tree in self._trees.active() if cid in tree.places]
                spots = [
                    (tree, spot) for tree in trees for spot in set(tree.places[cid]) if spot not in written
                ]
                if not spots:
                    # No place was added meanwhile. From here on the chunk counts as here.
                    if landed is None or landed.file in self._gone_files:
                        landed = self._land_loose(cid, data)
                    self._overlay[cid] = landed
                    return landed
                self._trees.begin_writing(trees)
            try:
                for tree, spot in spots:
                    _check_size(tree, cid, spot, len(data))
                for tree in trees:
                    tree.take(len(data) * sum(1 for other, _ in spots if other is tree), cid)
                # The user's files come first: rows that name them need not move when a replica goes.
                for tree, spot in sorted(spots, key=lambda found: found[0].pack):
                    row = self._write(tree, spot, cid, data)
                    written.add(spot)
                    landed = landed or row
                    if row.file != landed.file:
                        tree.spares[cid] = (spot.file, row.offset or 0)
            except StoreError:
                for tree in trees:
                    tree.give_back(cid)
                raise
            finally:
                self._trees.end_writing(trees)

    def _write(self, tree: Tree, spot: Spot, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        """Write a chunk to one of its places."""
        with self._guarded(tree.part):
            self.room.take(tree.folder, len(data))
            with self._lock:
                offset = tree.pack_at(len(data)) if spot.offset is None else spot.offset
            file_io.write_at(tree.at(spot.rel), [offset], data)
        return Landed(cid, len(data), spot.file, offset)

    def _land_loose(self, cid: Cid, data: bytes | bytearray | memoryview) -> Landed:
        if len(data) <= INLINE_MAX:
            return Landed(cid, len(data), data=bytes(data))
        with self._guarded(self.home):
            self.room.take(self.home, len(data))
            file, where = self._trees.own_file(cid)
            file_io.write_at(where, [0], data)
            self._own_unflushed.append(where.rel)
        return Landed(cid, len(data), file, 0)

    def finish_tree(self, root: Cid) -> Whole:
        """Give a whole object its name. Raises StoreError; then the fetched files are kept."""
        tree = self._tree(root)
        if tree.pack:
            self.place_blocks(root, ())  # an object of only folders has no leaf that makes the file
        with self._guarded(tree.path):
            path = self._trees.finish(tree)
        return Whole(path, tuple(tree.left_out.values()))

    def drop_tree(self, root: Cid) -> None:
        """Stop fetching an object. The chunks that came stay for another time; if none came, nothing stays.
        Raises StoreError."""
        with self._lock:
            tree = self._trees.drop(root)
            if tree is None or any(row.file in tree.files.values() for row in self._overlay.values()):
                return
            if self._trees.has_chunks(tree):
                return
            self.forget((), tree.files.values())
        with self._guarded(tree.part):
            remove(tree.part)
            with self._lock:
                forget_tree(self._db, tree.number)

    # ── replicas that are held for others ───────────────────────────────────────────────────────

    def evict(self, root: Cid, path: Path, others: Iterable[Cid]) -> Gone:
        """Remove the copy of a replica at `path`, except the blocks that `others` are made of. Raises StoreError."""
        with self._guarded(path):
            return Evictions(self._db, self._lock, self._trees, self).evict(root, path, others)

    def discard(self, root: Cid, path: Path, others: Iterable[Cid]) -> Gone:
        """Remove what came of an object that will never stand at `path`. Blocks that `others` are made of
        stay, and so does anything that stands at `path`. Raises StoreError.
        """
        with self._guarded(path):
            return Evictions(self._db, self._lock, self._trees, self).discard(root, path, others)

    # ── objects that are no longer shared ───────────────────────────────────────────────────────

    def free(self, root: Cid, mark: int, others: Collection[Cid], paths: Collection[str]) -> WhatWent:
        """Forget the blocks that only `root` is made of. `mark` names this removal. Raises StoreError."""
        with self._guarded(self.home):
            return self._freeing().free(root, mark, others, paths, self._shares.has)

    def end_share(
        self, tree: int, *, keep: bool, others: Collection[Cid] = (), path: str | None = None
    ) -> None:
        """End an add. With `keep` false, forget the blocks that it brought, except those that `others` are made of.

        `path`: with the blocks that are indexed there. Raises StoreError.
        """
        with self._lock:
            fresh = self._shares.end(tree)
        if path is not None:
            query = (
                "SELECT cid FROM chunk JOIN file ON file.id = chunk.file JOIN tree ON tree.id = file.tree"
                " WHERE tree.root = '' AND tree.path = ?"
            )
            fresh |= {cid_from_bytes(row[0]) for row in self._rows(query, path)}
        if not keep and fresh:
            with self._guarded(self.home):
                self._freeing().forget(fresh, others, self._shares.has)

    def _freeing(self) -> Freeing:
        return Freeing(self.home, self._db, self._lock, self._trees, self)

    def claim(self, cid: Cid) -> None:
        """Keep a loose chunk for the user: if it stands in a replica, give it a place of its own."""
        with self._guarded(self.home):
            place = self.file_of(cid)
            if place is not None and place.is_relative_to(self.home / HELD):
                self.set_apart(cid)

    def file_of(self, cid: Cid) -> Path | None:
        """Return the file that a chunk is in; None: it is inline, or not here."""
        where = self._where(cid)
        if where is None or where.file is None:
            return None
        with self._lock:
            return self._trees.locate(where.file)[0]

    def set_apart(self, cid: Cid) -> bool:
        """Give a chunk a place of its own. Returns False if its bytes are wrong."""
        data = self.read_block(cid)
        if data is None or not matches(cid, data):
            return False
        row = self._land_loose(cid, data)
        with self._lock:
            self._overlay.pop(cid, None)
            self._db.execute(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?) ON CONFLICT (cid) DO UPDATE"
                " SET file = excluded.file, offset = excluded.offset, data = excluded.data",
                (cid_bytes(cid), row.size, row.file, row.offset, row.data),
            )
        return True

    def forget(self, cids: Iterable[Cid], file_io: Collection[int]) -> None:
        """Forget these chunks, and all chunks in these files."""
        with self._lock:
            self._gone_files.update(file_io)
            landing = [row.cid for row in self._overlay.values() if row.file in file_io]
            for cid in (*cids, *landing):
                self._sizes.pop(cid, None)
                self._overlay.pop(cid, None)

    def _tree(self, root: Cid) -> Tree:
        tree = self._trees.by_root.get(root)
        if tree is None:
            raise StoreError(f"{root} is not being fetched here")
        return tree

    def _verify_after_power_loss(self) -> list[Lost]:
        """Check the files that a power loss may have damaged. Returns the chunks that were lost.

        The death of a process damages nothing, so only a new boot is a reason to check. Checked are files
        that were still being fetched and, unless the store was closed in order, the store's own files of
        large loose chunks. A fetched object was flushed before it got its name.
        """
        boot = file_io.boot_id()
        row = self._db.execute("SELECT value FROM meta WHERE name = 'boot'").fetchone()
        closed = self._db.execute("SELECT 1 FROM meta WHERE name = 'closed'").fetchone() is not None
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot,))
        self._db.execute("DELETE FROM meta WHERE name = 'closed'")
        if row is None or row[0] == boot:
            return []
        lost: list[Lost] = []
        rows = self._db.execute(
            "SELECT cid, chunk.size, chunk.file, chunk.offset FROM chunk JOIN file ON file.id = chunk.file"
            " JOIN tree ON tree.id = file.tree WHERE tree.part IS NOT NULL OR (tree.id = ? AND NOT ?)"
            " ORDER BY chunk.file, chunk.offset",
            (OWN, closed),
        ).fetchall()
        for key, size, file, offset in rows:
            cid = cid_from_bytes(key)
            path, _, _ = self._trees.locate(file)
            where = Where(size, file, offset, None)
            if not file_io.holds(path, offset, size, cid) and self._look_elsewhere([(cid, where)], {}, True):
                why = f"{path} lost {size} bytes when the machine went down"
                lost.append(Lost(path, (cid,), size, why, self._trees.replica_of(file)))
        return lost

    # ── the user's own files ────────────────────────────────────────────────────────────────────

    def share_tree(self, root_path: Path) -> int:
        """Begin to reference a file or folder of the user's. Returns a handle for `share_file` and `end_share`."""
        with self._guarded(root_path), self._lock:
            tree = self._trees.share(root_path)
            self._shares.begin(tree)
            return tree

    def share_file(self, tree: int, rel: str, stat: FileStat, leaves: Sequence[Leaf]) -> list[Landed]:
        """Reference a file's chunks where they are. The caller commits the returned rows."""
        with self._guarded(self.path):
            file = self._trees.share_file(tree, rel, stat)
        rows = [Landed(leaf.cid, leaf.size, file, leaf.offset) for leaf in leaves]
        return self._note(rows, tree)

    def share_block(self, cid: Cid, data: bytes, tree: int = OWN) -> list[Landed]:
        """Add an inner node. The caller commits the returned rows."""
        return self._note([Landed(cid, len(data), data=data)], tree)

    def _note(self, rows: list[Landed], tree: int) -> list[Landed]:
        with self._lock:
            fresh = [row.cid for row in rows if row.cid not in self]
            self._shares.note(tree, (row.cid for row in rows), fresh)
            for row in rows:
                self._overlay[row.cid] = row
        return rows


def _set_back(last_at: float, rows: Sequence[tuple[int, float, bytes]]) -> list[tuple[int]]:
    """Return those of these entries whose time is earlier than that of the entry before."""
    found: list[tuple[int]] = []
    for seq, at, _ in rows:
        if at < last_at:
            found.append((seq,))
        last_at = at
    return found


def _check_size(tree: Tree, cid: Cid, spot: Spot, size: int) -> None:
    """Check that a leaf is as long as its place. Raises UnfitError."""
    if spot.size is not None and spot.size != size:
        raise UnfitError(tree.root, f"the leaf {cid} has {size:,} bytes, and should have {spot.size:,}")
