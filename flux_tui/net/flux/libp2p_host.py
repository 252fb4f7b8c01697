"""Opens and closes libp2p's host, with the settings and repairs that a node needs.

What libp2p 0.8.1 does, and what is done about it here:

- `new_host` has no argument `retry_config`, and the default repeats a failed dial three times. Here the host is made
  by `new_swarm`, which has the argument, and `BasicHost`. The node itself decides when an address is dialled again.
- It dials the peers of its peerstore while it has fewer connections than it wants. `ConnectionConfig` cannot turn
  that off: with watermarks of 0, each connection would be closed. Here `NoAutoConnector` dials nobody.
- Each incoming connection keeps a task, and one of 250 slots, until the host ends.
- Its host ends without closing its listeners: the ports stay in use. (The swarm's clean-up awaits in a scope that is
  cancelled already.)
- Its host forgets its own key, leaks connections, and ends with the first handler that fails: see `net/upstream/`.

Upstream, as far as seen on 2026-11-30: issue #1485 is about the clean-up. Its correction does not help a host that
ends because its context is left. No issue is known for the others. Tests: tests/net/flux/test_libp2p_host.py shows
each fault.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_swarm
from libp2p.abc import IHost
from libp2p.crypto.keys import KeyPair
from libp2p.network.auto_connector import AutoConnector
from libp2p.network.config import RetryConfig
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.net.connections.open_connections import OpenConnections
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.connections.supervisor import Supervisor
from flux_tui.net.flux.descriptors import allow_enough
from flux_tui.net.flux.noise_and_yamux import muxers, security
from flux_tui.net.upstream.clock import keep_steady
from flux_tui.net.upstream.own_addresses import AddressedHost, prepare_tcp
from flux_tui.net.upstream.peerstore import BoundedPeerstore
from flux_tui.net.upstream.pnet import protect
from flux_tui.net.upstream.select_connection import prefer_newest
from flux_tui.net.upstream.supervised_manager import supervise_handlers, supervised
from flux_tui.net.upstream.upgrade import Upgrades

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""Seconds for all connections and listeners to close, at the same time."""


class NoAutoConnector(AutoConnector):
    """Replaces the part of libp2p that dials known peers by itself. This one dials nobody."""

    async def maybe_connect(self) -> None:
        """Do nothing, where libp2p would dial peers."""

    def record_disconnect(self, peer_id: ID) -> None:
        """Do nothing, where libp2p would remember every peer that was ever connected."""


@asynccontextmanager
async def open_host(
    identity: KeyPair,
    swarm_key: bytes | None,
    advertised: Callable[[], Sequence[Multiaddr]],
    peerstore: BoundedPeerstore,
    connections: OpenConnections,
    supervisor: Supervisor,
) -> AsyncIterator[IHost]:
    """Run a libp2p host while the context lasts, and yield it. The host does not listen yet.

    `advertised`: returns the addresses to announce to peers; libp2p would announce 0.0.0.0. `connections`: the
    table in which the host's connections are entered. `supervisor`: runs the host's tasks.
    """
    keep_steady()
    prepare_tcp()
    allow_enough()
    swarm: Any = new_swarm(
        key_pair=identity,
        sec_opt=security(identity),
        muxer_opt=muxers(),
        peerstore_opt=peerstore,
        retry_config=RetryConfig(max_retries=0),
    )
    host: Any = AddressedHost(swarm, advertised)
    swarm.register_notifee(connections)
    if swarm_key is not None:
        protect(swarm, swarm_key)
    swarm.auto_connector = NoAutoConnector(swarm)
    _give_back_slots(swarm, supervisor)
    Upgrades(swarm)
    prefer_newest(swarm)
    supervise_handlers(host, supervisor)
    async with supervised(swarm, supervisor):
        try:
            yield host
        finally:
            with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                async with trio.open_nursery() as nursery:
                    for listener in list(swarm.listeners.values()):
                        nursery.start_soon(try_to_close, listener.close)
                    for connection in swarm.get_connections():
                        nursery.start_soon(try_to_close, connection.close)


def silence_libp2p() -> None:
    """Silence libp2p's logs, unless another part of the program has added a handler to its logger.

    libp2p logs every small failure of every peer. This node's own log has the important ones.
    """
    logger = logging.getLogger("libp2p")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def forget_failures(host: IHost, peer: ID) -> None:
    """Make libp2p forget that it could not reach a peer. Otherwise libp2p would not dial the peer for a minute.

    In this program, the node itself decides when to dial again.
    """
    refused = getattr(host.get_network(), "_negative_peer_cache", None)
    if refused is not None:
        refused.evict(str(peer))


def _give_back_slots(swarm: Any, supervisor: Supervisor) -> None:
    """Change a libp2p swarm so that the task of an incoming connection ends with the connection.

    So its slot, one of 250 for incoming connections, is free again.
    """
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
        """Run libp2p's handler of a new connection, so that an exception ends only this connection.

        libp2p's listeners run in trio's system tasks, where an exception would end trio itself.
        """
        await supervisor.drop("an incoming connection", until_closed, *args)

    swarm._do_handle_inbound_connection = alone
