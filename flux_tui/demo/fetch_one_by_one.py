"""Fetches chunks in the blocking way: wants one, waits until it is stored here, then wants the next.

This is what request and response amount to. It uses the same protocol, network and store as pushing. So a
comparison with pushing all wants at once compares only the two ways to ask.
"""

from collections.abc import Sequence

import trio

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import ChunkReceived, Entry
from flux_tui.node.node import FluxNode


async def fetch_one_by_one(node: FluxNode, cids: Sequence[Cid]) -> None:
    """Fetch chunks one after the other. Returns when the last chunk is in the store."""
    arrived: dict[Cid, trio.Event] = {}

    def see(entry: Entry) -> None:
        assert isinstance(entry.event, ChunkReceived)
        if (event := arrived.get(entry.event.cid)) is not None:
            event.set()

    node.on_data("chunk", see)
    for cid in cids:
        arrived[cid] = trio.Event()
        node.get_chunk(cid)
        if node.check_if_arrived(cid) is None:
            await arrived[cid].wait()
        del arrived[cid]
