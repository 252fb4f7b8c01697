"""What a connection may cost before anything that it carries is a message: memory, streams, attention.

Left to itself, libp2p 0.8 keeps whatever a peer sends on a stream that nobody reads, whatever window the
peer was given; takes any number of streams; and reads as fast as a peer writes. Here

- a frame of yamux may be as long as the window that was granted (js-libp2p writes what it has as one frame). It is
  handed on piece by piece as it comes, and each piece counts as parked from then on;
- what is parked in the buffers of one connection is bounded (MAX_PARKED: the window of its push stream,
  and room for all else); a peer that parks more ignores its window, and is dropped;
- what is parked in all of them is bounded too (MAX_PARKED_ALL): above it, no connection that holds more
  than its share is read on until the rest is taken, and one that stays like that is dropped;
- streams of a peer are bounded in number, and taken at a pace;
- pings are answered at a pace.

Slowing a peer down is done by not reading on: it costs nothing here, and an honest peer just waits.
"""

import errno
import logging
import struct
from collections.abc import Callable
from typing import Any

import trio
from libp2p.abc import IMuxedStream
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import (
    FLAG_SYN,
    HEADER_SIZE,
    TYPE_DATA,
    TYPE_PING,
    YAMUX_HEADER_FORMAT,
    Yamux,
    YamuxStream,
)

from flux_tui.core.ids import PeerId
from flux_tui.net.connections.frames import FrameBuffer, FrameBuffers, Piece
from flux_tui.net.connections.keepalive import SILENT, unsent_of
from flux_tui.net.connections.pace import Pace
from flux_tui.net.upstream.session import ReadAheadSession

log = logging.getLogger(__name__)

RECEIVE_WINDOW = 8 * 1024 * 1024
"""Bytes that a peer may have under way to us on its push stream; granted at once, because yamux's own
256 KiB with a sender that sleeps 10 ms at an empty window would be 25 MB/s."""
MAX_PARKED = 3 * RECEIVE_WINDOW
"""Bytes in the buffers of one connection. Yamux counts loosely: an honest sender's window can come out at up
to twice what it was meant to be."""
MAX_PARKED_ALL = 64 * 1024 * 1024
"""Bytes in the buffers of all connections together: eight full windows."""
SHARE = 512 * 1024
"""Bytes that a connection may have parked however much the others have."""
PARKED_SECONDS = 15.0
"""For what is above the bounds to be taken; then who holds it is dropped."""
STALL_SECONDS = 20.0
"""For the next byte of a frame that began, while something may be read."""
LOOK_EVERY = 256 * 1024
"""Bytes between two looks at what a connection has parked: summing it up costs 3 µs."""
MAX_STREAMS = 64
"""Streams that one connection may have opened to us at a time. An honest peer has one to push, one or two for
gossip, and now and then one to identify or look something up."""
STREAM_BURST, STREAM_RATE = 96.0, 32.0
"""Streams taken at once, and per second in the long run: each costs 2.5 ms."""
MAX_EXCESS = 256
"""Streams beyond that, all reset, until the connection is dropped."""
PING_BURST, PING_RATE = 64.0, 16.0
POLL_SECONDS = 0.02
YIELD_EVERY = 64
"""Frames, until other connections have their turn: libp2p goes on as long as there are any."""
GONE = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""What a system says when the other one does not answer any more."""
LONG_FRAME = 64 * 1024
"""Bytes; a longer frame is handed on in pieces. A shorter one that is not all here is left to libp2p."""
PLAIN_DATA = (0, TYPE_DATA, 0)
HEADER = struct.Struct(YAMUX_HEADER_FORMAT)
"""Of a frame: version, kind, flags, stream, length."""

# libp2p lets a window grow to this as it sees fit; and refuses longer frames only.
yamux.MAX_WINDOW_SIZE = RECEIVE_WINDOW


class OverBudgetError(trio.TooSlowError):
    """What yamux takes as a reason to close its connection."""


class Budget:
    """Of one host: what all of its connections have parked."""

    def __init__(self) -> None:
        self.connections: set[GuardedYamux] = set()
        self.on_drop: Callable[[PeerId, str], None] = lambda peer, why: None
        """Told of each connection that is dropped, and why."""

    def parked(self) -> int:
        """Bytes in all buffers now."""
        return sum(connection.parked() for connection in self.connections)

    def watch(self, swarm: Any) -> None:
        """From now on this swarm's connections keep to it. (libp2p does not use the class that it is given
        for yamux, but its own.)"""
        muxing = swarm.upgrader.muxer_multistream
        make = muxing.new_conn

        async def guarded(conn: Any, peer_id: ID) -> Yamux:
            plain = await make(conn, peer_id)
            made = GuardedYamux(self, conn, peer_id, is_initiator=plain.is_initiator, on_close=plain.on_close)
            for name in ("negotiated_muxer_protocol", "negotiated_security_protocol"):
                setattr(made, name, getattr(plain, name, None))
            return made

        muxing.new_conn = guarded


class GuardedYamux(Yamux):
    """Yamux that keeps to its budget."""

    def __init__(self, guard: Budget, secured_conn: Any, peer_id: ID, **kwargs: Any) -> None:
        super().__init__(secured_conn, peer_id, **kwargs)
        self.guard = guard
        self.stream_buffers: FrameBuffers = FrameBuffers()
        self._why: str | None = None
        self._since = 0
        self._incoming = 0
        """Bytes of the frame that is being read."""
        self._excess = 0
        self._headers = 0
        """Frames that were looked at."""
        if isinstance(secured_conn, ReadAheadSession):
            secured_conn.before_header = self._take_frames
        self._streams_pace = Pace(STREAM_BURST, STREAM_RATE)
        self._pings_pace = Pace(PING_BURST, PING_RATE)

    @property
    def heard(self) -> int:
        """Grows with whatever comes."""
        return self.secured_conn.heard if isinstance(self.secured_conn, ReadAheadSession) else 0

    @property
    def unsent(self) -> int | None:
        """Bytes that the peer's system has not acknowledged; None where nothing can tell."""
        return unsent_of(self.secured_conn.tcp) if isinstance(self.secured_conn, ReadAheadSession) else None

    @property
    def why_closed(self) -> str | None:
        """Why it ended, if that is known here."""
        broken = self.secured_conn.broken if isinstance(self.secured_conn, ReadAheadSession) else None
        return self._why or (SILENT if broken is not None and broken.errno in GONE else None)

    async def ping(self) -> None:
        """Ask for a sign of life. The answer is a sample of the round trip as well."""
        self._ping_id += 1
        await self._write_frame(HEADER.pack(0, TYPE_PING, FLAG_SYN, 0, self._ping_id))
        self._ping_sent_time = trio.current_time()

    def abort(self, why: str) -> None:
        """Close it without a word: nobody would hear one."""
        self._why = self._why or why
        log.info("closing the connection to %s: %s", self.peer_id, why)
        session = self.secured_conn
        if isinstance(session, ReadAheadSession) and session.tcp is not None:
            session.tcp.close()  # whoever reads or writes it finds out, and clears up
        elif self._nursery is not None and not self.event_shutting_down.is_set():
            self._nursery.start_soon(self._cleanup_on_error)

    def parked(self) -> int:
        """Bytes that wait in this connection's buffers, or for the rest of their frame."""
        return self._incoming + sum(map(len, self.stream_buffers.values()))

    async def start(self) -> None:
        """Read, until the connection ends."""
        self.guard.connections.add(self)
        try:
            await super().start()
        finally:
            self.guard.connections.discard(self)

    async def accept_stream(self) -> IMuxedStream:
        """The next stream that the peer opens, if it has not too many."""
        while True:
            stream = await super().accept_stream()
            await self._streams_pace.spend(1)
            theirs = sum(not one.is_initiator and not one.closed for one in self.streams.values())
            if theirs <= MAX_STREAMS:
                return stream
            self._excess += 1
            if self._excess > MAX_EXCESS:
                self._tell(f"it opened {self._excess:,} streams too many")
                await self._cleanup_on_error()
            else:
                await self._refuse(stream)

    async def _refuse(self, stream: IMuxedStream) -> None:
        if isinstance(stream, YamuxStream):
            # What it already sent must not be kept for a reader that never comes.
            if (buffer := self.stream_buffers.get(stream.stream_id)) is not None:
                buffer.clear()
            await stream.reset()

    async def _take_frames(self) -> None:
        """Take the frames that are data for a stream of ours and nothing else, as long as they are all that
        came. libp2p has thirty lines for a log that is off, a lock and four awaits for each: left to it, a
        requester's processor time for a file is a quarter more. Whatever is not as usual is left to it.
        """
        session = self.secured_conn
        assert isinstance(session, ReadAheadSession)
        while not self._incoming and not self.event_shutting_down.is_set():
            self._headers += 1
            if not self._headers % YIELD_EVERY:
                await trio.lowlevel.checkpoint()
            await session.ahead()
            header = session.peek(HEADER_SIZE)
            if header is None or self.streams_lock.locked():
                return
            version, kind, flags, number, length = HEADER.unpack(header)
            stream, buffer = self.streams.get(number), self.stream_buffers.get(number)
            if stream is None or stream.closed or stream.recv_closed or not isinstance(buffer, FrameBuffer):
                return
            if (version, kind, flags) != PLAIN_DATA or not length:
                return
            if length > session.whole - HEADER_SIZE:
                if length <= LONG_FRAME:
                    return
                session.take(HEADER_SIZE)
                await self._take_long_frame(session, stream, buffer, length)
                continue
            session.take(HEADER_SIZE)
            buffer.extend(session.take(length) or b"")
            stream.recv_window = max(stream.recv_window - length, 0)
            if len(buffer) >= buffer.wanted:
                self.stream_events[number].set()
            await self._look(length)

    async def _take_long_frame(
        self, session: ReadAheadSession, stream: YamuxStream, buffer: FrameBuffer, length: int
    ) -> None:
        """Hand a frame's body on as it comes. It may be most of a window, and take minutes on a slow line."""
        if length > MAX_PARKED:
            raise self._over(f"it ignores its window: it sent a frame of {length:,} bytes")
        number = stream.stream_id
        while length:
            piece = await self._next_piece(session, length)
            length -= len(piece)
            stream.recv_window = max(stream.recv_window - len(piece), 0)
            if not stream.closed and self.stream_buffers.get(number) is buffer:
                buffer.extend(piece)
                if len(buffer) >= buffer.wanted:
                    self.stream_events[number].set()
            await self._look(len(piece))

    async def _next_piece(self, session: ReadAheadSession, most: int) -> Piece:
        """What is decrypted next of a frame that began."""
        with trio.move_on_after(STALL_SECONDS) as waiting:
            await session.ahead()
        if waiting.cancelled_caught:
            raise self._over(f"it stopped in the middle of a frame, for {STALL_SECONDS:.0f} s")
        return session.take(min(most, session.whole)) or b""

    async def _look(self, length: int) -> None:
        """So many bytes more."""
        self._since += length
        if self._since >= LOOK_EVERY:
            self._since = 0
            await self._make_room()

    async def _read_data_body(self, length: int) -> bytes:
        session = self.secured_conn
        if not isinstance(session, ReadAheadSession):
            return await super()._read_data_body(length)
        if (body := session.take(length)) is not None:
            await self._look(length)
            return body  # type: ignore[return-value]  # it goes into a FrameBuffer, and nowhere else
        pieces: list[Piece] = []
        try:
            while self._incoming < length:
                pieces.append(await self._next_piece(session, length - self._incoming))
                self._incoming += len(pieces[-1])
                await self._look(len(pieces[-1]))
        finally:
            self._incoming = 0
        return b"".join(pieces)

    async def _write_frame(self, data: bytes) -> None:
        if len(data) == HEADER_SIZE and data[1] == TYPE_PING:
            await self._pings_pace.spend(1)
        await super()._write_frame(data)

    async def _make_room(self) -> None:
        """Return when this connection may be read on."""
        parked = self.parked()
        if parked > MAX_PARKED:
            raise self._over(f"it ignores its window: {parked:,} bytes of it wait to be read")
        for _ in range(int(PARKED_SECONDS / POLL_SECONDS)):
            if self.parked() <= SHARE or self.guard.parked() <= MAX_PARKED_ALL:
                return
            await trio.sleep(POLL_SECONDS)
        raise self._over(f"{self.parked():,} bytes of it wait to be read, and nobody does")

    def _over(self, why: str) -> OverBudgetError:
        self._tell(why)
        return OverBudgetError(why)

    def _tell(self, why: str) -> None:
        log.info("dropping %s: %s", self.peer_id, why)
        self.guard.on_drop(PeerId(str(self.peer_id)), why)
