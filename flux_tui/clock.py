"""This machine's two clocks: the steady clock and the wall clock.

Timers use the steady clock. Nothing can set it. Where the system allows, it also counts while the machine
sleeps. Times that are written or shown are of the wall clock. A person or NTP may set the wall clock at any
time, by any amount.
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
    """Return the seconds of the steady clock since an unspecified start. They never go back."""
    return time.clock_gettime(_CLOCK)


class SteadyClock:
    """Steady time: starts at the wall clock's time, or at `not_before` if that is later, and never goes back.

    It also measures how far the wall clock has moved away from steady time.
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
        """Return the steady time in seconds."""
        return self._origin + self._elapsed()

    def wall(self) -> float:
        """Return the wall time in seconds since 1970: as `look` last saw it, plus the seconds that passed since."""
        return self._offset + self._elapsed()

    def look(self) -> float:
        """Look at the wall clock. Returns the seconds by which it was set since the last look.

        Returns 0 if it was not set, or by less than STEP_SECONDS. Such a small change is not lost: it counts at a
        later look, together with further ones.
        """
        offset = self._read()
        step = offset - self._offset
        if abs(step) < STEP_SECONDS:
            return 0.0
        self._offset = offset
        return step

    def _read(self) -> float:
        """Return what the wall clock would have shown when `elapsed()` was zero, in seconds since 1970."""
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
