"""What a gateway's status means for a want or a grant: yes, or a NO with a reason and a time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from flux_tui.core.vocabulary import Reason

RETRY_SECONDS = 10.0
"""Seconds until a gateway is asked again that named no time."""
SLOW_RETRY_SECONDS = 30.0
"""The same where the gateway itself waited for others in vain."""
MAX_RETRY_SECONDS = 600.0


CONNECTIONS = 6
"""Requests to one gateway at the same time, as a browser makes them."""
CONNECT_SECONDS = 15.0
STALL_SECONDS = 30.0
"""Seconds in which something of an answer has to come."""


class GatewayGoneError(Exception):
    """The gateway does not answer. The message is a sentence."""


class Answered(NamedTuple):
    """A NO of a gateway. `retry_after`: seconds; None: asking again does not help."""

    reason: Reason
    has_it: bool
    retry_after: float | None
    text: str


def refusal(status: int, headers: Mapping[str, str], now: float) -> Answered | None:
    """Return the NO that a status means; None: it is a yes. `now`: the wall clock, in seconds since 1970."""
    text = f"HTTP {status}"
    match status:
        case 200:
            return None
        case 404 | 410 | 412:
            return Answered("not_held", False, None, text)
        case 429:
            return Answered("rate_limited", True, _retry_after(headers, now, RETRY_SECONDS), text)
        case 503:
            return Answered("busy", True, _retry_after(headers, now, RETRY_SECONDS), text)
        case 401 | 402 | 403 | 451:
            return Answered("denied", False, None, text)
        case 500 | 502 | 504 | 408:
            return Answered("busy", False, _retry_after(headers, now, SLOW_RETRY_SECONDS), text)
        case _:
            return Answered("not_held", False, None, f"{text}, which a gateway does not say to this")


def _retry_after(headers: Mapping[str, str], now: float, default: float) -> float:
    """Return the seconds of `Retry-After`, which may be a number or a date. At most MAX_RETRY_SECONDS."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_SECONDS)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or a second beyond all numbers of a date
        return default
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return min(max(at.timestamp() - datetime.fromtimestamp(now, UTC).timestamp(), 0.0), MAX_RETRY_SECONDS)
