"""The codec: encodes messages as bytes, and decodes them. Frames for the push stream, sealed intents for gossip.

A frame is an 8-byte prefix, a header, and then the payload as raw bytes (chunk bytes never pass through
msgpack):

    offset  size  field
    0       1     version (1)
    1       3     header length in bytes, big endian, 1 … 65,536
    4       4     payload length in bytes, big endian, 0 … 2,097,152
    8       …     header: msgpack array [tag, fields…]
    …       …     payload; only after a `chunk` header

Every limit is checked before the costly step: the lengths before anything is read, and the numbers of elements
before any object is built (otherwise 9 KB of nested msgpack can cost 66 MiB).

Whatever a peer sends, decoding raises only two errors. `BadFrameError`: the bytes do not follow the protocol; the
error's message is one sentence. `UnknownKindError`: the message is well formed, but of a kind that only a later
version knows; the node ignores it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import msgpack
import msgspec

from flux_tui.core.ids import CID_CHARACTERS, Cid
from flux_tui.core.wire.exchange import MAX_TOLD, TOLD_TYPES, Told
from flux_tui.core.wire.messages import (
    CID_PATTERN,
    MESSAGE_TYPES,
    Chunk,
    Intent,
    IntentBody,
    Message,
    SealedIntent,
)
from flux_tui.core.wire.provide import MAX_PROVIDE, Provided

VERSION = 1
PREFIX_BYTES = 8
MAX_HEADER = 64 * 1024
"""Bytes of a header. The largest grant has 31 KB."""
MAX_PAYLOAD = 2 * 1024 * 1024
"""Bytes of a payload. IPFS tools exchange blocks of up to 2 MiB."""
MAX_SEALED = 64 * 1024
"""Bytes of a sealed intent as gossip carries it."""
MAX_ELEMENTS = 1024
"""Elements of any array in a header; the largest legal one has 512 CIDs."""
_KINDS: dict[Any, type[Message]] = {kind.__struct_config__.tag: kind for kind in MESSAGE_TYPES}
"""Message types by tag."""
_BODIES: dict[Any, object] = {kind.__struct_config__.tag: kind for kind in get_args(IntentBody)}
"""Types of intent bodies by tag."""
_TOLD: dict[Any, object] = {kind.__struct_config__.tag: kind for kind in TOLD_TYPES}
"""Types of messages about peers by tag."""
ABOUT_PEERS, OF_RECORDS = "about peers", "of provider records"
"""What messages that come alone on a stream are about, in errors."""
BODY = 3
"""The index of an intent's body in its array."""
_CHUNK_HEAD = b"\x92\xa5chunk\xd9" + bytes((CID_CHARACTERS,))
"""How the header of a chunk begins: an array of its tag and of a text as long as a CID."""
_CHUNK_BYTES = len(_CHUNK_HEAD) + CID_CHARACTERS
_CID = re.compile(CID_PATTERN)
_TAG = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
"""The form of a tag that a later version may use."""
_WORD = re.compile(r"Invalid enum value '([a-z][a-z0-9_.-]{0,63})'")
"""msgspec's error text for a reason, or a similar word, that is not in its closed list."""


class BadFrameError(ValueError):
    """Raised if bytes from a peer do not follow the protocol. The message says what is wrong."""


class UnknownKindError(ValueError):
    """Raised for a message whose tag, or a word in it, this version does not know. `kind` says which."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind} is not known to this version")
        self.kind = kind


class Prefix(NamedTuple):
    """The decoded first 8 bytes of a frame. Both lengths are in bytes."""

    header: int
    payload: int


def encode_frame(message: Message, payload_size: int = 0) -> bytes:
    """Return the prefix and header of a frame. The caller writes the payload, `payload_size` bytes, after them.

    Raises ValueError if the header or the payload is over its limit.
    """
    header = _pack(message)
    if len(header) > MAX_HEADER or payload_size > MAX_PAYLOAD:
        raise ValueError(f"a frame of {len(header)} + {payload_size} bytes is over the limit")
    return (VERSION << 24 | len(header)).to_bytes(4, "big") + payload_size.to_bytes(4, "big") + header


def decode_prefix(prefix: bytes | bytearray | memoryview) -> Prefix:
    """Decode the first 8 bytes of a frame. Raises BadFrameError before anything else is read."""
    if prefix[0] != VERSION:
        raise BadFrameError(f"frame version {prefix[0]}, this node speaks {VERSION}")
    both = int.from_bytes(prefix[:PREFIX_BYTES], "big")
    header, payload = both >> 32 & 0xFFFFFF, both & 0xFFFFFFFF
    if not 0 < header <= MAX_HEADER:
        raise BadFrameError(f"header of {header} bytes, the limit is {MAX_HEADER}")
    if payload > MAX_PAYLOAD:
        raise BadFrameError(f"payload of {payload} bytes, the limit is {MAX_PAYLOAD}")
    return Prefix(header, payload)


def decode_header(header: bytes | bytearray | memoryview) -> Message:
    """Decode the header of a frame. Raises BadFrameError, UnknownKindError."""
    if (chunk := _usual_chunk(header)) is not None:
        return chunk
    value = _unpack(header)
    # msgspec analyses a union at each call: 8 µs instead of 0.5 µs.
    kind = _KINDS.get(value[0]) if isinstance(value, list) and value and isinstance(value[0], str) else None
    if kind is None:
        _check_known(value, _KINDS)
    message: Message = _convert(value, kind or Message)
    return message


def _usual_chunk(header: bytes | bytearray | memoryview) -> Chunk | None:
    """Decode the header of a chunk as this program writes it, a quarter of the work. None: it is another header."""
    if len(header) != _CHUNK_BYTES or not isinstance(header, bytes) or not header.startswith(_CHUNK_HEAD):
        return None
    text = header[len(_CHUNK_HEAD) :].decode("latin-1")
    return Chunk(cid=Cid(text)) if _CID.fullmatch(text) else None


def encode_intent(intent: Intent) -> bytes:
    """Encode an intent as the exact bytes that its origin signs."""
    return _pack(intent)


def decode_intent(signed: bytes) -> Intent:
    """Decode an intent. The caller has to check its signature. Raises BadFrameError, UnknownKindError."""
    value = _unpack(signed)
    if isinstance(value, list) and len(value) > BODY:
        _check_known(value[BODY], _BODIES)
    intent: Intent = _convert(value, Intent)
    return intent


def encode_sealed(sealed: SealedIntent) -> bytes:
    """Encode a signed intent for gossip."""
    return _pack(sealed)


def decode_sealed(data: bytes) -> SealedIntent:
    """Decode a signed intent that came by gossip, without checking its signature. Raises BadFrameError."""
    if len(data) > MAX_SEALED:
        raise BadFrameError(f"intent of {len(data)} bytes, the limit is {MAX_SEALED}")
    sealed: SealedIntent = _convert(_unpack(data), SealedIntent)
    return sealed


def encode_told(told: Told) -> bytes:
    """Encode a message about peers."""
    return _pack(told)


def decode_told(data: bytes) -> Told:
    """Decode a message about peers, without checking the records in it. Raises BadFrameError, UnknownKindError."""
    told: Told = _convert(_unpack_known(data, MAX_TOLD, ABOUT_PEERS, _TOLD), Told)
    return told


def encode_provided(provided: Provided) -> bytes:
    """Encode a message about roots that its sender has."""
    return _pack(provided)


def decode_provided(data: bytes) -> Provided:
    """Decode a message about roots that its sender has. Raises BadFrameError, UnknownKindError."""
    known = _unpack_known(data, MAX_PROVIDE, OF_RECORDS, {"provide": Provided})
    provided: Provided = _convert(known, Provided)
    return provided


def too_long(size: int, what: str, limit: int) -> BadFrameError:
    """Return the error for a message of `size` bytes, which is over its limit. `what`: ABOUT_PEERS or OF_RECORDS."""
    return BadFrameError(f"{size} bytes {what}, the limit is {limit}")


def _unpack_known(data: bytes, limit: int, what: str, known: Mapping[Any, object]) -> object:
    """Unpack a message that comes alone on its stream. Raises BadFrameError, UnknownKindError."""
    if len(data) > limit:
        raise too_long(len(data), what, limit)
    value = _unpack(data)
    _check_known(value, known)
    return value


def _pack(value: msgspec.Struct) -> bytes:
    packed: bytes = msgpack.packb(msgspec.to_builtins(value, builtin_types=(bytes,)), use_bin_type=True)
    return packed


def _unpack(data: bytes | bytearray | memoryview) -> object:
    try:
        value: object = msgpack.unpackb(
            data,
            raw=False,
            use_list=True,
            max_array_len=MAX_ELEMENTS,
            max_map_len=16,
            max_str_len=MAX_HEADER,
            max_bin_len=MAX_SEALED,
            max_ext_len=0,
        )
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BadFrameError(f"not msgpack within the limits: {type(error).__name__}") from None
    return value


def _check_known(value: object, known: Mapping[Any, object]) -> None:
    """Raise UnknownKindError if `value` is a well-formed message whose tag is not in `known`."""
    tag = value[0] if isinstance(value, list) and value else None
    if isinstance(tag, str) and tag not in known and _TAG.fullmatch(tag):
        raise UnknownKindError(tag)


def _convert(value: object, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes,))  # otherwise text would be read as base64
    except msgspec.ValidationError as error:
        if (found := _WORD.match(str(error))) and isinstance(value, list):
            raise UnknownKindError(f"{value[0]} {found.group(1)}") from None
        raise BadFrameError(f"not a message of this protocol: {error}") from None
    except RecursionError as error:
        raise BadFrameError(f"not a message of this protocol: {error}") from None
