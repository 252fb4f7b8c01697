"""The delaying relay: each byte is late by a fixed time, none is lost, bandwidth is not limited, and ends are
delayed, too.
"""

import trio
from trio.testing import MockClock

from flux_tui.demo.delay import serve_delay


async def _pair(nursery: trio.Nursery, seconds: float) -> tuple[trio.SocketStream, trio.SocketStream]:
    """A connection through a relay: the near end and the far one."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    relay = await nursery.start(serve_delay, port, seconds)
    near = await trio.open_tcp_stream("127.0.0.1", relay)
    far = await listeners[0].accept()
    await listeners[0].aclose()
    return near, far


async def test_both_directions_have_the_same_delay() -> None:
    async with trio.open_nursery() as nursery:
        near, far = await _pair(nursery, 0.05)
        for source, target in ((near, far), (far, near)):
            began = trio.current_time()
            await source.send_all(b"hello")
            assert await target.receive_some() == b"hello"
            assert 0.05 <= trio.current_time() - began < 2
        nursery.cancel_scope.cancel()


async def test_the_relay_delays_and_does_not_limit_bandwidth() -> None:
    """Twenty pieces in transit at the same time take one delay, not twenty, and they arrive in order."""
    pieces = [bytes([n]) * 100_000 for n in range(20)]
    async with trio.open_nursery() as nursery:
        near, far = await _pair(nursery, 0.3)

        async def send() -> None:
            for piece in pieces:
                await near.send_all(piece)
            await near.send_eof()

        began = trio.current_time()
        nursery.start_soon(send)
        received = b""
        async for data in far:
            received += data
        assert received == b"".join(pieces)
        assert 0.3 <= trio.current_time() - began < 0.3 * 10
        # One direction has ended. The other still carries bytes.
        await far.send_all(b"bye")
        assert await near.receive_some() == b"bye"
        nursery.cancel_scope.cancel()


async def test_a_relay_to_a_closed_port(autojump_clock: MockClock) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    async with trio.open_nursery() as nursery:
        relay = await nursery.start(serve_delay, port, 0.01)
        near = await trio.open_tcp_stream("127.0.0.1", relay)
        assert await near.receive_some() == b""
        nursery.cancel_scope.cancel()
