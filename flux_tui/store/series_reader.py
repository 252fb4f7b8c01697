"""Reads a series: for the dashboard, the command line and tests, in any process, while the node writes.

A reader changes nothing and asks the node nothing. It sees committed entries only.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from typing_extensions import override

from flux_tui.core.series.events import Entry, decode_event
from flux_tui.store.database import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    SERIES_TABLES,
    StoreError,
    explain,
    explain_os,
    open_reader,
)

__all__ = ["MemorySeries", "SeriesReader", "SeriesSource", "StoreError", "export"]


class SeriesSource(Protocol):
    """A series of entries, from which the state at any entry can be computed.

    Entries are numbered from 1 without gaps. Their times never decrease, except where the clock was set back.
    """

    def last_seq(self) -> int:
        """Return the number of the newest entry; 0 if there is none."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry numbered `after`, in order."""

    def read_before(self, seq: int, limit: int) -> list[Entry]:
        """Return the last `limit` entries before the entry numbered `seq`, in order."""

    def seq_at(self, at: float) -> int:
        """Return the number of the last entry whose time is not later than `at`; 0 if there is none.

        `at`: seconds since 1970.
        """

    def seq_near(self, seq: int, at: float) -> int:
        """Return the number of the last entry near entry `seq` whose time is not later than `at`.

        `at`: seconds since 1970. The search ends on both sides of `seq` where the clock was set back. If all
        entries in between are later than `at`, the first of them is returned.
        """

    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        """Return the newest saved state that includes no entry after entry `at_most`. None: there is none.

        The result is the number of the last entry that the state includes, and the bytes of `fold.snapshot`.
        """

    def close(self) -> None:
        """Close the series. Nothing can be read afterwards."""


class SeriesReader(SeriesSource):
    """Reads the series in a home's database or an exported file. Use it from one thread at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, path: Path) -> "SeriesReader":
        """Open the database of a home or an exported series.

        Raises StoreError if it is missing, is not a series, is damaged, or is of a newer version.
        """
        return cls(open_reader(path), path)

    @override
    def last_seq(self) -> int:
        row = self._one("SELECT max(seq) FROM entry")
        return 0 if row is None or row[0] is None else int(row[0])

    @override
    def read(self, after: int, limit: int) -> list[Entry]:
        rows = self._all("SELECT seq, at, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
        return [Entry(seq, at, decode_event(body)) for seq, at, body in rows]

    @override
    def read_before(self, seq: int, limit: int) -> list[Entry]:
        return self.read(max(0, seq - 1 - limit), min(limit, max(0, seq - 1)))

    @override
    def seq_at(self, at: float) -> int:
        for first, last in self._ranges_in_time_order():
            row = self._one("SELECT seq, at FROM entry WHERE seq = ?", first)
            if row is not None and float(row[1]) <= at:
                return self._last_until(at, first, last)
        return 0

    @override
    def seq_near(self, seq: int, at: float) -> int:
        for first, last in self._ranges_in_time_order():
            if first <= seq:
                return self._last_until(at, first, last)
        return seq

    def _ranges_in_time_order(self) -> Iterator[tuple[int, int]]:
        """Yield the numbers of the first and last entry of each range without a setting back of the clock.

        Within such a range, times never decrease. The newest range comes first.
        """
        last = self.last_seq()
        for (first,) in [*self._set_back(), (1,)]:
            if first <= last:
                yield first, last
            last = first - 1

    def _set_back(self) -> list[tuple[int]]:
        """Return the numbers of the entries at which the clock was set back, each as a row, the newest first."""
        try:
            found = self._db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'set_back'"
            )
            if found.fetchone() is None:  # from a version in which times never went back
                return []
            return self._db.execute("SELECT seq FROM set_back ORDER BY seq DESC").fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _last_until(self, at: float, low: int, high: int) -> int:
        """Return the number of the last entry from `low` to `high` whose time is not later than `at`.

        If all are later, return `low`.
        """
        while low < high:  # times are in the order of seq: no index is needed
            middle = (low + high + 1) // 2
            row = self._one("SELECT seq, at FROM entry WHERE seq = ?", middle)
            if row is not None and float(row[1]) <= at:
                low = middle
            else:
                high = middle - 1
        return low

    @override
    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        row = self._one("SELECT seq, state FROM checkpoint WHERE seq <= ? ORDER BY seq DESC LIMIT 1", at_most)
        return None if row is None else (int(row[0]), bytes(row[1]))

    @override
    def close(self) -> None:
        self._db.close()

    def _all(self, query: str, *values: float) -> list[tuple[int, float, bytes]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def _one(self, query: str, *values: float) -> tuple[int, Any] | None:
        try:
            row: tuple[int, Any] | None = self._db.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        return row


class MemorySeries(SeriesSource):
    """A series in memory, with the same interface as a series file; for tests and short recordings."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._entries = list(entries)

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries, which must continue the numbers of those that are there.

        Raises ValueError at the first entry with another number.
        """
        for entry in entries:
            if entry.seq != len(self._entries) + 1:
                raise ValueError(f"entry {entry.seq} after entry {len(self._entries)}")
            self._entries.append(entry)

    @override
    def last_seq(self) -> int:
        return len(self._entries)

    @override
    def read(self, after: int, limit: int) -> list[Entry]:
        return self._entries[after : after + limit]

    @override
    def read_before(self, seq: int, limit: int) -> list[Entry]:
        end = min(max(0, seq - 1), len(self._entries))
        return self._entries[max(0, end - limit) : end]

    @override
    def seq_at(self, at: float) -> int:
        return next((entry.seq for entry in reversed(self._entries) if entry.at <= at), 0)

    @override
    def seq_near(self, seq: int, at: float) -> int:
        first, last = 1, len(self._entries)
        for before, entry in pairwise(self._entries):
            if entry.at < before.at:
                first, last = (entry.seq, last) if entry.seq <= seq else (first, min(last, before.seq))
        return next(
            (entry.seq for entry in reversed(self._entries[first - 1 : last]) if entry.at <= at), first
        )

    @override
    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        return None

    def close(self) -> None:
        """Do nothing: a series in memory has no file to close."""


def _rows(reader: sqlite3.Connection, query: str, path: Path) -> Iterator[tuple[object, ...]]:
    try:
        yield from reader.execute(query)
    except sqlite3.Error as error:
        raise explain(error, path) from error


def export(source: Path, target: Path, *, overwrite: bool = False) -> int:
    """Copy the series alone, without chunks, to a file that SeriesReader can open. Return the number of entries.

    The node may run meanwhile: the copy is the series at one moment. An existing `target` is replaced only
    with `overwrite`. Raises StoreError: nothing to copy, the target exists, or the disk is full.
    """
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists already: choose another name")
    reader = open_reader(source)
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        copy = sqlite3.connect(part, isolation_level=None)
        try:
            copy.executescript(SERIES_TABLES)
            copy.execute(f"PRAGMA application_id={APPLICATION_ID}")
            copy.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            copy.execute("BEGIN")
            reader.execute("BEGIN")
            entries = _rows(reader, "SELECT seq, at, body FROM entry", source)
            copy.executemany("INSERT INTO entry VALUES (?, ?, ?)", entries)
            states = _rows(reader, "SELECT seq, state FROM checkpoint", source)
            copy.executemany("INSERT INTO checkpoint VALUES (?, ?)", states)
            if reader.execute("SELECT 1 FROM sqlite_master WHERE name = 'set_back'").fetchone():
                copy.executemany(
                    "INSERT INTO set_back VALUES (?)", _rows(reader, "SELECT seq FROM set_back", source)
                )
            copy.execute("COMMIT")
            count = int(copy.execute("SELECT count(*) FROM entry").fetchone()[0])
        finally:
            copy.close()
        os.replace(part, target)
    except sqlite3.Error as error:
        raise explain(error, target) from error
    except OSError as error:
        raise explain_os(error, target) from error
    finally:
        reader.close()
        part.unlink(missing_ok=True)
    return count
