"""Reads the blocks of a home in any process, while its node runs or not. It changes nothing.

The reader sees blocks that are committed. Bytes are returned only if they match their CID: they are hashed, unless
the stat of their file proves that nobody changed it since they were hashed. A block whose bytes are wrong or gone
counts as not here; only the node notes that it is lost.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid, cid_bytes, matches
from flux_tui.regular_files import open_regular
from flux_tui.store.database import DATABASE, explain, has_table, open_reader
from flux_tui.store.disk import file_io
from flux_tui.store.disk.file_places import KEPT, FilePlace, locate

SQL_AT_ONCE = 500
"""Blocks that are looked up in one query."""


class Extent(NamedTuple):
    """A range of a file that has the bytes of one block, as long as the file's stat is `stat`."""

    path: Path
    offset: int
    size: int
    stat: file_io.FileStat | None
    """None: only the home's node writes to the file, and it changes no bytes of a block that is here."""


class _Row(NamedTuple):
    cid: Cid
    size: int
    file: int | None
    offset: int
    data: bytes | None


class BlockReader:
    """Reads the blocks of one home. Any thread may use it."""

    def __init__(self, home: Path, db: sqlite3.Connection) -> None:
        self._home = home
        self._db = db
        self._lock = threading.Lock()
        """Guards the connection. It is not held while files are read."""
        self._last_file = self._newest_file()
        """The number of the newest file when the reader was opened. A file with a higher number is newer."""

    @classmethod
    def open(cls, home: Path) -> "BlockReader":
        """Open the database of a home. Raises StoreError."""
        return cls(home, open_reader(home / DATABASE))

    def close(self) -> None:
        """Close the database connection."""
        with self._lock:
            self._db.close()

    def size_of(self, cid: Cid) -> int | None:
        """Return the bytes of a block as the index says; None: it is not here. Raises StoreError."""
        rows = self._rows((cid,))
        return rows[cid].size if rows else None

    def read(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """Return the bytes of those of these blocks that are here. Raises StoreError."""
        found: dict[Cid, bytes] = {}
        by_file: dict[int, list[_Row]] = {}
        for row in self._rows(cids).values():
            if row.file is not None:
                by_file.setdefault(row.file, []).append(row)
            elif row.data is not None and matches(row.cid, row.data):
                found[row.cid] = row.data
        for file, rows in by_file.items():
            self._read_file(file, rows, found)
        return found

    def extents(self, cids: Sequence[Cid], *, arriving: bool = False) -> dict[Cid, Extent]:
        """Return where files have the bytes of these blocks, proved by their stats. The others are left out.

        `arriving`: also where unfinished files have them that the node began in the home's own folder since this
        reader was opened. The node verified their blocks before it wrote them, and no power loss came since.

        Raises StoreError.
        """
        found: dict[Cid, Extent] = {}
        proved: dict[int, tuple[Path, file_io.FileStat | None] | None] = {}
        for row in self._rows(cids).values():
            if row.file is None:
                continue
            if row.file not in proved:
                proved[row.file] = self._proved(row.file, arriving=arriving)
            if (file := proved[row.file]) is not None:
                found[row.cid] = Extent(file[0], row.offset, row.size, file[1])
        return found

    def _newest_file(self) -> int:
        try:
            (newest,) = self._db.execute("SELECT coalesce(max(id), 0) FROM file").fetchone()
        except sqlite3.Error as error:
            raise explain(error, self._home / DATABASE) from error
        return int(newest)

    def _proved(self, file: int, *, arriving: bool) -> tuple[Path, file_io.FileStat | None] | None:
        """Return a file and its stat, if the file still has that stat. `arriving`: see `extents`."""
        place = self._locate(file)
        if (
            arriving
            and file > self._last_file
            and place.stat is None
            and place.path.is_relative_to(self._home / KEPT)
        ):
            return place.path, None
        try:
            if place.doubtful or place.stat is None or not place.stat.proves(os.stat(place.name)):
                return None
        except OSError:
            return None
        return place.path, place.stat

    def _read_file(self, file: int, rows: Iterable[_Row], found: dict[Cid, bytes]) -> None:
        rest = self._read_at(file, rows, found)
        for row in rest:
            for other, offset in self._spares(row):
                if not self._read_at(other, [row._replace(offset=offset)], found):
                    break

    def _read_at(self, file: int, rows: Iterable[_Row], found: dict[Cid, bytes]) -> list[_Row]:
        """Read blocks from one file into `found`. Return those whose bytes are not there."""
        rest = list(rows)
        for _ in range(2):  # it may have been renamed between the look-up and the opening
            place = self._locate(file)
            try:
                opened = open_regular(place.name)
            except FileNotFoundError:
                continue
            except OSError:
                return rest
            try:
                stat = None if place.doubtful else place.stat
                trusted = stat is not None and stat.proves(os.fstat(opened))
                wrong = []
                for row in rest:
                    data = file_io.read_at(opened, row.offset, row.size)
                    if len(data) == row.size and (trusted or matches(row.cid, data)):
                        found[row.cid] = data
                    else:
                        wrong.append(row)
            except OSError:
                return [row for row in rest if row.cid not in found]
            finally:
                os.close(opened)
            return wrong
        return rest

    def _spares(self, row: _Row) -> list[tuple[int, int]]:
        query = "SELECT file, offset FROM spare WHERE cid = ?1 AND file != ?2"
        try:
            with self._lock:
                if has_table(self._db, "chunk_staged"):
                    query += " UNION ALL SELECT file, offset FROM chunk_staged WHERE cid = ?1 AND file != ?2"
                return self._db.execute(query, (cid_bytes(row.cid), row.file)).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._home / DATABASE) from error

    def _rows(self, cids: Sequence[Cid]) -> dict[Cid, _Row]:
        found: dict[Cid, _Row] = {}
        try:
            for at in range(0, len(cids), SQL_AT_ONCE):
                keys = {cid_bytes(cid): cid for cid in cids[at : at + SQL_AT_ONCE]}
                marks = ",".join(f"?{number}" for number in range(1, len(keys) + 1))
                query = f"SELECT cid, size, file, offset, data FROM chunk WHERE cid IN ({marks})"  # noqa: S608
                with self._lock:
                    if has_table(self._db, "chunk_staged"):  # in one statement: a merge moves rows meanwhile
                        staged = "SELECT cid, size, file, offset, data FROM chunk_staged WHERE cid IN"
                        query += f" UNION ALL {staged} ({marks})"
                    rows = self._db.execute(query, tuple(keys)).fetchall()
                for key, size, file, offset, data in rows:
                    if keys[key] in found and found[keys[key]].data is not None:
                        continue  # the newest place comes first, but the database before files
                    found[keys[key]] = _Row(keys[key], size, file, offset or 0, data)
        except sqlite3.Error as error:
            raise explain(error, self._home / DATABASE) from error
        return found

    def _locate(self, file: int) -> FilePlace:
        try:
            with self._lock:
                return locate(self._db, self._home, file)
        except sqlite3.Error as error:
            raise explain(error, self._home / DATABASE) from error
