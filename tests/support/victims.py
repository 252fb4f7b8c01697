"""A node under attack, and what it wrote about the attack."""

import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.node.node import FluxNode
from tests.abuse.attacker import Attacker
from tests.support.nodes_here import LOOPBACK, series_of, share, until

T = TypeVar("T")


@asynccontextmanager
async def victim(home: Path, settings: Settings = LOOPBACK) -> AsyncIterator[FluxNode]:
    async with FluxNode.open(home / "victim", settings) as node:
        yield node


def events(node: FluxNode, kind: type[T]) -> list[T]:
    return [entry.event for entry in series_of(node) if isinstance(entry.event, kind)]


async def linked(node: FluxNode, attacker: Attacker) -> None:
    await until(lambda: attacker.peer_id in node._network.peers())


async def works(node: FluxNode, folder: Path, size: int = 300_000, settings: Settings = LOOPBACK) -> float:
    """Let an honest node fetch something from the victim. Return the seconds that took."""
    data = os.urandom(size)
    (folder / "honest.bin").write_bytes(data)
    root = await share(node, folder / "honest.bin")
    async with FluxNode.open(folder / "honest", settings) as honest:
        start = time.monotonic()
        honest.push_intent(cmd.Get(root, str(folder / "out"), "out", size, node.addrs, "me"))
        await until(lambda: not honest.count_pending(), 40)
        assert (folder / "out").read_bytes() == data
        return time.monotonic() - start
