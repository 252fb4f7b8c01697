"""Helpers for libp2p's streams and connections: read exactly so many bytes, and close something that may be gone."""

import logging
from collections.abc import Awaitable, Callable

from libp2p.abc import INetStream

log = logging.getLogger(__name__)


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


async def try_to_close(close: Callable[[], Awaitable[object]]) -> None:
    """Call `close`, which closes or resets a stream or a connection. Its exceptions are only logged: it may be gone."""
    try:
        await close()
    except Exception as error:  # it is closed already; libp2p raises many kinds
        log.debug("closing: %r", error)
