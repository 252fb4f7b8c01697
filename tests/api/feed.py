"""The mean of a sensor's readings: those that the series has, then those that come.

feed.py HOME ADDR
"""

import struct
import sys
from typing import NamedTuple

import trio

from flux_tui import CustomReceived, Entry, FluxNode, Join, Settings

READING = struct.Struct("!Id")


class Mean(NamedTuple):
    readings: int = 0
    total: float = 0.0

    def then(self, entry: Entry[CustomReceived]) -> "Mean":
        _, value = READING.unpack(entry.event.payload)
        return Mean(self.readings + 1, self.total + value)


async def main(home: str, addr: str) -> None:
    async with FluxNode.open(home, Settings.local(), listens=("sensor.reading",)) as node:
        node.push_intent(Join(addr))
        mean = Mean()
        async for entry in node.follow(CustomReceived, kind="sensor.reading", after=0):
            mean = mean.then(entry)
            print(mean.readings, mean.total / mean.readings, flush=True)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
