"""The metrics of a home's disk, and those that only a running node has."""

import os
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import trio

from flux_tui.home import Home
from flux_tui.metrics.families import Family, gauge
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.segments.catalog import FOLDER, SUFFIX

LAG_SECONDS = 1.0
"""Seconds between two measurements of the loop's lag."""
LAGS = 60
"""Measurements of which the worst one counts."""


def disk_families(home: Home, keep_free: int) -> Iterator[Family]:
    """Yield the metrics of the disk that a home is on. What cannot be measured is left out.

    `keep_free`: bytes that the settings keep free.
    """
    try:
        found = os.statvfs(home.path)
    except OSError:
        return
    yield gauge("disk_size_bytes", "Size of the home's disk.", found.f_blocks * found.f_frsize)
    yield gauge("disk_free_bytes", "Bytes of the home's disk that are free for this user.",
                found.f_bavail * found.f_frsize)  # fmt: skip
    room = DiskSpace(keep_free).free(home.path)
    if room is not None:
        meaning = "Bytes that the node may still write to the home's disk: what is free, less keep_free."
        yield gauge("disk_room_bytes", meaning, max(0, room))
    size = 0
    for name in (home.database.name, f"{home.database.name}-wal"):
        try:
            size += (home.path / name).stat().st_size
        except OSError:
            continue
    yield gauge("database_bytes", "Bytes of the newest entries of the series and the index of chunks.", size)
    packed = 0
    for path in (home.path / FOLDER).glob(f"*{SUFFIX}"):
        try:
            packed += path.stat().st_size
        except OSError:  # it was pruned just now
            continue
    yield gauge("segment_bytes", "Bytes of the older entries of the series.", packed)


class LoopLag:
    """How late the node's loop is: a timer of a second is measured, and the worst of the last minute counts."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=LAGS)

    @property
    def worst(self) -> float:
        """The longest delay of the last minute, in seconds."""
        return max(self._lags, default=0.0)

    def note(self, seconds: float) -> None:
        """Note that a timer was this late."""
        self._lags.append(max(0.0, seconds))

    async def measure(self) -> None:
        """Measure the lag of this task's loop until cancelled."""
        while True:
            due = trio.current_time() + LAG_SECONDS
            await trio.sleep_until(due)
            self.note(trio.current_time() - due)


class LiveFigures(NamedTuple):
    """What only a running node knows of itself."""

    uploads: int
    """Peers that this node has chunks to send to."""
    upload_queue_bytes: int
    uncommitted_entries: int
    """Entries that are not durable yet."""
    stalled: bool
    """Whether the disk takes no entries at the moment."""


def live_families(figures: LiveFigures, lag: float) -> list[Family]:
    """Return the metrics of a running node. `lag`: seconds by which its loop was late."""
    return [
        gauge("uploads", "Peers that this node has chunks to send to.", figures.uploads),
        gauge("upload_queue_bytes", "Bytes that were granted by peers and are not sent yet.",
              figures.upload_queue_bytes),
        gauge("uncommitted_entries", "Entries that are not durable yet.", figures.uncommitted_entries),
        gauge("stalled", "Whether the disk takes no entries at the moment.", float(figures.stalled)),
        gauge("loop_lag_seconds", "The longest delay of a timer in the last minute.", lag),
    ]  # fmt: skip
