"""The clocks of this machine: one that only goes by, and the one on the wall.

Timers use the first. It counts while the machine sleeps, where the system can tell, and nothing sets it. The second is
for what is written and shown; a person or NTP may set it at any time, by any amount.
"""

import time
from collections.abc import Callable

from flux_tui.core.turn import STEP_SECONDS

_TOGETHER = 0.001
"""Seconds within which two clocks are read: on a busy machine this process may stand still in between."""
_TRIES = 8


def _source() -> int:
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):  # macOS's own monotonic clock counts sleep as well
        if (found := getattr(time, name, None)) is not None:
            return int(found)
    raise RuntimeError("this system has no monotonic clock")


_CLOCK = _source()


def elapsed() -> float:
    """Seconds since some moment of the past. They only go by, and also while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class SteadyClock:
    """Seconds since 1970 as they were when it was made, and how far the wall clock is ahead of them.

    `not_before`: it begins at this time if the wall clock is behind it.
    """

    def __init__(
        self,
        not_before: float = 0.0,
        *,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed,
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._offset = self._read()
        self._origin = max(self._offset + elapsed(), not_before) - elapsed()

    def __call__(self) -> float:
        """Steady time."""
        return self._origin + self._elapsed()

    def wall(self) -> float:
        """What the wall clock said when it was looked at last, and the time since."""
        return self._offset + self._elapsed()

    def look(self) -> float:
        """Look at the wall clock. Returns by how much it was set since it was looked at last; 0: it was not."""
        offset = self._read()
        step = offset - self._offset
        if abs(step) < STEP_SECONDS:
            return 0.0
        self._offset = offset
        return step

    def _read(self) -> float:
        """Wall time at the zero of the steady clock."""
        best, found = float("inf"), 0.0
        for _ in range(_TRIES):
            before = self._elapsed()
            wall = self._wall()
            after = self._elapsed()
            if after - before < best:
                best, found = after - before, wall - (before + after) / 2
            if best < _TOGETHER:
                break
        return found
