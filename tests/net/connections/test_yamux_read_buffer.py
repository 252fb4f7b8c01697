"""The buffer of a stream behaves as the bytearray that it replaces, and returns its pieces without a copy."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.wire import codec
from flux_tui.net.connections.yamux_read_buffer import JOINED, SMALL, FrameBuffer, FrameBuffers
from flux_tui.net.flux import noise_and_yamux, push_stream
from flux_tui.net.upstream import guarded_yamux
from flux_tui.store.disk import file_io

PIECES = st.binary(max_size=9) | st.integers(SMALL - 1, SMALL + 1).map(bytes)
STEPS = st.lists(PIECES | st.integers(0, 30) | st.integers(SMALL - 5, 3 * SMALL) | st.none(), max_size=40)


@given(STEPS)
def test_the_buffer_has_the_methods_of_a_bytearray_that_yamux_uses(steps: list[bytes | int | None]) -> None:
    """Steps of a test. Bytes: they came. A number: so many are read. None: everything is read."""
    plain, ours = bytearray(), FrameBuffer()
    for step in steps:
        if isinstance(step, bytes):
            plain.extend(step)
            ours.extend(memoryview(b"?" + step)[1:])
        elif step is None:
            assert bytes(ours) == bytes(plain)
            plain.clear()
            ours.clear()
        else:
            assert ours[:step] == bytes(plain[:step])
            if step % 2:
                del ours[:step]
            else:
                assert ours.pop(step) == bytes(plain[:step])
            del plain[:step]
        assert (len(ours), bool(ours), bytes(ours)) == (len(plain), bool(plain), bytes(plain))


@given(STEPS)
def test_taken_pieces_keep_their_bytes_and_order_whatever_comes_later(
    steps: list[bytes | int | None],
) -> None:
    """The same steps. The pieces taken are compared only at the end, when the buffer has changed since."""
    came, ours = bytearray(), FrameBuffer()
    taken: list[bytes | bytearray | memoryview] = []
    for step in steps:
        if isinstance(step, bytes):
            came.extend(step)
            ours.extend(step)
        elif ours:
            piece = ours.take(step or 1)
            assert 0 < len(piece) <= (step or 1)
            taken.append(piece)
            more = min(len(ours), step or 1)
            assert ours.take_into(taken, step or 1) == more
    whole = b"".join(taken)
    assert whole + bytes(ours) == came
    assert len(ours) == len(came) - len(whole)


def test_a_large_piece_is_returned_without_a_copy() -> None:
    buffer = FrameBuffer()
    piece = bytes(SMALL)
    buffer.extend(piece)
    assert buffer.take(SMALL) is piece
    assert not buffer


@pytest.mark.parametrize("size", [1, 2, 7, SMALL - 1])
def test_a_buffered_byte_costs_about_a_byte_in_any_cut(size: int) -> None:
    buffer = FrameBuffer()
    for _ in range(1_000_000 // size):
        buffer.extend(bytes(size))
    pieces = list(buffer._pieces)
    assert sum(map(sys.getsizeof, pieces)) < 1.2 * len(buffer) + JOINED


def test_taken_pieces_keep_at_most_twice_their_size_in_memory() -> None:
    message = bytes(range(256)) * 256
    buffer = FrameBuffer()
    buffer.extend(memoryview(message)[: len(message) // 2])
    part = buffer.take(len(message) // 4)
    assert isinstance(part, bytes), "of a quarter of a message, a copy"
    assert part == message[: len(part)]


def test_a_reader_never_waits_for_more_than_the_window_allows() -> None:
    """These limits are in four modules. Transfers would stall if one of them outgrew the next."""
    assert push_stream.READ_BYTES <= guarded_yamux.SHARE // 2, (
        "who waits for so much is read on, whoever else has parked"
    )
    assert codec.PREFIX_BYTES + codec.MAX_HEADER <= push_stream.READ_BYTES
    most = codec.PREFIX_BYTES + codec.MAX_HEADER + codec.MAX_PAYLOAD
    assert most + noise_and_yamux.WINDOW_STEP <= guarded_yamux.RECEIVE_WINDOW, (
        "a whole frame fits into what was granted"
    )
    assert file_io.DIRECT_MAX >= codec.MAX_PAYLOAD


def test_each_stream_has_its_own_buffer() -> None:
    buffers = FrameBuffers()
    buffers[1] = buffers[3] = bytearray()
    buffers[1].extend(b"one")
    assert (bytes(buffers[1]), bytes(buffers[3])) == (b"one", b"")
