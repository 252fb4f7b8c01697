"""One peer's push streams: what goes out is queued and written, what comes in is cut into frames.

Outgoing, control messages are written as soon as the stream takes them, many to a write; between them
one portion of chunks at a time, loaded while the one before it is being written. So a message never
waits for more than a portion (1 MiB), and queued chunks cost no memory.

Incoming, a frame's prefix is checked before its header is read, its header before its payload; a payload
that nobody wants is skipped, never stored. Messages are taken at a pace, and what begins has to go on: a
peer that stops in the middle of a frame holds its buffer for FRAME_SECONDS, not for ever.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import trio

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Message
from flux_tui.net.connections.frames import FrameBuffer, Piece
from flux_tui.net.connections.pace import UNHEEDED, Pace
from flux_tui.net.port import QUEUE_BYTES, QUEUE_MESSAGES, Load, LoadedChunk, Receiver

READ_BYTES = 256 * 1024
"""Bytes asked of the stream at once. So a peer that is read slowly has this much here, and the rest stays
within its window; and whoever reads a payload is woken for so much, not for each piece."""
MESSAGE_BURST, MESSAGE_RATE = 4096.0, 1024.0
"""Messages taken from one peer at once, and per second in the long run; a KiB of one counts as one more.
What comes faster is read later. Ten thousand small chunks are wanted and granted with 1,300 of these."""
SKIPPED_BYTES = 16 * 1024
"""Bytes of a payload that nobody wants which count as one message more."""
FRAME_SECONDS = 20.0
"""For the rest of a frame whose beginning came; a payload has what it takes at PAYLOAD_RATE besides."""
PAYLOAD_RATE = 16 * 1024
"""Bytes/s; slower is no use to anybody: a chunk would take more than a minute."""
YIELD_EVERY = 32
"""Frames handled, until other peers have their turn."""


class ByteStream(Protocol):
    """What is needed of a libp2p stream."""

    async def read(self, n: int | None = None) -> bytes: ...

    async def write(self, data: bytes) -> None: ...


class Source(Protocol):
    """Where frames are cut from: what came, and a way to wait for more."""

    buffer: FrameBuffer

    async def grant(self) -> None:
        """Let the peer send as much again as was taken since. Not to be cancelled by a deadline of the peer's: it
        writes, and who is slow then may be ourselves."""
        ...

    async def fill(self, least: int) -> None:
        """Return when `buffer` has so many bytes. EOFError, or what the stream raises, if they cannot come."""
        ...


class StreamSource:
    """Of any stream."""

    def __init__(self, stream: ByteStream) -> None:
        self.buffer = FrameBuffer()
        self._stream = stream

    async def grant(self) -> None:
        """The stream does it by itself when it is read."""

    async def fill(self, least: int) -> None:
        while len(self.buffer) < least:
            data = await self._stream.read(READ_BYTES)
            if not data:
                raise EOFError("the peer closed its stream")
            self.buffer.extend(data)


WriteSlices = Callable[[ByteStream, Sequence[bytes | memoryview]], Awaitable[None]]
"""How a transport writes some slices in a row, where it has a better way than one after the other."""


async def one_by_one(stream: ByteStream, slices: Sequence[bytes | memoryview]) -> None:
    """Write slices, each by itself."""
    for piece in slices:
        await stream.write(piece)  # type: ignore[arg-type]  # sliced, not copied


class Outgoing:
    """The queue to one peer, and what writes it."""

    def __init__(
        self,
        peer: PeerId,
        receiver: Receiver,
        slice_bytes: int,
        write_slices: WriteSlices | None = None,
    ) -> None:
        self._write_slices = write_slices or one_by_one
        self._peer = peer
        self._receiver = receiver
        self._slice = slice_bytes
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._loads: deque[Load] = deque()
        self.served = 0
        """Bytes of chunks that were written."""
        self._wake = trio.Event()
        self._empty = trio.Event()
        """Nothing is queued, and what was is written."""
        self._empty.set()

    def push(self, message: Message) -> bool:
        """Queue a message; False if the queue is full."""
        frame = codec.encode_frame(message)
        if len(self._control) >= QUEUE_MESSAGES or self._control_bytes + len(frame) > QUEUE_BYTES:
            return False
        self._control.append(frame)
        self._control_bytes += len(frame)
        self._queued()
        return True

    def serve(self, load: Load) -> None:
        """Queue a portion of chunks."""
        self._loads.append(load)
        self._queued()

    def _queued(self) -> None:
        if self._empty.is_set():
            self._empty = trio.Event()
        self._wake.set()

    async def drained(self) -> None:
        """Until all that is queued now is written."""
        await self._empty.wait()

    async def write_to(self, stream: ByteStream) -> None:
        """Write what is queued, until the stream breaks (its exception) or we are cancelled."""
        async with trio.open_nursery() as nursery:
            loaded: trio.MemoryReceiveChannel[Sequence[LoadedChunk]] | None = None
            while True:
                if self._control:
                    await self._write_control(stream)
                    continue
                if loaded is None and self._loads:
                    loaded = self._prefetch(nursery)
                if loaded is None:
                    self._wake = trio.Event()
                    if not self._control and not self._loads:
                        self._empty.set()
                        await self._wake.wait()
                    continue
                chunks = await loaded.receive()
                loaded = self._prefetch(nursery) if self._loads else None
                await self._write_chunks(stream, chunks)

    def _prefetch(self, nursery: trio.Nursery) -> "trio.MemoryReceiveChannel[Sequence[LoadedChunk]]":
        send, receive = trio.open_memory_channel[Sequence[LoadedChunk]](1)
        nursery.start_soon(self._load, self._loads.popleft(), send)
        return receive

    async def _load(self, load: Load, send: "trio.MemorySendChannel[Sequence[LoadedChunk]]") -> None:
        async with send:
            await send.send(await load())

    async def _write_control(self, stream: ByteStream) -> None:
        batch = bytearray()
        while self._control and len(batch) + len(self._control[0]) <= self._slice:
            batch += self._control.popleft()
        if not batch:
            batch += self._control.popleft()  # one that is larger than a slice
        self._control_bytes -= len(batch)
        await self._write(stream, bytes(batch))

    async def _write_chunks(self, stream: ByteStream, chunks: Sequence[LoadedChunk]) -> None:
        slices: list[bytes | memoryview] = []
        pending = bytearray()
        for cid, data in chunks:
            pending += codec.encode_frame(Chunk(cid=cid), len(data))
            view = memoryview(data)
            room = self._slice - len(pending)
            if len(view) > room:
                # Fill up what is begun, so that every write but the last is one full Noise message.
                room = max(room, 0)
                slices.append(bytes(pending) + bytes(view[:room]))
                pending.clear()
                view = view[room:]
                while len(view) > self._slice:
                    slices.append(view[: self._slice])
                    view = view[self._slice :]
            pending += view
        slices += [bytes(pending[at : at + self._slice]) for at in range(0, len(pending), self._slice)]
        await self._write_slices(stream, slices)
        if chunks:
            size = sum(len(data) for _, data in chunks)
            self.served += size
            cids: tuple[Cid, ...] = tuple(cid for cid, _ in chunks)
            self._receiver.on_sent(self._peer, cids, size)

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        for start in range(0, len(data), self._slice):
            await stream.write(data[start : start + self._slice])


class StalledError(Exception):
    """The peer began a frame, and did not go on with it."""


async def read_from(
    source: Source, peer: PeerId, receiver: Receiver, taken: Callable[[], None] = lambda: None
) -> None:
    """Cut what comes into frames until it ends (its exception). Raises BadFrameError for garbage, StalledError.

    `taken`: called for each payload that was wanted and came whole.
    """
    buffer = source.buffer
    pace = Pace(MESSAGE_BURST, MESSAGE_RATE)
    frames = 0
    while True:
        frames += 1
        if not frames % YIELD_EVERY:
            await trio.lowlevel.checkpoint()
        await source.grant()
        await source.fill(1)
        await _need(source, codec.PREFIX_BYTES)
        header_size, payload_size = codec.decode_prefix(buffer[: codec.PREFIX_BYTES])
        end = codec.PREFIX_BYTES + header_size
        await _need(source, end)
        header = buffer[:end][codec.PREFIX_BYTES :]
        try:
            message = codec.decode_header(header)
        except codec.UnknownKindError as error:
            del buffer[:end]
            receiver.on_unknown(peer, error.kind)
            await _payload(source, payload_size, keep=False)
            cost = 1 if receiver.heeds(peer) else UNHEEDED
            await pace.spend(cost + header_size / 1024 + payload_size / SKIPPED_BYTES)
            continue
        del buffer[:end]
        if not isinstance(message, Chunk):
            if payload_size:
                raise codec.BadFrameError(f"a payload of {payload_size} bytes where none belongs")
            receiver.on_message(peer, message)
            await pace.spend((1 if receiver.heeds(peer) else UNHEEDED) + header_size / 1024)
            continue
        wanted = receiver.wants_payload(peer, message, payload_size)
        pieces = await _payload(source, payload_size, keep=wanted)
        if wanted:
            taken()
            await receiver.on_payload(peer, message, pieces)
        else:
            await pace.spend(1 + payload_size / SKIPPED_BYTES)


@contextmanager
def _in_time(size: int) -> Iterator[None]:
    """So many bytes have to come now."""
    with trio.move_on_after(FRAME_SECONDS + size / PAYLOAD_RATE) as scope:
        yield
    if scope.cancelled_caught:
        raise StalledError(f"it stopped in the middle of a frame, for {FRAME_SECONDS:.0f} s or more")


async def _need(source: Source, size: int) -> None:
    """More of a frame that began."""
    if len(source.buffer) < size:
        with _in_time(0):
            await source.fill(size)


async def _payload(source: Source, size: int, *, keep: bool) -> list[Piece]:
    """The next `size` bytes as they came, in order; nothing of them unless they are kept."""
    pieces: list[Piece] = []
    size = _take(source.buffer, size, pieces, keep)
    if size:
        with _in_time(size):
            while size:
                await source.fill(min(size, READ_BYTES))
                size = _take(source.buffer, size, pieces, keep)
    return pieces


def _take(buffer: FrameBuffer, size: int, pieces: list[Piece], keep: bool) -> int:
    """Move up to `size` bytes of what is there; returns how many are still to come."""
    while size and buffer:
        piece = buffer.take(size)
        size -= len(piece)
        if keep:
            pieces.append(piece)
    return size
