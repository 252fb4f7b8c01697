"""A Noise session that reads ahead: one system call for many messages, decrypted from one buffer."""

from collections import deque
from collections.abc import Awaitable, Callable

import trio
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.secure_session import SecureSession
from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE

READ_AHEAD = 256 * 1024
"""Bytes asked of the socket at once."""
YIELD_EVERY = 64
"""Messages without content, until other tasks have their turn."""


class ReadAheadSession(SecureSession):
    """A Noise session whose reads come from a buffer of decrypted messages."""

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
        # Its own decrypt() takes nothing but bytes: a copy of every message, for a check of its size.
        self._decrypt = plain.conn.noise_state.noise_protocol.cipher_state_decrypt.decrypt_with_ad
        self.encrypt = plain.conn.encrypt
        self.raw = raw
        self._rest = bytearray()
        """The beginning of a message."""
        self._needed = 2
        """Bytes of it, before it is worth looking at."""
        self._plain: deque[bytes] = deque()
        self._offset = 0
        """How much of the first piece was read."""
        self.before_header: Callable[[], Awaitable[None]] | None = None
        """Awaited before HEADER_SIZE are read: it may take whole frames by itself."""

    async def read(self, n: int | None = None) -> bytes:
        """Up to `n` bytes, at least one; whatever is there if `n` is None."""
        if n == 0:
            return b""
        if n == HEADER_SIZE and self.before_header is not None:
            await self.before_header()
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

    async def ahead(self) -> None:
        """Return when something is decrypted."""
        while not self._plain:
            await self._decrypt_more()

    def peek(self, n: int) -> bytes | None:
        """The next `n` bytes, which stay, if all of them are decrypted and in one piece."""
        return self._plain[0][self._offset : self._offset + n] if self.whole >= n else None

    @property
    def whole(self) -> int:
        """Bytes that are decrypted, and in one piece."""
        return len(self._plain[0]) - self._offset if self._plain else 0

    def take(self, n: int) -> bytes | memoryview | None:
        """The next `n` bytes, if all of them are decrypted and in one piece; without a copy where they are
        most of it. (A small part would keep the whole piece in memory: a peer could make much of that.)
        """
        if self.whole < n:
            return None
        whole = self._plain[0]
        start, self._offset = self._offset, self._offset + n
        if self._offset == len(whole):
            self._plain.popleft()
            self._offset = 0
        return memoryview(whole)[start : start + n] if 2 * n >= len(whole) else whole[start : start + n]

    async def _decrypt_more(self) -> None:
        data = await self.raw.read(READ_AHEAD)
        if not data:
            raise ConnectionClosedError("the peer closed the connection")
        if self._rest:
            if len(self._rest) + len(data) < self._needed:
                self._rest += data
                return
            data = b"".join((self._rest, data))
        view = memoryview(data)
        at, end, empty = 0, len(data), 0
        self._needed = 2
        while end - at >= 2:
            size = data[at] << 8 | data[at + 1]
            if end - at - 2 < size:
                self._needed = 2 + size
                break
            plain = self._decrypt(None, view[at + 2 : at + 2 + size])
            at += 2 + size
            if plain:
                self._plain.append(plain)
                continue
            empty += 1
            if not empty % YIELD_EVERY:  # nothing comes of it, so nobody else stops it
                await trio.lowlevel.checkpoint()
        self._rest = bytearray(view[at:])
