"""Ten thousand wants for 1 KiB chunks, pushed in one loop: how soon that returns, how soon all is there.

python -m tests.bench.small_wants [--count N] [--holders N] [--json FILE]
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import trio

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.node import process_memory
from flux_tui.node.node import FluxNode
from tests.bench.nodes import LateError, Node, flux, running
from tests.bench.report import Table, parser

SIZE = 1024


def make_chunks(source: Path, count: int) -> list[Cid]:
    """Make a folder of files of random bytes, each of which is one chunk."""
    source.mkdir()
    cids = []
    for number in range(count):
        data = os.urandom(SIZE)
        (source / f"{number:06}").write_bytes(data)
        cids.append(raw_cid(data))
    return cids


async def _want(home: Path, addrs: list[str], cids: list[Cid], seconds: float) -> tuple[float, float]:
    """Return the seconds until the pushes returned, and until all chunks had arrived."""
    settings = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False)
    async with FluxNode.open(home, settings) as node:
        for addr in addrs:
            node.push_intent(cmd.Join(addr))
        await _until(lambda: node.derive_state().connected == len(addrs), seconds)
        process_memory.exempt_all()  # as `flux-tui node` does
        start = time.perf_counter()
        for cid in cids:
            node.push_intent(cmd.Want(cid))
        pushed = time.perf_counter() - start
        await _until(lambda: not node.count_pending() and len(node.derive_chunks()) == len(cids), seconds)
        arrived = time.perf_counter() - start
        assert node.derive_state().duplicate_factor == 1.0
        return pushed, arrived


async def _until(what: Callable[[], bool], seconds: float) -> None:
    with trio.move_on_after(seconds):
        while not what():  # noqa: ASYNC110 - from outside, as a program that polls would
            await trio.sleep(0.005)
        return
    raise LateError(f"not within {seconds} s")


def fetch(
    source: Path, cids: list[Cid], folder: Path, holders: int = 1, seconds: float = 120
) -> tuple[float, float]:
    """Fetch from holders in separate processes, each of which has everything. Homes are in the folder."""
    nodes = [Node(folder / f"a{number}") for number in range(holders)]
    with running(*nodes):
        for node in nodes:
            json.loads(flux("add", "--json", str(source), home=node.home).stdout)
        return trio.run(_want, folder / "b", [node.addrs[0] for node in nodes], cids, seconds)


def measure(count: int, holders: int) -> tuple[float, float]:
    """Measure in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        source = folder / "chunks"
        return fetch(source, make_chunks(source, count), folder, holders)
    finally:
        shutil.rmtree(folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--holders", type=int, default=1)
    given = options.parse_args()
    many = given.holders > 1
    runs = [measure(given.count, given.holders) for _ in range(given.runs)]
    table = Table(
        f"{given.count:,} wants for chunks of 1 KiB, {given.holders} holders in processes of their own"
    )
    table.add("pushing them returned after", [run[0] for run in runs], "s", most=0.2 if many else 0.3)
    table.add("all had arrived after", [run[1] for run in runs], "s", most=1.5 if many else 3)
    table.add("chunks a second", [given.count / run[1] for run in runs], "1/s")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
