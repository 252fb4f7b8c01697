"""The one reader of protobuf: Bitswap's messages and dag-pb nodes are read with it."""

import time

import pytest

from flux_tui.core.content import protobufs
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.wire.protobuf import BYTES, VARINT, BadProtobufError, append_varint, fields

MIB = 1 << 20
MESSAGE = bytes((1 << 3 | VARINT, 0xAC, 0x02, 2 << 3 | BYTES, 3)) + b"abc" + bytes((3 << 3 | 5, 1, 2, 3, 4))


def test_fields_of_bytes_and_of_views() -> None:
    wanted = [(1, VARINT, 300), (2, BYTES, b"abc"), (3, 5, b"\x01\x02\x03\x04")]
    assert list(fields(MESSAGE, 3)) == wanted
    found = list(fields(memoryview(MESSAGE), 3))
    assert [isinstance(value, memoryview) for _, _, value in found] == [False, True, True]
    assert found == wanted


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (MESSAGE + MESSAGE, "too many fields"),
        (b"\x02", "without a number"),
        (b"\x0b", "unknown wire type 3"),
        (b"\x0a\x05abcd", "longer than its message"),
        (b"\x0d\x01", "longer than its message"),
        (b"\x0a", "does not end"),
        (b"\x08", "does not end"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "over 64 bits"),
        (b"\x80", "does not end"),
    ],
)
def test_what_is_no_protobuf(data: bytes, why: str) -> None:
    with pytest.raises(BadProtobufError, match=why):
        list(fields(data, 5))
    with pytest.raises(BadProtobufError, match=why):
        list(fields(memoryview(data), 5))
    with pytest.raises(BadBlockError):
        protobufs.decode_node(data)


def test_a_node_of_two_mebibytes_of_nothing_costs_little() -> None:
    """Fields that nobody knows, and packed sizes without end: both are read to a bound only."""
    unknown, packed = bytes((9 << 3, 0)) * MIB, bytearray((4 << 3 | BYTES,))
    append_varint(packed, 2 * MIB)
    for body in (unknown, bytes((1 << 3, 2)) + bytes(packed) + bytes(2 * MIB)):
        node = bytearray((1 << 3 | BYTES,))
        append_varint(node, len(body))
        began = time.process_time()
        with pytest.raises(BadBlockError, match=r"too many fields|block sizes"):
            protobufs.decode_node(bytes(node) + body)
        assert time.process_time() - began < 0.5
