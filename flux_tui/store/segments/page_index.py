"""An index of the pages of a segment: which peers and CIDs each page names, so that a search reads few of them.

The kinds of entries are in the page's own row. Peers are kept by their whole ids, since a search may be for any
part of one, or for a name. Of CIDs, of which a segment has as many as entries, four characters are kept: a
search by the beginning of a CID reads one page in 300 in vain. The index takes a thirtieth of a segment.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from flux_tui.core.series.events import decode_event, kind_of
from flux_tui.core.series.events.named_ids import cids_of, peers_of
from flux_tui.store.segments.pages import BULK, Row

CID_BEGINNINGS = ("baf", "bag")
"""How the CIDs begin of which the index knows."""
KEY = slice(7, 11)
"""The characters of a CID that are kept. Those before are the same in all CIDs of a kind."""
CONTEXT_PAGES = 2
"""Pages after one that names an object: their entries may be about its blocks without naming it."""

_encoder = msgspec.msgpack.Encoder()
_peers_decoder = msgspec.msgpack.Decoder(list[tuple[str, bytes, bytes]])
_cids_decoder = msgspec.msgpack.Decoder(list[str])


class Wanted(NamedTuple):
    """What a search looks for. An entry that meets it may still not pass the whole search."""

    kinds: Callable[[str], bool] | None = None
    """Whether an entry may have this kind. None: any."""
    peers: Callable[[str], bool] | None = None
    """Whether an entry that names this peer may pass. None: an entry need not name one."""
    cids: tuple[str, ...] = ()
    """Beginnings of CIDs (see `indexed`), each of which an entry names."""
    whole: bool = False
    """Whether the other entries of the same pages are wanted, too."""


def indexed(text: str) -> bool:
    """Return whether the index knows which pages have CIDs that begin with a text."""
    return len(text) >= KEY.stop and text.startswith(CID_BEGINNINGS)


class PagesNamed(NamedTuple):
    """What some pages, which follow each other, name: a row of the table `page_index`."""

    first: int
    """The first entry of the first page."""
    last: int
    """The last entry of the last page."""
    peers: bytes
    """Packed: peer ids, each with two bitmaps of pages: of streams `rest` and of streams `bulk` with it."""
    cids: bytes
    """Packed: for each page, the kept characters of its CIDs, in order."""


class Indexing:
    """Collects the index while pages are written."""

    def __init__(self) -> None:
        self._peers: dict[str, list[int]] = {}
        """The two bitmaps of each peer, as numbers."""
        self._cids: list[str] = []
        self._first: int | None = None
        self._last = 0

    def add(self, rows: Sequence[Row]) -> None:
        """Add the next page."""
        page = 1 << len(self._cids)
        keys: set[str] = set()
        for _, _, body in rows:
            event = decode_event(body)
            bulk = kind_of(event) in BULK
            for peer in peers_of(event):
                self._peers.setdefault(peer, [0, 0])[bulk] |= page
            keys.update(cid[KEY] for cid in cids_of(event))
        self._cids.append("".join(sorted(key for key in keys if len(key) == 4)))
        self._first = rows[0][0] if self._first is None else self._first
        self._last = rows[-1][0]

    def named(self) -> PagesNamed | None:
        """Return the row of the index. None: there are no pages."""
        if self._first is None:
            return None
        peers = [(peer, _bitmap(rest), _bitmap(bulk)) for peer, (rest, bulk) in self._peers.items()]
        return PagesNamed(self._first, self._last, _packed(peers), _packed(self._cids))


class Candidate(NamedTuple):
    """A page whose entries may be wanted."""

    first: int
    """Its first entry."""
    kinds: tuple[str, ...] | None
    """The kinds of entries that may be. None: all."""
    peers: tuple[bytes, ...] = ()
    """Ids of peers, one of which an entry has to name. Empty: none has to."""


def candidates(
    wanted: Wanted, pages: Iterable[tuple[int, dict[str, int]]], index: PagesNamed | None, carried: int
) -> list[Candidate]:
    """Return the pages that may have wanted entries, in order.

    `pages`: the first entry of each page, and its kinds. `index`: what they name; None: not known. `carried`:
    how many of them follow closely a page, before all of these, that names a wanted CID. Raises
    sqlite3.DatabaseError.
    """
    peers = _peers(wanted, index)
    near = _near(wanted, index, carried)
    found = []
    for place, (first, counts) in enumerate(pages):
        kinds = [kind for kind in counts if wanted.kinds is None or wanted.kinds(kind)]
        bit = 1 << place
        if peers is not None:
            in_rest = any(rest & bit for _, rest, _ in peers)
            in_bulk = any(bulk & bit for _, _, bulk in peers)
            kinds = [kind for kind in kinds if (in_bulk if kind in BULK else in_rest)]
        if not kinds or (near is not None and not near >> place & 1):
            continue
        if wanted.whole:
            found.append(Candidate(first, None))
        else:
            ids = tuple(peer for peer, rest, bulk in peers or () if (rest | bulk) & bit)
            found.append(Candidate(first, tuple(kinds), ids))
    return found


def carried_on(wanted: Wanted, index: PagesNamed | None) -> int:
    """Return how many pages after these follow a page closely that names a wanted CID."""
    if not wanted.cids or index is None:
        return CONTEXT_PAGES
    cids = _unpacked_cids(index)
    for back, keys in enumerate(reversed(cids[-CONTEXT_PAGES:])):
        if any(_has(keys, cid[KEY]) for cid in wanted.cids):
            return CONTEXT_PAGES - back
    return 0


def _peers(wanted: Wanted, index: PagesNamed | None) -> list[tuple[bytes, int, int]] | None:
    """Return the wanted peers, each with its two bitmaps as numbers. None: the index does not tell."""
    if wanted.peers is None or index is None:
        return None
    try:
        known = _peers_decoder.decode(zlib.decompress(index.peers))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise sqlite3.DatabaseError(f"an index of pages is damaged: {error}") from error
    return [
        (peer.encode(), int.from_bytes(rest, "little"), int.from_bytes(bulk, "little"))
        for peer, rest, bulk in known
        if wanted.peers(peer)
    ]


def _near(wanted: Wanted, index: PagesNamed | None, carried: int) -> int | None:
    """Return a bitmap of the pages that name each wanted CID, or follow one closely that does. None: any may."""
    if not wanted.cids or index is None:
        return None
    of_pages = _unpacked_cids(index)
    near = -1
    for cid in wanted.cids:
        bits = sum(1 << place for place, keys in enumerate(of_pages) if _has(keys, cid[KEY]))
        for _ in range(CONTEXT_PAGES):
            bits |= bits << 1
        near &= bits | ((1 << carried) - 1)
    return near


def _has(keys: str, key: str) -> bool:
    at = keys.find(key)
    while at >= 0 and at % 4:
        at = keys.find(key, at + 1)
    return at >= 0


def _unpacked_cids(index: PagesNamed) -> list[str]:
    try:
        return _cids_decoder.decode(zlib.decompress(index.cids))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise sqlite3.DatabaseError(f"an index of pages is damaged: {error}") from error


def _bitmap(bits: int) -> bytes:
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def _packed(value: object) -> bytes:
    return zlib.compress(_encoder.encode(value), 6)
