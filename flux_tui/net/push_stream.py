"""One peer's push streams: what goes out is queued and written, what comes in is cut into frames.

Outgoing, control messages are written as soon as the stream takes them, many to a write; between them
one portion of chunks at a time, loaded while the one before it is being written. So a message never
waits for more than a portion (1 MiB), and queued chunks cost no memory.

Incoming, a frame's prefix is checked before its header is read, its header before its payload; a payload
that nobody wants is skipped, never stored.
"""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

import trio

from flux_tui.core import codec
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.messages import Chunk, Message
from flux_tui.net.network import QUEUE_BYTES, QUEUE_MESSAGES, Load, LoadedChunk, Receiver

READ_BYTES = 4 * 1024 * 1024
"""Bytes asked of the stream at once: all that is there, usually."""


class ByteStream(Protocol):
    """What is needed of a libp2p stream."""

    async def read(self, n: int | None = None) -> bytes: ...

    async def write(self, data: bytes) -> None: ...


class Outgoing:
    """The queue to one peer, and what writes it."""

    def __init__(self, peer: PeerId, receiver: Receiver, slice_bytes: int) -> None:
        self._peer = peer
        self._receiver = receiver
        self._slice = slice_bytes
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._loads: deque[Load] = deque()
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
        pending = bytearray()
        for cid, data in chunks:
            pending += codec.encode_frame(Chunk(cid=cid), len(data))
            view = memoryview(data)
            room = self._slice - len(pending)
            if len(view) > room:
                # Fill up what is begun, so that every write but the last is one full Noise message.
                room = max(room, 0)
                await self._write(stream, bytes(pending) + bytes(view[:room]))
                pending.clear()
                view = view[room:]
                while len(view) > self._slice:
                    await stream.write(view[: self._slice])  # type: ignore[arg-type]  # sliced, not copied
                    view = view[self._slice :]
            pending += view
        if pending:
            await self._write(stream, bytes(pending))
        if chunks:
            size = sum(len(data) for _, data in chunks)
            cids: tuple[Cid, ...] = tuple(cid for cid, _ in chunks)
            self._receiver.on_sent(self._peer, cids, size)

    async def _write(self, stream: ByteStream, data: bytes) -> None:
        for start in range(0, len(data), self._slice):
            await stream.write(data[start : start + self._slice])


async def read_from(stream: ByteStream, peer: PeerId, receiver: Receiver) -> None:
    """Cut a stream into frames until it ends (its exception). Raises BadFrameError for garbage."""
    buffer = bytearray()
    while True:
        await _need(stream, buffer, codec.PREFIX_BYTES)
        header_size, payload_size = codec.decode_prefix(buffer)
        end = codec.PREFIX_BYTES + header_size
        await _need(stream, buffer, end)
        message = codec.decode_header(bytes(buffer[codec.PREFIX_BYTES : end]))
        del buffer[:end]
        if not isinstance(message, Chunk):
            if payload_size:
                raise codec.BadFrameError(f"a payload of {payload_size} bytes where none belongs")
            receiver.on_message(peer, message)
            if len(buffer) < codec.PREFIX_BYTES:
                await trio.lowlevel.checkpoint()
            continue
        if receiver.wants_payload(peer, message, payload_size):
            payload = await _payload(stream, buffer, payload_size)
            await receiver.on_payload(peer, message, payload)
        else:
            await _skip(stream, buffer, payload_size)


async def _need(stream: ByteStream, buffer: bytearray, size: int) -> None:
    while len(buffer) < size:
        buffer += await _read(stream)


async def _read(stream: ByteStream) -> bytes:
    data = await stream.read(READ_BYTES)
    if not data:
        raise EOFError("the peer closed its stream")
    return data


async def _payload(stream: ByteStream, buffer: bytearray, size: int) -> bytearray:
    """The next `size` bytes, copied once."""
    if len(buffer) >= size:
        payload = buffer[:size]
        del buffer[:size]
        return payload
    payload = bytearray(size)
    at = len(buffer)
    payload[:at] = buffer
    buffer.clear()
    while at < size:
        data = await _read(stream)
        take = min(len(data), size - at)
        payload[at : at + take] = data if take == len(data) else memoryview(data)[:take]
        at += take
        if take < len(data):
            buffer += memoryview(data)[take:]
    return payload


async def _skip(stream: ByteStream, buffer: bytearray, size: int) -> None:
    while size > len(buffer):
        size -= len(buffer)
        buffer.clear()
        buffer += await _read(stream)
    del buffer[:size]
