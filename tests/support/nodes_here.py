"""FluxNodes in this process, on loopback."""

from collections.abc import Callable
from pathlib import Path

import trio

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series.events import Entry
from flux_tui.node.node import FluxNode

LOOPBACK = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False)


async def until(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Poll as a program would. The limit only ends a test that has failed."""
    with trio.fail_after(seconds):
        while not what():  # noqa: ASYNC110
            await trio.sleep(0.005)


async def share(node: FluxNode, path: Path) -> Cid:
    """Add a path. Return its root."""
    node.push_intent(cmd.Add(str(path), "share"))
    await until(lambda: any(o.path == str(path) for o in node.derive_state().objects.values()))
    return next(root for root, o in node.derive_state().objects.items() if o.path == str(path))


def series_of(node: FluxNode) -> list[Entry]:
    reader = node.store.reader()
    entries = reader.read(0, 100_000)
    reader.close()
    return entries
