"""What a series takes on disk, and what it will take at its present rate: for people and programs."""

from pathlib import Path
from typing import NamedTuple

from flux_tui.store.series_reader import SeriesReader

RATE_SECONDS = 7 * 86_400.0
"""The rate is that of the segments of the last week."""
MONTH = 30 * 86_400.0


class SeriesSize(NamedTuple):
    """What a series takes on disk, since when, and how much more in 30 days at its present rate."""

    first: int
    """The oldest entry that is there."""
    first_at: float | None
    """Its time in seconds since 1970; None: there is no entry."""
    segments: int
    """How many closed segments there are."""
    segment_bytes: int
    database_bytes: int
    """Bytes of the database, which has the newest entries and the chunk index."""
    month_bytes: int | None
    """Bytes that 30 days add at the rate of the last week. None: no segment is closed yet."""


def series_size(reader: SeriesReader, database: Path) -> SeriesSize:
    """Return the size of a home's series. `database`: the home's database. Raises StoreError."""
    segments = reader.segments()
    first = reader.first_seq()
    oldest = reader.read(first - 1, 1)
    month = None
    if segments:
        end = segments[-1].last_at
        late = [one for one in segments if one.last_at >= end - RATE_SECONDS]
        seconds = max(end - late[0].first_at, 1.0)
        month = int(sum(one.size for one in late) / seconds * MONTH)
    size = sum(
        path.stat().st_size
        for path in (database, database.with_name(f"{database.name}-wal"))
        if path.exists()
    )
    return SeriesSize(
        first, oldest[0].at if oldest else None, len(segments), sum(one.size for one in segments), size, month
    )
