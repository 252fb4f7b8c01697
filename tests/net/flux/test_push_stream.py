"""Incoming frames that come slowly: how long this node waits for the rest, and what it tells meanwhile."""

from itertools import pairwise

import pytest
import trio
import trio.testing

from flux_tui.core.ids import PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Cancel, Chunk
from flux_tui.net.flux.push_stream import (
    FRAME_SECONDS,
    PAYLOAD_RATE,
    PROGRESS_SECONDS,
    StalledError,
    StreamSource,
    read_from,
)
from tests.support.networks import Seen, a_chunk

PEER = PeerId(f"12D3KooW{'A' * 44}")
CHUNK = a_chunk(1 << 20)
FRAME = codec.encode_frame(Chunk(cid=CHUNK.cid), len(CHUNK.data)) + bytes(CHUNK.data)


class SlowStream:
    """A stream on which `data` comes at `rate` bytes a second, a packet at a time, and then nothing more."""

    def __init__(self, data: bytes, rate: float, packet: int = 1400) -> None:
        self.data = data
        self.rate = rate
        self.packet = packet
        self.next_at: float | None = None
        """When the next packet arrives."""
        self.ends = False
        """Whether the peer closes the stream after the data."""

    async def read(self, n: int | None = None) -> bytes:
        if not self.data and not self.ends:
            await trio.sleep_forever()
        piece = self.data[: self.packet]
        if self.next_at is None:
            self.next_at = trio.current_time() + len(piece) / self.rate
        await trio.sleep_until(self.next_at)
        self.data = self.data[len(piece) :]
        self.next_at += len(self.data[: self.packet]) / self.rate
        return piece

    async def write(self, data: bytes) -> None:
        raise AssertionError("nothing is written here")


async def read(stream: SlowStream) -> Seen:
    """Read a stream to its end."""
    seen = Seen()
    stream.ends = True
    with pytest.raises(EOFError):
        await read_from(StreamSource(stream), PEER, seen)
    return seen


@pytest.mark.parametrize("rate", [8_000, 32_000, 125_000])
async def test_a_chunk_may_take_minutes(rate: int, autojump_clock: trio.testing.MockClock) -> None:
    seen = await read(SlowStream(FRAME, rate))
    assert seen.payloads == {CHUNK.cid: CHUNK.data}
    assert trio.current_time() >= len(CHUNK.data) / rate
    times = [seconds for _, _, seconds in seen.progress]
    for before, after in pairwise(times):
        assert 0.99 * PROGRESS_SECONDS <= after - before <= 3 * PROGRESS_SECONDS
    for cid, received, seconds in seen.progress:
        assert cid == CHUNK.cid
        assert received == pytest.approx(rate * seconds, abs=4200)


async def test_of_a_chunk_that_comes_soon_nothing_is_told_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await read(SlowStream(FRAME, 4e6))
    assert seen.payloads
    assert not seen.progress


async def test_of_an_unwanted_chunk_no_progress_is_told(autojump_clock: trio.testing.MockClock) -> None:
    seen = Seen()
    seen.unwanted.add(CHUNK.cid)
    stream = SlowStream(FRAME, 32_000)
    stream.ends = True
    with pytest.raises(EOFError):
        await read_from(StreamSource(stream), PEER, seen)
    assert not seen.progress
    assert not seen.payloads


@pytest.mark.parametrize("part", [5, 20, 40, 300_000])
async def test_a_frame_that_stops_is_given_up(part: int, autojump_clock: trio.testing.MockClock) -> None:
    """In its prefix, in its header, in its payload."""
    with pytest.raises(StalledError, match="stopped in the middle"):
        await read_from(StreamSource(SlowStream(FRAME[:part], 32_000)), PEER, Seen())
    passed = trio.current_time() - part / 32_000
    assert FRAME_SECONDS - 1 <= passed <= FRAME_SECONDS + 1


async def test_a_frame_that_comes_a_byte_at_a_time_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with pytest.raises(StalledError, match="slower than"):
        await read_from(StreamSource(SlowStream(FRAME, 10, packet=40)), PEER, Seen())
    assert trio.current_time() < 2 * FRAME_SECONDS + len(FRAME) / PAYLOAD_RATE


async def test_a_long_header_may_come_slowly(autojump_clock: trio.testing.MockClock) -> None:
    frame = codec.encode_frame(Cancel(cids=tuple(a_chunk(number + 1).cid for number in range(512))))
    seen = await read(SlowStream(frame, 900, packet=100))
    assert len(seen.messages) == 1
    assert trio.current_time() > FRAME_SECONDS
