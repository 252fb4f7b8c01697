"""The parts of a home's series besides its newest entries: checkpoints and segments, how they are made and dropped."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.store.database import DATABASE, explain, explain_os
from flux_tui.store.segments.catalog import Catalog, Segment
from flux_tui.store.segments.entry_rows import EntryRows
from flux_tui.store.segments.pruning import Pruned, prune, superfluous
from flux_tui.store.segments.rotation import Rotation
from flux_tui.store.segments.saved_states import SavedStates

T = TypeVar("T")
LOOSE_BYTES = 64 << 20
"""Unused bytes of a database that are given back to the disk when it is opened, if they are more than it uses."""


class SeriesSize(NamedTuple):
    """What a series takes on disk, in bytes, and since when it takes it."""

    segments: int
    """Bytes of the closed segments."""
    rows: int
    """Bytes of the entries that are rows of the database, about."""
    first_at: float | None
    """The time of the oldest entry, if there are segments."""


class SeriesFiles:
    """The checkpoints and segments of one home, for its one writer."""

    def __init__(self, home: Path, db: sqlite3.Connection, lock: threading.RLock) -> None:
        """Raises sqlite3.Error, OSError."""
        self._path = home / DATABASE
        self._db = db
        self._lock = lock
        self.saved = SavedStates(db)
        """The checkpoints in the database."""
        self.rows = EntryRows(db)
        """The newest entries, which are rows of the database."""
        self._catalog = Catalog(home, db)
        self._rotation = Rotation(self._path, db, lock, self._catalog, self.saved, self.rows)
        self._moving = threading.Lock()
        """Held by the one thread that moves or drops entries."""
        last = int(db.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()[0])
        self._catalog.tidy(last)
        _give_back(db)

    @property
    def packed_last(self) -> int:
        """The last entry that is in a segment, or was pruned; 0 if there is none."""
        return self._catalog.last

    @property
    def first(self) -> int:
        """The oldest entry that is there."""
        segments = self._catalog.segments
        return segments[0].first if segments else self._catalog.last + 1

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The closed segments, the oldest first."""
        return tuple(self._catalog.segments)

    @property
    def due(self) -> bool:
        """Whether there is a segment to be made."""
        return self._rotation.due

    def size(self) -> SeriesSize:
        """Return what the series takes on disk."""
        segments = self._catalog.segments
        return SeriesSize(
            self._catalog.size, self._rotation.rows_size, segments[0].first_at if segments else None
        )

    def appended(self, size: int) -> None:
        """Count the bytes of entries that were committed. The caller holds the lock."""
        self._rotation.appended(size)

    def rotate(self) -> Segment | None:
        """Move the oldest entries into a segment, if they are enough. Return it. Raises StoreError.

        It takes some 100 ms, and may run in any thread while the node commits.
        """
        with self._moving:
            return self._guarded(self._rotation.step)

    def prune(
        self, rule: KeepRule, now: float, archive: Path | None = None, *, dry: bool = False
    ) -> Pruned | None:
        """Drop the oldest segments that `rule` does not keep, or move them to the folder `archive`.

        `now`: seconds since 1970. `dry`: only tell what would be dropped. None: nothing. Raises StoreError.
        """
        with self._moving:
            rows_size = self._rotation.rows_size
            gone = superfluous(self._catalog.segments, rule, now, rows_size)
            return self._guarded(lambda: prune(self._db, self._lock, self._catalog, gone, archive, dry=dry))

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        except OSError as error:
            named = Path(error.filename) if isinstance(error.filename, str) else self._catalog.folder
            raise explain_os(error, named) from error


def _give_back(db: sqlite3.Connection) -> None:
    """Give unused space of the database back to the disk, if it is much: a home of one file was taken over."""
    page_size, pages, unused = (
        int(db.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    if unused * page_size >= LOOSE_BYTES and unused * 2 >= pages:
        with contextlib.suppress(sqlite3.Error):  # no room for the copy: later entries use the space
            db.execute("VACUUM")
