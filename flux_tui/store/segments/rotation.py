"""Rotation: moves the oldest entries of a home's database into a segment, while the node runs.

A step makes one segment. It reads through a connection of its own, and holds the store's lock for some
milliseconds only. See the package for the order of writes.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from flux_tui.store.database import open_reader
from flux_tui.store.segments.catalog import Catalog, Segment, segment_name
from flux_tui.store.segments.entry_rows import ROW_BYTES, EntryRows, select_rows
from flux_tui.store.segments.pages import PAGE_ENTRIES, Row
from flux_tui.store.segments.saved_states import SavedStates, states_between
from flux_tui.store.segments.segment_file import write_segment

SEGMENT_BYTES = 4 << 20
"""Bytes of entries that make a segment: some 20,000 entries, which take 0.6 MB in it. With large states (20 MB for
80,000 objects) it is as many bytes as the state, because each segment begins with one."""
UNCHECKED = 16
"""A series without any checkpoint is cut after this many times SEGMENT_BYTES, so that even it is bounded."""
DELETED_AT_ONCE = 4_000
"""Rows deleted in one transaction: some 5 ms, in which the node cannot commit."""
LOOKED_AT = 200_000
"""Entries that are looked at to find the end of a segment."""


class _Plan(NamedTuple):
    first: int
    last: int
    states: list[tuple[int, bytes]]
    """The first checkpoint of the segment, if there is one: the state after the entry before the first one."""


class Rotation:
    """Makes the segments of one home, in one thread at a time. Raises StoreError, sqlite3.Error, OSError."""

    def __init__(
        self,
        path: Path,
        db: sqlite3.Connection,
        lock: threading.RLock,
        catalog: Catalog,
        saved: SavedStates,
        rows: EntryRows,
    ) -> None:
        self._path = path
        self._db = db
        self._lock = lock
        self._catalog = catalog
        self._saved = saved
        self._rows = rows
        self._enough = SEGMENT_BYTES
        self._finished = False
        """Whether the rows and files that a kill may have left were looked for."""
        self._bytes = 0
        """Bytes of the entries that are rows, as far as they were counted."""
        self._all_counted = False
        self._count()

    def _count(self) -> None:
        query = "SELECT count(*), sum(n) FROM (SELECT length(body) + ? AS n FROM entry WHERE seq > ? LIMIT ?)"
        count, size = self._db.execute(query, (ROW_BYTES, self._catalog.last, LOOKED_AT)).fetchone()
        self._bytes, self._all_counted = int(size or 0), count < LOOKED_AT

    def appended(self, size: int) -> None:
        """Count the bytes of entries that were committed. The caller holds the lock."""
        self._bytes += size

    @property
    def rows_size(self) -> int:
        """Bytes of the entries that are rows, about."""
        return max(self._bytes, 0)

    @property
    def due(self) -> bool:
        """Whether a step would do something."""
        return not self._finished or self._bytes >= self._enough

    def step(self) -> Segment | None:
        """Make one segment of the oldest entries, if they are enough. Return it."""
        self._delete_packed()
        self._finished = True
        if self._bytes < self._enough:
            return None
        with closing(open_reader(self._path)) as reader:
            plan = self._plan(reader)
            if plan is None:
                return None
            segment = self._write(reader, plan)
        with self._lock:
            self._catalog.add(segment)
        self._delete_packed()
        self._enough = SEGMENT_BYTES
        if self._bytes < self._enough and not self._all_counted:
            with self._lock:
                self._count()
        return segment

    def _plan(self, reader: sqlite3.Connection) -> _Plan | None:
        """Return the range of the next segment: from the first row to a checkpoint. None: it is too early."""
        first = self._catalog.last + 1
        newest = int(reader.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])
        head = list(states_between(reader, first - 1, first - 1))
        enough = max(SEGMENT_BYTES, len(head[0][1]) if head else 0)
        query = "SELECT seq FROM saved WHERE seq >= ? UNION SELECT seq FROM checkpoint WHERE seq >= ?"
        cuts = {row[0] for row in reader.execute(query, (first, first))}
        total, longest = 0, 0
        for seq, size in reader.execute(
            "SELECT seq, length(body) FROM entry WHERE seq >= ? ORDER BY seq LIMIT ?", (first, LOOKED_AT)
        ):
            total += size + ROW_BYTES
            # The newest entry stays a row: the numbers of new entries follow it.
            if total >= enough and seq < newest:
                if seq in cuts:
                    return _Plan(first, seq, head)
                longest = longest or (seq if total >= UNCHECKED * enough else 0)
        if longest or (total < enough * UNCHECKED and newest - first > LOOKED_AT):
            return _Plan(first, longest or first + LOOKED_AT - 1, head)
        # Too early: look again when more has come.
        self._enough = max(enough, self._bytes + SEGMENT_BYTES // 4)
        return None

    def _write(self, reader: sqlite3.Connection, plan: _Plan) -> Segment:
        self._catalog.make_folder()
        name = segment_name(plan.first, plan.last)
        times = [
            float(reader.execute("SELECT at FROM entry WHERE seq = ?", (seq,)).fetchone()[0])
            for seq in (plan.first, plan.last)
        ]
        back = reader.execute("SELECT seq FROM set_back WHERE seq BETWEEN ? AND ?", plan[:2])
        size = write_segment(
            self._catalog.folder / name,
            self._catalog.series,
            _rows(reader, plan.first, plan.last),
            _states(reader, plan),
            [row[0] for row in back],
        )
        return Segment(plan.first, plan.last, times[0], times[1], size, name)

    def _delete_packed(self) -> None:
        """Delete, some at a time, the rows of entries that are in a segment, and of the checkpoints before them."""
        last = self._catalog.last
        while True:
            with self._lock:
                row = self._db.execute("SELECT min(seq) FROM entry").fetchone()
                if row[0] is None or row[0] > last:
                    self._saved.delete_before(self._db, last)
                    self._rows.delete_unused_lists(last + 1)
                    break
                until = min(last, row[0] + DELETED_AT_ONCE - 1)
                query = "SELECT sum(length(body) + ?) FROM entry WHERE seq <= ?"
                size = int(self._db.execute(query, (ROW_BYTES, until)).fetchone()[0])
                self._db.execute("DELETE FROM entry WHERE seq <= ?", (until,))
                self._bytes -= size


def _rows(reader: sqlite3.Connection, first: int, last: int) -> Iterator[Row]:
    while first <= last:
        until = min(last, first + PAGE_ENTRIES - 1)
        rows = list(select_rows(reader, "seq BETWEEN ? AND ? ORDER BY seq", first, until))
        if not rows:
            raise sqlite3.DatabaseError(f"entry {first} is missing")
        yield from rows
        first = rows[-1][0] + 1


def _states(reader: sqlite3.Connection, plan: _Plan) -> Iterator[tuple[int, bytes]]:
    yield from plan.states
    yield from states_between(reader, plan.first, plan.last - 1)
