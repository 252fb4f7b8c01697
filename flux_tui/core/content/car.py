"""CAR, version 1: a file of blocks, each with its CID before it, and a header that names the roots.

    varint(length) header   varint(length) CID bytes   varint(length) CID bytes …

The header is DAG-CBOR: `{"roots": [CID, …], "version": 1}`, keys by length, a CID as tag 42 with a zero byte before
it. A CID here may be a CIDv0, a bare sha2-256 multihash. Everything that is read is bounded, whatever its lengths say.

Sources: ipld.io/specs/transport/car/carv1, ipld.io/specs/codecs/dag-cbor, RFC 8949.
"""

from collections.abc import Sequence
from typing import NamedTuple

from flux_tui.core.ids import BadIdError, Cid, cid_bytes, cid_from_bytes
from flux_tui.core.wire.codec import MAX_PAYLOAD

MAX_HEADER = 32 * 1024
"""Bytes of a header: some 700 roots."""
MAX_CID = 128
"""Bytes of a CID in a section. Ours have 36; others are refused once they are read."""
MAX_SECTION = MAX_PAYLOAD + MAX_CID
"""Bytes of a CID and its block."""
MAX_VARINT = 9
"""Bytes of a length, as the multiformats' varints have."""
MAX_NESTED = 4
"""Items in each other in a header."""
CID_TAG = 42
CAR_2 = bytes.fromhex("0aa16776657273696f6e02")
"""How a CAR of version 2 begins."""


class BadCarError(ValueError):
    """These bytes are not a CAR that can be read. The message is one sentence."""


class _NotAHeaderError(BadCarError):
    def __init__(self) -> None:
        super().__init__("its header is not one of a CAR")


class Section(NamedTuple):
    """The CID of one block, and how many bytes of the section stand before the block itself."""

    cid: Cid
    head: int


def encode_header(roots: Sequence[Cid]) -> bytes:
    """Return how a CAR with these roots begins."""
    body = bytearray(b"\xa2\x65roots")
    body += _head(4, len(roots))
    for root in roots:
        raw = b"\0" + cid_bytes(root)
        body += b"\xd8\x2a" + _head(2, len(raw)) + raw
    body += b"\x67version\x01"
    return varint(len(body)) + bytes(body)


def encode_section(cid: Cid, size: int) -> bytes:
    """Return what stands before a block of `size` bytes: a length, and the CID."""
    raw = cid_bytes(cid)
    return varint(len(raw) + size) + raw


def varint(value: int) -> bytes:
    """Return an unsigned varint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes | memoryview, at: int = 0) -> tuple[int, int] | None:
    """Return a varint, and where it ends; None if the data ends before. Raises BadCarError."""
    value = 0
    for index in range(MAX_VARINT):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise BadCarError("a length in it does not end")


def decode_header(data: bytes) -> tuple[Cid, ...]:
    """Return the roots in a header. `data`: what follows its length. Raises BadCarError."""
    try:
        value, end = _value(data, 0, 0)
    except (IndexError, UnicodeDecodeError):
        raise _NotAHeaderError from None
    if end != len(data) or not isinstance(value, dict):
        raise _NotAHeaderError
    if value.get("version") != 1:
        raise BadCarError("it is a CAR of another version: only version 1 can be read")
    roots = value.get("roots")
    if not isinstance(roots, list) or not all(isinstance(root, bytes) for root in roots):
        raise BadCarError("its header names no roots")
    return tuple(_cid(root) for root in roots)


def decode_section(data: bytes | memoryview) -> Section:
    """Return the CID at the beginning of a section. `data`: what follows its length. Raises BadCarError.

    The first MAX_CID bytes are enough.
    """
    raw = bytes(data[:36])
    if raw[:2] == b"\x12\x20":
        if len(raw) < 34:
            raise BadCarError("it ends inside a CID")
        return Section(_cid(raw[:34]), 34)
    if len(raw) < 36:
        raise BadCarError("it has a block without a whole CID")
    return Section(_cid(raw), 36)


def _cid(raw: bytes) -> Cid:
    if len(raw) == 34 and raw[:2] == b"\x12\x20":
        raw = b"\x01\x70" + raw
    try:
        return cid_from_bytes(raw)
    except BadIdError:
        raise BadCarError(
            "it has a block that is neither raw bytes nor a file or folder (dag-pb), with sha2-256"
        ) from None


def _head(major: int, value: int) -> bytes:
    """Return the head of a CBOR item: its major type, and a number."""
    if value < 24:
        return bytes([major << 5 | value])
    for extra, size in ((24, 1), (25, 2), (26, 4)):
        if value < 1 << 8 * size:
            return bytes([major << 5 | extra]) + value.to_bytes(size, "big")
    raise ValueError("a CBOR item that is too large")


def _value(data: bytes, at: int, depth: int) -> tuple[object, int]:
    """Decode one CBOR item of those that a header has. Return it, and where it ends. A CID is returned as bytes."""
    major, number, at = _item_head(data, at)
    if depth > MAX_NESTED or number > len(data):
        raise _NotAHeaderError
    match major:
        case 0:
            return number, at
        case 2 | 3:
            raw = data[at : at + number]
            if len(raw) != number:
                raise BadCarError("its header ends inside a text")
            return (raw if major == 2 else raw.decode()), at + number
        case 4:
            items = []
            for _ in range(number):
                item, at = _value(data, at, depth + 1)
                items.append(item)
            return items, at
        case 5:
            return _table(data, at, number, depth)
        case 6 if number == CID_TAG:
            raw_cid, at = _value(data, at, depth + 1)
            if not isinstance(raw_cid, bytes) or raw_cid[:1] != b"\0":
                raise BadCarError("its header has a root that is not a CID")
            return raw_cid[1:], at
        case _:
            raise _NotAHeaderError


def _table(data: bytes, at: int, number: int, depth: int) -> tuple[dict[object, object], int]:
    table: dict[object, object] = {}
    for _ in range(number):
        key, at = _value(data, at, depth + 1)
        value, at = _value(data, at, depth + 1)
        if not isinstance(key, str) or key in table:
            raise _NotAHeaderError
        table[key] = value
    return table, at


def _item_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the major type and the number at the head of a CBOR item, and where the head ends."""
    major, number = data[at] >> 5, data[at] & 31
    at += 1
    if number >= 24:
        size = {24: 1, 25: 2, 26: 4, 27: 8}.get(number, 0)
        if not size or at + size > len(data):
            raise _NotAHeaderError
        number = int.from_bytes(data[at : at + size], "big")
        at += size
    return major, number, at
