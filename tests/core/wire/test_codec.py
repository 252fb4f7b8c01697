"""Frames and intents: limits are checked first, and BadFrameError is the only exception."""

import contextlib
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.wire import codec
from flux_tui.core.wire.codec import BadFrameError, UnknownKindError
from flux_tui.core.wire.messages import (
    MAX_CIDS_DIRECT,
    Chunk,
    Grant,
    Have,
    Intent,
    SealedIntent,
    StatusNo,
    Want,
)
from tests.core.samples import CID, PEER


def intent(body: Want | Have) -> Intent:
    return Intent(origin=PEER, nonce=bytes(12), expires=1.5, body=body, addrs=("/ip4/127.0.0.1/tcp/1",))  # type: ignore[arg-type]


def test_an_intent_survives_encoding_and_decoding() -> None:
    for body in (Want(cids=(CID,)), Have(root=CID, size=3, name="x")):
        signed = codec.encode_intent(intent(body))
        assert codec.decode_intent(signed) == intent(body)
        sealed = SealedIntent(signed=signed, signature=bytes(64))
        assert codec.decode_sealed(codec.encode_sealed(sealed)) == sealed


@pytest.mark.parametrize(
    ("prefix", "why"),
    [
        (b"\x02\x00\x00\x01\x00\x00\x00\x00", "version"),
        (b"\x01\x00\x00\x00\x00\x00\x00\x00", "header of 0"),
        (b"\x01\x01\x00\x01\x00\x00\x00\x00", "header of 65537"),
        (b"\x01\x00\x00\x01\x00\x20\x00\x01", "payload of 2097153"),
    ],
)
def test_lengths_are_checked_before_anything_is_read(prefix: bytes, why: str) -> None:
    with pytest.raises(BadFrameError, match=why):
        codec.decode_prefix(prefix)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    for decode in (codec.decode_header, codec.decode_intent, codec.decode_sealed):
        with pytest.raises((BadFrameError, UnknownKindError)):
            decode(data)


@given(st.data())
def test_a_changed_frame_is_a_message_or_a_bad_frame(data: st.DataObject) -> None:
    frame = bytearray(
        codec.encode_frame(StatusNo(cids=(CID,), reason="busy", has_it=True, retry_after=2.5))[8:]
    )
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadFrameError, UnknownKindError):
        codec.decode_header(bytes(frame))


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_truncated_or_overlong_frame_is_refused(cut: int) -> None:
    header = codec.encode_frame(Grant(cids=(CID,), ttl=3))[8:]
    for wrong in (header[:-cut], header + bytes(cut)):
        with pytest.raises(BadFrameError):
            codec.decode_header(wrong)


def test_too_many_cids_are_refused() -> None:
    cids = tuple(raw_cid(b"%d" % n) for n in range(MAX_CIDS_DIRECT + 1))
    packed = msgpack.packb(["grant", list(cids), 3])
    with pytest.raises(BadFrameError):
        codec.decode_header(packed)
    assert codec.decode_header(msgpack.packb(["grant", list(cids[:-1]), 3])) == Grant(cids=cids[:-1], ttl=3)


@pytest.mark.parametrize(
    "fields",
    [
        ["grant", ["not-a-cid"], 3],
        ["grant", [CID], -1],
        ["grant", [CID], float("inf")],
        ["grant", [], 3],
        ["status_no", [CID], "Because!", True, None, ""],
        ["status_no", [CID], 5, True, None, ""],
        ["status_no", [CID], "busy", True, -0.5, ""],
        ["status_no", [CID], "busy", True, 1, "x" * 600],
        ["Teleport", 1],
        ["", 1],
        ["x" * 65, 1],
        [1, "teleport"],
        [["teleport"], 1],
        "teleport",
        {"a": 1},
        17,
    ],
)
def test_messages_that_are_not_in_the_protocol(fields: object) -> None:
    with pytest.raises(BadFrameError):
        codec.decode_header(msgpack.packb(fields))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (["teleport", 1], "teleport"),
        (["teleport"], "teleport"),
        (["app.v2_x-y", {"any": [1, b"x"]}], "app.v2_x-y"),
        (["status_no", [CID], "because", True, None, ""], "status_no because"),
        (["status_no", [CID], "busy", True, None, "", "elsewhere"], "status_no elsewhere"),
        (["held", [CID], "moved"], "held moved"),
    ],
)
def test_a_message_of_a_later_version_is_not_refused(fields: object, kind: str) -> None:
    with pytest.raises(UnknownKindError) as caught:
        codec.decode_header(msgpack.packb(fields))
    assert caught.value.kind == kind


def test_an_intent_of_a_later_version_is_not_refused() -> None:
    def signed(body: object) -> bytes:
        data: bytes = msgpack.packb(
            ["12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq", bytes(8), 1.0, body]
        )
        return data

    with pytest.raises(UnknownKindError) as caught:
        codec.decode_intent(signed(["seek", 1]))
    assert caught.value.kind == "seek"
    for wrong in (["want", []], ["Seek!"], 5, []):
        with pytest.raises(BadFrameError):
            codec.decode_intent(signed(wrong))


def test_a_bomb_of_nested_arrays_costs_nothing() -> None:
    bomb = b"\x91" * 9000 + b"\xc0"
    tracemalloc.start()
    with pytest.raises(BadFrameError):
        codec.decode_header(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_an_array_that_claims_four_billion_elements_costs_nothing() -> None:
    tracemalloc.start()
    with pytest.raises(BadFrameError):
        codec.decode_header(b"\xdd\xff\xff\xff\xff" + b"\xc0" * 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_encoding_an_invalid_message_is_a_bug_of_ours() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        codec.encode_frame(Grant(cids=(CID,), ttl=1), codec.MAX_PAYLOAD + 1)
    assert Cid(CID) in codec.encode_frame(Grant(cids=(CID,), ttl=1)).decode(errors="replace")


CHUNK = codec.encode_frame(Chunk(cid=CID), 5)[codec.PREFIX_BYTES :]


@given(st.integers(0, len(CHUNK) - 1), st.binary(min_size=1, max_size=2))
def test_the_header_of_a_chunk_is_decoded_in_two_ways_alike(at: int, other: bytes) -> None:
    """Bytes as this program writes them are decoded by hand, and any others, such as a view, by the general way."""
    for header in (
        CHUNK,
        CHUNK[:at] + other + CHUNK[at + 1 :],
        CHUNK[:at] + other + CHUNK[at + len(other) :],
    ):
        results: list[object] = []
        for given_as in (header, memoryview(header)):
            try:
                results.append(codec.decode_header(given_as))
            except (BadFrameError, UnknownKindError) as error:
                results.append(str(error))
        assert results[0] == results[1]
