"""Strangers, as a public node meets them: a process that visits one node under ever new identities, for a time.

python -m tests.soak.strangers MULTIADDR ROOT SECONDS

- visitors: a new identity each second, a link, a want of what is there and of much that is not, and gone;
- silent connections: ten a second, which say nothing and are left open for a minute;
- odd frames: a tag of a later version, then half a frame, then noise;
- peer exchange: a PRUNE of gossipsub that names peers which do not exist.
Rates are those of an open port on a bad day, not of a flood (that is `python -m tests.bench.abuse`).
"""

import os
import random
import sys
from collections import deque
from collections.abc import Awaitable, Callable

import msgpack
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils.varint import encode_uvarint

from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.wire.codec import VERSION
from flux_tui.net.port import INTENT_TOPIC
from tests.abuse.attacker import attacking

VISIT_SECONDS = 1.0
SILENT_SECONDS = 0.1
SILENT_KEPT = 600
ODD_SECONDS = 3.0
EXCHANGE_SECONDS = 10.0
EXCHANGED = 60
"""How many invented peers one PRUNE names."""


def unknown_frame() -> bytes:
    """Return a frame with a tag that no version has."""
    header: bytes = msgpack.packb(["of_a_later_version", 1, "x"])
    return (VERSION << 24 | len(header)).to_bytes(4, "big") + bytes(4) + header


ODD = (unknown_frame(), unknown_frame()[:-3], os.urandom(300))


async def visit(addr: str, root: Cid) -> None:
    async with attacking(addr) as stranger:
        await stranger.want([root, *(raw_cid(os.urandom(8)) for _ in range(100))])
        with trio.move_on_after(5):
            await stranger.gone.wait()


async def say_odd_things(addr: str, _: Cid) -> None:
    async with attacking(addr) as stranger:
        for frame in ODD:
            await stranger.send(frame)
            await trio.sleep(0.2)


async def exchange_peers(addr: str, _: Cid) -> None:
    async with attacking(addr) as stranger:
        rpc = rpc_pb2.RPC()
        prune = rpc.control.prune.add(topicID=INTENT_TOPIC, backoff=60)
        for _number in range(EXCHANGED):
            prune.peers.add(peerID=ID.from_pubkey(create_new_key_pair().public_key).to_bytes())
        stream = await stranger.open("/meshsub/1.1.0")
        body = rpc.SerializeToString()
        await stream.write(encode_uvarint(len(body)) + body)
        await trio.sleep(1)


async def every(seconds: float, what: Callable[[str, Cid], Awaitable[None]], addr: str, root: Cid) -> None:
    """Repeat an action. Errors are ignored: strangers have to expect them."""

    async def once() -> None:
        try:
            with trio.move_on_after(20):
                await what(addr, root)
        except Exception as error:
            print(f"{what.__name__}: {error!r}", file=sys.stderr)

    async with trio.open_nursery() as nursery:
        while True:
            if len(nursery.child_tasks) < 8:
                nursery.start_soon(once)
            await trio.sleep(seconds * random.uniform(0.5, 1.5))


async def connect_silently(addr: str) -> None:
    _, _, host, _, port, *_ = addr.split("/")
    held: deque[trio.SocketStream] = deque()
    while True:
        try:
            with trio.fail_after(2):
                held.append(await trio.open_tcp_stream(host, int(port)))
        except (OSError, trio.TooSlowError):
            await trio.sleep(1)
        if len(held) > SILENT_KEPT:
            await held.popleft().aclose()
        await trio.sleep(SILENT_SECONDS)


async def attack(addr: str, root: Cid, seconds: float) -> None:
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connect_silently, addr)
            nursery.start_soon(every, VISIT_SECONDS, visit, addr, root)
            nursery.start_soon(every, ODD_SECONDS, say_odd_things, addr, root)
            nursery.start_soon(every, EXCHANGE_SECONDS, exchange_peers, addr, root)


if __name__ == "__main__":
    trio.run(attack, sys.argv[1], Cid(sys.argv[2]), float(sys.argv[3]))
