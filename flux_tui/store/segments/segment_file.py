"""A segment: an immutable file with the entries from one number to another, and checkpoints along them.

It is an SQLite database that is written once. Its first checkpoint is the state after the entry before its
first one, so its entries can be folded without any earlier segment. `SeriesReader` opens a segment like any
exported series.
"""

import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from flux_tui.core.series.events import Entry, decode_event
from flux_tui.store.database import (
    APPLICATION_ID,
    SEGMENT_TABLES,
    UNSTAGED_VERSION,
    StoreError,
    connect_immutable,
    explain_os,
    has_table,
)
from flux_tui.store.segments.page_index import (
    Candidate,
    Indexing,
    PagesNamed,
    Wanted,
    candidates,
    carried_on,
)
from flux_tui.store.segments.pages import PAGE_ENTRIES, OpenPage, Page, Row, kinds_in, pack
from flux_tui.store.segments.pieces import Pieces, read_state

NOT_INDEXED = 32
"""Pages without an index, from an earlier version, that a search looks at in one step."""
PAGES_OPEN = 6
"""Pages that stay decompressed, of the pages read last: a dashboard reads around its cursor."""


def write_segment(
    path: Path,
    series: str,
    rows: Iterable[Row],
    states: Iterable[tuple[int, bytes]],
    set_back: Iterable[int],
) -> int:
    """Write a segment under its name, durably, and return its size in bytes.

    `series`: the id of the series. `rows`: its entries, without gaps. `states`: its checkpoints, each as the
    number of the last entry that it includes, and its bytes. `set_back`: entries at which the clock was set
    back. Raises StoreError, sqlite3.Error.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        db = sqlite3.connect(part, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=OFF")
            db.execute("PRAGMA synchronous=OFF")
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute(f"PRAGMA user_version={UNSTAGED_VERSION}")
            db.executescript(SEGMENT_TABLES)
            db.execute("BEGIN")
            db.execute("INSERT INTO origin VALUES (?)", (series,))
            insert_pages(db, rows)
            pieces = Pieces(db)
            for seq, state in states:
                one = pieces.prepare(seq, state)
                pieces.store(db, one)
                pieces.stored(one)
            db.executemany("INSERT INTO set_back VALUES (?)", [(seq,) for seq in set_back])
            db.execute("COMMIT")
        finally:
            db.close()
        part.chmod(0o600)
        make_durable(part, path)
    except OSError as error:
        raise explain_os(error, path) from error
    finally:
        part.unlink(missing_ok=True)
    return path.stat().st_size


def insert_pages(db: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Pack entries into rows of the table `page`, and index these. Raises StoreError if entries are missing."""
    waiting: list[Row] = []
    indexing = Indexing()
    last: int | None = None
    for row in rows:
        if last is not None and row[0] != last + 1:
            raise StoreError(f"the series is damaged: entry {last + 1} is missing")
        last = row[0]
        waiting.append(row)
        if len(waiting) == PAGE_ENTRIES:
            db.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?, ?)", pack(waiting))
            indexing.add(waiting)
            waiting = []
    if waiting:
        db.execute("INSERT INTO page VALUES (?, ?, ?, ?, ?, ?)", pack(waiting))
        indexing.add(waiting)
    index = indexing.named()
    if index is not None:
        db.execute("INSERT INTO page_index VALUES (?, ?, ?, ?)", index)


def make_durable(part: Path, path: Path) -> None:
    """Flush a file to the device, then give it its name. Raises OSError."""
    from flux_tui.store.disk.fsync import flush_folder  # with ctypes: only who writes needs it

    descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(part, path)
    flush_folder(path.parent)


class PackedEntries:
    """The packed entries and checkpoints of one database: those of a segment, or of an exported series.

    Methods raise sqlite3.Error.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._open: OrderedDict[int, OpenPage] = OrderedDict()
        row = db.execute("SELECT min(first), max(last) FROM page").fetchone()
        self.first, self.last = (0, 0) if row[0] is None else (int(row[0]), int(row[1]))
        """The numbers of the first and last entry; 0 and 0 if there is none."""
        self._indexed = has_table(db, "page_index")
        self._looked_at: tuple[Wanted, int, list[Candidate]] | None = None
        """A search, the first entry of the pages that were looked up in the index last, and what was found."""

    @classmethod
    def open(cls, path: Path) -> "PackedEntries":
        """Open a segment. Raises StoreError: it is missing or not a segment."""
        db = connect_immutable(path)
        try:
            return cls(db)
        except sqlite3.Error as error:
            db.close()
            raise StoreError(f"{path} is damaged, or not a part of a series ({error})") from error

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry numbered `after`, in order."""
        return [Entry(seq, at, decode_event(body)) for seq, at, body in self.rows(after, limit)]

    def rows(self, after: int, limit: int) -> list[Row]:
        """Return the same entries as they are stored."""
        found: list[Row] = []
        after = max(after, self.first - 1)
        while len(found) < limit and after < self.last:
            found += self._page(after + 1).rows(after, limit - len(found))
            after = found[-1][0]
        return found

    def time_of(self, seq: int) -> float:
        """Return the time of an entry, in seconds since 1970."""
        return self._page(seq).time_of(seq)

    def of_kinds(self, kinds: Sequence[str], after: int) -> Iterator[list[Entry]]:
        """Yield the entries of these kinds after the entry numbered `after`, page by page.

        A page without any is not decompressed.
        """
        for first, counts in self._db.execute(
            "SELECT first, kinds FROM page WHERE last > ? ORDER BY first", (after,)
        ):
            if not kinds_in(counts).keys().isdisjoint(kinds):
                yield self._page(first, keep=False).of_kinds(kinds, after)

    def search_back(self, wanted: Wanted, before: int, carried: Callable[[], int]) -> tuple[list[Entry], int]:
        """Return the wanted entries of the newest page before entry `before` that has any, by the index.

        And the number of the entry up to which nothing was looked at yet. A few pages are passed over at a
        time. `carried`: returns how many pages, from the first one on, follow closely a page of an earlier file
        that names a wanted CID.
        """
        first, index = self._stretch(before)
        if self._looked_at is None or self._looked_at[:2] != (wanted, first):
            stretch = index or PagesNamed(first, before - 1, b"", b"")
            pages = [
                (int(row[0]), kinds_in(row[1]))
                for row in self._db.execute(
                    "SELECT first, kinds FROM page WHERE first BETWEEN ? AND ? ORDER BY first", stretch[:2]
                )
            ]
            near = carried() if wanted.cids and first == self.first else self._carried(wanted, first)
            self._looked_at = wanted, first, candidates(wanted, pages, index, near)
        for one in reversed(self._looked_at[2]):
            if one.first < before:
                return self._page(one.first, keep=False).search(one.kinds, one.peers, before), one.first - 1
        return [], first - 1

    def carried_on(self, wanted: Wanted) -> int:
        """Return how many pages after the last one follow a page closely that names a wanted CID."""
        return self._carried(wanted, self.last + 1)

    def _carried(self, wanted: Wanted, first: int) -> int:
        return carried_on(wanted, self._index_before(first)) if wanted.cids and first > self.first else 0

    def _stretch(self, before: int) -> tuple[int, PagesNamed | None]:
        """Return the first entry of some pages before entry `before`, and their index if there is one."""
        index = self._index_before(before)
        if index is not None and index.last >= before - 1:
            return index.first, index
        after = 0 if index is None else index.last
        query = "SELECT first FROM page WHERE first < ? AND first > ? ORDER BY first DESC LIMIT ?"
        firsts = self._db.execute(query, (before, after, NOT_INDEXED)).fetchall()
        return int(firsts[-1][0]), None

    def _index_before(self, before: int) -> PagesNamed | None:
        if not self._indexed:
            return None
        query = "SELECT first, last, peers, cids FROM page_index WHERE first < ? ORDER BY first DESC LIMIT 1"
        row = self._db.execute(query, (before,)).fetchone()
        return None if row is None else PagesNamed(*row)

    def indexes(self) -> Iterator[PagesNamed]:
        """Yield the index of the pages, as it is stored."""
        if self._indexed:
            query = "SELECT first, last, peers, cids FROM page_index ORDER BY first"
            yield from (PagesNamed(*row) for row in self._db.execute(query))

    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        """Return the newest saved state that includes no entry after `at_most`: its last entry, and its bytes."""
        return newest_saved(self._db, at_most)

    def pages(self) -> Iterator[Page]:
        """Yield all pages as they are stored."""
        query = "SELECT first, last, kinds, shape, bulk, rest FROM page ORDER BY first"
        yield from (Page(*row) for row in self._db.execute(query))

    def states(self) -> Iterator[tuple[int, bytes]]:
        """Yield all saved states: the number of the last entry of each, and its bytes."""
        for seq, pieces in self._db.execute("SELECT seq, pieces FROM saved ORDER BY seq").fetchall():
            state = read_state(self._db, pieces)
            if state is not None:
                yield int(seq), state

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def _page(self, seq: int, *, keep: bool = True) -> OpenPage:
        for page in reversed(self._open.values()):
            if page.first <= seq <= page.last:
                self._open.move_to_end(page.first)
                return page
        row = self._db.execute(
            "SELECT first, last, kinds, shape, bulk, rest FROM page WHERE first <= ? ORDER BY first DESC LIMIT 1",
            (seq,),
        ).fetchone()
        if row is None or row[1] < seq:
            raise sqlite3.DatabaseError(f"entry {seq} is missing")
        page = OpenPage(Page(*row))
        if keep:
            self._open[page.first] = page
            if len(self._open) > PAGES_OPEN:
                self._open.popitem(last=False)
        return page


def newest_saved(db: sqlite3.Connection, at_most: int) -> tuple[int, bytes] | None:
    """Return the newest saved state that includes no entry after `at_most`: its last entry, and its bytes.

    Raises sqlite3.Error.
    """
    for seq, pieces in db.execute(
        "SELECT seq, pieces FROM saved WHERE seq <= ? ORDER BY seq DESC", (at_most,)
    ):
        state = read_state(db, pieces)
        if state is not None:
            return int(seq), state
    return None
