"""Bitswap's messages: the bytes of other implementations, and bytes that are wrong."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import cid_bytes, dag_cid, parse_cid, raw_cid
from flux_tui.net.bitswap.messages import (
    MAX_BLOCK,
    MAX_ITEMS,
    BadMessageError,
    Entry,
    Presence,
    cid_of,
    decode,
    encode_block_head,
    encode_wants,
)

RAW, DAG = raw_cid(b"leaf"), dag_cid(b"node")
V0 = cid_bytes(DAG)[2:]


def unframed(message: bytes) -> bytes:
    """Return a message without its length, which is of one or two bytes in these tests."""
    return message[1:] if message[0] < 0x80 else message[2:]


def test_what_libp2ps_own_protobuf_writes_is_read_alike() -> None:
    from libp2p.bitswap.pb.bitswap_pb2 import Message

    told = Message()
    told.wantlist.full = True
    one: Any = told.wantlist.entries.add()
    one.block, one.priority, one.sendDontHave = cid_bytes(RAW), 7, True
    one.wantType = 1
    told.wantlist.entries.add(block=V0, cancel=True)
    told.payload.add(prefix=b"\x01\x55\x12\x20", data=b"leaf")
    told.blocks.append(b"node")
    told.blockPresences.add(cid=cid_bytes(DAG), type=1)
    told.pendingBytes = 12
    message = decode(told.SerializeToString())
    assert message.full
    assert message.entries == [Entry(cid_bytes(RAW), 7, have=True, tells=True), Entry(V0, 0, cancel=True)]
    assert [(bytes(block.data), block.raw) for block in message.blocks] == [(b"node", None), (b"leaf", True)]
    assert message.presences == [Presence(cid_bytes(DAG), have=False)]


def test_libp2ps_own_protobuf_reads_what_is_written_here() -> None:
    from libp2p.bitswap.pb.bitswap_pb2 import Message

    told = Message()
    told.ParseFromString(
        unframed(encode_wants([Entry(cid_bytes(RAW), 5, have=True, tells=True)], [Presence(V0, have=True)]))
    )
    (entry,), (presence,) = told.wantlist.entries, told.blockPresences
    assert (entry.block, entry.priority, entry.wantType, entry.sendDontHave) == (cid_bytes(RAW), 5, 1, True)
    assert (presence.cid, presence.type) == (V0, 0)
    told.ParseFromString(encode_block_head(cid_bytes(RAW), 4) + b"leaf" + encode_block_head(V0, 4) + b"node")
    assert [(one.prefix, one.data) for one in told.payload] == [
        (b"\x01\x55\x12\x20", b"leaf"),
        (b"\x00\x70\x12\x20", b"node"),
    ]
    told.ParseFromString(encode_block_head(V0, 4, old=True) + b"node")
    assert list(told.blocks) == [b"node"]


def test_a_cidv0_is_the_cidv1_of_the_same_node() -> None:
    assert cid_of(V0) == DAG
    assert cid_of(cid_bytes(RAW)) == RAW
    assert parse_cid("QmSE89TLwxPD8zerpk4Bg3US4ZuhGQxTwoQsNW3LPeYvh4").startswith("bafybei")


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x01", b"\x01\x71\x12\x20" + bytes(32), b"\x01\x55\x13\x40" + bytes(64), b"\x01\x55\x00\x04leaf"],
    ids=["empty", "short", "dag-cbor", "sha2-512", "identity"],
)
def test_other_codecs_and_hashes_have_no_cid_here(raw: bytes) -> None:
    assert cid_of(raw) is None


def test_a_block_of_another_hash_is_marked() -> None:
    message = decode(b"\x1a\x0c\x0a\x04\x01\x55\x13\x40\x12\x04leaf")
    assert [(block.supported, bytes(block.data)) for block in message.blocks] == [(False, b"leaf")]


def test_a_wantlist_of_a_million_entries_ends_early() -> None:
    entry = b"\x0a\x26\x0a\x24" + cid_bytes(RAW)
    body = entry * (MAX_ITEMS + 1)
    wantlist = (
        b"\x0a" + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14]) + body
    )
    with pytest.raises(BadMessageError, match="more than 16,384 entries"):
        decode(wantlist)
    with pytest.raises(BadMessageError, match="without a CID"):
        decode(b"\x0a\x80\x89\x7a" + b"\x0a\x00" * 1_000_000)  # of two bytes each
    with pytest.raises(BadMessageError, match="more than 16,384"):
        decode(b"\x1a\x00" * 1_000_000)


@pytest.mark.parametrize(
    "data",
    [
        b"\x78\x00" * 2_000_000,
        b"\x0a\x80\x89\x7a" + b"\x78\x00" * 1_000_000,
        b"\x1a\x80\x02" + b"\x78\x00" * 128,
    ],
    ids=["message", "wantlist", "block"],
)
def test_fields_that_nobody_knows_are_counted(data: bytes) -> None:
    assert decode(b"\x78\x00" * 100).entries == []
    with pytest.raises(BadMessageError, match="too many fields"):
        decode(data)


def test_a_block_over_two_mebibytes_is_refused() -> None:
    head = encode_block_head(cid_bytes(RAW), MAX_BLOCK + 1)
    with pytest.raises(BadMessageError, match="a block of"):
        decode(head + bytes(MAX_BLOCK + 1))


@pytest.mark.parametrize(
    "data",
    [b"\x0a", b"\x0a\x05\x0a", b"\xff" * 11, b"\x0f", b"\x0a\x02\x0a\x00", b"\x22\x02\x10\x01", b"\x0a\x00\x0a\x00",
     b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x09\x00", b"\x22\x84\x01\x0a\x81\x01" + bytes(129)],
)  # fmt: skip
def test_what_is_not_a_message_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessageError):
        decode(data)


@given(st.binary(max_size=400))
def test_no_bytes_do_anything_else(data: bytes) -> None:
    with suppress(BadMessageError):
        assert len(decode(data).blocks) <= len(data)
