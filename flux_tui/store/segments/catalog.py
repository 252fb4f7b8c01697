"""The segments of a home: their list, which is a table of the database, and their files in the folder `series`."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from flux_tui.store.database import StoreError, connect_immutable

SUFFIX = ".flux"
FOLDER = "series"
"""The folder of a home with the files of its segments."""
STRANGE = "not-of-this-series"
"""The folder beside the segments for files that belong to another series, such as that of a damaged database."""


class Segment(NamedTuple):
    """A closed segment: its first and last entry, their times in seconds since 1970, and its file."""

    first: int
    last: int
    first_at: float
    last_at: float
    size: int
    """Bytes of the file."""
    name: str
    """The file's name in the folder of segments."""


def segment_name(first: int, last: int) -> str:
    """Return the name of the file of a segment."""
    return f"{first:012}-{last:012}{SUFFIX}"


def range_of(name: str) -> tuple[int, int] | None:
    """Return the first and last entry that a file's name tells. None: it is not the name of a segment."""
    words = name.removesuffix(SUFFIX).split("-")
    if not name.endswith(SUFFIX) or len(words) != 2 or not all(w.isascii() and w.isdigit() for w in words):
        return None
    return int(words[0]), int(words[1])


def segments_in(db: sqlite3.Connection) -> list[Segment]:
    """Return the segments that a database lists, the oldest first. Raises sqlite3.Error."""
    query = "SELECT first, last, first_at, last_at, size, name FROM segment ORDER BY first"
    return [Segment(*row) for row in db.execute(query)]


class Catalog:
    """The list of segments, for the one writer of a home. Raises sqlite3.Error, OSError."""

    def __init__(self, home: Path, db: sqlite3.Connection) -> None:
        self.folder = home / FOLDER
        self._db = db
        db.execute("INSERT OR IGNORE INTO meta VALUES ('series', ?)", (os.urandom(8).hex(),))
        self.series = str(db.execute("SELECT value FROM meta WHERE name = 'series'").fetchone()[0])
        """The id of this home's series: random, made with its database."""
        self.segments = segments_in(db)

    @property
    def last(self) -> int:
        """The last entry that is in a segment; 0 if there is none."""
        return self.segments[-1].last if self.segments else self._pruned

    @property
    def _pruned(self) -> int:
        """The last entry that was pruned, if no segment is left; 0: none was, or there are segments."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'pruned'").fetchone()
        return int(row[0]) if row else 0

    @property
    def size(self) -> int:
        """Bytes of all segments."""
        return sum(one.size for one in self.segments)

    def path(self, segment: Segment) -> Path:
        """Return the file of a segment."""
        return self.folder / segment.name

    def make_folder(self) -> None:
        """Make the folder of segments, if there is none."""
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def add(self, segment: Segment) -> None:
        """Add a segment, whose file is durable, to the list."""
        self._db.execute("INSERT INTO segment VALUES (?, ?, ?, ?, ?, ?)", segment)
        self.segments.append(segment)

    def drop(self, gone: list[Segment]) -> None:
        """Remove the oldest segments from the list, and then their files."""
        last = gone[-1].last
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("DELETE FROM segment WHERE last <= ?", (last,))
            self._db.execute("DELETE FROM set_back WHERE seq <= ?", (last,))
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('pruned', ?)", (str(last),))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.segments = self.segments[len(gone) :]
        for one in gone:
            self.path(one).unlink(missing_ok=True)

    def tidy(self, last_seq: int) -> None:
        """Remove what a kill left: files that are written half, and those of this series that are not listed.

        A file of another series, or with entries that this database does not have (it was put back from a
        backup), is moved aside. `last_seq`: the last entry of the database.
        """
        if not self.folder.is_dir():
            return
        listed = {one.name for one in self.segments}
        for path in self.folder.iterdir():
            if path.name in listed or not path.is_file():
                continue
            if path.name.startswith(".") and path.name.endswith(".part"):
                path.unlink(missing_ok=True)
            elif (found := range_of(path.name)) is not None:
                if found[1] <= last_seq and _series_of(path) == self.series:
                    path.unlink(missing_ok=True)
                else:
                    strange = self.folder / STRANGE
                    strange.mkdir(mode=0o700, exist_ok=True)
                    os.replace(path, strange / f"{os.urandom(4).hex()}-{path.name}")


def _series_of(path: Path) -> str | None:
    """Return the id of the series that a segment belongs to; None if it cannot be read."""
    with contextlib.suppress(StoreError, sqlite3.Error):
        with contextlib.closing(connect_immutable(path)) as db:
            row = db.execute("SELECT series FROM origin").fetchone()
        return None if row is None else str(row[0])
    return None
