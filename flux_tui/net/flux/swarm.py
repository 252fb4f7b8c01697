"""Opens and closes libp2p's host as a node needs it.

Faults of libp2p 0.8 that are mended here:

- It dials every peer that it ever heard of, while it has fewer connections than it wants. Here the node
  decides which peers are dialled, and when again.
- Each incoming connection keeps a task, and one of 250 slots, until the host ends.
- Its host ends without closing what it opened: the ports stay in use, and peers take a closed node for a
  silent one.
- It forgets its own key, leaks slots, and ends with the first handler that fails: see `net/upstream/`.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost
from libp2p.crypto.keys import KeyPair
from libp2p.network.config import RetryConfig
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.net.connections.supervisor import Supervisor
from flux_tui.net.flux.descriptors import allow_enough
from flux_tui.net.flux.transport import muxers, security
from flux_tui.net.upstream.budget import Budget
from flux_tui.net.upstream.clock import keep_steady
from flux_tui.net.upstream.peerstore import BoundedPeerstore
from flux_tui.net.upstream.pnet import protect
from flux_tui.net.upstream.service import supervise_handlers, supervised
from flux_tui.net.upstream.streams import prefer_newest
from flux_tui.net.upstream.upgrade import Upgrades

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""Seconds for all connections and listeners to close, at the same time."""


@asynccontextmanager
async def open_host(
    identity: KeyPair,
    swarm_key: bytes | None,
    advertised: Callable[[], Sequence[Multiaddr]],
    budget: Budget,
    supervisor: Supervisor,
) -> AsyncIterator[IHost]:
    """A running host that does not listen yet. Leaving the context closes all that it opened.

    `advertised`: the addresses that peers are told; libp2p would tell 0.0.0.0. `budget`: the bounds of its
    connections. `supervisor`: the owner of its tasks.
    """
    keep_steady()
    allow_enough()
    peerstore = BoundedPeerstore()
    host: Any = new_host(
        key_pair=identity,
        sec_opt=security(identity),
        muxer_opt=muxers(),
        peerstore_opt=peerstore,
        addrs_factory=lambda _: list(advertised()),
        disable_identify_address_discovery=True,
    )
    swarm: Any = host.get_network()  # what follows is not in the interface
    peerstore.pinned = lambda peer: peer == host.get_id() or bool(swarm.connections.get(peer))
    if swarm_key is not None:
        protect(swarm, swarm_key)
    swarm.retry_config = RetryConfig(max_retries=0)
    budget.watch(swarm)
    _give_back_slots(swarm, supervisor)
    Upgrades(swarm)
    prefer_newest(swarm)
    supervise_handlers(host, supervisor)
    swarm.auto_connector.start = _nothing
    swarm.auto_connector.run_background_task = _nothing
    swarm.auto_connector.record_disconnect = lambda peer: None  # it would remember every peer
    async with supervised(swarm, supervisor):
        try:
            yield host
        finally:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                async with trio.open_nursery() as nursery:
                    for listener in list(swarm.listeners.values()):
                        nursery.start_soon(_quietly, listener.close)
                    for connection in swarm.get_connections():
                        nursery.start_soon(_quietly, connection.close)


def forget_failures(host: IHost, peer: ID) -> None:
    """Forget that a peer could not be reached. libp2p would refuse to dial it for a minute; here the node decides."""
    refused = getattr(host.get_network(), "_negative_peer_cache", None)
    if refused is not None:
        refused.evict(str(peer))


def _give_back_slots(swarm: Any, supervisor: Supervisor) -> None:
    """End the task of an incoming connection when the connection ends."""
    handle = swarm._do_handle_inbound_connection

    async def until_closed(stream: Any, *args: Any) -> None:
        close = stream.close
        async with trio.open_nursery() as nursery:

            async def close_and_end() -> None:
                try:
                    await close()
                finally:
                    nursery.cancel_scope.cancel()

            stream.close = close_and_end
            await handle(stream, *args)

    async def alone(*args: Any) -> None:
        """Let an exception end only this connection: libp2p's listeners run in trio's system tasks, where it
        would end trio itself."""
        await supervisor.drop("an incoming connection", until_closed, *args)

    swarm._do_handle_inbound_connection = alone


async def _nothing(*_: object) -> None:
    """Replaces libp2p's own dialling."""


async def _quietly(close: Callable[[], Awaitable[object]]) -> None:
    try:
        await close()
    except Exception as error:  # it is closed already
        log.debug("closing: %r", error)
