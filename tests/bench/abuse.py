"""What attackers cost a node, and what is left for honest peers: several kinds at once, as fast as loopback allows.

A holder serves a requester again and again, first in peace, then under attack by processes that push wants,
messages, chunks that nobody asked for, gossip and streams without end, and come back whenever they are dropped.
Attackers are other machines: they have one half of the processors, and the two honest nodes, in peace and under
attack, the other. With --shared all have all of them, and what the attackers compute is taken from the nodes, too.

python -m tests.bench.abuse [--seconds N] [--size MIB] [--kinds KIND,...] [--shared] [--json FILE]

With --kinds outsider,wrong-key,half-nonce the swarm is a private one, and the attackers have not its key: they get no
session, and open connections as fast as they can.
"""

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import encode_event
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Error, Want
from flux_tui.home import Home
from flux_tui.node.process_priority import lower_priority
from flux_tui.store.series_reader import SeriesReader
from tests.abuse.attacker import Attacker, attacking
from tests.abuse.outsider import OUTSIDERS, knock
from tests.bench.nodes import Node, flux, running, wait_for
from tests.bench.report import Table
from tests.bench.transfer import make_file

MAX_FILES = 24
"""The most files transferred. Each is new to the requester."""
CIDS = [raw_cid(b"%d" % number) for number in range(256)]


async def wants(attacker: Attacker, root: Cid) -> None:
    """Return signed wants of 256 CIDs, one of which is there."""
    while True:
        await attacker.want([root, *CIDS[:255]])


async def messages(attacker: Attacker, _: Cid) -> None:
    """Return the smallest message."""
    block = codec.encode_frame(Error(text="")) * 1000
    while True:
        await attacker.send(block)


async def chunks(attacker: Attacker, _: Cid) -> None:
    """Return two megabytes of chunks that nobody requested."""
    data = bytes(2**21)
    cid = raw_cid(data)
    while True:
        await attacker.chunk(cid, data)


async def window(attacker: Attacker, _: Cid) -> None:
    """Send more than the window allows."""
    await attacker.ignore_window(attacker.stream, 2**40, codec.encode_frame(Error(text="x" * 500)) * 120)


async def gossip(attacker: Attacker, root: Cid) -> None:
    """Send intents by gossip, ten to a message."""
    from libp2p.pubsub.pb import rpc_pb2
    from libp2p.utils.varint import encode_uvarint

    from flux_tui.net.port import INTENT_TOPIC

    stream = await attacker.open("/meshsub/1.1.0")
    while True:
        rpc = rpc_pb2.RPC()
        for _ in range(10):
            sealed = codec.encode_sealed(attacker.intent(Want(cids=(root,))))
            rpc.publish.append(rpc_pb2.Message(data=sealed, topicIDs=[INTENT_TOPIC]))
        body = rpc.SerializeToString()
        await stream.write(encode_uvarint(len(body)) + body)


async def streams(attacker: Attacker, _: Cid) -> None:
    """Open streams, and send nothing on them."""
    connection = attacker.host.get_network().get_connections()[0].muxed_conn
    while True:
        await connection.open_stream()


KINDS: dict[str, Callable[[Attacker, Cid], Awaitable[None]]] = {
    "wants": wants, "messages": messages, "chunks": chunks, "window": window, "gossip": gossip, "streams": streams,
}  # fmt: skip


async def attack(kinds: list[str], addr: str, root: Cid, seconds: float) -> None:
    """Run all attacks at once. A dropped attacker returns at once with a new identity."""

    async def again_and_again(kind: str) -> None:
        while True:
            try:
                async with attacking(addr) as attacker, trio.open_nursery() as nursery:
                    nursery.start_soon(KINDS[kind], attacker, root)
                    await attacker.gone.wait()
                    nursery.cancel_scope.cancel()
            except Exception:
                await trio.sleep(0.05)

    async def half_open() -> None:
        held: list[trio.SocketStream] = []
        while True:
            try:
                held.append(await trio.open_tcp_stream("127.0.0.1", int(addr.split("/")[4])))
            except OSError:
                await trio.sleep(0.1)
            if len(held) > 200:
                await held.pop(0).aclose()
            await trio.sleep(0.01)

    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(half_open)
            for kind in kinds:
                if kind in OUTSIDERS:
                    nursery.start_soon(knock, int(addr.split("/")[4]), OUTSIDERS[kind], len)
                else:
                    nursery.start_soon(again_and_again, kind)


def of_strangers(home: Path, friends: set[str]) -> tuple[int, int]:
    """Count entries that name a peer other than the friends, and the bytes that the series uses for them."""
    reader = SeriesReader.open(home / "flux.db")
    seq = count = size = 0
    while page := reader.read(seq, 10_000):
        seq = page[-1].seq
        for entry in page:
            if getattr(entry.event, "peer", None) not in {None, *friends}:
                count += 1
                size += len(encode_event(entry.event)) + 24
    reader.close()
    return count, size


class AttackRun:
    """The results of one attack."""

    def __init__(self, folder: Path, size: int, seconds: float, kinds: list[str], *, shared: bool) -> None:
        self.rss = 0.0
        processors = sorted(os.sched_getaffinity(0))
        half = len(processors) // 2
        ours, theirs = (processors, processors) if shared else (processors[:half], processors[half:])
        os.sched_setaffinity(0, ours)  # processes started from here on use only these processors
        flags: list[str] = []
        if OUTSIDERS.keys() & set(kinds):
            key = folder / "swarm.key"
            key.write_text(f"/key/swarm/psk/1.0.0/\n/base16/\n{secrets.token_hex(32)}\n")
            flags = ["--swarm-key", str(key)]
        holder, asker = Node(folder / "a", *flags), Node(folder / "b", *flags)
        with running(holder, asker):
            self._left = [self._add(folder, holder, size, number) for number in range(MAX_FILES)]
            root = self._left[0]
            self.peace = [self._transfer(folder, asker, holder, size) for _ in range(6)][1:]
            self.rss_before = holder.rss() / 2**20
            cpu = holder.cpu()
            command = [sys.executable, "-m", "tests.bench.abuse", "--attack", holder.addrs[0], "--root", root]
            command += ["--seconds", str(seconds), "--kinds", ",".join(kinds)]
            attackers = subprocess.Popen(
                [*command, "--processors", ",".join(map(str, theirs))], start_new_session=True
            )
            self.attacked: list[float] = []
            end = time.monotonic() + seconds
            try:
                time.sleep(2.0)  # until they are attacking
                while time.monotonic() < end - 1:
                    self.rss = max(self.rss, holder.rss() / 2**20)
                    if self._left:
                        self.attacked.append(self._transfer(folder, asker, holder, size))
                    else:
                        time.sleep(0.05)
            finally:
                failed = attackers.wait(timeout=seconds + 30)
            assert not failed, "the attackers ended before their time"
            self.cpu = holder.cpu() - cpu
            self.entries, self.series = of_strangers(holder.home, {asker.peer_id})

    def _add(self, folder: Path, holder: Node, size: int, number: int) -> Cid:
        source = folder / f"{number}.bin"
        make_file(source, size)
        added = json.loads(flux("add", "--json", str(source), home=holder.home).stdout)
        return Cid(added["root"])

    def _transfer(self, folder: Path, asker: Node, holder: Node, size: int) -> float:
        """Return the MB/s of one more transfer, of a new file."""
        root = self._left.pop(0)
        target = folder / f"{root}.out"
        start = time.monotonic()
        mark = _last_seq(asker.home)
        Home(asker.home).push(cmd.Get(root, str(target), "x", size, tuple(holder.addrs), "bench"))

        def done() -> bool:
            self.rss = max(self.rss, holder.rss() / 2**20)
            reader = SeriesReader.open(asker.home / "flux.db")
            entries = reader.read(max(mark, reader.last_seq() - 50), 60)
            reader.close()
            return any(isinstance(e.event, ev.ObjectCompleted) for e in entries)

        wait_for(done, seconds=120, every=0.02)
        took = time.monotonic() - start
        target.unlink()
        return size / took / 1e6


def _last_seq(home: Path) -> int:
    reader = SeriesReader.open(home / "flux.db")
    seq = reader.last_seq()
    reader.close()
    return seq


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--size", type=int, default=32, metavar="MIB")
    options.add_argument("--kinds", default=",".join(KINDS))
    options.add_argument("--json", type=Path, default=None)
    options.add_argument("--shared", action="store_true", help="attackers and nodes on the same processors")
    options.add_argument("--processors", default="", help=argparse.SUPPRESS)
    options.add_argument("--attack", default=None, help=argparse.SUPPRESS)
    options.add_argument("--root", default="", help=argparse.SUPPRESS)
    given = options.parse_args()
    kinds = given.kinds.split(",")
    if not given.attack and not given.shared and len(os.sched_getaffinity(0)) < 2:
        options.error("attackers need a processor of their own; --shared measures without")
    if unknown := set(kinds) - KINDS.keys() - OUTSIDERS.keys():
        options.error(f"no such kind: {', '.join(sorted(unknown))}")
    if OUTSIDERS.keys() & set(kinds) and KINDS.keys() & set(kinds):
        options.error(
            "who has a session in a private swarm is no outsider: these kinds are of two benchmarks"
        )
    if given.attack:
        os.sched_setaffinity(0, map(int, given.processors.split(",")))
        lower_priority()  # at the priority of the nodes: no side may win by its place in the scheduler's queue
        trio.run(attack, kinds, given.attack, Cid(given.root), given.seconds)
        return 0
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        run = AttackRun(folder, given.size << 20, given.seconds, kinds, shared=given.shared)
    finally:
        shutil.rmtree(folder)
    table = Table(
        f"A holder under attack for {given.seconds:.0f} s by: {', '.join(kinds)}, half-open connections"
    )
    table.add("transfers in peace", run.peace, "MB/s")
    table.add("transfers under attack", run.attacked, "MB/s")
    kept = statistics.median(run.attacked) / statistics.median(run.peace)
    table.add("under attack / in peace", kept, "x", least=None if given.shared else 0.5)
    table.add("resident before", run.rss_before, "MiB")
    table.add("resident at most", run.rss, "MiB", most=300)
    table.add("entries about strangers", run.entries, "")
    table.add("series about strangers", run.series / 2**20, "MiB", most=2)
    table.add("CPU of the holder", run.cpu, "s")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
