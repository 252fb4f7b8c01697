"""Reads Bitswap's messages from the streams of one peer, within bounds for memory and time.

A peer may open many streams (Helia opens one for each message). Long messages of all its streams are read one after
the other, so a peer never has more than one of them (MAX_MESSAGE) here. The others wait in their streams' windows.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from flux_tui.core.wire.protobuf import BadProtobufError, varint
from flux_tui.net.bitswap.messages import MAX_MESSAGE, MAX_VARINT, BadMessageError
from flux_tui.net.connections.yamux_read_buffer import FrameBuffer, Piece

SHORT = 64 * 1024
"""Bytes of a message that is read at once, whatever the other streams do."""
PAUSE_SECONDS = 30.0
"""Seconds without a byte of a message that has begun, after which its peer is disconnected."""
LEAST_RATE = 1024
"""Bytes/s. A message that comes slower than this, PAUSE_SECONDS apart, ends the link."""
READ_BYTES = 256 * 1024
"""Bytes that are waited for at a time."""
PROGRESS_SECONDS = 0.5
"""Seconds between two reports of the progress of a message that comes slowly."""


class Source(Protocol):
    """The bytes that came on a stream, and a method that waits for more."""

    buffer: FrameBuffer

    async def grant(self) -> None:
        """Allow the peer to send as many further bytes as were taken from the buffer."""

    async def fill(self, least: int) -> None:
        """Wait until `buffer` has at least `least` bytes. Raises EOFError, or the stream's error."""


class StalledError(Exception):
    """The peer began to send a message, and did not finish it in time. The message is a sentence."""


class MessageStream:
    """The messages of one stream that a peer opened.

    `widen`: raises the stream's window, called when more than SHORT bytes come on it. Until then the window is the one
    that every stream has, so a peer with many streams cannot have more than that of each in this node's buffers.
    """

    def __init__(self, source: Source, widen: Callable[[], Awaitable[None]]) -> None:
        self._source = source
        self._widen = widen
        self._is_wide = False
        self._begun = 0
        """Bytes of all messages that have begun."""

    async def _grant(self) -> None:
        if self._is_wide:
            await self._source.grant()

    async def length(self) -> int | None:
        """Return the length of the next message in bytes; None: the peer closed the stream before one.

        Raises BadMessageError for a length that no message has, StalledError, EOFError, or the stream's error.
        """
        source = self._source
        await self._grant()
        try:
            await source.fill(1)
        except EOFError:
            return None
        for size in range(1, MAX_VARINT + 1):
            with trio.move_on_after(PAUSE_SECONDS) as waiting:
                await source.fill(size)
            if waiting.cancelled_caught:
                raise StalledError(f"it stopped in the length of a message, for {PAUSE_SECONDS:.0f} s")
            head = source.buffer[:size]
            if head[-1] < 0x80:
                length = _length(head)
                del source.buffer[:size]
                return length
        raise BadMessageError("a message whose length does not end")

    async def body(self, length: int, tell: Callable[[int, float], None]) -> bytes:
        """Return the next `length` bytes.

        `tell`: called about every PROGRESS_SECONDS with the bytes so far and the seconds since the beginning. Raises
        StalledError, EOFError, or the stream's error.
        """
        self._begun += length
        if not self._is_wide and self._begun > SHORT:
            self._is_wide = True
            await self._widen()
        source, pieces, left = self._source, list[Piece](), length
        told_at = begun = trio.current_time()
        end = begun + PAUSE_SECONDS + length / LEAST_RATE
        while left:
            await self._grant()
            with trio.move_on_at(min(trio.current_time() + PAUSE_SECONDS, end)) as waiting:
                await source.fill(min(left, READ_BYTES))
            before = left
            while left and source.buffer:
                pieces.append(source.buffer.take(left))
                left -= len(pieces[-1])
            now = trio.current_time()
            if waiting.cancelled_caught and left and (left == before or now >= end):
                raise StalledError(
                    f"it stopped in the middle of a message, for {PAUSE_SECONDS:.0f} s or more"
                )
            if left and now - told_at >= PROGRESS_SECONDS:
                told_at = now
                tell(length - left, now - begun)
        return b"".join(pieces)


def _length(head: bytes) -> int:
    try:
        length, _ = varint(head, 0)
    except BadProtobufError as error:
        raise BadMessageError(f"a message with a wrong length: {error}") from None
    if length > MAX_MESSAGE:
        raise BadMessageError(f"a message of {length:,} bytes, over {MAX_MESSAGE:,}")
    return length
