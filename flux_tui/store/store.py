"""The store: the series and the chunk index in one database, and the files with the bytes of chunks.

The bytes of a chunk are in one of three places:

- in the database: inner nodes and small loose chunks.
- in a file that is being fetched, at the chunk's offset. The download *is* the chunk store, so a file takes
  its size on disk once.
- in the user's own file, which was added or fetched, and is never copied.

Rules:

- Bytes are written first. Then one transaction commits the chunk's row together with the entry about the
  chunk.
- In this process, a chunk that is written but not committed counts as here (`chunks.size_of`). After a crash
  it is not here: it is fetched again, into the same place.
- One thread commits at a time. Other threads may write, place and read at the same time.

A store has a chunk index (`chunks`, which finds and reads chunks) and an object writer (`objects`, for
objects that are being fetched). This module commits entries, shares the user's own files, and removes
objects.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from operator import itemgetter
from pathlib import Path

from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes
from flux_tui.core.series.events import Event
from flux_tui.store.database import (
    DATABASE,
    UPSERT_CHUNK,
    NoRoomError,
    StoreError,
    UnfitError,
    explain,
    explain_os,
    open_writer,
    transaction,
)
from flux_tui.store.disk import file_io
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.disk.file_places import OWN
from flux_tui.store.disk.object_trees import HELD, Trees
from flux_tui.store.index.blocks_of_running_adds import AddsUnderWay
from flux_tui.store.index.chunk_index import ChunkIndex
from flux_tui.store.index.replica_removal import Evictions, RemovalCounts, tidy
from flux_tui.store.index.shared_files import SharedFiles, UnchangedFile
from flux_tui.store.index.staged_chunks import StagedChunks
from flux_tui.store.index.store_values import (
    Landed,
    Leaf,
    Lost,
    Placed,
    ReadResult,
    Shared,
    SharedFile,
    StoreErrors,
    Where,
    Whole,
)
from flux_tui.store.index.unshared_removal import FreedBlocks, Freeing, tidy_piped
from flux_tui.store.index.unshared_removal import tidy as tidy_freed
from flux_tui.store.segments.checkpoint_retention import StoredCheckpoint
from flux_tui.store.segments.series_files import SeriesFiles
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.writing.loose_chunks import LooseChunks
from flux_tui.store.writing.object_writer import ObjectWriter

__all__ = [
    "Landed",
    "Leaf",
    "Lost",
    "NoRoomError",
    "Placed",
    "ReadResult",
    "Shared",
    "SharedFile",
    "Store",
    "StoreError",
    "UnchangedFile",
    "UnfitError",
    "Whole",
]


class Store:
    """The store of one home: its series, chunk index and files. Hold the home's lock while it is open."""

    def __init__(self, home: Path, db: sqlite3.Connection, keep_free: int = 0) -> None:
        self.home = home
        self.path = home / DATABASE
        self.disk_space = DiskSpace(keep_free)
        self._db = db
        self._lock = threading.RLock()
        """Guards the connection, the trees and the index. It is hardly ever held during file I/O."""
        self._staged = StagedChunks(db, self._lock)
        self._trees = Trees(home, db, self._lock)
        self.chunks = ChunkIndex(self.path, db, self._lock, self._trees, self._staged)
        """The chunk index, which finds and reads chunks."""
        self._loose = LooseChunks(home, self.chunks, self._trees, self.disk_space)
        self.objects = ObjectWriter(
            home, db, self._lock, self._trees, self.chunks, self._loose, self.disk_space
        )
        """Objects that are being fetched."""
        self.last_seq = int(db.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])
        last = db.execute("SELECT at FROM entry WHERE seq = ?", (self.last_seq,)).fetchone()
        self.last_at = float(last[0]) if last is not None else 0.0
        """The time of the last entry."""
        self.series = SeriesFiles(home, db, self._lock)
        """The segments of the series, its checkpoints, and what is moved and dropped."""
        tidy(db)
        if not self._staged.has_rows:  # files of staged rows must not be taken for files without chunks
            tidy_freed(db)
        tidy_piped(home, db)
        self._evictions = Evictions(db, self._lock, self._trees, self.chunks, self._loose.set_apart)
        self._freeing = Freeing(home, db, self._lock, self._trees, self.chunks, self._loose.set_apart)
        self._shares = AddsUnderWay()
        self.lost_at_open = self._verify_after_power_loss()
        """Chunks that a power loss took: the node reports them in the series."""

    @classmethod
    def open(cls, home: Path, *, keep_free: int = 0) -> "Store":
        """Open a home's store, or create it. `keep_free`: bytes that stay free on the disk. Raises StoreError."""
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explain_os(error, home) from error
        db = open_writer(home / DATABASE)
        try:
            return cls(home, db, keep_free)
        except sqlite3.Error as error:
            db.close()
            raise explain(error, home / DATABASE) from error

    def close(self) -> None:
        """Close the store. After this, the store's own files need no check at the next start."""
        with self._lock:
            try:
                self._loose.flush()
                self._db.execute("INSERT OR REPLACE INTO meta VALUES ('closed', '1')")
                self._staged.merge()
            except (sqlite3.Error, OSError, StoreError):
                pass  # a full or broken disk: the next boot checks the files
            self._db.close()

    def reader(self) -> SeriesReader:
        """Return a reader of the series, with a database connection of its own."""
        return SeriesReader.open(self.path)

    # ── committing ──────────────────────────────────────────────────────────────────────────────

    def commit(
        self,
        events: Sequence[tuple[float, Event]],
        landed: Sequence[Landed] = (),
        lost: Sequence[Cid] = (),
        checkpoint: bytes | None = None,
    ) -> int:
        """Append entries, rows of written chunks and losses, all or nothing. Return the last entry's number.

        `checkpoint`: the bytes of `fold.snapshot` after the last entry; None: save no state now. Raises
        StoreError. Then nothing has changed, and the same call may be made again.
        """
        rows = [(self.last_seq + number, at, event) for number, (at, event) in enumerate(events, 1)]
        seq = self.last_seq + len(rows)
        with self._lock:
            try:
                landed = self.chunks.to_commit(landed)
                if any(cid in self._staged for cid in lost):
                    self._staged.merge()
                chosen = self._staged.choose(landed)
            except sqlite3.Error as error:
                raise explain(error, self.path) from error
            staged = [row for row in landed if row.cid in chosen]
            chunks = [
                (cid_bytes(row.cid), row.size, row.file, row.offset, row.data)
                for row in landed
                if row.cid not in chosen
            ]
            chunks.sort(key=itemgetter(0))  # the index takes many rows twice as fast in its own order
            saved = None if checkpoint is None else self.series.saved.prepare(seq, checkpoint)
            superfluous: Collection[StoredCheckpoint] = ()
            try:
                self._db.execute("BEGIN IMMEDIATE")
                size = self.series.rows.insert(rows)
                self._db.executemany("INSERT INTO set_back VALUES (?)", _set_back(self.last_at, rows))
                # A chunk that was lost and has arrived again since is here.
                gone = [(cid_bytes(cid),) for cid in lost]
                self._db.executemany("DELETE FROM chunk WHERE cid = ?", gone)
                self._db.executemany("DELETE FROM spare WHERE cid = ?", gone)
                self._db.executemany(UPSERT_CHUNK, chunks)
                self._staged.insert(staged)
                if saved is not None:
                    superfluous = self.series.saved.insert(self._db, saved, self.series.packed_last)
                self._db.execute("COMMIT")
            except BaseException as error:  # an interrupted command goes on to clean up
                self.series.rows.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise explain(error, self.path) from error
                raise
            if saved is not None:
                self.series.saved.inserted(saved, superfluous)
            self.series.appended(size)
            self._staged.inserted(staged)
            self.chunks.committed(landed, lost)
        self.last_seq = seq
        self.last_at = rows[-1][1] if rows else self.last_at
        with suppress(sqlite3.Error):  # the rows are committed, and are merged another time
            self._staged.merge_due()
        return seq

    @property
    def has_staged(self) -> bool:
        """Whether rows of chunks wait to be merged into the index."""
        return self._staged.has_rows

    def merge_staged(self) -> None:
        """Merge the staged rows of chunks into the index, if none came since the last call. Raises StoreError."""
        with self._guarded(self.path):
            self._staged.merge_quiet()

    # ── a state that is being computed ──────────────────────────────────────────────────────────

    def save_partial(self, state: bytes | None) -> None:
        """Save a state before the last entry, as `fold.snapshot` gives it; None: delete the one that is saved.

        It is no checkpoint: who computes the last state goes on with it after a restart. Raises StoreError.
        """
        with self._guarded(self.home), self._lock:
            self._db.execute("DELETE FROM meta WHERE name = 'partial'")
            if state is not None:
                self._db.execute("INSERT INTO meta VALUES ('partial', ?)", (state,))

    def partial(self) -> bytes | None:
        """Return the state that `save_partial` saved. Raises StoreError."""
        with self._guarded(self.home), self._lock:
            row = self._db.execute("SELECT value FROM meta WHERE name = 'partial'").fetchone()
        return None if row is None else bytes(row[0])

    # ── replicas that are held for others ───────────────────────────────────────────────────────

    def evict(self, root: Cid, path: Path, others: Iterable[Cid]) -> RemovalCounts:
        """Remove the replica of object `root` at `path`, except the blocks that the objects `others` contain.

        Return how many chunks were forgotten, and their bytes. Raises StoreError.
        """
        with self._guarded(path), self._staged.paused():
            return self._evictions.evict(root, path, others)

    def discard(self, root: Cid, path: Path, others: Iterable[Cid]) -> RemovalCounts:
        """Remove the fetched blocks of an object that can never be finished at `path`, and its unfinished files.

        Blocks that the objects `others` contain stay. A finished file at `path` stays, too. Return how many
        chunks were forgotten, and their bytes. Raises StoreError.
        """
        with self._guarded(path), self._staged.paused():
            return self._evictions.discard(root, path, others)

    # ── objects that are no longer shared ───────────────────────────────────────────────────────

    def free(self, root: Cid, mark: int, others: Collection[Cid], paths: Collection[str]) -> FreedBlocks:
        """Forget the blocks that only the object `root` contains, and return them. Raises StoreError.

        `mark`: the number of the entry that removed the object. `others` and `paths`: the other objects, and
        their paths.
        """
        with self._guarded(self.home), self._staged.paused():
            return self._freeing.free(root, mark, others, paths, self._shares.has)

    def end_share(
        self, tree: int, *, keep: bool, others: Collection[Cid] = (), path: str | None = None
    ) -> None:
        """End the adding of a file or folder that was to be shared. `tree`: the handle from `share_tree`.

        `keep` true: its blocks stay. Otherwise forget the blocks that it brought, and, unless `path` is None,
        those indexed in the user's files at `path`; but not blocks that the objects `others` contain. Raises
        StoreError.
        """
        with self._lock:
            fresh = self._shares.end(tree)
        if path is not None:
            self.chunks.merge_staged()
            query = (
                "SELECT cid FROM chunk JOIN file ON file.id = chunk.file JOIN tree ON tree.id = file.tree"
                " WHERE tree.root = '' AND tree.path = ?"
            )
            fresh |= {cid_from_bytes(row[0]) for row in self.chunks.rows(query, path)}
        if not keep and fresh:
            with self._guarded(self.home), self._staged.paused():
                self._freeing.forget(fresh, others, self._shares.has)

    def claim(self, cid: Cid) -> None:
        """Keep a chunk that the user wants by itself. Raises StoreError.

        If its bytes are in a replica, copy them to a place of the chunk's own, because the replica may be
        removed. Otherwise do nothing.
        """
        with self._guarded(self.home):
            place = self.chunks.file_of(cid)
            if place is not None and place.is_relative_to(self.home / HELD):
                self._loose.set_apart(cid)

    def _verify_after_power_loss(self) -> list[Lost]:
        """Check the files that a power loss may have damaged. Return the chunks that were lost.

        The death of a process damages nothing, so files are checked only after the machine was booted again:
        unfinished files, and, unless the store was closed in order, the store's own files of large loose
        chunks. A finished object was flushed to the device before it got its name.
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
            "SELECT cid, chunk.size, chunk.file, chunk.offset FROM"
            " (SELECT cid, size, file, offset FROM chunk"  # and staged rows that could not be merged
            " UNION ALL SELECT cid, size, file, offset FROM chunk_staged) AS chunk"
            " JOIN file ON file.id = chunk.file JOIN tree ON tree.id = file.tree"
            " WHERE tree.part IS NOT NULL OR (tree.id = ? AND NOT ?)"
            " ORDER BY chunk.file, chunk.offset",
            (OWN, closed),
        ).fetchall()
        for key, size, file, offset in rows:
            cid = cid_from_bytes(key)
            path = self._trees.locate(file).path
            where = Where(size, file, offset, None)
            if not file_io.holds(path, offset, size, cid) and self.chunks.look_elsewhere(
                [(cid, where)], {}, True
            ):
                why = f"{path} lost {size} bytes when the machine went down"
                lost.append(Lost(path, (cid,), size, why, self._trees.replica_of(file)))
        return lost

    # ── the user's own files ────────────────────────────────────────────────────────────────────

    def share_tree(self, root_path: Path) -> int:
        """Begin to share a file or folder of the user's where it is, without copying it.

        Return a handle for `share_file` and `end_share`.
        """
        with self._guarded(root_path), self._lock:
            tree = self._trees.share(root_path)
            self._shares.begin(tree)
            return tree

    def share_file(self, tree: int, rel: str, stat: FileStat, leaves: Sequence[Leaf]) -> list[Landed]:
        """Index the chunks of one shared file where they are, in the user's file.

        The caller commits the returned rows. `tree`: the handle from `share_tree`. `rel`: the file's path in
        the shared folder.
        """
        return self.share(tree, [SharedFile(rel, stat, leaves)]).rows

    def share_block(self, cid: Cid, data: bytes, tree: int = OWN) -> list[Landed]:
        """Index an inner node of a shared object; its bytes go into the store.

        The caller commits the returned rows. `tree`: the handle from `share_tree`, so that a cancelled add
        can forget the block; by default, the block belongs to no add.
        """
        return self.share(tree, (), [(cid, data)]).rows

    def share(
        self, tree: int, files: Sequence[SharedFile], blocks: Sequence[tuple[Cid, bytes]] = ()
    ) -> Shared:
        """Index chunks of shared files where they are, and inner nodes, all in one transaction.

        `tree`: the handle from `share_tree`, or OWN for blocks that belong to no add. The caller commits the
        returned rows. Raises StoreError.
        """
        with self._guarded(self.path), self._lock:
            numbers: Sequence[int] = ()
            if files:
                with transaction(self._db):
                    numbers = self._shared_files(tree).insert(files)
            rows = [
                Landed(cid, size, number, offset)
                for file, number in zip(files, numbers, strict=True)
                for cid, offset, size in file.leaves
            ]
            rows += [Landed(cid, len(data), data=data) for cid, data in blocks]
            lacking = self.chunks.lacking(row.cid for row in rows)
            fresh = {row.cid: row.size for row in rows if row.cid in lacking}
            self._shares.note(tree, (row.cid for row in rows), fresh)
            self.chunks.written(rows)
        return Shared(rows, fresh)

    def shared_before(self, root_path: Path) -> bool:
        """Return whether this file or folder of the user's was shared before. Raises StoreError."""
        with self._guarded(root_path):
            return self._trees.shared(root_path) is not None

    def unchanged(
        self,
        tree: int,
        files: Sequence[tuple[str, os.stat_result]],
        stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, UnchangedFile]:
        """Return those of these files that need not be read again; see `SharedFiles.unchanged`. Raises StoreError."""
        with self._guarded(self.path):
            return self._shared_files(tree).unchanged(files, stop)

    def _shared_files(self, tree: int) -> SharedFiles:
        return SharedFiles(self._db, self._lock, self.chunks, self._shares, tree)

    def _guarded(self, path: Path) -> StoreErrors:
        return StoreErrors(self.path, path)


def _set_back(last_at: float, rows: Sequence[tuple[int, float, Event]]) -> list[tuple[int]]:
    """Return the numbers of the entries whose time is earlier than that of the entry before, as rows to insert.

    `last_at`: the time of the entry before the first one.
    """
    found: list[tuple[int]] = []
    for seq, at, _ in rows:
        if at < last_at:
            found.append((seq,))
        last_at = at
    return found
