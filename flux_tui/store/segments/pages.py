"""Pages: up to 1,024 entries, compressed. A page takes about a sixth of its entries' rows.

CIDs and peer ids repeat: those of a want in each answer to it, those of a grant in each chunk that comes. The
compression (zlib) writes a repeated id as a reference of some 3 bytes. Times are differences.

A page has two streams of entries. `bulk` has the kinds that moving bytes causes, which are most of the entries
and are rarely searched. `rest` has all other kinds. So a search by kind decompresses little.
"""

import sqlite3
import zlib
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise
from struct import Struct
from typing import NamedTuple

import msgspec

from flux_tui.core.series.events import Entry, decode_event, stored_kind

PAGE_ENTRIES = 1024
LEVEL = 6
"""Of zlib: 3 µs for each entry, without the GIL. A level more saves nothing."""
BULK = frozenset(("granted", "chunk_received", "chunks_sent", "grant_received"))

Row = tuple[int, float, bytes]
"""The number of an entry, its time in seconds since 1970, and the stored bytes of its event."""

_FLOAT, _BITS = Struct(">d"), Struct(">q")
_encoder = msgspec.msgpack.Encoder()
_bodies_decoder = msgspec.msgpack.Decoder(list[bytes])
_kinds_decoder = msgspec.msgpack.Decoder(dict[str, int])


class _Shape(msgspec.Struct, array_like=True):
    """What a page has besides the events: times, and the kind of each entry."""

    times: list[int]
    """The bits of the first time, then the differences between the bits of times: exact, and small."""
    tags: list[str]
    """The kinds in this page."""
    kinds: bytes | list[int]
    """The index in `tags` of each entry; bytes if there are at most 256 kinds."""


_shape_decoder = msgspec.msgpack.Decoder(_Shape)


class Page(NamedTuple):
    """A row of the table `page`."""

    first: int
    last: int
    kinds: bytes
    """How many entries of each kind the page has."""
    shape: bytes
    bulk: bytes
    rest: bytes


def pack(rows: Sequence[Row]) -> Page:
    """Pack entries, which have numbers without gaps, into a page. `rows` must not be empty."""
    bits = [_BITS.unpack(_FLOAT.pack(at))[0] for _, at, _ in rows]
    times = bits[:1] + [after - before for before, after in pairwise(bits)]
    tags: dict[str, int] = {}
    found = [stored_kind(body) for _, _, body in rows]
    indexes = [tags.setdefault(kind, len(tags)) for kind in found]
    bulk = [row[2] for row, kind in zip(rows, found, strict=True) if kind in BULK]
    rest = [row[2] for row, kind in zip(rows, found, strict=True) if kind not in BULK]
    return Page(
        rows[0][0],
        rows[-1][0],
        _encoder.encode(Counter(found)),
        _packed(_Shape(times, list(tags), bytes(indexes) if len(tags) <= 256 else indexes)),
        _packed(bulk) if bulk else b"",
        _packed(rest) if rest else b"",
    )


def kinds_in(kinds: bytes) -> dict[str, int]:
    """Return how many entries of each kind a page has, from its column `kinds`."""
    return _kinds_decoder.decode(kinds)


class OpenPage:
    """A page whose entries are read. It decompresses only what is asked for.

    Raises sqlite3.DatabaseError if the page is damaged.
    """

    def __init__(self, page: Page) -> None:
        self.first = page.first
        self.last = page.last
        try:
            shape = _shape_decoder.decode(zlib.decompress(page.shape))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(f"a page of entries is damaged: {error}") from error
        self._bits = list(accumulate(shape.times))
        self._tags = shape.tags
        self._kinds = shape.kinds
        self._page: Page | None = page
        self._bodies: list[bytes] = []

    def time_of(self, seq: int) -> float:
        """Return the time of an entry of this page, in seconds since 1970."""
        return self._time(seq - self.first)

    def _time(self, index: int) -> float:
        return float(_FLOAT.unpack(_BITS.pack(self._bits[index]))[0])

    def rows(self, after: int, limit: int) -> list[Row]:
        """Return the first `limit` entries after the entry numbered `after`, as stored."""
        if self._page is not None:
            bulk = iter(_unpacked(self._page.bulk))
            rest = iter(_unpacked(self._page.rest))
            in_bulk = [tag in BULK for tag in self._tags]
            self._bodies = [next(bulk if in_bulk[index] else rest, b"") for index in self._kinds]
            self._page = None
        start = max(after + 1 - self.first, 0)
        return [
            (self.first + index, self._time(index), self._bodies[index])
            for index in range(start, min(start + limit, len(self._bodies)))
        ]

    def of_kinds(self, kinds: Collection[str], after: int) -> list[Entry]:
        """Return the entries of these kinds after the entry numbered `after`."""
        tags = {number for number, tag in enumerate(self._tags) if tag in kinds}
        start = max(after + 1 - self.first, 0)
        wanted = [index for index in range(start, len(self._kinds)) if self._kinds[index] in tags]
        if not wanted:
            return []
        if self._page is None:
            bodies = [self._bodies[index] for index in wanted]
        else:
            bodies = self._bodies_at(wanted, {self._tags[number] for number in tags}, self._page)
        return [
            Entry(self.first + index, self._time(index), decode_event(body))
            for index, body in zip(wanted, bodies, strict=True)
        ]

    def _bodies_at(self, indexes: Sequence[int], kinds: Collection[str], page: Page) -> list[bytes]:
        """Return the bodies of some entries. `kinds`: their kinds, which tell the streams to decompress."""
        bulk = _unpacked(page.bulk) if not BULK.isdisjoint(kinds) else []
        rest = _unpacked(page.rest) if not BULK.issuperset(kinds) else []
        in_bulk = [self._tags[number] in BULK for number in self._kinds]
        before = [0, *accumulate(in_bulk)]
        """How many entries before each one are in `bulk`."""
        return [bulk[before[at]] if in_bulk[at] else rest[at - before[at]] for at in indexes]


def _packed(value: object) -> bytes:
    return zlib.compress(_encoder.encode(value), LEVEL)


def _unpacked(stream: bytes) -> list[bytes]:
    try:
        return _bodies_decoder.decode(zlib.decompress(stream)) if stream else []
    except (zlib.error, msgspec.MsgspecError) as error:
        raise sqlite3.DatabaseError(f"a page of entries is damaged: {error}") from error
