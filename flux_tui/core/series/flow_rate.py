"""Flow rates and etas, computed from the bytes that came in each second. Pure.

A rate is a mean over a few seconds, so that a person can read it. An eta is given only for an even flow: a
burst, or one chunk now and then, does not tell when the rest will come.
"""

from collections.abc import Mapping

RATE_SECONDS = 5
"""Seconds of a rate's mean: long enough to be read, short enough to be true."""
WINDOWS = (15.0, 60.0)
"""Windows of an eta, in seconds. The first window with an even flow is used."""
MIN_SECONDS = 3.0
"""Seconds that something must flow before its evenness can be judged."""
PARTS = 3
"""Parts into which a window is cut to judge whether the flow is even."""
UNEVEN = 2.0
"""How many times as much may come in one part as in another in an even flow."""


def rate_of(by_second: Mapping[int, float], now: float, seconds: int = RATE_SECONDS) -> float:
    """Return the rate in bytes a second, over up to `seconds` whole seconds before `now`.

    `by_second`: the bytes that came in each second. Seconds before the first bytes do not count. The current
    second is not over, so it counts only if there is no other. Otherwise one chunk a second would make the rate
    go up and down.
    """
    last = int(now)
    span = range(last - seconds, last)
    first = next((t for t in span if by_second.get(t)), None)
    if first is None:
        return by_second.get(last, 0) / max(now - last, 0.5)
    return sum(by_second.get(t, 0) for t in span) / (last - first)


def eta_of(by_second: Mapping[int, float], since: float, now: float, left: float) -> float | None:
    """Return the seconds until `left` more bytes have come.

    `by_second`: the bytes that came in each second; `since`: when the flow began. None: the flow is too short
    or too uneven for an estimate.
    """
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
