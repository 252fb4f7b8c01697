"""This machine's clocks: a steady one, and the wall clock.

Timers use the steady clock. Nothing sets it, and where the system allows, it also counts while the machine
sleeps. The wall clock is for times that are written and shown. A person or NTP may set it at any time, by any
amount.
"""

import time
from collections.abc import Callable

from flux_tui.core.turn import STEP_SECONDS

_TOGETHER = 0.001
"""Seconds within which both clocks are read: on a busy machine this process may be stopped in between."""
_TRIES = 8


def _source() -> int:
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):  # macOS's own monotonic clock counts sleep as well
        if (found := getattr(time, name, None)) is not None:
            return int(found)
    raise RuntimeError("this system has no monotonic clock")


_CLOCK = _source()


def elapsed() -> float:
    """Return the seconds since some moment in the past. They only go forward, also while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class SteadyClock:
    """Steady time: starts at the wall clock's time and only goes forward. It also knows the wall clock's lead.

    `not_before`: it starts at this time if the wall clock is behind it.
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
        """Return the steady time."""
        return self._origin + self._elapsed()

    def wall(self) -> float:
        """Return the wall time: as it was at the last look, plus the time since."""
        return self._offset + self._elapsed()

    def look(self) -> float:
        """Look at the wall clock. Returns by how many seconds it was set since the last look; 0: it was not set."""
        offset = self._read()
        step = offset - self._offset
        if abs(step) < STEP_SECONDS:
            return 0.0
        self._offset = offset
        return step

    def _read(self) -> float:
        """Return the wall time at the zero of the steady clock."""
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
