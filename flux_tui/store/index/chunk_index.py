"""The chunk index: which chunks are here, where their bytes are, and reading them.

- A chunk that is written but not committed counts as here. A chunk that was found to be lost does not.
- A chunk may stand in several files of the user's. It is lost only when none of them has it any more.
- If the database turns out to be damaged at a look-up, the chunk counts as not here. `take_damages` tells of it
  once, and the node goes on with what can be read.

Rows are inserted and deleted by others: `store/store.py` when entries are committed, `evicting.py` and
`freeing.py` when objects go. They tell the index by `written`, `committed` and `forget`.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes, matches
from flux_tui.regular_files import open_regular, open_unbuffered
from flux_tui.store.disk import file_io
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.disk.object_trees import Trees
from flux_tui.store.index.records import Landed, Lost, ReadResult, Where
from flux_tui.store.schema import StoreError, explain

SIZES_KEPT = 100_000
"""Chunk sizes kept in memory, some 20 MB: a busy node is asked for the same ones again and again."""


class ChunkIndex:
    """The chunk index of one home, and the files that it points into."""

    def __init__(self, path: Path, db: sqlite3.Connection, lock: threading.RLock, trees: Trees) -> None:
        """Args: the database's path and connection; the lock of the connection, the trees and this index; the trees."""
        self._path = path
        self._db = db
        self._lock = lock
        self._trees = trees
        self._overlay: dict[Cid, Landed] = {}
        """Chunks that are written, but not committed."""
        self._gone: set[Cid] = set()
        """Chunks that were found to be lost; the loss is not committed."""
        self._gone_files: set[int] = set()
        """Files of removed replicas. Chunks that were landing in them meanwhile are not there."""
        self._sizes: dict[Cid, int] = {}
        self._damages: dict[str, StoreError] = {}
        self._told: set[str] = set()
        """Damages that were taken, as sentences."""

    # ── what is here ────────────────────────────────────────────────────────────────────────────

    def size_of(self, cid: Cid) -> int | None:
        """Return the bytes of a chunk that is here; None: it is not."""
        size = self._sizes.get(cid)
        if size is not None:
            return size
        where = self.where(cid)
        if where is None:
            return None
        self._remember(cid, where.size)
        return where.size

    def __contains__(self, cid: Cid) -> bool:
        return self.size_of(cid) is not None

    def counts(self) -> tuple[int, int]:
        """Return the number of chunks, and of their bytes. Raises StoreError."""
        ((count, size),) = self.rows("SELECT count(*), coalesce(sum(size), 0) FROM chunk")
        return int(count), int(size)

    def cids(self) -> Iterator[Cid]:
        """Return every chunk that is here. Raises StoreError."""
        return (cid_from_bytes(row[0]) for row in self.rows("SELECT cid FROM chunk"))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    @overload
    def read(self, cids: Sequence[Cid]) -> ReadResult: ...

    @overload
    def read(self, cids: Sequence[Cid], *, wait: bool) -> ReadResult | None: ...

    def read(self, cids: Sequence[Cid], *, wait: bool = True) -> ReadResult | None:
        """Return the bytes of these chunks. Each matches its CID, or is reported as lost.

        For a worker thread. With `wait` false it is for the node's loop, and returns None if it would have to
        wait for a disk.
        """
        found: dict[Cid, bytes] = {}
        lost: list[Lost] = []
        by_file: dict[int, list[tuple[Cid, Where]]] = {}
        for cid in cids:
            where = self.where(cid)
            if where is None:
                continue
            if where.file is None:
                found[cid] = where.data or b""
            else:
                by_file.setdefault(where.file, []).append((cid, where))
        for file, wanted in by_file.items():
            try:
                self._read_file(file, wanted, found, lost, wait)
            except BlockingIOError:
                return None
            except StoreError as error:
                self._note_damage(error)
        return ReadResult([(cid, found[cid]) for cid in cids if cid in found], lost)

    def read_block(self, cid: Cid) -> bytes | None:
        """Return an inner node, or any one chunk."""
        result = self.read([cid])
        return result.chunks[0][1] if result.chunks else None

    def has_at(self, cid: Cid, file: int, offset: int, size: int) -> bool:
        """Whether a chunk's bytes stand there."""
        try:
            return file_io.holds(self._locate(file)[0], offset, size, cid)
        except StoreError:
            return False

    def file_of(self, cid: Cid) -> Path | None:
        """Return the file that a chunk is in; None: it is inline, or not here."""
        where = self.where(cid)
        if where is None or where.file is None:
            return None
        with self._lock:
            return self._trees.locate(where.file)[0]

    # ── what changes ────────────────────────────────────────────────────────────────────────────

    def written(self, rows: Iterable[Landed]) -> None:
        """Count these chunks as here: their bytes are written, their rows are not committed."""
        with self._lock:
            for row in rows:
                self._overlay[row.cid] = row

    def is_gone(self, file: int | None) -> bool:
        """Whether a file went with a replica while a chunk was written to it."""
        return file in self._gone_files

    def to_commit(self, rows: Iterable[Landed]) -> list[Landed]:
        """Return those of these rows whose files are still there."""
        return [row for row in rows if row.file not in self._gone_files]

    def committed(self, rows: Iterable[Landed], lost: Iterable[Cid]) -> None:
        """These rows are committed, and these losses. A chunk that was lost and came again since is here."""
        with self._lock:
            for cid in lost:
                self._sizes.pop(cid, None)
                self._gone.discard(cid)
            for row in rows:
                if self._overlay.get(row.cid) is row:
                    del self._overlay[row.cid]
                self._remember(row.cid, row.size)

    def mark_lost(self, cid: Cid) -> None:
        """Count a chunk as not here any more, before its loss is committed."""
        with self._lock:
            self._sizes.pop(cid, None)
            self._overlay.pop(cid, None)
            self._gone.add(cid)

    def move(self, row: Landed) -> None:
        """Index a chunk at another place from now on. Raises sqlite3.Error."""
        with self._lock:
            self._overlay.pop(row.cid, None)
            self._db.execute(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?) ON CONFLICT (cid) DO UPDATE"
                " SET file = excluded.file, offset = excluded.offset, data = excluded.data",
                (cid_bytes(row.cid), row.size, row.file, row.offset, row.data),
            )

    def forget(self, cids: Iterable[Cid], files: Collection[int]) -> None:
        """Forget these chunks, and all chunks in these files."""
        with self._lock:
            self._gone_files.update(files)
            landing = [row.cid for row in self._overlay.values() if row.file in files]
            for cid in (*cids, *landing):
                self._sizes.pop(cid, None)
                self._overlay.pop(cid, None)

    def uncommitted_in(self, files: Collection[int]) -> bool:
        """Whether a chunk is written to one of these files and not committed."""
        return any(row.file in files for row in self._overlay.values())

    # ── damage ──────────────────────────────────────────────────────────────────────────────────

    def take_damages(self) -> list[StoreError]:
        """Take the damages of the database that look-ups found, each kind once. For any thread."""
        with self._lock:
            found = list(self._damages.values())
            self._told.update(self._damages)
            self._damages.clear()
        return found

    # ── looking up ──────────────────────────────────────────────────────────────────────────────

    def _read_file(
        self,
        file: int,
        wanted: list[tuple[Cid, Where]],
        found: dict[Cid, bytes],
        lost: list[Lost],
        wait: bool,
    ) -> None:
        path, stat, doubtful = self._locate(file)
        bad: list[tuple[Cid, Where]] = []
        why = "was changed since it was shared: its changed parts are not sent any more"
        try:
            try:
                opened = open_regular(path)
            except FileNotFoundError:
                path, stat, doubtful = self._locate(file)  # perhaps it was renamed just now
                opened = open_regular(path)
            try:
                trusted = not doubtful and (stat is None or stat.proves(file_io.stat_of(opened)))
                for cid, where in wanted:
                    data = file_io.read_at(opened, where.offset or 0, where.size, wait=wait)
                    if len(data) == where.size and (trusted or matches(cid, data)):
                        found[cid] = data
                    else:
                        bad.append((cid, where))
            finally:
                os.close(opened)
        except BlockingIOError:
            raise
        except FileNotFoundError:
            bad = [item for item in wanted if item[0] not in found]
            why = "is gone: its chunks cannot be sent any more"
        except OSError as error:
            bad = [item for item in wanted if item[0] not in found]
            why = f"cannot be read ({(error.strerror or str(error)).lower()})"
        if bad and (bad := self.look_elsewhere(bad, found, wait)):
            size = sum(where.size for _, where in bad)
            cids = tuple(cid for cid, _ in bad)
            lost.append(Lost(path, cids, size, f"{path} {why}", self._replica_of(file)))

    def look_elsewhere(
        self, bad: list[tuple[Cid, Where]], found: dict[Cid, bytes], wait: bool
    ) -> list[tuple[Cid, Where]]:
        """Look in other files for chunks that are not at their indexed place. Returns those that were not found."""
        moved: list[tuple[int, int, bytes]] = []
        rest: list[tuple[Cid, Where]] = []
        for cid, where in bad:
            key = cid_bytes(cid)
            places = self.rows(
                "SELECT file, offset FROM chunk WHERE cid = ?1 AND file != ?2"
                " UNION ALL SELECT file, offset FROM spare WHERE cid = ?1 AND file != ?2",
                key,
                where.file,
            )
            for file, offset in places:
                try:
                    with open_unbuffered(self._locate(file)[0]) as opened:
                        data = file_io.read_at(opened.fileno(), offset, where.size, wait=wait)
                except BlockingIOError:
                    raise
                except OSError:
                    continue
                if matches(cid, data):
                    found[cid] = data
                    moved.append((file, offset, key))
                    break
            else:
                rest.append((cid, where))
        if moved:
            # The next look-up finds it at once. Where this cannot be written, it is searched again.
            with self._lock, contextlib.suppress(sqlite3.Error):
                self._db.executemany("UPDATE chunk SET file = ?, offset = ? WHERE cid = ?", moved)
        return rest

    def where(self, cid: Cid) -> Where | None:
        """Return where a chunk's bytes are; None: it is not here."""
        landed = self._overlay.get(cid)
        if landed is not None:
            return Where(landed.size, landed.file, landed.offset, landed.data)
        if cid in self._gone:
            return None
        try:
            rows = self.rows("SELECT size, file, offset, data FROM chunk WHERE cid = ?", cid_bytes(cid))
        except ValueError:
            return None
        except StoreError as error:
            self._note_damage(error)
            return None
        return Where(*rows[0]) if rows else None

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises StoreError."""
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _locate(self, file: int) -> tuple[Path, FileStat | None, bool]:
        """Return where a file is, the stat that proves that it is unchanged, and whether its bytes must be checked."""
        try:
            with self._lock:
                return self._trees.locate(file)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _replica_of(self, file: int) -> Cid | None:
        try:
            with self._lock:
                return self._trees.replica_of(file)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _note_damage(self, error: StoreError) -> None:
        """Note each kind of damage once: the same damaged page is met again and again."""
        with self._lock:
            if str(error) not in self._told:
                self._damages[str(error)] = error

    def _remember(self, cid: Cid, size: int) -> None:
        if len(self._sizes) >= SIZES_KEPT:
            self._sizes.clear()
        self._sizes[cid] = size
