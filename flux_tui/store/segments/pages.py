"""Pages: up to 1,024 entries, compressed. A page takes about a sixth of its entries' rows.

CIDs and peer ids repeat: those of a want in each answer to it, those of a grant in each chunk that comes. The
compression (zlib) writes a repeated id as a reference of some 3 bytes. Times are differences.

A page has two streams of entries. `bulk` has the kinds that moving bytes causes, which are most of the entries
and are rarely searched. `rest` has all other kinds. So a search by kind decompresses little. Lists of CIDs that
entries of a stream have in common follow its entries (store/segments/cid_lists.py).
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
from flux_tui.store.segments.cid_lists import CidLists, shorten_body, whole_body

PAGE_ENTRIES = 1024
LEVEL = 6
"""Of zlib: 3 µs for each entry, without the GIL. A level more saves nothing."""
BULK = frozenset(("granted", "chunk_received", "chunks_sent", "grant_received"))

Row = tuple[int, float, bytes]
"""The number of an entry, its time in seconds since 1970, and the stored bytes of its event."""

_FLOAT, _BITS = Struct(">d"), Struct(">q")
_encoder = msgspec.msgpack.Encoder()
_kinds_decoder = msgspec.msgpack.Decoder(dict[str, int])


class _Shape(msgspec.Struct, array_like=True):
    """What a page has besides the events: times, and the kind of each entry."""

    times: list[int]
    """The bits of the first time, then the differences between the bits of times: exact, and small."""
    tags: list[str]
    """The kinds in this page."""
    kinds: bytes | list[int]
    """The index in `tags` of each entry; bytes if there are at most 256 kinds."""


class _Short(msgspec.Struct, array_like=True):
    """An entry of a stream without its CIDs."""

    body: bytes
    at: int
    """Where the CIDs were."""
    number: int
    """Their list: its index among the lists of the stream."""
    bitmap: bytes
    """Which CIDs of the list it has; empty: all."""


_Stream = list[bytes | _Short]
_shape_decoder = msgspec.msgpack.Decoder(_Shape)
_stream_decoder = msgspec.msgpack.Decoder(_Stream)


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
        _packed_stream(bulk),
        _packed_stream(rest),
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
        self._page = page
        self._bulk: _Bodies | None = None
        self._rest: _Bodies | None = None

    def time_of(self, seq: int) -> float:
        """Return the time of an entry of this page, in seconds since 1970."""
        return self._time(seq - self.first)

    def _time(self, index: int) -> float:
        return float(_FLOAT.unpack(_BITS.pack(self._bits[index]))[0])

    def rows(self, after: int, limit: int) -> list[Row]:
        """Return the first `limit` entries after the entry numbered `after`, with the bytes of their events."""
        start = max(after + 1 - self.first, 0)
        return self._rows(range(start, min(start + limit, len(self._kinds))))

    def of_kinds(self, kinds: Collection[str], after: int) -> list[Entry]:
        """Return the entries of these kinds after the entry numbered `after`."""
        tags = [number for number, tag in enumerate(self._tags) if tag in kinds]
        start = max(after + 1 - self.first, 0)
        return [Entry(seq, at, decode_event(body)) for seq, at, body in self._rows(self._places(tags, start))]

    def search(self, kinds: Collection[str] | None, peers: Sequence[bytes], before: int) -> list[Entry]:
        """Return the entries before entry `before` of some kinds that name one of `peers`.

        `kinds` None: all. `peers` empty: any. An entry may be returned in vain.
        """
        tags = [number for number, tag in enumerate(self._tags) if kinds is None or tag in kinds]
        until = before - self.first
        places = [place for place in self._places(tags, 0) if place < until]
        return [
            Entry(seq, at, decode_event(body))
            for seq, at, body in self._rows(places)
            if not peers or any(peer in body for peer in peers)
        ]

    def _places(self, tags: Sequence[int], start: int) -> list[int]:
        """Return the indexes, from `start` on, of the entries whose kinds have these indexes in `tags`."""
        kinds, found = self._kinds, []
        if not isinstance(kinds, bytes):
            return [index for index in range(start, len(kinds)) if kinds[index] in tags]
        for tag in tags:
            at = kinds.find(tag, start)
            while at >= 0:
                found.append(at)
                at = kinds.find(tag, at + 1)
        return found if len(tags) == 1 else sorted(found)

    def _rows(self, indexes: Sequence[int]) -> list[Row]:
        """Return some entries; only the streams that have them are decompressed."""
        in_bulk = [tag in BULK for tag in self._tags]
        before = _bulk_before(self._kinds, in_bulk)
        found: list[Row] = []
        for index in indexes:
            if in_bulk[self._kinds[index]]:
                if self._bulk is None:
                    self._bulk = _Bodies(self._page.bulk)
                body = self._bulk[before[index]]
            else:
                if self._rest is None:
                    self._rest = _Bodies(self._page.rest)
                body = self._rest[index - before[index]]
            found.append((self.first + index, self._time(index), body))
        return found


def _bulk_before(kinds: bytes | list[int], in_bulk: Sequence[bool]) -> list[int]:
    """Return how many entries before each one are in the stream `bulk`. `in_bulk`: for each index of a kind."""
    if isinstance(kinds, bytes):
        return [0, *accumulate(kinds.translate(bytes(in_bulk).ljust(256)))]
    return [0, *accumulate(in_bulk[number] for number in kinds)]


class _Bodies:
    """The events of a stream, as stored."""

    def __init__(self, stream: bytes) -> None:
        try:
            self._found = _stream_decoder.decode(zlib.decompress(stream)) if stream else []
        except (zlib.error, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(f"a page of entries is damaged: {error}") from error

    def __getitem__(self, index: int) -> bytes:
        try:
            found = self._found[index]
            if isinstance(found, bytes):
                return found
            stored = self._found[found.number]
            assert isinstance(stored, bytes)
            return whole_body(found.body, found.at, found.bitmap, stored)
        except (IndexError, AssertionError, msgspec.MsgspecError) as error:
            raise sqlite3.DatabaseError(f"a page of entries is damaged: {error}") from error


def _packed_stream(bodies: Sequence[bytes]) -> bytes:
    """Pack the events of a stream, and after them the lists of CIDs that they have in common."""
    if not bodies:
        return b""
    lists = CidLists(len(bodies))
    stream: _Stream = []
    for body in bodies:
        short, at, reference = shorten_body(body, lists)
        stream.append(short if reference is None else _Short(short, at, *reference))
    return _packed([*stream, *(stored for _, stored in lists.fresh)])


def _packed(value: object) -> bytes:
    return zlib.compress(_encoder.encode(value), LEVEL)
