"""Parses moments that people type: `12:01:03`, `-5m`, `+30s`, `#1234` or `1234` (an entry), `start`, `live`.

Pure.
"""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

_AGO = r"^([+-])\s*(\d+(?:\.\d+)?)\s*([smhd]?)$"
_CLOCK = r"^(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?$"
_ENTRY = r"(?a)^#?(?:\d+|\d{1,3}(?:,\d{3})+)$"
MOST_DIGITS = 15
"""The most digits of an entry's number. No series has a longer one."""
LONGEST = 1e10
"""The longest offset, in seconds. Beyond it there is no date."""
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Moment(NamedTuple):
    """A moment to go to: an entry's number, or a time in seconds since 1970. Both None: back to live."""

    seq: int | None = None
    at: float | None = None


def parse_moment(text: str, now: float, newest: float | None = None) -> Moment:
    """Parse a moment that a person typed. Raise ValueError with one sentence.

    `now`: the time at the cursor, to which `-5m` and `+30s` are relative. `newest`: the last time that can be
    shown (None: `now`). Both are in seconds since 1970. A time of day more than a minute later than both is
    one of the day before.
    """
    word = text.strip().lower()
    if word in ("live", "now", "end"):
        return Moment()
    if word in ("start", "begin", "0"):
        return Moment(seq=1)
    if re.match(_ENTRY, word):
        return Moment(seq=int(word.removeprefix("#").replace(",", "")[:MOST_DIGITS]))
    if found := re.match(_AGO, word):
        sign, amount, unit = found.groups()
        seconds = min(float(amount) * _SECONDS[unit], LONGEST)
        return Moment(at=now - seconds if sign == "-" else now + seconds)
    if found := re.match(_CLOCK, word):
        hours, minutes, seconds = int(found.group(1)), int(found.group(2)), float(found.group(3) or 0)
        if hours < 24 and minutes < 60 and seconds < 60:
            day = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
            at = day + timedelta(hours=hours, minutes=minutes, seconds=seconds)
            if at.timestamp() > max(now, newest or now) + 60:
                at -= timedelta(days=1)  # 23:50 typed after midnight means yesterday
            return Moment(at=at.timestamp())
    raise ValueError("no such moment: type 12:01:03, -5m, +10s, #1234, start or live")
