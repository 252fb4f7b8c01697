"""A TCP relay on loopback that imitates a long distance: it passes each byte on after a fixed delay.

Both directions have the same delay. The bytes in transit are limited, to 64 MiB in each direction. That is enough
for 6 GB/s at a delay of 10 ms, so the relay limits no bandwidth. The end of a connection is delayed like its bytes.
"""

from collections import deque
from functools import partial
from typing import Any

import trio

READ_BYTES = 256 * 1024
UNDER_WAY = 64 * 1024 * 1024
"""The most bytes in transit in one direction. Beyond that, the sender is not read for a while."""


async def serve_delay(port: int, seconds: float, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """Relay connections to 127.0.0.1:`port`, each byte delayed by `seconds`, until cancelled.

    The port on which the relay listens is passed to `task_status`.
    """
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    task_status.started(listeners[0].socket.getsockname()[1])
    await trio.serve_listeners(partial(_carry, port, seconds), listeners)


async def _carry(port: int, seconds: float, near: trio.SocketStream) -> None:
    async with near:
        try:
            far = await trio.open_tcp_stream("127.0.0.1", port)
        except OSError:
            return  # no node listens: the dialler notices when its connection ends
        async with far, trio.open_nursery() as nursery:
            nursery.start_soon(_one_way, near, far, seconds, nursery)
            nursery.start_soon(_one_way, far, near, seconds, nursery)


async def _one_way(
    source: trio.SocketStream, target: trio.SocketStream, seconds: float, both: trio.Nursery
) -> None:
    """Carry the bytes from `source` to `target`, each `seconds` later.

    If the target breaks, the other direction ends too: `both` is the nursery of the two directions.
    """
    line = _DelayQueue()
    async with trio.open_nursery() as nursery:

        async def take() -> None:
            try:
                while data := await source.receive_some(READ_BYTES):
                    await line.put(trio.current_time() + seconds, data)
            except trio.BrokenResourceError:
                pass
            line.end(trio.current_time() + seconds)

        nursery.start_soon(take)
        try:
            while (data := await line.get()) is not None:
                await target.send_all(data)
            await target.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            both.cancel_scope.cancel()


class _DelayQueue:
    """A queue of bytes in transit. Each piece leaves at its own time."""

    def __init__(self) -> None:
        self._items: deque[tuple[float, bytes | None]] = deque()
        self._bytes = 0
        self._changed = trio.Event()

    async def put(self, due: float, data: bytes) -> None:
        while self._bytes > UNDER_WAY:
            await self._changed.wait()
        self._bytes += len(data)
        self._add(due, data)

    def end(self, due: float) -> None:
        self._add(due, None)

    async def get(self) -> bytes | None:
        """Wait until the next bytes are due, and return them; None: the connection has ended."""
        while not self._items:
            await self._changed.wait()
        due, data = self._items.popleft()
        await trio.sleep_until(due)
        if data is not None:
            self._bytes -= len(data)
            self._wake()
        return data

    def _add(self, due: float, data: bytes | None) -> None:
        self._items.append((due, data))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
