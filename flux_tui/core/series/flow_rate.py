"""How fast something flows, and when it will be whole, by what came in each second. Pure.

A rate is a mean over a few seconds, so that it can be read. An eta is told only where what flows is even: a
burst, or one chunk now and then, says nothing of when the rest comes.
"""

from collections.abc import Mapping

RATE_SECONDS = 5
"""Rates are means over this many seconds: long enough to be read, short enough to be true."""
WINDOWS = (15.0, 60.0)
"""Seconds by which an eta is told: the first in which what came is even."""
MIN_SECONDS = 3.0
"""So long something has to flow before it can be told whether it is even."""
PARTS = 3
"""Into so many parts the time is cut, to see whether what came is even."""
UNEVEN = 2.0
"""How many times as much may come in one part as in another."""


def rate_of(by_second: Mapping[int, float], now: float, seconds: int = RATE_SECONDS) -> float:
    """Bytes a second over the last whole seconds, from the first in which there were any. The current one is not over,
    and counts only where there is no other: a chunk that comes once a second would make the rate go up and down."""
    last = int(now)
    span = range(last - seconds, last)
    first = next((t for t in span if by_second.get(t)), None)
    if first is None:
        return by_second.get(last, 0) / max(now - last, 0.5)
    return sum(by_second.get(t, 0) for t in span) / (last - first)


def eta_of(by_second: Mapping[int, float], since: float, now: float, left: float) -> float | None:
    """Seconds until `left` more bytes came. None: it has not flowed for long enough since `since`, or unevenly."""
    for window in WINDOWS:
        start, end = int(max(since, now - window)), int(now)
        if end - start < MIN_SECONDS:
            return None
        came = [0.0] * PARTS
        for second in range(start, end):
            came[(second - start) * PARTS // (end - start)] += by_second.get(second, 0)
        if min(came) * UNEVEN >= max(came) > 0:
            return left * (end - start) / sum(came)
    return None
