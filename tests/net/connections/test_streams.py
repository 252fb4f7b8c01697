"""Reading exactly so many bytes of a stream, and closing what may be gone."""

from typing import Any, cast

import pytest
from libp2p.abc import INetStream

from flux_tui.net.connections.streams import exactly, try_to_close


class Pieces:
    """A stream on which these pieces arrive, each cut to what is asked for."""

    def __init__(self, *pieces: bytes) -> None:
        self.left = list(pieces)

    async def read(self, count: int) -> bytes:
        if not self.left:
            return b""
        piece, rest = self.left[0][:count], self.left[0][count:]
        self.left[:1] = [rest] if rest else []
        return piece


def of(*pieces: bytes) -> INetStream:
    return cast("INetStream", cast("Any", Pieces(*pieces)))


async def test_pieces_are_joined_and_nothing_more_is_read() -> None:
    stream = of(b"ab", b"cdef")
    assert await exactly(stream, 3) == b"abc"
    assert await exactly(stream, 3) == b"def"
    assert await exactly(stream, 0) == b""


async def test_a_stream_that_ends_too_early_is_an_error() -> None:
    with pytest.raises(EOFError):
        await exactly(of(b"ab"), 3)


async def test_closing_what_is_gone_is_no_error() -> None:
    closed = []

    async def close() -> None:
        closed.append(True)

    async def gone() -> None:
        raise OSError("gone")

    await try_to_close(close)
    await try_to_close(gone)
    assert closed == [True]
