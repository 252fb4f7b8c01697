"""Reads a series: for the dashboard, the command line and tests, in any process, while the node writes.

A reader changes nothing and asks the node nothing. It sees committed entries only. It looks for an entry among
the rows of the database first, and in the segments next: an entry is deleted from the rows only after its
segment is listed, so no entry is missed while the node moves entries (store/segments).
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from flux_tui.core.series.events import Entry, decode_event, kind_of, stored_kind
from flux_tui.core.series.fold import restore
from flux_tui.core.series.state import State
from flux_tui.store.database import SERIES_TABLES, StoreError, explain, has_table, open_reader
from flux_tui.store.segments.catalog import FOLDER, Segment, segments_in

if TYPE_CHECKING:  # imported when a series has segments: the dashboard's first frame waits for this module
    from flux_tui.store.segments.page_index import Wanted
    from flux_tui.store.segments.segment_file import PackedEntries

__all__ = ["MemorySeries", "SeriesReader", "SeriesSource", "StoreError", "first_state"]

ROWS_AT_ONCE = 5_000
"""Rows that a search by kind decodes at a time."""
SEARCHED_AT_ONCE = 1_000
"""Rows that a search looks at in one step."""
SEGMENTS_OPEN = 4
"""Segments that stay open, of those read last."""
TRIES = 3
"""How often a segment is looked up that was pruned between the look into the list and its opening."""


class SeriesSource(Protocol):
    """A series of entries, from which the state at any entry can be computed.

    Entries are numbered from 1 without gaps. Their times never decrease, except where the clock was set back.
    The oldest may be gone, because they were pruned: history then begins at `first_seq`, with the checkpoint
    before it.
    """

    def first_seq(self) -> int:
        """Return the number of the oldest entry that is there; 1 if there is none."""

    def last_seq(self) -> int:
        """Return the number of the newest entry; 0 if there is none."""

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry numbered `after`, in order."""

    def read_before(self, seq: int, limit: int) -> list[Entry]:
        """Return the last `limit` entries before the entry numbered `seq`, in order."""

    def of_kinds(self, kinds: Sequence[str], after: int) -> Iterator[list[Entry]]:
        """Yield the entries of these kinds after the entry numbered `after`, in order, some at a time."""

    def search_back(self, wanted: "Wanted", before: int) -> tuple[list[Entry], int]:
        """Return some wanted entries before the entry numbered `before`, in order.

        And the number of the entry up to which nothing was looked at yet. All wanted entries between the two
        numbers are returned, and maybe others. It takes some milliseconds; call it again with the number + 1.
        """

    def seq_at(self, at: float) -> int:
        """Return the number of the last entry whose time is not later than `at`.

        If all are later: the number before the first one, which is 0 if no entry was pruned.

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
    """Reads the series of a home, an exported file or an archive of segments. Use it from one thread at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path, folder: Path | None = None) -> None:
        """`path`: the database, for messages. `folder`: where its segments are; None: beside the database."""
        self._db = db
        self._path = path
        self._folder = folder or path.parent / FOLDER
        self._errors = _Errors(path)
        self._segments: OrderedDict[str, PackedEntries] = OrderedDict()
        self._tables: set[str] = set()
        """The tables that the database was seen to have."""
        # A database of a version before has fewer tables, until its node starts with this version.
        self._has_entries = has_table(db, "entry")
        self._packed = _packed_entries(db) if has_table(db, "page") else None

    @classmethod
    def open(cls, path: Path) -> "SeriesReader":
        """Open the database of a home, an exported series, a segment, or a folder of segments.

        Raises StoreError if it is missing, is not a series, is damaged, or is of a newer version.
        """
        if path.is_dir() and (segments := _segments_of_folder(path)):
            db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
            db.executescript(SERIES_TABLES)
            db.executemany("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)", segments)
            return cls(db, path, path)
        db = open_reader(path)
        try:
            return cls(db, path)
        except sqlite3.Error as error:
            db.close()
            raise explain(error, path) from error

    def segments(self) -> list[Segment]:
        """Return the closed segments, the oldest first."""
        return self._list()

    @override
    def first_seq(self) -> int:
        for query in ("SELECT min(first) FROM segment", "SELECT min(first) FROM page"):
            if (found := self._number(query)) is not None:
                return found
        return self._number("SELECT min(seq) FROM entry") or 1

    @override
    def last_seq(self) -> int:
        for query in (
            "SELECT max(seq) FROM entry",
            "SELECT max(last) FROM segment",
            "SELECT max(last) FROM page",
        ):
            if (found := self._number(query)) is not None:
                return found
        return 0

    @override
    def read(self, after: int, limit: int) -> list[Entry]:
        found: list[Entry] = []
        while len(found) < limit:
            wanted = limit - len(found)
            rows = self._rows(after, wanted)
            # Entries before the rows are in segments; or they were pruned, and the series goes on with the rows.
            packed = None if rows and rows[0][0] == after + 1 else self._packed_after(after)
            if packed is None:
                found += [Entry(seq, at, decode_event(body)) for seq, at, body in rows]
                break
            with self._errors:
                found += packed.read(after, wanted)
            after = found[-1].seq
        return found

    def _rows(self, after: int, limit: int) -> list[tuple[int, float, bytes]]:
        if not self._has_entries:
            return []
        from flux_tui.store.segments.entry_rows import select_rows

        with self._errors:
            return list(select_rows(self._db, "seq > ? ORDER BY seq LIMIT ?", after, limit))

    @override
    def read_before(self, seq: int, limit: int) -> list[Entry]:
        first = max(self.first_seq(), seq - limit)
        return self.read(first - 1, seq - first) if seq > first else []

    @override
    def of_kinds(self, kinds: Sequence[str], after: int) -> Iterator[list[Entry]]:
        while (packed := self._packed_after(after)) is not None:
            pages = packed.of_kinds(kinds, after)
            while True:
                with self._errors:
                    page = next(pages, None)
                if page is None:
                    break
                if page:
                    yield page
            after = packed.last
        while page := self.read(after, ROWS_AT_ONCE):
            yield [entry for entry in page if kind_of(entry.event) in kinds]
            after = page[-1].seq

    @override
    def search_back(self, wanted: "Wanted", before: int) -> tuple[list[Entry], int]:
        before = min(before, self.last_seq() + 1)
        first = self.first_seq()
        if before <= first:
            return [], first - 1
        packed = self._packed_after(before - 2)
        if packed is None or packed.last < before - 1:
            packed_last = self._number("SELECT max(last) FROM segment") or 0
            if self._packed is not None:
                packed_last = max(packed_last, self._packed.last)
            low = max(before - 1 - SEARCHED_AT_ONCE, first - 1, packed_last)
            return self._search_rows(wanted, low, before), low
        with self._errors:
            return packed.search_back(wanted, before, lambda: self._carried(wanted, packed.first))

    def _search_rows(self, wanted: "Wanted", low: int, before: int) -> list[Entry]:
        if wanted.whole or wanted.kinds is None:
            return self.read(low, before - low - 1)
        kinds = wanted.kinds
        found: list[Entry] = []
        while low < before - 1:
            rows = self._rows(low, before - low - 1)
            if not rows or rows[0][0] != low + 1:  # they are being moved into a segment
                return [*found, *self.read(low, before - low - 1)]
            found += [
                Entry(seq, at, decode_event(body)) for seq, at, body in rows if kinds(stored_kind(body))
            ]
            low = rows[-1][0]
        return found

    def _carried(self, wanted: "Wanted", first: int) -> int:
        """Return how many pages from entry `first` on follow a page closely that names a wanted CID."""
        if first <= self.first_seq():
            return 0
        packed = self._packed_after(first - 2)
        return 0 if packed is None else packed.carried_on(wanted)

    @override
    def seq_at(self, at: float) -> int:
        for first, last in self._ranges_in_time_order():
            if self._time_of(first) <= at:
                return self._last_until(at, first, last)
        return self.first_seq() - 1

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
        begin, last = self.first_seq(), self.last_seq()
        for first in [*(seq for seq in self._set_back() if seq > begin), begin]:
            if first <= last:
                yield first, last
            last = first - 1

    def _set_back(self) -> list[int]:
        """Return the numbers of the entries at which the clock was set back, the newest first."""
        if not self._has("set_back"):  # from a version in which times never went back
            return []
        return [row[0] for row in self._all("SELECT seq FROM set_back ORDER BY seq DESC")]

    def _last_until(self, at: float, low: int, high: int) -> int:
        """Return the number of the last entry from `low` to `high` whose time is not later than `at`.

        If all are later, return `low`.
        """
        for segment in reversed(self._list() if low < high else []):  # few pages of segments are decompressed
            if low <= segment.first <= high and segment.first_at <= at:
                low, high = segment.first, high if segment.last_at <= at else min(high, segment.last)
                break
            if low < segment.first <= high:
                high = segment.first - 1
        while low < high:  # times are in the order of seq: no index is needed
            middle = (low + high + 1) // 2
            if self._time_of(middle) <= at:
                low = middle
            else:
                high = middle - 1
        return low

    def _time_of(self, seq: int) -> float:
        """Return the time of an entry; infinite if it is not there."""
        if self._has_entries and (rows := self._all("SELECT at FROM entry WHERE seq = ?", seq)):
            return float(rows[0][0])
        packed = self._packed_after(seq - 1)
        if packed is None or not packed.first <= seq <= packed.last:
            return float("inf")
        with self._errors:
            return packed.time_of(seq)

    @override
    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        best: tuple[int, bytes] | None = None
        if self._has("saved"):
            from flux_tui.store.segments.segment_file import newest_saved

            with self._errors:
                best = newest_saved(self._db, at_most)
        if self._has("checkpoint"):
            query = "SELECT seq, state FROM checkpoint WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
            for seq, state in self._all(query, at_most):
                if best is None or seq > best[0]:
                    best = int(seq), bytes(state)
        for segment in reversed(self._list()):
            if segment.first > at_most + 1:
                continue
            if best is not None and best[0] >= min(at_most, segment.last - 1):
                break
            packed = self._segment(segment)
            with self._errors:
                found = None if packed is None else packed.checkpoint(at_most)
            if found is not None:
                return found if best is None or found[0] > best[0] else best
        return best

    @override
    def close(self) -> None:
        for packed in self._segments.values():
            packed.close()
        self._segments.clear()
        self._db.close()

    # ── segments ────────────────────────────────────────────────────────────────────────────────

    def _list(self) -> list[Segment]:
        """Return the closed segments, the oldest first."""
        if not self._has("segment"):
            return []
        with self._errors:
            return segments_in(self._db)

    def _packed_after(self, after: int) -> "PackedEntries | None":
        """Return the packed entries with the entry after `after`, or with the oldest ones if that one is pruned."""
        if self._packed is not None and self._packed.last > after:
            return self._packed
        query = (
            "SELECT first, last, first_at, last_at, size, name FROM segment WHERE last > ?"
            " ORDER BY first LIMIT 1"
        )
        missing: Segment | None = None
        for _ in range(TRIES if self._has("segment") else 0):
            rows = self._all(query, after)
            if not rows:
                return None
            segment = Segment(*rows[0])
            packed = self._segment(segment)
            if packed is not None:
                return packed
            missing = segment
        if missing is None:
            return None
        name = self._folder / missing.name
        raise StoreError(f"{name} is missing: entries {missing.first} to {missing.last} are in it")

    def _segment(self, segment: Segment) -> "PackedEntries | None":
        """Open a segment. None: its file is gone, so it was pruned."""
        packed = self._segments.get(segment.name)
        if packed is None:
            path = self._folder / segment.name
            if not path.exists():
                return None
            from flux_tui.store.segments.segment_file import PackedEntries

            packed = PackedEntries.open(path)
            self._segments[segment.name] = packed
            while len(self._segments) > SEGMENTS_OPEN:
                self._segments.popitem(last=False)[1].close()
        self._segments.move_to_end(segment.name)
        return packed

    def _number(self, query: str) -> int | None:
        """Return the number that a query gives; None if it gives none, or if its table does not exist."""
        rows = self._all(query) if self._has(query.rsplit(maxsplit=1)[-1]) else []
        return int(rows[0][0]) if rows and rows[0][0] is not None else None

    def _has(self, table: str) -> bool:
        """Return whether the database has a table. A table that is there stays."""
        if table not in self._tables:
            with self._errors:
                if not has_table(self._db, table):
                    return False
            self._tables.add(table)
        return True

    def _all(self, query: str, *values: float) -> list[Any]:
        with self._errors:
            return self._db.execute(query, values).fetchall()


def _packed_entries(db: sqlite3.Connection) -> "PackedEntries":
    from flux_tui.store.segments.segment_file import PackedEntries

    return PackedEntries(db)


def _segments_of_folder(folder: Path) -> list[Segment]:
    from flux_tui.store.segments.folder import segments_of_folder

    return segments_of_folder(folder)


class _Errors:
    """A context manager that turns errors of a database into StoreErrors of one sentence each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Enter the `with` block. Nothing has to be prepared."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._path) from error


def first_state(source: SeriesSource) -> State:
    """Return the state before the oldest entry of a series: empty, unless older entries were pruned.

    Raises StoreError if the state cannot be read.
    """
    first = source.first_seq()
    if first <= 1:
        return State()
    found = source.checkpoint(first - 1)
    state = None if found is None or found[0] != first - 1 else restore(found[1], any_version=True)
    if state is None:
        raise StoreError(
            f"this part of a series begins at entry {first}, and has no state before it that this version reads"
        )
    return state


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
    def first_seq(self) -> int:
        return 1

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
    def of_kinds(self, kinds: Sequence[str], after: int) -> Iterator[list[Entry]]:
        yield [entry for entry in self._entries[after:] if kind_of(entry.event) in kinds]

    @override
    def search_back(self, wanted: "Wanted", before: int) -> tuple[list[Entry], int]:
        low = max(0, before - 1 - SEARCHED_AT_ONCE)
        return self._entries[low : before - 1], low

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
