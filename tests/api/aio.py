"""A node in a program on asyncio: share a file within ten seconds.

aio.py HOME FILE
"""

import asyncio
import sys
from pathlib import Path

from flux_tui import Add, Settings
from flux_tui.aio import FluxNode


async def main(home: str, file: str) -> None:
    async with FluxNode.open(home, Settings.local()) as node:
        async with asyncio.timeout(10):
            print((await node.outcome(Add(Path(file)))).root)


asyncio.run(main(*sys.argv[1:]))
