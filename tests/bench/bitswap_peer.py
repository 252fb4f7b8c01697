"""One end of an exchange by libp2p's own Bitswap, in a process of its own, for tests/bench/bitswap.py.

python -m tests.bench.bitswap_peer hold SOURCE [--chunk BYTES] [--tuned]
python -m tests.bench.bitswap_peer ask ADDR (--root CID --out FILE | --blocks FILE [--batch N]) [--tuned]

`hold` has a file as a DAG of blocks of --chunk bytes, or each file of a folder as a block; it prints its address
and the root as JSON, and stays until it is ended. `ask` prints as JSON how many seconds it took from the connection
to the file on disk or the last block, or that Bitswap gave up, and why.

Nothing of flux is imported but, with --tuned, its transport (which by its import alone changes how yamux
behaves): without it this is libp2p as it comes.
"""

import argparse
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost
from libp2p.bitswap import BitswapClient, BitswapError, cid_to_text, compute_cid_v1, parse_cid
from libp2p.bitswap.dag import MerkleDag
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr


def open_host(tuned: bool, listen: list[str]) -> tuple[IHost, AbstractAsyncContextManager[None]]:
    """Open a host as `new_host` makes it, or with the transport of flux."""
    pair = create_new_key_pair()
    if tuned:
        from flux_tui.net.flux.noise_and_yamux import muxers, security

        host = new_host(key_pair=pair, sec_opt=security(pair), muxer_opt=muxers())
    else:
        host = new_host(key_pair=pair)
    return host, host.run(listen_addrs=[Multiaddr(addr) for addr in listen])


async def hold(source: Path, chunk: int, tuned: bool) -> None:
    host, running = open_host(tuned, ["/ip4/127.0.0.1/tcp/0"])
    async with running:
        bitswap = BitswapClient(host)
        await bitswap.start()
        root = ""
        if source.is_dir():
            for path in sorted(source.iterdir()):
                data = path.read_bytes()
                await bitswap.add_block(compute_cid_v1(data), data)
        else:
            root = cid_to_text(await MerkleDag(bitswap).add_file(str(source), chunk_size=chunk))
        print(json.dumps({"addr": str(host.get_addrs()[0]), "root": root}), flush=True)
        await trio.sleep_forever()


@asynccontextmanager
async def connected(addr: str, tuned: bool) -> AsyncIterator[tuple[BitswapClient, ID]]:
    """A host connected to the holder at this address: its Bitswap, and the peer id of the holder."""
    host, running = open_host(tuned, [])
    async with running:
        bitswap = BitswapClient(host)
        await bitswap.start()
        holder = info_from_p2p_addr(Multiaddr(addr))
        await host.connect(holder)
        yield bitswap, holder.peer_id


async def ask_for_file(addr: str, root: str, out: Path, tuned: bool) -> float:
    async with connected(addr, tuned) as (bitswap, holder):
        start = time.perf_counter()
        data, _ = await MerkleDag(bitswap).fetch_file(root, peer_id=holder)
        out.write_bytes(data)
        return time.perf_counter() - start


async def ask_for_blocks(addr: str, cids: list[str], batch: int, tuned: bool) -> float:
    async with connected(addr, tuned) as (bitswap, holder):
        start = time.perf_counter()
        session = bitswap.new_session()
        blocks = await session.get_blocks_batch(list(cids), peer_id=holder, batch_size=batch)
        taken = time.perf_counter() - start
    missing = sum(parse_cid(cid).buffer not in blocks for cid in cids)
    if missing:
        raise BitswapError(f"{missing:,} of {len(cids):,} blocks did not come")
    return taken


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    sides = options.add_subparsers(dest="side", required=True)
    holder, asker = sides.add_parser("hold"), sides.add_parser("ask")
    holder.add_argument("source", type=Path)
    holder.add_argument("--chunk", type=int, default=256 << 10, metavar="BYTES")
    asker.add_argument("addr")
    asker.add_argument("--root", default="")
    asker.add_argument("--out", type=Path)
    asker.add_argument("--blocks", type=Path)
    asker.add_argument("--batch", type=int, default=32)
    for side in (holder, asker):
        side.add_argument("--tuned", action="store_true")
    given = options.parse_args()
    if given.side == "hold":
        trio.run(hold, given.source, given.chunk, given.tuned)
        return 0
    told: dict[str, Any] = {}
    try:
        if given.root:
            told["seconds"] = trio.run(ask_for_file, given.addr, given.root, given.out, given.tuned)
        else:
            cids = given.blocks.read_text().split()
            told["seconds"] = trio.run(ask_for_blocks, given.addr, cids, given.batch, given.tuned)
    except* BitswapError as errors:
        told["gave_up"] = repr(errors.exceptions)
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
