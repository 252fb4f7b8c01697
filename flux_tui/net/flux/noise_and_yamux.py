"""libp2p's transport, tuned: TCP, only Noise, yamux, and reads and writes of the right size. For libp2p 0.8.x.

Measured on loopback (tests/bench/raw_stream.py): 65,507-byte writes, a Noise session that reads ahead and
fewer window updates together make a transfer two to three times as fast as with libp2p's defaults.

- A host with libp2p's defaults also accepts secio and plaintext. Over plaintext anybody can claim any peer
  id. Here only Noise is offered.
- A full yamux frame (65,536 bytes) is too large for one Noise message, so each frame would become two
  messages. Here writes are cut into slices of WRITE_BYTES.
- libp2p reads a Noise message with two system calls and several copies. `ReadAheadSession` reads what the
  socket has, and decrypts from its own buffer.

Upstream: #1270 grows windows; no issue is known for the others.
tests/net/flux/test_noise_and_yamux.py fails when upstream changes.
"""

import os
from collections import deque
from collections.abc import Sequence

import trio
from libp2p.abc import INetStream, IRawConnection, ISecureConn
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
from typing_extensions import override

from flux_tui.net.connections.keepalive import set_options
from flux_tui.net.connections.whole_writes import acquire, keep_whole
from flux_tui.net.connections.yamux_read_buffer import FrameBuffer
from flux_tui.net.flux.push_stream import EndOfStreamError, Source, StreamSource
from flux_tui.net.upstream.guarded_yamux import HEADER, PLAIN_DATA, RECEIVE_WINDOW
from flux_tui.net.upstream.noise_session import ReadAheadSession, batch

WRITE_BYTES = 65_507
"""With yamux's 12-byte header, exactly one Noise message of 65,519 bytes."""

WINDOW_STEP = 2 * 1024 * 1024
"""Bytes that make a window update worth sending."""

# libp2p checks this at every read. Without it, each read sends its own window update.
os.environ.setdefault("PY_YAMUX_RELEASE_ON_READ", "0")
# Seconds for the rest of a frame that has begun; libp2p's own 60 are long for 64 KiB.
os.environ.setdefault("PY_YAMUX_DATA_READ_TIMEOUT", "20")


class TunedNoise(NoiseTransport):
    """libp2p's Noise transport, with `ReadAheadSession` in place of its session."""

    @override
    async def secure_inbound(self, conn: IRawConnection) -> ISecureConn:
        return _read_ahead(await super().secure_inbound(conn), conn)

    @override
    async def secure_outbound(self, conn: IRawConnection, peer_id: ID) -> ISecureConn:
        return _read_ahead(await super().secure_outbound(conn, peer_id), conn)


def _read_ahead(session: ISecureConn, raw: IRawConnection) -> ISecureConn:
    assert isinstance(session, SecureSession)
    made = ReadAheadSession(session, raw)
    keep_whole(raw)
    if made.tcp is not None:
        set_options(made.tcp)
    return made


def security(identity: KeyPair) -> dict[TProtocol, NoiseTransport]:
    """Return the security protocols that a host offers: only Noise."""
    return {NOISE: TunedNoise(identity, noise_privkey=create_x25519().private_key)}


def muxers() -> dict[TProtocol, type[Yamux]]:
    """Return the stream multiplexers that a host offers: only yamux."""
    return {TProtocol(YAMUX): Yamux}


async def widen(stream: object) -> None:
    """Raise a yamux stream's receive window, so that the peer may send RECEIVE_WINDOW bytes ahead.

    Does nothing for a stream of another kind.
    """
    muxed = getattr(stream, "muxed_stream", None)
    if isinstance(muxed, YamuxStream):
        async with muxed.window_lock:
            more = RECEIVE_WINDOW - muxed.recv_window
            muxed.target_recv_window = RECEIVE_WINDOW
            muxed.recv_window += more
        await muxed.send_window_update(more)


class YamuxSource:
    """A Source that reads from the buffer in which yamux stores a stream's bytes.

    So the bytes are not copied, and the reader is not woken for each frame. When WINDOW_STEP bytes or more have
    been taken, the peer is told that it may send as many again.
    """

    def __init__(self, muxed: YamuxStream, buffer: FrameBuffer) -> None:
        self.buffer = buffer
        self._muxed = muxed

    async def grant(self) -> None:
        """Tell the peer that it may send as many bytes as were taken, if they are WINDOW_STEP or more."""
        muxed = self._muxed
        taken = RECEIVE_WINDOW - muxed.recv_window - len(self.buffer)
        if taken >= WINDOW_STEP:
            muxed.recv_window += taken
            await muxed.send_window_update(taken)

    async def fill(self, least: int) -> None:
        """Wait until `buffer` has `least` bytes.

        Raises EOFError if the stream ends before: EndOfStreamError if the peer closed it in order.
        """
        muxed, buffer, events = self._muxed, self.buffer, self._muxed.conn.stream_events
        try:
            while True:
                if self._abandoned():
                    # The budget no longer counts these bytes, so they are not kept.
                    buffer.clear()
                    raise EOFError("the connection was closed")
                if len(buffer) >= least:
                    return
                if muxed.recv_closed or muxed.closed:
                    buffer.clear()
                    if muxed.closed:
                        await muxed.conn._finalize_stream(muxed, fully_closed=True)
                        raise EOFError("the stream was reset")
                    raise EndOfStreamError("the peer closed its stream")
                buffer.wanted = least
                event = events[muxed.stream_id]
                if event.is_set():  # too few bytes have come
                    event = events[muxed.stream_id] = trio.Event()
                await event.wait()
        finally:
            buffer.wanted = 1

    def _abandoned(self) -> bool:
        """Whether the connection has ended, or no longer knows the stream."""
        connection = self._muxed.conn
        counted: object = connection.stream_buffers.get(self._muxed.stream_id)
        return connection.event_shutting_down.is_set() or counted is not self.buffer


def source_of(stream: INetStream) -> Source:
    """Return the fastest Source for this stream: YamuxSource if possible, else StreamSource."""
    muxed = getattr(stream, "muxed_stream", None)
    if isinstance(muxed, YamuxStream):
        buffer: object = muxed.conn.stream_buffers.get(muxed.stream_id)
        if isinstance(buffer, FrameBuffer):
            return YamuxSource(muxed, buffer)
    return StreamSource(stream)


async def write_slices(stream: object, slices: Sequence[bytes | memoryview]) -> None:
    """Write slices of at most WRITE_BYTES, each as one yamux frame and one Noise message, many in one system call.

    `write` spends four locks, a dozen lines for a disabled log and a system call on each slice. Here that is
    spent once for a batch of messages: a holder's processor time for a file falls by a quarter. Every unusual case (a
    used-up window, a closed stream, another transport) is left to `write`.
    """
    muxed = getattr(stream, "muxed_stream", None)
    left = deque(slices)
    if isinstance(muxed, YamuxStream):
        connection = muxed.conn
        session = connection.secured_conn
        while left and isinstance(session, ReadAheadSession) and _open_for(muxed, left[0]):
            await acquire(connection._write_lock)  # frames leave in the order in which they are encrypted
            try:
                with batch() as messages:
                    size = 0
                    while left and size < session.batch_bytes and _open_for(muxed, left[0]):
                        piece = left.popleft()
                        muxed.send_window -= len(piece)
                        header = HEADER.pack(*PLAIN_DATA, muxed.stream_id, len(piece))
                        size += session.seal(header, piece, messages[size:])
                    await session.write_batch(messages[:size])
            finally:
                connection._write_lock.release()
    for piece in left:
        await stream.write(piece)  # type: ignore[attr-defined]


def _open_for(muxed: YamuxStream, piece: bytes | memoryview) -> bool:
    """Whether a slice can be sent at once, as one frame: the stream is open, and its window is large enough."""
    return not (muxed.closed or muxed.send_closed) and len(piece) <= min(muxed.send_window, WRITE_BYTES)
