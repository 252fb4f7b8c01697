"""The chunk index: which chunks are here, where their bytes are stored, and how they are read.

- A chunk that is written but not committed counts as here. A chunk that was found to be lost does not.
- A chunk may be in several files of the user's. It is lost only when none of them has its bytes any more.
- If a look-up finds that the database is damaged, the chunk counts as not here. `take_damages` reports each
  damage once, and the node goes on with the chunks that can be read.

Other modules insert and delete the rows: `store/store.py` when entries are committed, `replica_removal.py` and
`unshared_removal.py` when objects are removed. They call `written`, `committed` and `forget` of the index.
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
from flux_tui.store.database import StoreError, explain
from flux_tui.store.disk import file_io
from flux_tui.store.disk.file_places import FilePlace
from flux_tui.store.disk.object_trees import Trees
from flux_tui.store.index.staged_chunks import StagedChunks
from flux_tui.store.index.store_values import Landed, Lost, ReadResult, StoreErrors, Where

LOOKED_UP = 500
"""Chunks that one query looks up."""
SIZES_KEPT = 100_000
"""Chunk sizes kept in memory, some 20 MB: a busy node is asked for the same ones again and again."""


class ChunkIndex:
    """Finds and reads the chunks of one home, in the database and in the files where the chunks are stored."""

    def __init__(
        self, path: Path, db: sqlite3.Connection, lock: threading.RLock, trees: Trees, staged: StagedChunks
    ) -> None:
        """Make the index of the database at `path`, whose connection is `db`.

        `lock` guards the connection, `trees`, `staged` and this index.
        """
        self._path = path
        self._db = db
        self._lock = lock
        self._trees = trees
        self._staged = staged
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
        """Return the size in bytes of a chunk that is here. None: the chunk is not here."""
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

    def lacking(self, cids: Iterable[Cid], *, committed: bool = False) -> set[Cid]:
        """Return those of these chunks that are not here, or cannot be looked up. One query looks up many.

        `committed`: only chunks whose rows are committed count as here.
        """
        missing: set[Cid] = set()
        asked: dict[bytes, Cid] = {}
        for cid in cids:
            if not committed and (cid in self._sizes or cid in self._overlay):
                continue
            if cid in self._gone:
                missing.add(cid)
            elif cid not in self._staged:
                asked[cid_bytes(cid)] = cid
        keys = list(asked)
        for start in range(0, len(keys), LOOKED_UP):
            some = keys[start : start + LOOKED_UP]
            marks = ",".join("?" * len(some))
            query = f"SELECT cid FROM chunk WHERE cid IN ({marks})"  # noqa: S608 - question marks only
            try:
                here = self.rows(query, *some)
            except StoreError as error:
                self._note_damage(error)
                here = []
            missing.update(asked[key] for key in set(some).difference(row[0] for row in here))
        return missing

    def counts(self) -> tuple[int, int]:
        """Return how many chunks are committed here, and their bytes together. Raises StoreError."""
        self.merge_staged()
        ((count, size),) = self.rows("SELECT count(*), coalesce(sum(size), 0) FROM chunk")
        return int(count), int(size)

    def cids(self) -> Iterator[Cid]:
        """Return the CIDs of all chunks that are committed here. Raises StoreError."""
        self.merge_staged()
        return (cid_from_bytes(row[0]) for row in self.rows("SELECT cid FROM chunk"))

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    @overload
    def read(self, cids: Sequence[Cid]) -> ReadResult: ...

    @overload
    def read(self, cids: Sequence[Cid], *, wait: bool) -> ReadResult | None: ...

    def read(self, cids: Sequence[Cid], *, wait: bool = True) -> ReadResult | None:
        """Read these chunks. A chunk that is not here is left out of the result.

        Each chunk returned matches its CID; chunks that do not match any more are returned as lost. Call it
        in a worker thread. With `wait` false, call it in the node's loop: it returns None if it would have to
        wait for a disk.
        """
        found: dict[Cid, bytes] = {}
        lost: list[Lost] = []
        by_file: dict[int, list[tuple[Cid, Where]]] = {}
        for cid, where in self._where_all(cids).items():
            if where.file is None:
                found[cid] = where.data or b""
            else:
                by_file.setdefault(where.file, []).append((cid, where))
        places = self._locate_all(list(by_file))
        for file, wanted in by_file.items():
            try:
                self._read_file(file, places.get(file), wanted, found, lost, wait)
            except BlockingIOError:
                return None
            except StoreError as error:
                self._note_damage(error)
        return ReadResult([(cid, found[cid]) for cid in cids if cid in found], lost)

    def read_block(self, cid: Cid) -> bytes | None:
        """Return the bytes of one chunk, such as an inner node. None: it is not here, or its bytes are lost."""
        result = self.read([cid])
        return result.chunks[0][1] if result.chunks else None

    def has_at(self, cid: Cid, file: int, offset: int, size: int) -> bool:
        """Return whether a file has the bytes of chunk `cid` at this offset, checked by their hash.

        `file`: its row number.
        """
        try:
            return file_io.holds(self._locate(file).path, offset, size, cid)
        except StoreError:
            return False

    def file_of(self, cid: Cid) -> Path | None:
        """Return the path of the file that has a chunk. None: the chunk is in the database, or is not here."""
        where = self.where(cid)
        if where is None or where.file is None:
            return None
        with self._lock:
            return self._trees.locate(where.file).path

    # ── what changes ────────────────────────────────────────────────────────────────────────────

    def written(self, rows: Iterable[Landed]) -> None:
        """Count these chunks as here: their bytes are written, but their rows are not committed yet."""
        with self._lock:
            for row in rows:
                self._overlay[row.cid] = row

    def is_gone(self, file: int | None) -> bool:
        """Return whether a file was removed with a replica, perhaps while a chunk was being written to it.

        `file`: its row number. None: the chunk is in the database, so no file was removed, and the result is
        False.
        """
        return file in self._gone_files

    def to_commit(self, rows: Iterable[Landed]) -> list[Landed]:
        """Return those of `rows` whose files were not removed since the chunks were written."""
        return [row for row in rows if row.file not in self._gone_files]

    def committed(self, rows: Iterable[Landed], lost: Iterable[Cid]) -> None:
        """Note that these rows and these losses were committed.

        A chunk that was lost and has been received again counts as here.
        """
        with self._lock:
            for cid in lost:
                self._sizes.pop(cid, None)
                self._gone.discard(cid)
            # Those that are staged were noted before: there is no moment when a look-up finds none.
            for row in rows:
                if self._overlay.get(row.cid) is row:
                    del self._overlay[row.cid]
                self._remember(row.cid, row.size)

    def mark_lost(self, cid: Cid) -> None:
        """Count a chunk as not here from now on. Its loss is not committed yet."""
        with self._lock:
            self._sizes.pop(cid, None)
            self._overlay.pop(cid, None)
            self._gone.add(cid)

    def move(self, row: Landed) -> None:
        """Put `row` in place of the chunk's row, because the chunk's bytes are at another place now.

        If the chunk has no row, `row` is added. Raises sqlite3.Error.
        """
        with self._lock:
            self._overlay.pop(row.cid, None)
            if row.cid in self._staged:
                self._staged.merge()
            self._db.execute(
                "INSERT INTO chunk VALUES (?, ?, ?, ?, ?) ON CONFLICT (cid) DO UPDATE"
                " SET file = excluded.file, offset = excluded.offset, data = excluded.data",
                (cid_bytes(row.cid), row.size, row.file, row.offset, row.data),
            )

    def forget(self, cids: Iterable[Cid], files: Collection[int]) -> None:
        """Forget the chunks `cids`, and all chunks that are being written to the removed files `files`.

        `files`: their row numbers.
        """
        with self._lock:
            self._gone_files.update(files)
            landing = [row.cid for row in self._overlay.values() if row.file in files]
            for cid in (*cids, *landing):
                self._sizes.pop(cid, None)
                self._overlay.pop(cid, None)

    def uncommitted_in(self, files: Collection[int]) -> bool:
        """Return whether one of these files has a chunk that is written but not committed.

        `files`: their row numbers.
        """
        return any(row.file in files for row in self._overlay.values())

    # ── damage ──────────────────────────────────────────────────────────────────────────────────

    def take_damages(self) -> list[StoreError]:
        """Return the damages of the database that look-ups found since the last call.

        Any thread may call this. Each kind of damage is returned only once.
        """
        with self._lock:
            found = list(self._damages.values())
            self._told.update(self._damages)
            self._damages.clear()
        return found

    # ── looking up ──────────────────────────────────────────────────────────────────────────────

    def _read_file(
        self,
        file: int,
        place: FilePlace | None,
        wanted: list[tuple[Cid, Where]],
        found: dict[Cid, bytes],
        lost: list[Lost],
        wait: bool,
    ) -> None:
        """Read chunks from one file into `found`. `place`: where it is; None: it is not looked up yet.

        Chunks that are nowhere any more are appended to `lost`. Raises StoreError; BlockingIOError if `wait` is false.
        """
        place = place or self._locate(file)
        bad: list[tuple[Cid, Where]] = []
        why = "was changed since it was shared: its changed parts are not sent any more"
        try:
            try:
                opened = open_regular(place.name)
            except FileNotFoundError:
                place = self._locate(file)  # perhaps it was renamed just now
                opened = open_regular(place.name)
            try:
                stat = place.stat
                trusted = not place.doubtful and (stat is None or stat.proves(file_io.stat_of(opened)))
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
            lost.append(Lost(place.path, cids, size, f"{place.path} {why}", self._replica_of(file)))

    def look_elsewhere(
        self, bad: list[tuple[Cid, Where]], found: dict[Cid, bytes], wait: bool
    ) -> list[tuple[Cid, Where]]:
        """Look in other files for the chunks `bad`, whose bytes are not where the index says.

        Put the bytes of those found into `found`, and change the index. Return the items of `bad` that were not
        found. `wait` false: raises BlockingIOError instead of waiting for a disk.
        """
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
            for file, offset in (*places, *self._staged.others(cid, where.file)):
                try:
                    with open_unbuffered(self._locate(file).path) as opened:
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
        """Return where the bytes of a chunk are stored. None: the chunk is not here."""
        landed = self._overlay.get(cid)
        if landed is not None:
            return Where(landed.size, landed.file, landed.offset, landed.data)
        if cid in self._gone:
            return None
        try:
            with StoreErrors(self._path, self._path):
                staged = self._staged.where(cid)
            if staged is not None:
                return staged
            rows = self.rows("SELECT size, file, offset, data FROM chunk WHERE cid = ?", cid_bytes(cid))
        except ValueError:
            return None
        except StoreError as error:
            self._note_damage(error)
            return None
        return Where(*rows[0]) if rows else None

    def _where_all(self, cids: Sequence[Cid]) -> dict[Cid, Where]:
        """Return where the bytes of these chunks are stored. Chunks that are not here are left out.

        One query looks up many of them. Where it finds the database damaged, each chunk is looked up alone.
        """
        found: dict[Cid, Where | None] = {}
        asked: dict[bytes, Cid] = {}
        for cid in cids:
            found[cid] = None
            if cid in self._overlay or cid in self._gone or cid in self._staged or len(cids) == 1:
                found[cid] = self.where(cid)
            else:
                with contextlib.suppress(ValueError):
                    asked[cid_bytes(cid)] = cid
        keys = list(asked)
        for start in range(0, len(keys), LOOKED_UP):
            some = keys[start : start + LOOKED_UP]
            marks = ",".join("?" * len(some))
            query = f"SELECT cid, size, file, offset, data FROM chunk WHERE cid IN ({marks})"  # noqa: S608 - question marks
            try:
                for key, *where in self.rows(query, *some):
                    found[asked[key]] = Where(*where)
            except StoreError:
                for key in some:
                    found[asked[key]] = self.where(asked[key])
        return {cid: where for cid, where in found.items() if where is not None}

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a database query and return its rows. Raises StoreError."""
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def merge_staged(self) -> None:
        """Merge all staged rows, so that the table `chunk` has all committed chunks. Raises StoreError."""
        try:
            self._staged.merge()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _locate_all(self, files: Sequence[int]) -> dict[int, FilePlace]:
        """Return where these files are. Those are left out that have no row, or whose rows cannot be read."""
        try:
            with self._lock:
                return self._trees.locate_all(files)
        except sqlite3.Error:
            return {}  # looking each of them up alone tells which is damaged

    def _locate(self, file: int) -> FilePlace:
        """Return where a file is. Raises StoreError."""
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
        """Remember a damage of the database once, although look-ups meet the same damage again and again."""
        with self._lock:
            if str(error) not in self._told:
                self._damages[str(error)] = error

    def _remember(self, cid: Cid, size: int) -> None:
        if len(self._sizes) >= SIZES_KEPT:
            self._sizes.clear()
        self._sizes[cid] = size
