"""A Noise session that reads ahead and writes in batches. Replaces `SecureSession`. For libp2p 0.8.x.

What libp2p 0.8.1 does: it makes two system calls and several copies for each message of at most 64 KiB.

Why that is not enough: it is slow. Here one system call carries many messages. Received and encrypted bytes lie in
buffers that are used again and again, so they stay in the processor's cache, and no new memory page is used. Measured
on a two-core machine, encrypting 256 KiB pieces: 0.30 ms per MiB here, and 1.07 ms in libp2p's way.

Upstream: no issue is known (go-libp2p-noise had the same: its #90). Tests: tests/net/upstream/test_noise_session.py;
`test_libp2p_still_reads_the_socket_twice_for_each_message` fails when upstream changes. tests/bench/raw_stream.py shows
the speed.
"""

import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE

from flux_tui.net.connections.whole_writes import tcp_of
from flux_tui.net.connections.yamux_read_buffer import Piece, part_of

READ_AHEAD = 512 * 1024
"""Bytes requested from the socket at once. Beside 256 KiB, this saves 9 % of the processor time of receiving."""
BATCH_BYTES = 512 * 1024
"""Bytes of encrypted messages that one system call writes, on a line that takes them at once. Beside 256 KiB, this
saves 8 % of the processor time of sending. (A MiB would save 12 %; but each peer that is slow to take a batch keeps
one in memory.)"""
SLOW_BATCH_BYTES = 256 * 1024
"""The same on any other line: pings and messages of other streams wait while a batch is written."""
QUICK_SECONDS = 0.1
"""Seconds in which a line takes a batch, if it takes it at once."""
MAX_MESSAGE = 2 + 65_535
"""Bytes of a Noise message, with the length before it."""
TAG_BYTES = 16
"""Bytes by which an encrypted message is longer than its content."""
YIELD_EVERY = 64
"""Empty messages until other tasks get their turn."""


class _Scratch(threading.local):
    """The buffers of one thread, shared by all its sessions. Their content is valid only until the next `await`."""

    def __init__(self) -> None:
        self.received = memoryview(bytearray(READ_AHEAD + MAX_MESSAGE))
        self.plain = memoryview(bytearray(MAX_MESSAGE))
        self.batches: list[memoryview] = []
        """Those that nobody writes to at the moment."""


_scratch = _Scratch()


@contextmanager
def batch() -> Iterator[memoryview]:
    """Yield a buffer with room for BATCH_BYTES and one more message. It may be used only inside this context."""
    spare = _scratch.batches
    taken = spare.pop() if spare else memoryview(bytearray(BATCH_BYTES + MAX_MESSAGE))
    try:
        yield taken
    finally:
        spare.append(taken)


class ReadAheadSession(SecureSession):
    """A Noise session that receives and decrypts many messages at once, into a buffer."""

    def __init__(self, plain: SecureSession, raw: IRawConnection) -> None:
        super().__init__(
            local_peer=plain.local_peer,
            local_private_key=plain.local_private_key,
            remote_peer=plain.remote_peer,
            remote_permanent_pubkey=plain.remote_permanent_pubkey,
            is_initiator=plain.is_initiator,
            conn=plain.conn,
        )
        assert isinstance(plain.conn, NoiseTransportReadWriter)
        # Noise's own encrypt() and decrypt() take and return only bytes: copies of every message.
        self._noise: Any = plain.conn.noise_state.noise_protocol
        self.raw = raw
        self._socket = _socket_of(raw)
        tcp = tcp_of(raw)
        self.tcp = tcp.stream.socket if tcp is not None else None
        """The TCP socket at the bottom, even if a private swarm's cipher lies above it. None: the connection
        runs inside another connection."""
        self.heard = 0
        """How many times something arrived."""
        self.batch_bytes = SLOW_BATCH_BYTES
        """Bytes of encrypted messages to write at once: see `write_batch`."""
        self.broken: OSError | None = None
        """The operating system's error when the connection ended."""
        self._rest = bytearray()
        """The beginning of an incomplete message."""
        self._needed = 2
        """Bytes of it that are needed before decryption is tried again."""
        self._plain: deque[bytes] = deque()
        self._offset = 0
        """How much of the first piece was read."""
        self._before_header: Callable[[], Awaitable[None]] = trio.lowlevel.cancel_shielded_checkpoint

    async def read(self, n: int | None = None) -> bytes:
        """Wait for decrypted bytes, and return at least one and at most `n` of them; no bytes if `n` is 0.

        With `n` None: the rest of the next decrypted piece.
        """
        if n == 0:
            return b""
        if n == HEADER_SIZE:
            await self._before_header()
        await self.ahead()
        piece = self._plain[0]
        left = len(piece) - self._offset
        if n is None or n >= left:
            self._plain.popleft()
            data = piece[self._offset :] if self._offset else piece
            self._offset = 0
            return data
        data = piece[self._offset : self._offset + n]
        self._offset += n
        return data

    def call_before_header(self, take: Callable[[], Awaitable[None]]) -> None:
        """Set a function of the muxer that is awaited before each read of a frame's header.

        The function may read complete frames itself. It cannot be an argument of the session: libp2p makes the
        session first, and Yamux reads its headers in a loop that no subclass can change.
        """
        self._before_header = take

    async def ahead(self) -> None:
        """Wait until there are decrypted bytes that were not read; receive and decrypt more if needed."""
        while not self._plain:
            await self._decrypt_more()

    def peek(self, n: int) -> bytes | None:
        """Return the next `n` bytes without removing them; None if they are not decrypted, or not in one piece."""
        return self._plain[0][self._offset : self._offset + n] if self.whole >= n else None

    @property
    def whole(self) -> int:
        """The number of bytes that `take` can return now: those of the next decrypted piece. 0: there is none."""
        return len(self._plain[0]) - self._offset if self._plain else 0

    @property
    def first(self) -> bytes | None:
        """The next decrypted piece; None if there is none, or if a part of it was read already."""
        return self._plain[0] if self._plain and not self._offset else None

    def drop_first(self) -> None:
        """Remove the piece that `first` returned."""
        self._plain.popleft()

    def take(self, n: int) -> Piece | None:
        """Remove and return the next `n` bytes; None if they are not decrypted, or not in one piece."""
        if self.whole < n:
            return None
        whole = self._plain[0]
        start, self._offset = self._offset, self._offset + n
        if self._offset == len(whole):
            self._plain.popleft()
            self._offset = 0
        return part_of(whole, start, n)

    async def _decrypt_more(self) -> None:
        """Receive the bytes that have arrived, and decrypt the messages that are complete."""
        view = _scratch.received
        begun = len(self._rest)
        end = begun + await self._receive(view[begun:])
        if end < self._needed:
            self._rest += view[begun:end]
            return
        view[:begun] = self._rest
        at = self._decrypt_some(view, 0, end)
        while end - at >= self._needed:  # other tasks get their turn, and may use the buffer
            view, at, end = memoryview(bytes(view[at:end])), 0, end - at
            await trio.lowlevel.checkpoint()
            at = self._decrypt_some(view, 0, end)
        self._rest = bytearray(view[at:end])

    async def _receive(self, room: memoryview) -> int:
        """Wait for bytes of the peer, write them to the start of `room`, and return their number.

        No other task uses `room` before the next `await`. Raises ConnectionClosedError if the connection has
        ended.
        """
        if self._socket is None:
            data = await self.raw.read(READ_AHEAD)
            count = len(data)
            room[:count] = data
        else:
            await trio.lowlevel.checkpoint()
            while True:
                try:
                    count = os.readv(self._socket.fileno(), [room])
                    break
                except BlockingIOError:
                    try:
                        await trio.lowlevel.wait_readable(self._socket.fileno())
                    except trio.ClosedResourceError:
                        count = 0
                        break
                except OSError as error:
                    self.broken = error
                    raise ConnectionClosedError(f"the connection broke: {error}") from error
        if not count:
            raise ConnectionClosedError("the peer closed the connection")
        self.heard += 1
        return count

    def _decrypt_some(self, view: memoryview, at: int, end: int) -> int:
        """Decrypt the complete messages in `view` from position `at` to `end`; stop after YIELD_EVERY empty messages.

        Returns the position after the last decrypted message.
        """
        empty = 0
        self._needed = 2
        state = self._noise.cipher_state_decrypt
        decrypt, format_nonce = state.cipher.cipher.decrypt, state.cipher.format_nonce
        while end - at >= 2 and empty < YIELD_EVERY:
            body = at + 2
            size = view[at] << 8 | view[at + 1]
            if end - body < size:
                self._needed = 2 + size
                break
            at = body + size
            plain = decrypt(format_nonce(state.n), view[body:at], None)
            state.n += 1
            if plain:
                self._plain.append(plain)
            else:
                empty += 1
        return at

    def seal(self, header: bytes, piece: bytes | memoryview, into: memoryview) -> int:
        """Encrypt `header` and `piece` as one message at the start of `into`. Returns the length of the message.

        Messages must be sent in the order in which they are sealed.
        """
        cipher = self._noise.cipher_state_encrypt
        start, size = len(header), len(header) + len(piece)
        plain = _scratch.plain
        plain[:start] = header
        plain[start:size] = piece
        nonce = cipher.cipher.format_nonce(cipher.n)
        cipher.cipher.cipher.encrypt_into(nonce, plain[:size], None, into[2 : 2 + size + TAG_BYTES])
        cipher.n += 1
        into[0], into[1] = divmod(size + TAG_BYTES, 256)
        return 2 + size + TAG_BYTES

    async def write_batch(self, messages: memoryview) -> None:
        """Write sealed messages. Afterwards `batch_bytes` says how many bytes the next batch should have.

        Raises ConnectionClosedError if the connection has ended.
        """
        begun = trio.current_time()
        await self.raw.write(messages)  # type: ignore[arg-type]  # not kept
        quick = trio.current_time() - begun < QUICK_SECONDS
        self.batch_bytes = BATCH_BYTES if quick else SLOW_BATCH_BYTES


def _socket_of(raw: IRawConnection) -> trio.socket.SocketType | None:
    """Return the socket directly below a connection; None if another layer lies between."""
    if type(raw) is RawConnection and isinstance(raw.stream, TrioTCPStream):
        return raw.stream.stream.socket
    return None
