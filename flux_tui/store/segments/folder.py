"""A folder of segments without a database, such as an archive: its files are the list."""

import sqlite3
from contextlib import closing
from pathlib import Path

from flux_tui.store.database import StoreError, explain
from flux_tui.store.segments.catalog import Segment, range_of
from flux_tui.store.segments.segment_file import PackedEntries


def segments_of_folder(folder: Path) -> list[Segment]:
    """Return the segments in a folder, the oldest first; those before a gap are left out. Raises StoreError.

    The list is empty if the folder has no segments.
    """
    named = sorted((found, path) for path in folder.iterdir() if (found := range_of(path.name)) is not None)
    segments: list[Segment] = []
    for (first, last), path in named:
        if segments and first != segments[-1].last + 1:
            segments = []  # the newest part without a gap
        try:
            with closing(PackedEntries.open(path)) as entries:
                if (entries.first, entries.last) != (first, last):
                    raise StoreError(f"{path} does not have the entries that its name tells")
                times = entries.time_of(first), entries.time_of(last)
        except sqlite3.Error as error:
            raise explain(error, path) from error
        segments.append(Segment(first, last, *times, path.stat().st_size, path.name))
    return segments
