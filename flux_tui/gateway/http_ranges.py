"""The `Range` header: which bytes of a body are wanted."""

import re
from typing import NamedTuple

_ONE = re.compile(r"bytes=\s*(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))\s*", re.IGNORECASE)
_CAR = re.compile(r"(-?\d{1,19}):(\*|-?\d{1,19})")


class UnsatisfiableError(ValueError):
    """No byte of the body is in the range."""


class ByteRange(NamedTuple):
    """Bytes `start` to `stop`, `stop` not included."""

    start: int
    stop: int


def parse_range(header: str, size: int) -> ByteRange | None:
    """Return the wanted range of a body of `size` bytes. None: all of it.

    Several ranges, and a header that is not valid, mean all of it, as RFC 9110 allows. Raises UnsatisfiableError.
    """
    found = _ONE.fullmatch(header)
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise UnsatisfiableError("no byte is in that range")
        return ByteRange(max(0, size - int(suffix)), size)
    start = int(first)
    stop = size if not last else min(int(last) + 1, size)
    if last and int(last) < start:
        return None  # not valid
    if start >= size:
        raise UnsatisfiableError("no byte is in that range")
    return ByteRange(start, stop)


def parse_entity_bytes(text: str) -> tuple[int, int | None]:
    """Return `from` and `to` of the parameter `entity-bytes=from:to` (both included; `to` None: `*`).

    Negative numbers count from the end. Raises ValueError.
    """
    found = _CAR.fullmatch(text)
    if found is None:
        raise ValueError("entity-bytes has to be FROM:TO, such as 0:1023 or 1024:*")
    start, to = int(found[1]), None if found[2] == "*" else int(found[2])
    if to is not None and (start >= 0) == (to >= 0) and to < start:
        raise ValueError("entity-bytes ends before it begins")
    return start, to


def entity_range(start: int, to: int | None, size: int) -> ByteRange:
    """Return which bytes of a file of `size` bytes `entity-bytes` means. It may be empty."""
    first = start if start >= 0 else max(0, size + start)
    stop = size if to is None else to + 1 if to >= 0 else size + to + 1
    return ByteRange(min(first, size), max(min(stop, size), min(first, size)))
