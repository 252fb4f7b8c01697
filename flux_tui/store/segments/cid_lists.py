"""Lists of CIDs that entries have in common: the second entry with a list, and all later ones, refer to it by a number.

A want of 256 chunks has 15 KB of CIDs, and so has each answer to it. Stored, an answer is the bytes of its entry
without the CIDs, the number of the list, and, if it is about some of them only, a bitmap of these. Reading puts
the CIDs back, so the bytes of the entry are the same as before.

The lists are kept per database (for the entries that are rows) and per stream of a page.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.events import Event, encode_event

LEAST_BYTES = 180
"""Bytes of the shortest list that is referred to: three CIDs."""
REMEMBERED = 16_384
"""CIDs whose list is remembered while entries are written: about 4 MB."""

_encoder = msgspec.msgpack.Encoder()
_parts_decoder = msgspec.msgpack.Decoder(list[msgspec.Raw])
_cids_decoder = msgspec.msgpack.Decoder(list[str])


class Reference(NamedTuple):
    """Where the CIDs of an entry are."""

    number: int
    """The number of the list."""
    bitmap: bytes
    """Which of its CIDs the entry has, the lowest bit first. Empty: all of them."""


class _List:
    __slots__ = ("cids", "number")

    def __init__(self, cids: Sequence[str]) -> None:
        self.cids = cids
        self.number: int | None = None
        """None: it is not stored by itself; one entry has it."""


class CidLists:
    """The lists of the entries that were written last, to find the list of the next entry among them."""

    def __init__(self, next_number: int = 0) -> None:
        """`next_number`: the number of the next list that is stored."""
        self._of: BoundedTable[str, tuple[_List, int]] = BoundedTable(REMEMBERED)
        """The newest list with each CID, and the CID's place in it."""
        self._next = next_number
        self.fresh: list[tuple[int, bytes]] = []
        """Lists to be stored with the entries: number, and bytes (a msgpack array). The caller empties it."""

    def refer(self, cids: Sequence[str]) -> Reference | None:
        """Return where the CIDs of the next entry are. None: they are in no list, so the entry has them itself."""
        found = self._of.get(cids[0])
        if found is not None:
            known, place = found
            bitmap = b"" if known.cids == cids else self._bitmap(known, place, cids)
            if bitmap is not None:
                if known.number is None:
                    known.number = self._next
                    self._next += 1
                    self.fresh.append((known.number, _encoder.encode(known.cids)))
                return Reference(known.number, bitmap)
        fresh = _List(cids)
        for place, cid in enumerate(cids):
            self._of[cid] = fresh, place
        return None

    def _bitmap(self, known: _List, place: int, cids: Sequence[str]) -> bytes | None:
        """Return a bitmap of `cids` in a list. None: it lacks some, or has them in another order."""
        bits, before = 0, -1
        for cid in cids:
            found = self._of.get(cid)
            if found is None or found[0] is not known or found[1] <= before:
                return None
            before = found[1]
            bits |= 1 << before
        return bits.to_bytes((before >> 3) + 1, "little")

    def forget(self) -> None:
        """Forget all lists, because stored ones were deleted, or were not committed."""
        self._of.clear()
        self.fresh.clear()


def shorten_event(event: Event, lists: CidLists) -> tuple[bytes, int, Reference | None]:
    """Return the bytes of an event, without its CIDs if they are in a list, and where in the bytes they were."""
    body = encode_event(event)
    cids = getattr(event, "cids", ())
    if len(body) < LEAST_BYTES or len(cids) < 3:
        return body, 0, None
    return _shorten(body, _encoder.encode(cids), cids, lists)


def shorten_body(body: bytes, lists: CidLists) -> tuple[bytes, int, Reference | None]:
    """Do the same with the stored bytes of an event, of any kind."""
    if len(body) < LEAST_BYTES:
        return body, 0, None
    try:
        longest = bytes(max(_parts_decoder.decode(body), key=len))
        if len(longest) < LEAST_BYTES:
            return body, 0, None
        cids = tuple(_cids_decoder.decode(longest))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError):
        return body, 0, None
    if len(cids) < 3 or _encoder.encode(cids) != longest:
        return body, 0, None
    return _shorten(body, longest, cids, lists)


def _shorten(
    body: bytes, stored: bytes, cids: Sequence[str], lists: CidLists
) -> tuple[bytes, int, Reference | None]:
    at = body.find(stored)
    found = lists.refer(cids) if at >= 0 and len(stored) >= LEAST_BYTES else None
    return (body, 0, None) if found is None else (body[:at] + body[at + len(stored) :], at, found)


def whole_body(short: bytes, at: int, bitmap: bytes, stored: bytes) -> bytes:
    """Return the bytes of an event that was shortened. `at`: where its CIDs were. `stored`: the bytes of its list.

    Raises msgspec.MsgspecError if the list is damaged.
    """
    if not stored:
        raise msgspec.DecodeError("a list of CIDs is missing")
    if bitmap:
        bits = int.from_bytes(bitmap, "little")
        stored = _encoder.encode(
            [cid for place, cid in enumerate(_cids_decoder.decode(stored)) if bits >> place & 1]
        )
    return short[:at] + stored + short[at:]
