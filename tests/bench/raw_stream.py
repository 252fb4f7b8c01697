"""The yardstick: one tuned libp2p stream between two processes on loopback, bytes and nothing else.

python -m tests.bench.raw_stream [--size MIB] [--swarm-key] [--json FILE]
"""

import subprocess
import sys
import time
from typing import NamedTuple

import trio

from tests.bench.report import Table, parser

PROTOCOL = "/flux/bench/raw/1.0.0"
SWARM_KEY = bytes(range(32))
READ_BYTES = 4 * 1024 * 1024
"""The bytes of one read, usually all that is there."""


class Raw(NamedTuple):
    """One measurement: MB/s, and the seconds of processor time of both processes while bytes were moved."""

    rate: float
    cpu: float


async def _serve(size: int, private: bool) -> None:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.custom_types import TProtocol
    from multiaddr import Multiaddr

    from flux_tui.net.flux.libp2p_host import silence_libp2p
    from flux_tui.net.flux.noise_and_yamux import WRITE_BYTES, muxers, security
    from flux_tui.net.upstream.pnet import protect

    silence_libp2p()
    pair = create_new_key_pair()
    host = new_host(key_pair=pair, sec_opt=security(pair), muxer_opt=muxers())
    if private:
        protect(host.get_network(), SWARM_KEY)
    block = memoryview(bytes(16 * WRITE_BYTES))
    done = trio.Event()

    async def send(stream: object) -> None:
        began = time.process_time()
        left = size
        while left:
            for start in range(0, len(block), WRITE_BYTES):
                take = min(WRITE_BYTES, left)
                await stream.write(block[start : start + take])  # type: ignore[attr-defined]
                left -= take
                if not left:
                    break
        await stream.close()  # type: ignore[attr-defined]
        print(time.process_time() - began, flush=True)
        done.set()

    host.set_stream_handler(TProtocol(PROTOCOL), send)
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        print(host.get_addrs()[0], flush=True)
        await done.wait()
        await trio.sleep(0.5)


async def _read(addr: str, size: int, private: bool) -> tuple[float, float]:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from multiaddr import Multiaddr

    from flux_tui.net.flux.libp2p_host import silence_libp2p
    from flux_tui.net.flux.noise_and_yamux import muxers, security, widen
    from flux_tui.net.upstream.pnet import protect

    silence_libp2p()
    pair = create_new_key_pair()
    host = new_host(key_pair=pair, sec_opt=security(pair), muxer_opt=muxers())
    if private:
        protect(host.get_network(), SWARM_KEY)
    async with host.run(listen_addrs=[]):
        info = info_from_p2p_addr(Multiaddr(addr))
        await host.connect(info)
        stream = await host.new_stream(info.peer_id, [TProtocol(PROTOCOL)])
        await widen(stream)
        start, began = time.perf_counter(), time.process_time()
        got = 0
        while got < size:
            data = await stream.read(READ_BYTES)
            assert data, "the stream ended early"
            got += len(data)
        return time.perf_counter() - start, time.process_time() - began


def measure(size: int, *, private: bool = False) -> Raw:
    """Move `size` bytes. `private`: in a swarm with a key."""
    sender = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.raw_stream", "--serve", str(size)] + ["--swarm-key"] * private,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sender.stdout is not None
    try:
        addr = sender.stdout.readline().strip()
        seconds, cpu = trio.run(_read, addr, size, private)
        return Raw(size / seconds / 1e6, cpu + float(sender.stdout.readline()))
    finally:
        sender.terminate()
        sender.wait()
        sender.stdout.close()


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=256, metavar="MIB")
    options.add_argument("--serve", type=int, default=0, metavar="BYTES", help="the sending side")
    options.add_argument("--swarm-key", action="store_true", help="in a private swarm as well")
    given = options.parse_args()
    if given.serve:
        trio.run(_serve, given.serve, given.swarm_key)
        return 0
    table = Table(f"One raw tuned stream, {given.size} MiB, two processes on loopback")
    runs = [measure(given.size << 20) for _ in range(given.runs)]
    plain = table.add("raw stream", [run.rate for run in runs], "MB/s")
    table.add("processor time of both", [run.cpu for run in runs], "s")
    if given.swarm_key:
        fenced = [measure(given.size << 20, private=True).rate for _ in range(given.runs)]
        table.add("of this, in a private swarm", table.add("private", fenced, "MB/s") / plain, "")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
