"""libp2p hosts behind a node under test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.net.flux.noise_and_yamux import muxers, security
from tests.support.networks import Node


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """Return a port on which a listener accepts and sends nothing."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        yield listener.socket.getsockname()[1]


def host_of(one: Node) -> Any:
    return one.network._host  # type: ignore[attr-defined]


def id_of(one: Node) -> ID:
    return ID.from_base58(one.id)


def plain_host(number: int, **options: Any) -> Any:
    """Return a host of libp2p itself, with this node's security and muxer, and nothing else of flux."""
    pair = create_new_key_pair(bytes([number]) * 32)
    return new_host(key_pair=pair, **{"sec_opt": security(pair), "muxer_opt": muxers(), **options})


@asynccontextmanager
async def two_plain_hosts(**options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Run two hosts of libp2p itself. The first has connected to the second."""
    one, other = plain_host(101, **options), plain_host(102, **options)
    async with one.run(listen_addrs=[]), other.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        (listener,) = other.get_network().listeners.values()
        await one.connect(PeerInfo(other.get_id(), list(listener.get_addrs())))
        yield one, other
