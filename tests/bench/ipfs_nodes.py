"""Fetching from Helia and Kubo by Bitswap, beside Helia from Helia and Kubo from Kubo, in turns on this machine.

python -m tests.bench.ipfs_nodes [--runs N] [--megabytes N] [--blocks N] [--json FILE]

Two objects: a file in chunks of 256 KiB, and a file in blocks of 1 KiB. Each fetch is into a new store, and is measured
from the connection to the last byte: in a file for flux and Kubo; Helia only adds the bytes up in memory and writes
them. The nodes are those of tests/interop (`tests/interop/install`).
"""

import os
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import parse_cid
from flux_tui.node import process_memory
from flux_tui.node.node import FluxNode
from tests.bench.report import Table, parser
from tests.support.ipfs_nodes import KUBO, NODE, IpfsNode, helia, kubo
from tests.support.nodes_here import until

BITSWAP = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False, bitswap=True, port_mapping=False)
SECONDS = 600.0
"""The limit only ends a run that has failed."""


async def flux_from(other: IpfsNode, cid: str, folder: Path) -> float:
    """Return the seconds in which a new node of flux fetches an object from an IPFS node."""
    home = Path(tempfile.mkdtemp(dir=folder))
    done = trio.Event()
    async with FluxNode.open(home / "home", BITSWAP) as node:
        node.on_data("object_completed", lambda _: done.set())
        node.push_intent(cmd.Join(other.addr))
        await until(lambda: node.derive_state().connected, SECONDS)
        process_memory.exempt_all()  # as `flux-tui node` does
        began = time.perf_counter()
        node.push_intent(cmd.Get(parse_cid(cid), str(home / "out")))
        with trio.fail_after(SECONDS):
            await done.wait()
        return time.perf_counter() - began


async def theirs(kind: str, addr: str, cid: str, folder: Path) -> float:
    """Return the seconds in which a new Helia or Kubo node fetches an object from the node at an address."""
    place = Path(tempfile.mkdtemp(dir=folder))
    async with helia() if kind == "helia" else kubo(place / "repo") as node:
        return await node.get(addr, cid, place / "out")


async def measure(folder: Path, size: int, chunk: int, runs: int) -> dict[str, list[float]]:
    """Return the seconds of each side. `size`: bytes of the file; `chunk`: bytes of its chunks."""
    file = folder / "file"
    file.write_bytes(os.urandom(size))
    found: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        seeds = {"helia": await stack.enter_async_context(helia())}
        cid = await seeds["helia"].add(file, chunk=chunk, width=1024)
        if KUBO.exists():
            seeds["kubo"] = await stack.enter_async_context(kubo(folder / "seed"))
            await seeds["kubo"].get(seeds["helia"].addr, cid, folder / "seeded")
        mine = await stack.enter_async_context(FluxNode.open(folder / "mine", BITSWAP))
        mine.push_intent(cmd.Get(parse_cid(cid), str(folder / "got"), addrs=(seeds["helia"].addr,)))
        await until(lambda: not mine.count_pending() and (folder / "got").exists(), SECONDS)
        for _ in range(runs):
            for kind, seed in seeds.items():
                for name, seconds in (
                    (f"{kind} → {kind}", await theirs(kind, seed.addr, cid, folder)),
                    (f"{kind} → flux", await flux_from(seed, cid, folder)),
                    (f"flux → {kind}", await theirs(kind, mine.addrs[0], cid, folder)),
                ):
                    found.setdefault(name, []).append(seconds)
    return found


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--megabytes", type=int, default=64, help="MiB of the file")
    options.add_argument("--blocks", type=int, default=10_000, help="blocks of 1 KiB; 0: leave that out")
    given = options.parse_args()
    if not NODE.exists():
        print("Helia is not installed: run tests/interop/install", file=sys.stderr)
        return 2
    table = Table("Bitswap with Helia and Kubo, on loopback")
    print(f"load before: {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    sizes = [(f"{given.megabytes} MiB", given.megabytes << 20, 256 * 1024)]
    sizes += [(f"{given.blocks:,} blocks of 1 KiB", given.blocks * 1024, 1024)] if given.blocks else []
    for title, size, chunk in sizes:
        with tempfile.TemporaryDirectory(prefix="flux-bench-") as folder:
            found = trio.run(measure, Path(folder), size, chunk, given.runs)
        medians = {
            name: table.add(f"{title}, {name}", [size / 1e6 / one for one in seconds], "MB/s")
            for name, seconds in found.items()
        }
        for kind in ("helia", "kubo"):
            if f"{kind} → {kind}" in medians:
                ratio = medians[f"{kind} → flux"] / medians[f"{kind} → {kind}"]
                table.add(f"{title}, {kind} → flux against {kind} → {kind}", ratio, "times", least=1.0)
    print(f"load after: {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
