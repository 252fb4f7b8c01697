"""The two push streams of a link: one writes this node's messages and chunks, the other reads the peer's.

Outgoing: control messages are written as soon as the stream takes them, many in one write. Between them,
chunks are written, 1 MiB at a time. So a message never waits for more than that. A chunk that is cancelled before its
turn comes is left out.

Incoming: a frame's prefix is checked before its header is read, and its header before its payload. An
unwanted payload is skipped, never stored. Messages are read at a limited rate. If a peer stops in the middle of a
frame for FRAME_SECONDS, the link is ended, and its buffer is freed. A chunk may come slowly, though: at 256 kbit/s
it takes half a minute. The receiver is told of its progress.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

import trio

from flux_tui.core.ids import PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Grant, Message
from flux_tui.net.connections.read_pace import NOT_ADMITTED, Pace
from flux_tui.net.connections.upload_turns import ASK_SECONDS, UploadTurns
from flux_tui.net.connections.yamux_read_buffer import FrameBuffer, Piece
from flux_tui.net.flux.chunk_portions import Portions, parts_of
from flux_tui.net.port import QUEUE_BYTES, QUEUE_MESSAGES, LoadedChunk, Receiver

READ_BYTES = 256 * 1024
"""Bytes requested from the stream at once. A peer that is read slowly has at most so much in this buffer; the
rest stays within its window. The task that reads a payload is woken once for this many bytes, not for each
piece."""
MESSAGE_BURST, MESSAGE_RATE = 4096.0, 1024.0
"""Messages read from one peer at once, and per second in the long run; each KiB counts as one more. What
arrives faster is read later. Ten thousand small chunks are wanted and granted with 1,300 messages."""
AT_ONCE = 1024 * 1024
"""Bytes of chunks that are written before the next control message, or one chunk."""
SENT_SECONDS = 0.1
"""Seconds after which the receiver is told what was written of a portion."""
SKIPPED_BYTES = 16 * 1024
"""Bytes of an unwanted payload that count as one more message."""
FRAME_SECONDS = 30.0
"""Seconds without a byte of a frame that has begun, after which its peer is disconnected. A connection without any
sign of life is closed as soon (net/connections/keepalive.py)."""
PAYLOAD_RATE = 1024
"""Bytes/s. A frame that comes slower than this, FRAME_SECONDS apart, ends the link. A line of 64 kbit/s carries eight
times as much."""
SLOW_SLICE = 16 * 1024
"""Bytes of one slice of a chunk on a slow line. A slice is one message of Noise: the peer can read nothing of it before
its last byte has come. Where three peers shared 256 kbit/s, 64 KiB took up to 30 s."""
LARGE_CHUNK, LARGE_SERVED = 16 * 1024, 1024 * 1024
"""Bytes of a chunk that came, and of chunks that were written, which show that large packets pass. Much less that was
written may still be in this machine."""
PROGRESS_SECONDS = 0.5
"""Seconds between two reports of the progress of a payload that comes slowly."""
YIELD_EVERY = 64
"""Frames handled until other peers get their turn."""


class ByteStream(Protocol):
    """The methods of a libp2p stream that a push stream uses."""

    async def read(self, n: int | None = None) -> bytes:
        """Return at most `n` bytes; None: all bytes that have arrived. Empty bytes: the stream has ended."""

    async def write(self, data: bytes) -> None:
        """Write all of these bytes."""


class EndOfStreamError(EOFError):
    """The peer closed its stream in order: everything that it wrote has been read."""


class Source(Protocol):
    """The bytes that a peer sent: a buffer of received bytes, and a method that waits for more."""

    buffer: FrameBuffer

    async def grant(self) -> None:
        """Allow the peer to send as many further bytes as were taken from the buffer.

        No deadline for the peer may cancel this call: it writes to the stream, and the slow side may be this node.
        """
        ...

    async def fill(self, least: int) -> None:
        """Wait until `buffer` has at least `least` bytes.

        Raises EndOfStreamError if the peer closed its stream before, or the stream's error.
        """
        ...


class StreamSource:
    """A Source that reads from any kind of stream."""

    def __init__(self, stream: ByteStream) -> None:
        self.buffer = FrameBuffer()
        self._stream = stream

    async def grant(self) -> None:
        """Do nothing: reading from the stream lets the peer send more."""

    async def fill(self, least: int) -> None:
        """Read from the stream until `buffer` has `least` bytes. Raises EndOfStreamError, or the stream's error."""
        while len(self.buffer) < least:
            data = await self._stream.read(READ_BYTES)
            if not data:
                raise EndOfStreamError("the peer closed its stream")
            self.buffer.extend(data)


WriteSlices = Callable[[ByteStream, Sequence[bytes | memoryview]], Awaitable[None]]
"""How a transport writes several slices, where it has a better way than one after the other."""


async def one_by_one(stream: ByteStream, slices: Sequence[bytes | memoryview]) -> None:
    """Write slices to a stream one after the other: the default for `WriteSlices`."""
    for piece in slices:
        await stream.write(piece)  # type: ignore[arg-type]  # sliced, not copied


class Outgoing:
    """The queue of messages for one peer, and the task that writes the messages and chunks to the stream."""

    def __init__(
        self,
        peer: PeerId,
        receiver: Receiver,
        slice_bytes: int,
        write_slices: WriteSlices | None = None,
        turns: UploadTurns | None = None,
        on_large: Callable[[], None] = lambda: None,
    ) -> None:
        self._turns = turns
        self._on_large = on_large
        self._grants = False
        """Whether this node granted chunks to the peer."""
        self._writes_chunks = False
        self._write_slices = write_slices or one_by_one
        self._peer = peer
        self._receiver = receiver
        self._slice = slice_bytes
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._portions = Portions(peer, receiver)
        self.served = 0
        """Bytes of chunks that were written."""
        self._wake = trio.Event()
        self._empty = trio.Event()
        """Set when nothing is queued and everything is written."""
        self._empty.set()
        self._next: tuple[ByteStream, Callable[[], Awaitable[None]]] | None = None
        """The stream on which the writing goes on."""

    def go_on(self, stream: ByteStream, leave: Callable[[], Awaitable[None]]) -> None:
        """Go on writing on this new stream, from the next frame on.

        `leave`: called to close the old stream, after the last frame on it is written.
        """
        self._next = stream, leave
        self._wake.set()

    @property
    def waits_for_chunks(self) -> bool:
        """Whether chunks were due on the link: this node granted some, or is writing some now."""
        return self._grants or self._writes_chunks

    def push(self, message: Message) -> bool:
        """Queue a message. Returns False if the queue is full; the message is then dropped."""
        self._grants = self._grants or isinstance(message, Grant)
        frame = codec.encode_frame(message)
        if len(self._control) >= QUEUE_MESSAGES or self._control_bytes + len(frame) > QUEUE_BYTES:
            return False
        self._control.append(frame)
        self._control_bytes += len(frame)
        self._queued()
        return True

    def serve(self) -> None:
        """Begin to write the peer's chunks, taken from the receiver until it has no more."""
        self._portions.serve()
        self._queued()

    def _queued(self) -> None:
        if self._empty.is_set():
            self._empty = trio.Event()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until all queued messages and chunks are written."""
        await self._empty.wait()

    async def write_to(self, stream: ByteStream) -> None:
        """Write messages and chunks to the stream until cancelled. Raises the stream's exception if it breaks."""
        try:
            await self._write_to(stream)
        finally:
            if self._turns is not None:
                self._turns.leave(self._peer)

    async def _write_to(self, stream: ByteStream) -> None:
        self._portions.begin()
        async with trio.open_nursery() as nursery:
            while True:
                if self._next is not None:
                    (stream, leave), self._next = self._next, None
                    await leave()
                if self._control:
                    await self._write_control(stream)
                    continue
                if not self._portions.has_more:
                    self._wake = trio.Event()
                    if self._next is None:
                        self._empty.set()
                        await self._wake.wait()
                    continue
                if not await self._is_turn():
                    continue
                try:
                    portion = await self._portions.next(nursery, takes_turns=self._takes_turns())
                    await self._write_portion(stream, portion)
                finally:
                    if self._turns is not None:
                        self._turns.end(self._peer, trio.current_time())

    def _takes_turns(self) -> bool:
        """Whether the streams take turns, because the line is slow."""
        return self._turns is not None and self._turns.takes_turns(self._peer)

    async def _is_turn(self) -> bool:
        """Return whether this stream may write chunks now (`UploadTurns`).

        Before it returns False, it waits until the caller has something to do, at most ASK_SECONDS.
        """
        self._wake = trio.Event()
        if self._turns is None or self._turns.begin(self._peer, trio.current_time(), self._wake_up):
            return True
        with trio.move_on_after(ASK_SECONDS):
            await self._wake.wait()
        return False

    def _wake_up(self) -> None:
        self._wake.set()

    async def _write_control(self, stream: ByteStream) -> None:
        batch = bytearray()
        while self._control and len(batch) + len(self._control[0]) <= self._slice:
            batch += self._control.popleft()
        if not batch:
            batch += self._control.popleft()  # a message larger than a slice
        self._control_bytes -= len(batch)
        await self._write(stream, bytes(batch))

    async def _write_portion(self, stream: ByteStream, portion: Sequence[LoadedChunk]) -> None:
        """Write the chunks of a portion that are still granted; between them, the messages that came meanwhile."""
        sent: list[LoadedChunk] = []
        begun = trio.current_time()
        try:
            for chunks in parts_of(portion, AT_ONCE):
                while self._control:
                    await self._write_control(stream)
                granted = self._receiver.still_granted(self._peer, chunks)
                await self._write_chunks(stream, granted)
                sent += granted
                if trio.current_time() - begun >= SENT_SECONDS:
                    self._tell_sent(sent)
        finally:
            self._tell_sent(sent)

    def _tell_sent(self, sent: list[LoadedChunk]) -> None:
        """Tell the receiver that these chunks were written, and empty the list."""
        if sent:
            cids, size = tuple(chunk.cid for chunk in sent), sum(len(chunk.data) for chunk in sent)
            sent.clear()
            self._receiver.on_sent(self._peer, cids, size)

    async def _write_chunks(self, stream: ByteStream, chunks: Sequence[LoadedChunk]) -> None:
        most = min(self._slice, SLOW_SLICE) if self._takes_turns() else self._slice
        slices: list[bytes | memoryview] = []
        pending = bytearray()
        for cid, data in chunks:
            pending += codec.encode_frame(Chunk(cid=cid), len(data))
            view = memoryview(data)
            room = most - len(pending)
            if len(view) > room:
                # Fill up the slice that has begun, so that every write but the last is one full Noise
                # message.
                room = max(room, 0)
                slices.append(bytes(pending) + bytes(view[:room]))
                pending.clear()
                view = view[room:]
                while len(view) > most:
                    slices.append(view[:most])
                    view = view[most:]
            pending += view
        slices += [bytes(pending[at : at + most]) for at in range(0, len(pending), most)]
        self._writes_chunks = bool(chunks)  # and it stays so if the stream breaks meanwhile
        await self._write_slices(stream, slices)
        self._writes_chunks = False
        self.served += sum(len(data) for _, data in chunks)
        if chunks and self.served >= LARGE_SERVED:
            self._on_large()

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        for start in range(0, len(data), self._slice):
            await stream.write(data[start : start + self._slice])


class StalledError(Exception):
    """Raised if a peer began to send a frame and did not finish it in time."""


async def read_from(
    source: Source, peer: PeerId, receiver: Receiver, taken: Callable[[int], None] = lambda size: None
) -> None:
    """Read frames and pass them to the receiver, until the stream ends. Then raises the stream's exception.

    Raises EndOfStreamError if the peer closed the stream between two frames, EOFError if within one, BadFrameError
    for garbage, and StalledError. `taken`: called for each wanted chunk that arrived completely, with its bytes.
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
        header = buffer.pop(end)[codec.PREFIX_BYTES :]
        try:
            message = codec.decode_header(header)
        except codec.UnknownKindError as error:
            receiver.on_unknown(peer, error.kind)
            if left := _take(buffer, payload_size, [], False):
                await _payload(source, payload_size, left, [], _tell_nobody, keep=False)
            cost = 1 if receiver.admits(peer) else NOT_ADMITTED
            await pace.spend(cost + header_size / 1024 + payload_size / SKIPPED_BYTES)
            continue
        if not isinstance(message, Chunk):
            if payload_size:
                raise codec.BadFrameError(f"a payload of {payload_size} bytes where none belongs")
            receiver.on_message(peer, message)
            await pace.spend((1 if receiver.admits(peer) else NOT_ADMITTED) + header_size / 1024)
            continue
        wanted = receiver.wants_payload(peer, message, payload_size)
        pieces: list[Piece] = []
        if left := _take(buffer, payload_size, pieces, wanted):
            tell = partial(receiver.on_progress, peer, message) if wanted else _tell_nobody
            await _payload(source, payload_size, left, pieces, tell, keep=wanted)
        if wanted:
            taken(payload_size)
            await receiver.on_payload(peer, message, pieces)
        else:
            await pace.spend(1 + payload_size / SKIPPED_BYTES)


Tell = Callable[[int, float], None]
"""Tells how many bytes of a payload have arrived, and in how many seconds."""


def _tell_nobody(received: int, seconds: float) -> None:
    """Tell nobody: the payload is not wanted."""


class _FrameTimer:
    """Watches that a prefix, header or payload of a frame comes without a long pause, and not too slowly.

    `size`: the bytes that have to come; `arrived`: how many of them are here already.
    """

    def __init__(self, size: int, arrived: int) -> None:
        self.begun = self._heard_at = trio.current_time()
        self._size = size
        self._arrived = arrived

    async def fill(self, source: Source, least: int) -> None:
        """Wait until the buffer has `least` bytes, or until it is time to call `look`.

        Raises EOFError if the peer closed its stream, or the stream's error.
        """
        end = min(trio.current_time() + PROGRESS_SECONDS, self._pause_ends, self._ends)
        with trio.CancelScope(deadline=end):
            try:
                await source.fill(least)
            except EndOfStreamError as error:
                raise EOFError("the peer closed its stream within a frame") from error

    def look(self, arrived: int) -> None:
        """Note that so many bytes have arrived in all.

        Raises StalledError if none came for FRAME_SECONDS, or if they come slower than PAYLOAD_RATE.
        """
        now = trio.current_time()
        if arrived > self._arrived:
            self._arrived, self._heard_at = arrived, now
        if now >= self._pause_ends:
            raise StalledError(f"it stopped in the middle of a frame, for {FRAME_SECONDS:.0f} s or more")
        if now >= self._ends:
            raise StalledError(f"a frame came slower than {PAYLOAD_RATE} bytes a second")

    @property
    def _pause_ends(self) -> float:
        return self._heard_at + FRAME_SECONDS

    @property
    def _ends(self) -> float:
        return self.begun + FRAME_SECONDS + self._size / PAYLOAD_RATE


async def _need(source: Source, size: int) -> None:
    """Wait until the buffer has `size` bytes: a frame's prefix, or its header.

    Raises StalledError if they do not come in time, EOFError if the stream ends before, or the stream's error.
    """
    if len(source.buffer) >= size:
        return
    timer = _FrameTimer(size, len(source.buffer))
    while True:
        await timer.fill(source, size)
        if len(source.buffer) >= size:
            return
        timer.look(len(source.buffer))


async def _payload(
    source: Source, size: int, left: int, pieces: list[Piece], tell: Tell, *, keep: bool
) -> None:
    """Wait for the last `left` of `size` bytes. Append them to `pieces` as they arrive, if they are kept.

    `tell`: called about every PROGRESS_SECONDS with the bytes so far and the seconds since the beginning.
    Raises the same errors as `_need`.
    """
    timer = _FrameTimer(size, size - left)
    told_at, told = timer.begun, 0
    while True:
        await timer.fill(source, min(left, READ_BYTES))
        left = _take(source.buffer, left, pieces, keep)
        if not left:
            return
        arrived, now = size - left, trio.current_time()
        timer.look(arrived)
        if arrived > told and now - told_at >= PROGRESS_SECONDS:
            told_at, told = now, arrived
            tell(arrived, now - timer.begun)


def _take(buffer: FrameBuffer, size: int, pieces: list[Piece], keep: bool) -> int:
    """Move up to `size` bytes from the buffer to `pieces`; drop them if `keep` is false.

    Returns how many bytes are still to come.
    """
    if keep:
        return size - buffer.take_into(pieces, size)
    while size and buffer:
        size -= len(buffer.take(size))
    return size
