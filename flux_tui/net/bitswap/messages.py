"""Bitswap's messages as values and as bytes: a declared protobuf, decoded within bounds. Pure.

    Message  { Wantlist wantlist = 1; repeated bytes blocks = 2; repeated Block payload = 3;
               repeated Presence blockPresences = 4; int32 pendingBytes = 5 }
    Wantlist { repeated Entry entries = 1; bool full = 2 }
    Entry    { bytes block = 1; int32 priority = 2; bool cancel = 3; WantType wantType = 4; bool sendDontHave = 5 }
    Block    { bytes prefix = 1; bytes data = 2 }
    Presence { bytes cid = 1; Type type = 2 }

`blocks` is how 1.0.0 sends blocks; presences and `wantType` are of 1.2.0. Unknown fields are passed over. Everything
that repeats is counted while it is decoded: a message of a million entries, or of fields that nobody knows, costs as
much as one of MAX_ITEMS.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flux_tui.core.ids import BadIdError, Cid, cid_bytes, cid_from_bytes
from flux_tui.core.wire.protobuf import BYTES, VARINT, BadProtobufError, append_varint, fields

MAX_MESSAGE = 4 * 1024 * 1024
"""Bytes of one message, as in Kubo and Helia."""
MAX_BLOCK = 2 * 1024 * 1024
"""Bytes of one block."""
MAX_ITEMS = 16_384
"""Entries, blocks and presences in one message together. Kubo and Helia keep 1,024 wants of a peer."""
MAX_FIELDS = 16
"""Fields of one entry, block or presence, unknown ones included. They have at most five."""
MAX_CID = 128
"""Bytes of a CID."""
MAX_VARINT = 5
"""Bytes of a message's length in front of it."""

_SHA2_256 = b"\x12\x20"
_V0_PREFIX, _RAW_PREFIX, _DAG_PREFIX = b"\x00\x70\x12\x20", b"\x01\x55\x12\x20", b"\x01\x70\x12\x20"
_CODECS = {_V0_PREFIX: False, _RAW_PREFIX: True, _DAG_PREFIX: False}


class BadMessageError(ValueError):
    """The bytes are not a Bitswap message within the bounds. The message says why, in a sentence."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a wantlist. `cid`: the bytes of the CID, in the form in which the peer wrote it."""

    cid: bytes
    priority: int = 1
    cancel: bool = False
    have: bool = False
    """Whether only a HAVE is wanted, and not the block (WANT_HAVE)."""
    tells: bool = False
    """Whether the peer wants to be told if the block is not here (sendDontHave)."""


@dataclass(frozen=True, slots=True)
class Block:
    """The bytes of one block, and what its prefix says: whether it is a raw leaf, or a dag-pb node.

    `raw` is None if nothing is said (1.0.0). `supported` is False if the prefix names another codec or hash.
    """

    data: bytes | memoryview
    raw: bool | None = None
    supported: bool = True


@dataclass(frozen=True, slots=True)
class Presence:
    """HAVE or DONT_HAVE. `cid`: the bytes of the CID, in the form in which it was wanted."""

    cid: bytes
    have: bool


@dataclass(slots=True)
class BitswapMessage:
    """A message. `full`: its entries are all that the sender wants; earlier wants are replaced."""

    entries: list[Entry] = field(default_factory=list)
    full: bool = False
    blocks: list[Block] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)


def cid_of(raw: bytes) -> Cid | None:
    """Return the CID with these bytes, a CIDv0 as the CIDv1 of the same node. None: no block of this node has it.

    That is so for other codecs than raw and dag-pb, and other hashes than sha2-256.
    """
    try:
        return cid_from_bytes(b"\x01\x70" + raw if len(raw) == 34 and raw[:2] == _SHA2_256 else raw)
    except BadIdError:
        return None


def decode(data: bytes | memoryview) -> BitswapMessage:
    """Return the message with these bytes. Its blocks are views of them. Raises BadMessageError."""
    message, has_wantlist = BitswapMessage(), False
    try:
        for number, wire, value in fields(memoryview(data), MAX_ITEMS + MAX_FIELDS):
            if wire != BYTES:
                continue
            assert not isinstance(value, int)
            match number:
                case 1 if has_wantlist:
                    raise BadMessageError("a message with two wantlists")
                case 1:
                    has_wantlist = True
                    _wantlist(value, message)
                case 2:
                    message.blocks.append(_checked(Block(value)))
                case 3:
                    message.blocks.append(_block(value))
                case 4:
                    message.presences.append(_presence(value))
            if len(message.entries) + len(message.blocks) + len(message.presences) > MAX_ITEMS:
                raise BadMessageError(f"a message of more than {MAX_ITEMS:,} entries")
    except BadProtobufError as error:
        raise BadMessageError(f"a message that is not protobuf: {error}") from None
    return message


def _wantlist(data: memoryview, message: BitswapMessage) -> None:
    for number, wire, value in fields(data, MAX_ITEMS + MAX_FIELDS):
        if number == 1 and wire == BYTES:
            assert not isinstance(value, int)
            message.entries.append(_entry(value))
            if len(message.entries) > MAX_ITEMS:
                raise BadMessageError(f"a wantlist of more than {MAX_ITEMS:,} entries")
        elif number == 2 and wire == VARINT:
            message.full = bool(value)


def _entry(data: memoryview) -> Entry:
    cid = b""
    numbers = [0] * 6
    for number, wire, value in fields(data, MAX_FIELDS):
        if number == 1 and wire == BYTES:
            cid = _cid(value)
        elif 2 <= number <= 5 and wire == VARINT:
            assert isinstance(value, int)
            numbers[number] = value
    if not cid:
        raise BadMessageError("an entry of a wantlist without a CID")
    return Entry(cid, numbers[2], bool(numbers[3]), numbers[4] == 1, bool(numbers[5]))


def _presence(data: memoryview) -> Presence:
    cid, kind = b"", 0
    for number, wire, value in fields(data, MAX_FIELDS):
        if number == 1 and wire == BYTES:
            cid = _cid(value)
        elif number == 2 and wire == VARINT:
            assert isinstance(value, int)
            kind = value
    if not cid:
        raise BadMessageError("a HAVE or DONT_HAVE without a CID")
    return Presence(cid, kind == 0)


def _block(data: memoryview) -> Block:
    prefix, body = b"", memoryview(b"")
    for number, wire, value in fields(data, MAX_FIELDS):
        if number == 1 and wire == BYTES:
            prefix = _cid(value)
        elif number == 2 and wire == BYTES:
            assert not isinstance(value, int)
            body = value
    raw = _CODECS.get(prefix)
    return _checked(Block(body, raw, raw is not None))


def _checked(block: Block) -> Block:
    if len(block.data) > MAX_BLOCK:
        raise BadMessageError(f"a block of {len(block.data):,} bytes, over {MAX_BLOCK:,}")
    return block


def _cid(value: int | memoryview) -> bytes:
    assert not isinstance(value, int)
    if len(value) > MAX_CID:
        raise BadMessageError(f"a CID of {len(value):,} bytes")
    return bytes(value)


# ── encoding ────────────────────────────────────────────────────────────────────────────────────


def encode_wants(entries: Iterable[Entry], presences: Iterable[Presence] = ()) -> bytes:
    """Return the bytes of a message with these entries and presences, with its length in front."""
    body, wantlist = bytearray(), bytearray()
    for entry in entries:
        part = bytearray()
        _put(part, 1, entry.cid)
        for number, value in (
            (2, entry.priority),
            (3, entry.cancel),
            (4, entry.have),
            (5, entry.tells),
        ):
            if value:
                append_varint(part, number << 3 | VARINT)
                append_varint(part, int(value))
        _put(wantlist, 1, part)
    _put(body, 1, wantlist)
    for presence in presences:
        part = bytearray()
        _put(part, 1, presence.cid)
        append_varint(part, 2 << 3 | VARINT)
        append_varint(part, 0 if presence.have else 1)
        _put(body, 4, part)
    return _framed(body)


def encode_block_head(form: bytes, size: int, *, old: bool = False) -> bytes:
    """Return the bytes that stand in a message before those of a block of `size` bytes.

    `form`: the bytes of the block's CID, in the form in which it was wanted. `old`: as in 1.0.0, without a prefix.
    """
    head = bytearray()
    if old:
        append_varint(head, 2 << 3 | BYTES)
        append_varint(head, size)
        return bytes(head)
    inner = bytearray()
    _put(inner, 1, _V0_PREFIX if len(form) == 34 else form[:4])
    append_varint(inner, 2 << 3 | BYTES)
    append_varint(inner, size)
    append_varint(head, 3 << 3 | BYTES)
    append_varint(head, len(inner) + size)
    return bytes(head + inner)


def encode_length(size: int) -> bytes:
    """Return the bytes that stand before a message of `size` bytes."""
    out = bytearray()
    append_varint(out, size)
    return bytes(out)


def form_of(cid: Cid) -> bytes:
    """Return the bytes of a CID as this node writes it: a CIDv1."""
    return cid_bytes(cid)


def _framed(body: bytearray) -> bytes:
    return encode_length(len(body)) + bytes(body)


def _put(out: bytearray, number: int, value: bytes | bytearray) -> None:
    append_varint(out, number << 3 | BYTES)
    append_varint(out, len(value))
    out += value
