"""What libp2p's yamux keeps of a peer, whatever its window says. tests/abuse shows what `GuardedYamux` does instead."""

import struct
from typing import Any

import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID, Yamux

from flux_tui.net.upstream.guarded_yamux import HEADER, MAX_STREAMS
from tests.support.hosts import two_plain_hosts

DATA, WINDOW, SYN = 0, 1, 1
FRAME = 64 * 1024
WINDOW_BYTES = 256 * 1024
"""The window of a new stream in yamux."""


class Sent:
    """A secured connection on which a peer has sent these bytes, and then stays silent."""

    is_initiator = False

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    async def read(self, n: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        if self._at == len(self._data):
            await trio.sleep_forever()
        start, self._at = self._at, min(self._at + (n or len(self._data)), len(self._data))
        return self._data[start : self._at]

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()


def opened(stream: int) -> bytes:
    return HEADER.pack(0, WINDOW, SYN, stream, 0)


async def after(data: bytes, *, accept: bool = False) -> Any:
    """Return libp2p's own yamux after a peer has sent these bytes."""
    peer = ID.from_pubkey(create_new_key_pair(bytes([9]) * 32).public_key)
    secured: Any = Sent(data)
    muxed: Any = Yamux(secured, peer, is_initiator=False)

    async def accept_all() -> None:
        while True:
            await muxed.accept_stream()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(muxed.start)
        if accept:
            nursery.start_soon(accept_all)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.cancel_scope.cancel()
    return muxed


async def test_libp2p_still_keeps_what_a_peer_sends_beyond_its_window() -> None:
    """If this fails, yamux enforces the window: see whether MAX_PARKED is still needed."""
    body = HEADER.pack(0, DATA, 0, 1, FRAME) + bytes(FRAME)
    muxed = await after(opened(1) + 16 * body)
    assert len(muxed.stream_buffers[1]) == 16 * FRAME > WINDOW_BYTES


async def test_libp2p_still_lets_a_peer_open_any_number_of_streams() -> None:
    """If this fails, yamux bounds a peer's streams: see whether MAX_STREAMS is still needed."""
    muxed = await after(b"".join(opened(1 + 2 * number) for number in range(1000)), accept=True)
    assert len(muxed.streams) == 1000 > MAX_STREAMS


async def test_libp2p_still_ignores_the_class_that_it_is_given_for_yamux() -> None:
    """If this fails, `GuardedYamux` can be given to `new_swarm`, and `Budget` need not wrap the factory."""

    class Mine(Yamux):
        pass

    async with two_plain_hosts(muxer_opt={TProtocol(PROTOCOL_ID): Mine}) as (one, _):
        (connection,) = one.get_network().get_connections()
        assert type(connection.muxed_conn) is Yamux


def test_a_header_is_packed_as_libp2p_packs_it() -> None:
    assert HEADER.pack(0, WINDOW, SYN, 7, 9) == struct.pack("!BBHII", 0, 1, 1, 7, 9)
