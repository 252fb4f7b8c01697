"""Real nodes' networks on loopback with any options of `open_network`: private swarms, relays and pairs behind one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from flux_tui.net.flux import libp2p_network
from flux_tui.net.upstream.hole_punching import HolePunching
from tests.support.networks import BOUND, Node, Seen


@asynccontextmanager
async def member(number: int, **options: Any) -> AsyncIterator[Node]:
    """Open a network with the key of this number. `options`: those of `open_network`."""
    seen = Seen()
    key = create_new_key_pair(bytes([number]) * 32)
    opening = libp2p_network.open_network(key, ["/ip4/127.0.0.1/tcp/0"], use_mdns=False, **options)
    async with opening(seen) as network:
        yield Node(network, seen)


@asynccontextmanager
async def relayed_pair() -> AsyncIterator[tuple[Node, Node]]:
    """Yield a node that has dialled another one through a relay, and that other node. The relay is member 1."""
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        with trio.fail_after(BOUND):
            while asker.seen.latest(hidden.id) != "up":
                asker.network.dial(hidden.network.addrs[0])
                await asker.seen.until(lambda: asker.seen.links or asker.seen.failed)
                asker.seen.failed.clear()
        await hidden.seen.up(asker.id)
        yield asker, hidden


def never_punch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let links stay at the relay, until the test moves them."""

    async def stay(punching: HolePunching, peer: ID) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(HolePunching, "punch", stay)
