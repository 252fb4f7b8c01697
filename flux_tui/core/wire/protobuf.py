"""The protobuf encoding, as far as flux-tui needs it: fields by number, integers of variable length. Pure.

Of a view, the decoder yields views, so no bytes are copied. The number of fields is bounded: a field costs a
microsecond, and a megabyte can have half a million.

Source: protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Iterator
from typing import TypeVar

Buffer = TypeVar("Buffer", bytes, memoryview)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""The wire types that can be read: how the bytes of a field are delimited."""
_MAX_UINT64 = (1 << 64) - 1


class BadProtobufError(ValueError):
    """The bytes are not protobuf. The message says why."""


def fields(data: Buffer, most: int) -> Iterator[tuple[int, int, int | Buffer]]:
    """Yield the number, the wire type and the value of each field. Raises BadProtobufError.

    `most`: fields that there may be, known or not.
    """
    at, end = 0, len(data)
    while at < end:
        most -= 1
        if most < 0:
            raise BadProtobufError("too many fields")
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = varint(data, at)
        wire = key & 7
        if key < 8:
            raise BadProtobufError("a field without a number")
        if wire == VARINT:
            number, at = varint(data, at)
            yield key >> 3, wire, number
            continue
        if wire == BYTES:
            if at < end and (size := data[at]) < 0x80:
                at += 1
            else:
                size, at = varint(data, at)
        elif wire == FIXED32:
            size = 4
        elif wire == FIXED64:
            size = 8
        else:
            raise BadProtobufError(f"a field of unknown wire type {wire}")
        if size > end - at:
            raise BadProtobufError("a field that is longer than its message")
        yield key >> 3, wire, data[at : at + size]
        at += size


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """Return the integer of variable length at an offset, and the offset after it. Raises BadProtobufError."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value > _MAX_UINT64:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    raise BadProtobufError("a number that does not end, or is over 64 bits")


def append_varint(out: bytearray, value: int) -> None:
    """Append an integer of variable length. `value`: at least 0."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
