"""Rows of committed chunks that wait to be merged into the table `chunk`, in the order of their commits.

The keys of `chunk` are hashes. A commit of a few hundred rows changes as many pages of the table's index, and each
changed page is written twice: to the WAL, and at the next checkpoint to the database. For a folder of 50,000 files of
1 KiB, that was 4 times the bytes of the files, and more for more files. So a commit appends its rows to
`chunk_staged`, and many rows are merged into `chunk` at once, in the order of their CIDs.

- A staged row is committed like any other. Readers in other processes look into both tables, in one statement.
- When a CID is staged, it has no row in `chunk`. Its rows are merged in the order in which they were staged, so the
  newest place comes first, and the older ones become spares.
- During a merge, rows are in both tables. To merge a row twice changes nothing, so a crash needs no clean-up.
- Code that deletes or changes rows of `chunk` calls `merge` or `paused` first.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from flux_tui.core.ids import Cid, cid_bytes, cid_from_bytes
from flux_tui.store.database import ON_CHUNK_CONFLICT, SCHEMA_VERSION, UNSTAGED_VERSION, transaction
from flux_tui.store.index.store_values import Landed, Where

FEW = 32
"""Rows of a commit that are not staged, as long as none is: a single chunk changes three pages."""
SMALL = 4_096
"""Bytes of the chunks that are staged with their bytes, which are written twice more. A larger one saves nothing."""
LEAST, MOST = 16_384, 32_768
"""Rows that are merged at once. Their places take 4 to 8 MB of memory."""
SHARE = 8
"""A merge of less than this part of `chunk` waits for more rows (up to MOST), because a merge of so many changes
nearly every page of a large index."""
LIMIT = 4 * MOST
"""Rows above which commits fail as long as the rows cannot be merged: the disk is full, or the index is damaged."""
STEP = 2_048
"""Rows that are merged in one transaction: some 10 ms, in which the node cannot commit."""
QUIET_LOOKS = 6
"""Calls of `merge_quiet` without a new row between them, after which the rows are merged."""
LOOKED_UP = 500
"""Chunks that one query looks up."""

_ROW = "SELECT cid, size, file, offset, data FROM chunk_staged WHERE id = ?"
_MERGE_ROW = f"INSERT INTO chunk {_ROW} {ON_CHUNK_CONFLICT}"


class _Place(NamedTuple):
    number: int
    """The number of the row."""
    size: int
    file: int | None
    """None: the row has the bytes."""
    offset: int | None


class StagedChunks:
    """The staged rows of one home, and in memory where their chunks are. Methods raise sqlite3.Error."""

    def __init__(self, db: sqlite3.Connection, lock: threading.RLock) -> None:
        """`lock` guards `db` and these rows. Rows that an earlier process left are merged now, if they can be."""
        self._db = db
        self._lock = lock
        self._new: dict[Cid, _Place] = {}
        self._merging: dict[Cid, _Place] = {}
        """The places of the rows of the merge that has begun."""
        self._older: dict[Cid, list[_Place]] = {}
        """The older places of chunks that were staged more than once, until nothing is staged."""
        self._count = 0
        """Rows that were staged since the last merge began."""
        self._last = 0
        """The number of the newest row."""
        self._rows: list[int] | None = None
        """The rows of the merge that has begun, in the order of their CIDs. None: none has begun."""
        self._done = 0
        """How many of them are merged."""
        self._paused = 0
        self._quiet = 0
        """Calls of `merge_quiet` since the last row was staged."""
        for number, key, size, file, offset in db.execute(
            "SELECT id, cid, size, file, offset FROM chunk_staged ORDER BY id"
        ):
            self._note(cid_from_bytes(key), _Place(number, size, file, offset))
        self._enough = self._how_many()
        with suppress(sqlite3.Error):  # a full disk or a damaged index: the rows stay where they are
            self.merge()

    # ── what is staged ──────────────────────────────────────────────────────────────────────────

    def where(self, cid: Cid) -> Where | None:
        """Return where the bytes of a staged chunk are; None: it is not staged. Look into `chunk` after this."""
        place = self._new.get(cid) or self._merging.get(cid)
        if place is None:
            return None
        if place.file is not None:
            return Where(place.size, place.file, place.offset, None)
        with self._lock:
            row = self._db.execute("SELECT data FROM chunk_staged WHERE id = ?", (place.number,)).fetchone()
        return None if row is None else Where(place.size, None, None, row[0])

    def others(self, cid: Cid, file: int | None) -> list[tuple[int, int]]:
        """Return older places of a staged chunk, each a file and an offset, but none in `file`."""
        with self._lock:
            older = self._older.get(cid, ())
            return [(one.file, one.offset or 0) for one in older if one.file is not None and one.file != file]

    @property
    def has_rows(self) -> bool:
        """Whether any row is staged."""
        return bool(self._new or self._merging)

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._new or cid in self._merging

    # ── committing ──────────────────────────────────────────────────────────────────────────────

    def choose(self, rows: Sequence[Landed]) -> set[Cid]:
        """Return the CIDs of those of `rows` that are to be staged. The others belong into `chunk` at once.

        Call it before the transaction, with the lock held. Chunks that have a row in `chunk` are not staged, nor are
        those whose bytes are in the row and many.
        """
        if self._paused or (len(rows) < FEW and not self.has_rows):
            return set()
        if self._count > LIMIT:
            self.merge()
        large = {row.cid for row in rows if row.data is not None and row.size > SMALL}
        if any(cid in self for cid in large):
            self.merge()
        chosen: set[Cid] = set()
        asked: dict[bytes, Cid] = {}
        for row in rows:
            if row.cid in self:
                chosen.add(row.cid)
            elif row.cid not in large:
                asked[cid_bytes(row.cid)] = row.cid
        keys = list(asked)
        for start in range(0, len(keys), LOOKED_UP):
            some = keys[start : start + LOOKED_UP]
            marks = ",".join("?" * len(some))
            query = f"SELECT cid FROM chunk WHERE cid IN ({marks})"  # noqa: S608 - question marks only
            known = {row[0] for row in self._db.execute(query, some)}
            chosen.update(asked[key] for key in some if key not in known)
        return chosen

    def insert(self, rows: Sequence[Landed]) -> None:
        """Stage rows, inside the transaction of a commit. Call `inserted` after it."""
        if not rows:
            return
        if not self.has_rows:
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.executemany(
            "INSERT INTO chunk_staged VALUES (?, ?, ?, ?, ?, ?)",
            [
                (number, cid_bytes(row.cid), row.size, row.file, row.offset, row.data)
                for number, row in enumerate(rows, self._last + 1)
            ],
        )

    def inserted(self, rows: Sequence[Landed]) -> None:
        """Note that these rows were staged and committed."""
        for number, row in enumerate(rows, self._last + 1):
            self._note(row.cid, _Place(number, row.size, row.file, row.offset))
        if rows:
            self._quiet = 0

    def _note(self, cid: Cid, place: _Place) -> None:
        self._last = place.number
        self._count += 1
        before = self._new.get(cid) or self._merging.get(cid)
        if before is not None:
            if before.file is None:
                before, place = place, before  # the safest place stays the first: see ON_CHUNK_CONFLICT
            self._older.setdefault(cid, []).append(before)
        self._new[cid] = place

    # ── merging ─────────────────────────────────────────────────────────────────────────────────

    def merge_due(self) -> None:
        """Merge if enough rows are staged. Between steps the lock is free."""
        if self._count >= self._enough:
            self._enough += LEAST  # if it fails, it is tried again after so many rows
            self._merge_in_steps()

    def merge_quiet(self) -> None:
        """Merge if no row was staged since QUIET_LOOKS calls. Between steps the lock is free."""
        with self._lock:
            self._quiet += 1
        if self._quiet >= QUIET_LOOKS and self.has_rows:
            self._merge_in_steps()

    def merge(self) -> None:
        """Merge all staged rows now. Call it outside of transactions."""
        with self._lock:
            while self._new or self._rows is not None:
                self._step()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Merge all staged rows, and stage none inside the `with` block, which changes rows of `chunk`."""
        with self._lock:
            self.merge()
            self._paused += 1
        try:
            yield
        finally:
            with self._lock:
                self._paused -= 1

    def _merge_in_steps(self) -> None:
        with self._lock:
            self._step()
        while self._rows is not None:
            with self._lock:
                if self._rows is not None:
                    self._step()

    def _step(self) -> None:
        """Merge some rows in one transaction. Begin a merge if none has begun. The lock is held."""
        if self._rows is None:
            self._begin()
        if (rows := self._rows) is None:
            return
        until = self._done + STEP
        ended = until >= len(rows)
        with transaction(self._db):
            self._db.executemany(_MERGE_ROW, [(number,) for number in rows[self._done : until]])
            if ended:
                self._db.execute("DELETE FROM chunk_staged WHERE id <= ?", (max(rows),))
                if not self._new:
                    self._db.execute(f"PRAGMA user_version={UNSTAGED_VERSION}")
        self._done = until
        if ended:
            self._rows, self._merging = None, {}
            if not self._new:
                self._older = {}
            self._enough = self._how_many()

    def _begin(self) -> None:
        rows = [row[0] for row in self._db.execute("SELECT id FROM chunk_staged ORDER BY cid, id")]
        if rows:
            self._rows, self._done = rows, 0
            self._merging, self._new, self._count = self._new, {}, 0

    def _how_many(self) -> int:
        """Return how many rows are enough for a merge."""
        here = self._db.execute("SELECT coalesce(max(rowid), 0) FROM chunk").fetchone()[0]
        return max(LEAST, min(MOST, int(here) // SHARE))
