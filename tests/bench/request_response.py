"""The seed's claim, measured: the same chunks at the same distance, asked for one by one and pushed all at once.

python -m tests.bench.request_response [--count N] [--latency MS] [--json FILE]

One holder in a process of its own, behind a relay on loopback that keeps every byte for --latency, each way
(flux_tui/demo/delay.py). Both ways use the same node, protocol, store and relay, one after the other.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import trio

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.demo.delay import serve_delay
from flux_tui.demo.fetch_one_by_one import fetch_one_by_one
from flux_tui.node.node import FluxNode
from tests.bench.nodes import Node, flux, running
from tests.bench.report import Table, parser

SIZE = 1024
PATIENCE_SECONDS = 600

Way = Callable[[FluxNode, Sequence[Cid]], Awaitable[None]]


async def push_all(node: FluxNode, cids: Sequence[Cid]) -> None:
    """Push every want, then check at intervals what has arrived. This is the flux way."""
    node.want_multiple_chunks(cids)
    while node.count_pending():  # noqa: ASYNC110 - as a program that derives its state would
        await trio.sleep(0.005)
    assert all(cid in node.derive_chunks() for cid in cids)


async def seconds_of(way: Way, home: Path, holder: str, cids: Sequence[Cid], latency: float) -> float:
    """Return the seconds that one way of fetching takes, with a new home."""
    port, peer = int(holder.split("/")[4]), holder.rpartition("/")[2]
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            relay = await nursery.start(serve_delay, port, latency)
            settings = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False)
            async with FluxNode.open(home, settings) as node:
                node.push_intent(cmd.Join(f"/ip4/127.0.0.1/tcp/{relay}/p2p/{peer}"))
                while node.derive_state().connected != 1:  # noqa: ASYNC110 - likewise
                    await trio.sleep(0.005)
                began = time.perf_counter()
                await way(node, cids)
                taken = time.perf_counter() - began
            nursery.cancel_scope.cancel()
    return taken


def measure(count: int, latency: float) -> tuple[float, float]:
    """Return the seconds of request-response and of flux, with the same holder."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        source = folder / "chunks"
        source.mkdir()
        cids: list[Cid] = []
        for number in range(count):
            data = os.urandom(SIZE)
            (source / f"{number:06}").write_bytes(data)
            cids.append(raw_cid(data))
        holder = Node(folder / "holder")
        with running(holder):
            json.loads(flux("add", "--json", str(source), home=holder.home).stdout)
            addr = holder.addrs[0]
            asked = trio.run(seconds_of, fetch_one_by_one, folder / "ask", addr, cids, latency)
            pushed = trio.run(seconds_of, push_all, folder / "push", addr, cids, latency)
            return asked, pushed
    finally:
        shutil.rmtree(folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=300, help="wants of each way")
    options.add_argument(
        "--latency", type=float, default=10.0, metavar="MS", help="of each way; a round trip is two"
    )
    given = options.parse_args()
    runs = [measure(given.count, given.latency / 1000) for _ in range(given.runs)]
    table = Table(
        f"{given.count:,} wants for chunks of 1 KiB from a holder {given.latency:g} ms away"
        f" (a round trip is {2 * given.latency:g} ms)"
    )
    table.add("request-response: one, wait, next", [asked for asked, _ in runs], "s")
    table.add("pure flux: all pushed at once", [pushed for _, pushed in runs], "s")
    table.add("flux is as many times as fast", [asked / pushed for asked, pushed in runs], "times", least=20)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
