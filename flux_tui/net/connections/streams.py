"""Helpers for libp2p's streams: read exactly so many bytes, carry one message, and close something that may be gone."""

import logging
from collections.abc import Awaitable, Callable

from libp2p.abc import INetStream

from flux_tui.core.wire.codec import too_long

log = logging.getLogger(__name__)

LENGTH_BYTES = 4
"""Bytes of the length before a message that goes alone on its stream."""


async def exactly(stream: INetStream, size: int) -> bytes:
    """Read `size` bytes from a stream, and return them.

    Raises EOFError if the stream ends before, or the stream's error.
    """
    data = bytearray()
    while len(data) < size:
        part = await stream.read(size - len(data))
        if not part:
            raise EOFError("the stream ended")
        data += part
    return bytes(data)


def prefixed(data: bytes) -> bytes:
    """Return a message that goes alone on its stream, after its length: LENGTH_BYTES, big endian."""
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


async def read_number(stream: INetStream) -> int:
    """Read a number of LENGTH_BYTES, big endian. Raises as `exactly` does."""
    return int.from_bytes(await exactly(stream, LENGTH_BYTES), "big")


async def read_prefixed(stream: INetStream, limit: int, what: str) -> bytes:
    """Read a message of at most `limit` bytes after its length. `what`: what it is about, for the error.

    Raises BadFrameError if it is longer, before it is read, and as `exactly` does.
    """
    size = await read_number(stream)
    if size > limit:
        raise too_long(size, what, limit)
    return await exactly(stream, size)


async def try_to_close(close: Callable[[], Awaitable[object]]) -> None:
    """Call `close`, which closes or resets a stream or a connection. Its exceptions are only logged: it may be gone."""
    try:
        await close()
    except Exception as error:  # it is closed already; libp2p raises many kinds
        log.debug("closing: %r", error)
