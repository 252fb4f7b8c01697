"""Several nodes in one process, all connected to each other, for tests of programs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import combinations
from pathlib import Path

import trio

from flux_tui.config import Settings
from flux_tui.core.api.commands import Join
from flux_tui.core.series.events import PeerConnected
from flux_tui.node.node import FluxNode
from flux_tui.testing.memory_network import Switchboard

JOIN_SECONDS = 30.0
"""Seconds for all nodes to be connected. It only ends a test that has failed."""


@asynccontextmanager
async def nodes(
    number: int,
    folder: Path | str,
    settings: Settings | None = None,
    *,
    board: Switchboard | None = None,
    joined: bool = True,
) -> AsyncIterator[tuple[FluxNode, ...]]:
    """Open nodes on one network in memory, each with a home of its own in `folder`: `node-1`, `node-2`, and so on.

    `settings`: of all of them; None: `Settings.local()`. `board`: the network, if the test opens further nodes on it.
    `joined`: whether to connect each to all others first. On leaving the context, the nodes stop in order; a home that
    is opened again goes on with its series. Raises HomeError, StoreError, trio.TooSlowError (they do not connect).
    """
    board = board or Switchboard()
    async with AsyncExitStack() as stack:
        found = [
            await stack.enter_async_context(
                FluxNode.open(
                    Path(folder) / f"node-{one}", settings or Settings.local(), network=board.opening()
                )
            )
            for one in range(1, number + 1)
        ]
        if joined:
            with trio.fail_after(JOIN_SECONDS):
                for one, other in combinations(found, 2):
                    await one.outcome(Join(other.addrs[0]))
                    await _knows(other, one)
        yield tuple(found)


async def _knows(node: FluxNode, other: FluxNode) -> None:
    """Wait until a node has noted that another one is connected to it."""
    async for entry in node.follow(PeerConnected, after=0):
        if entry.event.peer == other.peer_id:
            return
