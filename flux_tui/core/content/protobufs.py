"""dag-pb and UnixFS protobufs, encoded and decoded by hand: two small messages with a canonical encoding.

    PBNode  { repeated PBLink Links = 2; optional bytes Data = 1 }    (Links are written first)
    PBLink  { bytes Hash = 1; string Name = 2; uint64 Tsize = 3 }
    Data    { enum Type = 1; bytes Data = 2; uint64 filesize = 3; repeated uint64 blocksizes = 4;
              uint64 hashType = 5; uint64 fanout = 6; uint32 mode = 7; UnixTime mtime = 8 }

`mtime` is ignored: a fetched file has the time at which it arrived.

Encoding is canonical, because the bytes are hashed. Decoding is bounded. It accepts what the schema allows
(unknown fields in Data, packed block sizes). Anything else raises BadBlockError.

Sources: ipld/specs dag-pb, ipfs/specs UNIXFS, protobuf encoding.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from flux_tui.core.ids import (
    CID_BYTES,
    CID_PREFIXES,
    BadIdError,
    Cid,
    cid_bytes,
    cid_from_bytes,
    cids_from_bytes,
)
from flux_tui.core.wire.protobuf import BYTES, VARINT, BadProtobufError, append_varint, fields, varint

RAW, DIRECTORY, FILE, METADATA, SYMLINK, HAMT_SHARD = range(6)
"""UnixFS node types."""

MURMUR3_X64_64 = 0x22
"""The multihash code for the hash of names. It stands in each node of a HAMT."""
MAX_LINKS = 16_384
"""Links in one node. A 2 MiB block can have at most about 40,000 of the smallest ones."""
_MAX_FIELDS = MAX_LINKS + 64
"""Fields in one node, one link or one UnixFS message, unknown ones included."""
_MODE_BITS = 0o7777
"""Bits of a mode that have a meaning. The others are reserved and masked off."""
_HASH = bytes((1 << 3 | BYTES, CID_BYTES))
"""How a link begins: the tag and the length of its CID."""
_NAME_AT = len(_HASH) + CID_BYTES
"""Where the tag of a link's name is, in a link with a CIDv1."""
_USUAL_CIDS = tuple(_HASH + prefix for prefix in CID_PREFIXES)
_LINK_TAG = 2 << 3 | BYTES
_NAME_TAG, _SIZE_TAG = 2 << 3 | BYTES, 3 << 3 | VARINT


class BadBlockError(ValueError):
    """The bytes of a block are not valid, or contradict what other blocks say of it. The message says why."""


class PBLink(NamedTuple):
    """One link of a dag-pb node. `tsize`: encoded bytes of all blocks below the link."""

    cid: Cid
    name: str
    tsize: int


class UnixFS(NamedTuple):
    """The UnixFS message in the Data field of a node: type, content, sizes, permissions."""

    kind: int
    data: bytes = b""
    filesize: int | None = None
    blocksizes: tuple[int, ...] = ()
    hash_type: int | None = None
    fanout: int | None = None
    mode: int | None = None
    """Permissions, as in stat. Only the lowest twelve bits have a meaning."""


def encode_node(links: Iterable[PBLink], unixfs: UnixFS) -> bytes:
    """Return the canonical bytes of a dag-pb node. The links keep the given order."""
    out = bytearray()
    for cid, name, tsize in links:
        text = name.encode()
        link = bytearray(_HASH)
        link += cid_bytes(cid)
        if len(text) < 0x80:  # the tag and the length are one byte each
            link.append(_NAME_TAG)
            link.append(len(text))
            link += text
        else:
            _put_bytes(link, 2, text)
        _put_varint(link, 3, tsize)
        _put_bytes(out, 2, link)
    _put_bytes(out, 1, _encode_unixfs(unixfs))
    return bytes(out)


def decode_node(data: bytes) -> tuple[tuple[PBLink, ...], UnixFS]:
    """Return the links and the UnixFS message of a dag-pb node. Raises BadBlockError."""
    try:
        return _decode_node(data)
    except BadProtobufError as error:
        raise BadBlockError(f"a node that is not protobuf: {error}") from None


def _decode_node(data: bytes) -> tuple[tuple[PBLink, ...], UnixFS]:
    links, start = _usual_links(data)
    body: bytes | None = None
    for field, wire, value in fields(data[start:], _MAX_FIELDS - len(links)):
        if field == 2 and wire == BYTES:
            if len(links) >= MAX_LINKS:
                raise BadBlockError(f"a node with more than {MAX_LINKS} links")
            links.append(_decode_link(_as_bytes(value)))
        elif field == 1 and wire == BYTES:
            if body is not None:
                raise BadBlockError("a node with two Data fields")
            body = _as_bytes(value)
        else:
            raise BadBlockError(f"a node with an unknown field {field}")
    if body is None:
        raise BadBlockError("a node without Data is not a UnixFS node")
    return tuple(links), _decode_unixfs(body)


def _encode_unixfs(unixfs: UnixFS) -> bytes:
    out = bytearray()
    _put_varint(out, 1, unixfs.kind)
    if unixfs.data:
        _put_bytes(out, 2, unixfs.data)
    if unixfs.filesize is not None:
        _put_varint(out, 3, unixfs.filesize)
    for size in unixfs.blocksizes:
        _put_varint(out, 4, size)
    if unixfs.hash_type is not None:
        _put_varint(out, 5, unixfs.hash_type)
    if unixfs.fanout is not None:
        _put_varint(out, 6, unixfs.fanout)
    if unixfs.mode is not None:
        _put_varint(out, 7, unixfs.mode)
    return bytes(out)


def _decode_unixfs(data: bytes) -> UnixFS:
    numbers: dict[int, int] = {}
    content = b""
    blocksizes: list[int] = []
    for field, wire, value in fields(data, _MAX_FIELDS):
        if field == 4 and wire == VARINT:
            blocksizes.append(_as_int(value))
        elif field == 4 and wire == BYTES:  # packed, as some encoders write it
            blocksizes.extend(islice(_numbers(_as_bytes(value)), MAX_LINKS + 1 - len(blocksizes)))
        elif field == 2 and wire == BYTES:
            content = _as_bytes(value)
        elif field in (1, 3, 5, 6, 7) and wire == VARINT:
            numbers[field] = _as_int(value)
        if len(blocksizes) > MAX_LINKS:
            raise BadBlockError(f"a node with more than {MAX_LINKS} block sizes")
    if 1 not in numbers:
        raise BadBlockError("a UnixFS node without a type")
    mode = numbers.get(7)
    return UnixFS(
        numbers[1],
        content,
        numbers.get(3),
        tuple(blocksizes),
        numbers.get(5),
        numbers.get(6),
        None if mode is None else mode & _MODE_BITS,
    )


def _decode_link(data: bytes) -> PBLink:
    return _usual_link(data) or _any_link(data)


def _usual_link(data: bytes) -> PBLink | None:
    """Decode a link that has the usual form. None: it has another form, or is not valid."""
    field = bytearray()
    _put_bytes(field, 2, data)
    links, _ = _usual_links(bytes(field))
    return links[0] if links else None


def _usual_links(data: bytes) -> tuple[list[PBLink], int]:
    """Decode the first links of a node, as far as they have the usual form, and return where they end.

    So this program and IPFS tools write them: a CIDv1, a name of up to 127 bytes and a size, each once. This is ten
    times as fast as `_any_link`.
    """
    raws: list[bytes] = []
    names: list[str] = []
    sizes: list[int] = []
    at, end = 0, len(data)
    while at + 3 < end and data[at] == _LINK_TAG and len(raws) < MAX_LINKS:
        size, link = data[at + 1], at + 2
        if size > 0x7F:
            if data[link] > 0x7F:
                break
            size, link = size & 0x7F | data[link] << 7, link + 1
        stop, name_at = link + size, link + _NAME_AT
        if size < _NAME_AT + 4 or stop > end or not data.startswith(_USUAL_CIDS, link):
            break
        name_end = name_at + 2 + data[name_at + 1]
        if data[name_at] != _NAME_TAG or data[name_at + 1] > 0x7F or name_end + 2 > stop:
            break
        if data[name_end] != _SIZE_TAG or not name_end + 2 <= stop <= name_end + 9:
            break
        tsize = 0
        for byte in data[stop - 1 : name_end : -1]:
            tsize = tsize << 7 | byte & 0x7F
        # each byte but the last says that another one follows
        if data[stop - 1] > 0x7F or (stop > name_end + 2 and min(data[name_end + 1 : stop - 1]) < 0x80):
            break
        try:
            names.append(data[name_at + 2 : name_end].decode())
        except UnicodeDecodeError:
            break
        raws.append(data[link + len(_HASH) : name_at])
        sizes.append(tsize)
        at = stop
    return list(map(PBLink, cids_from_bytes(raws), names, sizes)), at


def _any_link(data: bytes) -> PBLink:
    raw: bytes | None = None
    name, tsize = "", 0
    for field, wire, value in fields(data, _MAX_FIELDS):
        if field == 1 and wire == BYTES:
            raw = _as_bytes(value)
        elif field == 2 and wire == BYTES:
            try:
                name = _as_bytes(value).decode()
            except UnicodeDecodeError:
                raise BadBlockError("a link whose name is not UTF-8") from None
        elif field == 3 and wire == VARINT:
            tsize = _as_int(value)
        else:
            raise BadBlockError(f"a link with an unknown field {field}")
    if raw is None:
        raise BadBlockError("a link without a CID")
    if len(raw) == 34 and raw[:2] == b"\x12\x20":
        raw = b"\x01\x70" + raw  # CIDv0
    try:
        return PBLink(cid_from_bytes(raw), name, tsize)
    except BadIdError as error:
        raise BadBlockError(f"a link to what cannot be fetched: {error}") from None


def _numbers(data: bytes) -> Iterator[int]:
    """Yield the integers of a packed field."""
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def _put_varint(out: bytearray, field: int, value: int) -> None:
    append_varint(out, field << 3 | VARINT)
    append_varint(out, value)


def _put_bytes(out: bytearray, field: int, value: bytes | bytearray) -> None:
    append_varint(out, field << 3 | BYTES)
    append_varint(out, len(value))
    out += value


def _as_int(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value


def _as_bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value
