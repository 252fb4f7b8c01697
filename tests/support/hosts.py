"""libp2p hosts behind a node under test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.peer.id import ID

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
