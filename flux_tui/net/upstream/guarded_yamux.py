"""Bounds the memory, streams and pings of each connection. Replaces yamux (`Yamux`). For libp2p 0.8.x.

What libp2p 0.8.1 does: if a peer sends more than its receive window, libp2p logs a warning and keeps all bytes. It
accepts any number of streams from a peer, and reads as fast as the peer writes. Its resource manager counts the streams
of all peers together (10,000), but not their bytes. It ignores a configured class for yamux, and uses its own.

Why that is not enough: one peer can fill the memory of a node (300 MiB in one unread stream). The bounds here:

- A yamux frame may be as long as the granted window, because js-libp2p writes what it has as one frame. The
  frame is passed on piece by piece. From then on each piece counts as parked: received, and not read yet.
- The parked bytes of one connection are bounded (MAX_PARKED: the window of its push stream, and room for the
  other streams). A peer that parks more ignores its window, and is disconnected.
- The parked bytes of all connections together are bounded (MAX_PARKED_ALL). Above this bound, a connection
  that holds more than SHARE is not read until the users of its streams have taken the parked bytes. If they do not,
  the connection is closed.
- The number of a peer's streams is bounded, and so is the rate at which they are accepted.
- Pings are answered at a bounded rate.

The node slows a peer down by not reading from it. This costs the node nothing, and an honest peer just waits.

Upstream: no issue about the bounds is known. #1270 lets a window grow up to 16 MiB; `yamux.MAX_WINDOW_SIZE` is lowered
here. Tests: tests/net/upstream/test_guarded_yamux.py fails when upstream changes; tests/abuse/test_attacks.py and
tests/net/connections/test_yamux_read_buffer.py show what is done here.
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
from flux_tui.net.connections.keepalive import SILENT, acknowledged_of, local_ip_of, segment_of, unsent_of
from flux_tui.net.connections.read_pace import Pace
from flux_tui.net.connections.whole_writes import acquire
from flux_tui.net.connections.yamux_read_buffer import FrameBuffer, FrameBuffers, Piece
from flux_tui.net.upstream.noise_session import ReadAheadSession, batch

log = logging.getLogger(__name__)

RECEIVE_WINDOW = 8 * 1024 * 1024
"""Bytes that a peer may have under way to this node on its push stream. The whole window is granted at once:
yamux's own 256 KiB, with a sender that sleeps 10 ms at an empty window, would allow 25 MB/s only."""
MAX_PARKED = 3 * RECEIVE_WINDOW
"""Bytes in the buffers of one connection. Yamux counts loosely: an honest sender's window can come out at up
to twice the intended size."""
MAX_PARKED_ALL = 64 * 1024 * 1024
"""Bytes in the buffers of all connections together: eight full windows."""
SHARE = 512 * 1024
"""Bytes that a connection may always have parked, however much the others have."""
PARKED_SECONDS = 15.0
"""Seconds for parked bytes above the bounds to be taken. After that the connection is dropped."""
STALL_SECONDS = 20.0
"""Seconds for the next byte of a frame that has begun, while the connection may be read."""
LOOK_EVERY = 256 * 1024
"""Bytes between two checks of what a connection has parked: adding it up costs 3 µs."""
MAX_STREAMS = 64
"""Streams that a peer may have open to this node on one connection at a time. An honest peer has one push
stream, one or two for gossip, and now and then one for identify or a lookup."""
STREAM_BURST, STREAM_RATE = 96.0, 32.0
"""Streams accepted at once, and per second in the long run: each costs 2.5 ms."""
MAX_EXCESS = 256
"""Streams above that bound, all of them reset, until the connection is dropped."""
PING_BURST, PING_RATE = 64.0, 16.0
POLL_SECONDS = 0.02
YIELD_EVERY = 64
"""Frames until other connections get their turn: libp2p reads on as long as there are frames."""
GONE = frozenset({errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""The errors by which the operating system reports that the other machine no longer answers."""
LONG_FRAME = 64 * 1024
"""Bytes; a longer frame is passed on in pieces. A shorter frame that has not arrived whole is left to libp2p.
"""
PLAIN_DATA = (0, TYPE_DATA, 0)
HEADER = struct.Struct(YAMUX_HEADER_FORMAT)
"""The header of a frame: version, type, flags, stream, length."""

# libp2p lets a window grow up to this, and refuses only frames that are longer.
yamux.MAX_WINDOW_SIZE = RECEIVE_WINDOW


class OverBudgetError(trio.TooSlowError):
    """Raised if a peer exceeds a bound. Yamux then closes the connection."""


class Budget:
    """The memory budget of one swarm: a bound for the bytes that all its connections have received and nobody has read.

    Every connection that the swarm opens from now on keeps to the budget. `on_drop`: called with the peer of each
    connection that is closed because it exceeds a bound, and with the reason in a sentence.
    """

    def __init__(self, swarm: Any, on_drop: Callable[[PeerId, str], None]) -> None:
        self.connections: set[GuardedYamux] = set()
        self.on_drop = on_drop
        # libp2p ignores the class that it is given for yamux, and uses its own. So its factory is wrapped.
        muxing = swarm.upgrader.muxer_multistream
        make = muxing.new_conn

        async def guarded(conn: Any, peer_id: ID) -> Yamux:
            plain = await make(conn, peer_id)
            made = GuardedYamux(self, conn, peer_id, is_initiator=plain.is_initiator, on_close=plain.on_close)
            for name in ("negotiated_muxer_protocol", "negotiated_security_protocol"):
                setattr(made, name, getattr(plain, name, None))
            return made

        muxing.new_conn = guarded

    def parked(self) -> int:
        """Return the bytes that all connections have received and nobody has read yet."""
        return sum(connection.parked() for connection in self.connections)


class GuardedYamux(Yamux):
    """A yamux connection that keeps to the swarm's memory budget."""

    def __init__(self, guard: Budget, secured_conn: Any, peer_id: ID, **kwargs: Any) -> None:
        super().__init__(secured_conn, peer_id, **kwargs)
        self.guard = guard
        self.stream_buffers: FrameBuffers = FrameBuffers()
        self._why: str | None = None
        self._since = 0
        self._incoming = 0
        """Bytes of the frame that is being read now."""
        self._excess = 0
        self._headers = 0
        """Frames whose header was looked at since other connections got their turn."""
        if isinstance(secured_conn, ReadAheadSession):
            secured_conn.call_before_header(self._take_frames)
        self._streams_pace = Pace(STREAM_BURST, STREAM_RATE)
        self._pings_pace = Pace(PING_BURST, PING_RATE)

    @property
    def heard(self) -> int:
        """The number of reads in which bytes of the peer arrived; always 0 without a `ReadAheadSession`."""
        return self.secured_conn.heard if isinstance(self.secured_conn, ReadAheadSession) else 0

    @property
    def _tcp(self) -> trio.socket.SocketType | None:
        """The connection's TCP socket; None if it has none, or is relayed."""
        return self.secured_conn.tcp if isinstance(self.secured_conn, ReadAheadSession) else None

    @property
    def unsent(self) -> int | None:
        """The number of bytes that the peer's system has not acknowledged; None if this cannot be known."""
        return unsent_of(self._tcp)

    @property
    def local_ip(self) -> str | None:
        """The IP address of this machine that the connection uses; None if this cannot be known."""
        return local_ip_of(self._tcp)

    @property
    def segment(self) -> int | None:
        """How many bytes of the stream fit into one packet of the connection; None if this cannot be known."""
        return segment_of(self._tcp)

    @property
    def acknowledged(self) -> int | None:
        """The number of bytes that the peer's system has acknowledged so far; None if this cannot be known."""
        return acknowledged_of(self._tcp)

    @property
    def why_closed(self) -> str | None:
        """The reason why the connection ended, in a sentence; None if it is open, or if the reason is not known."""
        broken = self.secured_conn.broken if isinstance(self.secured_conn, ReadAheadSession) else None
        raw = getattr(self.secured_conn, "raw", None)
        limited: str | None = getattr(
            getattr(raw, "_conn", raw), "why_ended", None
        )  # a circuit, private swarm or not
        return self._why or limited or (SILENT if broken is not None and broken.errno in GONE else None)

    async def ping(self) -> None:
        """Send a ping, so that the peer answers if it is alive. The answer also measures the round-trip time."""
        self._ping_id += 1
        await self._write_frame(HEADER.pack(0, TYPE_PING, FLAG_SYN, 0, self._ping_id))
        self._ping_sent_time = trio.current_time()

    def abort(self, why: str) -> None:
        """Close the connection without telling the peer. `why`: a sentence."""
        self._why = self._why or why
        log.info("closing the connection to %s: %s", self.peer_id, why)
        session = self.secured_conn
        if isinstance(session, ReadAheadSession) and session.tcp is not None:
            session.tcp.close()  # The task that reads or writes it notices, and cleans up.
        elif self._nursery is not None and not self.event_shutting_down.is_set():
            self._nursery.start_soon(self._cleanup_on_error)

    def allow_streams(self, count: int) -> None:
        """Let the peer open `count` streams more than the pace allows, because others of it were of use.

        IPFS nodes open a stream for each message of blocks.
        """
        self._streams_pace.owe(-count)

    def parked(self) -> int:
        """The number of bytes of this connection that were received and not read, unfinished frames included."""
        return self._incoming + sum(map(len, self.stream_buffers.values()))

    async def start(self) -> None:
        """Read frames until the connection ends."""
        self.guard.connections.add(self)
        try:
            await super().start()
        finally:
            self.guard.connections.discard(self)

    async def accept_stream(self) -> IMuxedStream:
        """Wait for the peer's next stream, and return it.

        A stream is reset if the peer has more than MAX_STREAMS open. After MAX_EXCESS such streams, the
        connection is closed.
        """
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
            # Drop what the peer already sent: no reader will come for it.
            if (buffer := self.stream_buffers.get(stream.stream_id)) is not None:
                buffer.clear()
            await stream.reset()

    async def _take_frames(self) -> None:
        """Read complete data frames of known streams directly from the session, for speed.

        libp2p spends thirty lines for a disabled log, a lock and four awaits on each frame. Without this method, a
        requester's processor time for a file is a quarter higher. Every other frame is left to libp2p.
        """
        session = self.secured_conn
        assert isinstance(session, ReadAheadSession)
        while not self._incoming and not self.event_shutting_down.is_set():
            self._headers += 1
            if self._headers >= YIELD_EVERY:
                self._headers = 0
                await trio.lowlevel.checkpoint()
            await session.ahead()
            if taken := self._take_pieces(session):
                await self._look(taken)
                continue
            header = session.peek(HEADER_SIZE)
            if header is None:
                return
            version, kind, flags, number, length = HEADER.unpack(header)
            stream, buffer = self._open_stream(number)
            if stream is None or buffer is None:
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

    def _open_stream(self, number: int) -> tuple[YamuxStream, FrameBuffer] | tuple[None, None]:
        """Return a stream that bytes may come on, and its buffer. None: libp2p has to look at the stream's frames."""
        stream, buffer = self.streams.get(number), self.stream_buffers.get(number)
        if stream is None or stream.closed or stream.recv_closed or self.streams_lock.locked():
            return None, None
        return (stream, buffer) if isinstance(buffer, FrameBuffer) else (None, None)

    def _take_pieces(self, session: ReadAheadSession) -> int:
        """Take the data frames of known streams that are next, each of them one decrypted piece.

        Other nodes of this program send such frames. Returns the number of bytes of their bodies, about LOOK_EVERY
        at most.
        """
        taken = 0
        while taken < LOOK_EVERY and self._headers < YIELD_EVERY:
            piece = session.first
            if piece is None or len(piece) <= HEADER_SIZE:
                break
            version, kind, flags, number, length = HEADER.unpack_from(piece)
            if length != len(piece) - HEADER_SIZE or (version, kind, flags) != PLAIN_DATA:
                break
            stream, buffer = self._open_stream(number)
            if stream is None or buffer is None:
                break
            session.drop_first()
            self._headers += 1
            buffer.extend(memoryview(piece)[HEADER_SIZE:])
            stream.recv_window = max(stream.recv_window - length, 0)
            if len(buffer) >= buffer.wanted:
                self.stream_events[number].set()
            taken += length
        return taken

    async def _take_long_frame(
        self, session: ReadAheadSession, stream: YamuxStream, buffer: FrameBuffer, length: int
    ) -> None:
        """Add the body of a frame, `length` bytes, to the stream's `buffer` piece by piece, as it arrives.

        The body may be almost as long as a receive window, and take minutes on a slow line. If the stream was
        closed meanwhile, the rest of the body is dropped. Raises OverBudgetError if the frame is too long, or
        stops in the middle.
        """
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
        """Return the next decrypted piece of a frame that has begun, at most `most` bytes.

        Raises OverBudgetError if nothing arrives for STALL_SECONDS.
        """
        with trio.move_on_after(STALL_SECONDS) as waiting:
            await session.ahead()
        if waiting.cancelled_caught:
            raise self._over(f"it stopped in the middle of a frame, for {STALL_SECONDS:.0f} s")
        return session.take(min(most, session.whole)) or b""

    async def _look(self, length: int) -> None:
        """Count `length` bytes that arrived. After each LOOK_EVERY bytes, check the memory budget: see `_make_room`."""
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
        session = self.secured_conn
        if len(data) > HEADER_SIZE or not isinstance(session, ReadAheadSession):
            await super()._write_frame(data)
            return
        # A frame without a body, such as a window update, of which a large download sends many: without libp2p's lines
        # for a disabled log, and its checkpoints.
        await acquire(self._write_lock)
        try:
            with batch() as messages:
                size = session.seal(data, b"", messages)
                await session.raw.write(messages[:size])  # type: ignore[arg-type]  # not kept
        finally:
            self._write_lock.release()

    async def _make_room(self) -> None:
        """Wait until the memory budget allows this connection to read more bytes.

        Raises OverBudgetError if the connection has too many unread bytes, or if the wait takes
        PARKED_SECONDS. It must be closed then.
        """
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
