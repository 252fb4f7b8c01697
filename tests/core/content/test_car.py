"""CARs: bytes of other implementations, and what is refused."""

import pytest

from flux_tui.core.content.car import (
    BadCarError,
    decode_header,
    decode_section,
    encode_header,
    encode_section,
    read_varint,
    varint,
)
from flux_tui.core.ids import cid_bytes, dag_cid, raw_cid

ROOT = raw_cid(b"hello")
HEADER = (
    bytes.fromhex("3aa265726f6f747381d82a58250001551220")
    + cid_bytes(ROOT)[4:]
    + bytes.fromhex("6776657273696f6e01")
)
"""A header as go-car and js-car write it: 58 bytes with one CIDv1."""


def test_a_header_is_that_of_other_implementations() -> None:
    assert encode_header([ROOT]) == HEADER
    length = read_varint(HEADER)
    assert length == (58, 1)
    assert decode_header(HEADER[1:]) == (ROOT,)
    many = [dag_cid(bytes([number])) for number in range(40)]
    encoded = encode_header(many)
    size = read_varint(encoded)
    assert size is not None
    assert decode_header(encoded[size[1] :]) == tuple(many)


def test_keys_may_stand_in_any_order_and_a_root_may_be_a_cid_of_version_0() -> None:
    other = bytes.fromhex("a26776657273696f6e0165726f6f747381d82a582300") + cid_bytes(dag_cid(b"x"))[2:]
    assert decode_header(other) == (dag_cid(b"x"),)


def test_a_section_names_its_block() -> None:
    head = encode_section(ROOT, 5)
    assert head == varint(41) + cid_bytes(ROOT)
    assert decode_section(head[1:] + b"hello") == (ROOT, 36)
    old = dag_cid(b"node")
    assert decode_section(cid_bytes(old)[2:] + b"node") == (old, 34)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xa0",
        b"\xa2",
        b"\xff" * 40,
        b"\xa1\x67version\x01",
        b"\xa1\x67version\x02",
        b"\xa2\x65roots\x80\x67version\x02",
        b"\xa2\x65roots\x81\x01\x67version\x01",
        b"\xa2\x65roots\x81\xd8\x2a\x41\x01\x67version\x01",
        b"\xa2\x65roots\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x67version\x01",
        b"\xa2\x65roots\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x67version\x01",
        b"\x81" * 100,
        HEADER[1:] + b"\0",
        HEADER[1:-1],
    ],
)
def test_a_header_that_is_none_is_refused(header: bytes) -> None:
    with pytest.raises(BadCarError):
        decode_header(header)


def test_lengths_and_cids_that_are_none_are_refused() -> None:
    assert read_varint(b"\x80\x80") is None
    with pytest.raises(BadCarError, match="does not end"):
        read_varint(b"\xff" * 20)
    for raw in (b"", b"\x01\x71\x12\x20" + b"x" * 32, b"\x12\x20short", b"\x01\x55\x00\x03abc" + b"x" * 40):
        with pytest.raises(BadCarError):
            decode_section(raw)
