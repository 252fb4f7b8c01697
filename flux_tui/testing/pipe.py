"""A pipe in memory: one direction of a link."""

import trio

WINDOW = 1024 * 1024
"""Bytes under way in one direction of a link; above this the writer waits."""


class Pipe:
    """The bytes on their way in one direction of a link, in order, and at most WINDOW of them."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._changed = trio.lowlevel.ParkingLot()

    async def read(self, n: int | None = None) -> bytes:
        """Wait until there are bytes, then remove and return up to `n` of them; None: all that are there."""
        await trio.lowlevel.checkpoint()
        while not self._bytes:
            await self._changed.park()
        data = bytes(self._bytes[:n])
        del self._bytes[:n]
        self._changed.unpark_all()
        return data

    async def write(self, data: bytes) -> None:
        """Append all of `data`. While the pipe is full, wait until the other side reads."""
        await trio.lowlevel.checkpoint()
        left = memoryview(data)
        while left:
            while (room := WINDOW - len(self._bytes)) <= 0:
                await self._changed.park()
            self._bytes += left[:room]
            left = left[room:]
            self._changed.unpark_all()
