"""Frames on slow lines: how long this node waits for one that comes, and when it takes the chunks that it sends."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
import trio.testing

from flux_tui.core.ids import PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Cancel, Chunk
from flux_tui.net.connections.upload_turns import UploadTurns
from flux_tui.net.flux.push_stream import (
    FRAME_SECONDS,
    PAYLOAD_RATE,
    PROGRESS_SECONDS,
    SLOW_SLICE,
    Outgoing,
    StalledError,
    StreamSource,
    read_from,
)
from flux_tui.net.port import LoadedChunk
from tests.support.networks import Seen, a_chunk

PEER, OTHER = (PeerId(f"12D3KooW{name * 44}") for name in "AB")
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


class Line:
    """A line of `rate` bytes a second that the streams to several peers share."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.acknowledged: Counter[PeerId] = Counter()
        self.turns = UploadTurns(lambda peer: self.acknowledged[peer])
        self.lock = trio.Lock()
        self.slices: list[int] = []
        """The bytes of each write."""


class LineStream:
    """One peer's stream on the line."""

    def __init__(self, line: Line, peer: PeerId) -> None:
        self.line = line
        self.peer = peer

    async def read(self, n: int | None = None) -> bytes:
        raise AssertionError("nothing is read here")

    async def write(self, data: bytes) -> None:
        self.line.slices.append(len(data))
        async with self.line.lock:
            await trio.sleep(len(data) / self.line.rate)
        self.line.acknowledged[self.peer] += len(data)


class Asked(Seen):
    """Notes how each portion is taken: for whom, whether others' chunks count, and what had been written before."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[PeerId, bool, int]] = []

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        chunks = await super().next_chunks(peer, spread=spread)
        if chunks:
            self.asked.append((peer, spread, len(self.sent)))
        return chunks


async def written(line: Line) -> Asked:
    """Write two chunks to each of two peers over one line."""
    seen = Asked()
    with trio.move_on_after(600):
        async with trio.open_nursery() as nursery:
            for number, peer in enumerate((PEER, OTHER)):
                outgoing = Outgoing(peer, seen, 1 << 16, turns=line.turns)
                seen.granted[peer].extend([a_chunk(1 << 20, 2 * number + n)] for n in range(2))
                outgoing.serve()
                nursery.start_soon(outgoing.write_to, LineStream(line, peer))
    assert len(seen.sent) == 4
    return seen


async def test_on_a_slow_line_a_portion_is_taken_when_its_turn_has_come(
    autojump_clock: trio.testing.MockClock,
) -> None:
    line = Line(32_000)
    seen = await written(line)
    assert max(line.slices) == SLOW_SLICE, "the peers see the progress of a chunk"
    assert all(spread for _, spread, _ in seen.asked)
    assert {peer for peer, _, _ in seen.asked[:2]} == {PEER, OTHER}, "a chunk for each, in turn"
    assert all(before >= 1 for _, _, before in seen.asked[2:]), "nothing is taken ahead"


async def test_on_a_fast_line_the_next_portion_is_taken_while_one_is_written(
    autojump_clock: trio.testing.MockClock,
) -> None:
    line = Line(32_000_000)
    seen = await written(line)
    assert line.slices[-2] == 1 << 16, "large slices take less processor time"
    assert [before for _, spread, before in seen.asked if not spread][-1] < 3
