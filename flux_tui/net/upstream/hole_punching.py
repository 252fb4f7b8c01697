"""Punches holes into the NATs of two relayed nodes. Based on `DCUtRProtocol`. For libp2p 0.8.x.

How it works (libp2p's specification DCUtR): both nodes tell each other their outer addresses through the relay. Then
both dial at the same moment, from the port on which they listen. Each router takes the packet of the other node for the
answer to the packet of its own node, and lets it pass. This works only if the router keeps a node's port number, or
uses the same outer port for every target.

The protocol and its messages are libp2p's own. What libp2p 0.8.1 does, and why that is not enough:

- Every node starts attempts with every relayed peer. Two attempts of both nodes at the same time disturb each other:
  their connections are the same four addresses, with other roles in the handshake. Here the node with the greater
  peer id starts, and only for peers with a push link.
- It dials whatever addresses the peer names. Here the dial guard decides, as with any address that a peer names.
- It dials each address once in 5 s. A router that refuses the other node's packet (RST) ends that dial at once. Here
  the address is dialled again for REFUSED_SECONDS. Then the next attempt may find the routers at rest.
- Before it punches, it tries all known addresses of the peer for up to 10 s. Here it does so for UNILATERAL_SECONDS.
- It dials also if the message that names the moment came seconds late, because it waited behind data. Here it does not.
- It dials from the first listening address, even for an address of the other family. Here from the port of the same
  family, and the system chooses the address.
- It takes any open direct connection for one that works, at both ends. After a router got another address, the old
  connection is dead, and nobody has noticed yet: every attempt would end at once. Here such connections are probed.
- It closes the relayed connection 60 s after a direct one was made, whatever still uses it. Here the push link moves to
  the direct connection at once, and the relayed one is closed when the link does not use it (`flux/peer_links.py`).

Measured between routers that keep ports: see tests/networks. With a router that takes random ports every attempt
fails; the link then stays on the relay.

Upstream: no issue about these is known. Tests: tests/net/upstream/test_hole_punching.py; those with `libp2p_still` in
their names fail when upstream changes.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from functools import partial
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn, INetConn, INetStream, INetwork
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.dcutr import DCUtRProtocol
from multiaddr import Multiaddr
from typing_extensions import override

from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.connections.keepalive import close_dead
from flux_tui.net.connections.open_connections import ConnectionNotifee
from flux_tui.net.upstream.select_connection import is_relayed

log = logging.getLogger(__name__)

UNILATERAL_SECONDS = 1.5
"""Seconds for dialling the peer's known addresses, before anything is punched."""
DIAL_SECONDS, TALK_SECONDS = 5, 8
"""Seconds for one dial, and for one message."""
REDIAL_SECONDS, REFUSED_SECONDS = 0.1, 2.0
"""Seconds between a dial that was refused and the next one, and from an attempt's first dial to its last."""
LATE_SECONDS = 4.0
"""Seconds from this node's addresses to the moment of the dials, after which this node does not dial. The messages then
wait behind data on the relay, and the other node has dialled long ago. A dial would only make its router keep a port.
"""
PAUSES = (0.0, 12.0, 30.0, 60.0, 120.0)
"""Seconds before each attempt. After them, the link stays on the relay. If one node was early, the other one's router
may keep the port for 10 s (Linux, after a packet that it refused), and send the other node's packets from another one.
"""
_told_at: ContextVar[float] = ContextVar("told_at")
"""When this task told the peer this node's addresses."""
MAX_ADDRS = 8
"""Addresses of one peer that are dialled."""


class HolePunching(DCUtRProtocol):
    """The hole punching of one host.

    `outer`: returns the outer addresses of this node, without its peer id. `on_direct`: called with a peer
    and the direct connection to it, once a hole was punched. `close_dead`: closes the dead ones of some connections.
    """

    def __init__(
        self,
        host: IHost,
        guard: DialGuard,
        outer: Callable[[], Iterable[str]],
        on_direct: Callable[[ID, IMuxedConn], None],
        close_dead: Callable[[Callable[[], Iterable[INetConn]]], Awaitable[None]] = close_dead,
    ) -> None:
        super().__init__(
            host, read_timeout=TALK_SECONDS, write_timeout=TALK_SECONDS, dial_timeout=DIAL_SECONDS
        )
        self._guard = guard
        self._outer = outer
        self._on_direct = on_direct
        self._close_dead = close_dead
        self._tried: dict[ID, set[str]] = {}
        """The addresses that are dialled in the attempt that is under way, by peer."""
        self._punching: set[ID] = set()
        """The peers to which both nodes dial just now."""
        self._begun: set[ID] = set()
        """The peers to which this node is punching of its own accord."""

    async def punch(self, peer: ID) -> None:
        """Try to reach a relayed peer directly: one attempt after each of PAUSES, until one succeeds.

        Of two nodes, the one with the greater peer id makes the attempts. If that is the peer, or if attempts
        to reach this peer are running already, this returns at once. The attempts end, too, when there is no
        connection to the peer any more. On success, `on_direct` is called.
        """
        if peer in self._begun or peer.to_bytes() > self.host.get_id().to_bytes():
            return
        self._begun.add(peer)
        try:
            await self._punch(peer)
        finally:
            self._begun.discard(peer)
            self._tried.pop(peer, None)

    async def _punch(self, peer: ID) -> None:
        for pause in PAUSES:
            await trio.sleep(pause)
            if not self.host.get_network().connections.get(peer):
                return
            self._hole_punch_attempts.pop(peer, None)
            if await self.initiate_hole_punch(peer):
                self._reached(peer)
                return
        log.info("no hole could be punched to %s in %d attempts", peer, len(PAUSES))

    def direct(self, peer: ID) -> INetConn | None:
        """Return the newest open connection to a peer that does not go through a relay; None: there is none."""
        return next(reversed(self._all_direct(peer)), None)

    def _all_direct(self, peer: ID) -> list[INetConn]:
        found = self.host.get_network().connections.get(peer, ())
        return [one for one in found if not one.is_closed and not is_relayed(one)]

    def _reached(self, peer: ID) -> None:
        if (connection := self.direct(peer)) is not None:
            self._on_direct(peer, connection.muxed_conn)

    @override
    async def _auto_drive_loop(self) -> None:
        """Do nothing: attempts begin only when a push link calls `punch`."""

    @override
    async def _handle_dcutr_stream(self, stream: INetStream) -> None:
        peer = stream.muxed_conn.peer_id
        await super()._handle_dcutr_stream(stream)
        self._reached(peer)

    @override
    async def _try_unilateral_upgrade(self, peer_id: ID) -> bool:
        with trio.move_on_after(UNILATERAL_SECONDS):
            async with trio.open_nursery() as nursery:
                for addr in self._direct_addrs(peer_id):
                    nursery.start_soon(self._dial_once, peer_id, addr)
                while self.direct(peer_id) is None and nursery.child_tasks:  # noqa: ASYNC110
                    await trio.sleep(0.02)
                nursery.cancel_scope.cancel()
        return self.direct(peer_id) is not None

    def _direct_addrs(self, peer: ID) -> list[Multiaddr]:
        peerstore = self.host.get_peerstore()
        known = peerstore.addrs(peer) if peerstore.has_peer(peer) else []
        return [addr for addr in known if self._is_far(addr)][:MAX_ADDRS]

    def _is_far(self, addr: Multiaddr) -> bool:
        text = str(addr)
        return "/p2p-circuit" not in text and not text.startswith(("/ip4/127.", "/ip6/::1/"))

    async def _dial_once(self, peer: ID, addr: Multiaddr) -> None:
        if self._may_dial(peer, addr):
            try:
                await self.host.get_network().dial_addr(addr, peer)
            except Exception as error:  # libp2p raises many kinds
                log.debug("dialling %s: %r", addr, error)

    def _may_dial(self, peer: ID, addr: Multiaddr) -> bool:
        """Return whether an attempt may dial this address.

        It may not if the address is relayed or a loopback address, or if the dial guard refuses it. However
        often an address is dialled in one attempt, the guard counts one dial. At most MAX_ADDRS addresses are
        allowed.
        """
        tried = self._tried.setdefault(peer, set())
        if str(addr) not in tried:
            if len(tried) >= MAX_ADDRS or not self._is_far(addr):
                return False
            self._guard.heard(peer, [str(addr)])
            if (why := self._guard.spend(peer, addr)) is not None:
                log.debug("not punched: %s", why)
                return False
            tried.add(str(addr))
        return True

    @override
    async def _perform_hole_punch(
        self, peer_id: ID, addrs: list[Multiaddr], as_responder: bool = False
    ) -> bool:
        if trio.current_time() - _told_at.get(float("inf")) > LATE_SECONDS:
            log.debug("not punched to %s: the messages through the relay are late", peer_id)
            return False
        self._punching.add(peer_id)
        try:
            reached = await super()._perform_hole_punch(peer_id, addrs, as_responder)
            if reached and (made := self.direct(peer_id)) is not None:
                self.mark(made)
        finally:
            self._punching.discard(peer_id)
            self._tried.pop(peer_id, None)
        return reached

    def mark(self, connection: INetConn) -> None:
        """Mark a connection as punched (`select_connection.way_of`) if it is direct, and opened by hole punching."""
        if connection.muxed_conn.peer_id in self._punching and not is_relayed(connection):
            muxed: Any = connection.muxed_conn
            muxed.punched = True

    @override
    async def _dial_peer(
        self,
        peer_id: ID,
        addr: Multiaddr,
        source: tuple[str, int] | None = None,
        as_responder: bool = False,
    ) -> None:
        """Dial an address of the peer until there is a direct connection, for REFUSED_SECONDS if it is refused.

        If the address may not be dialled, this returns at once. `as_responder`: this node is the responder in
        the handshake, although it dials. `source` is ignored: `_source_for` chooses the local address.
        """
        if not self._may_dial(peer_id, addr):
            return
        swarm: Any = self.host.get_network()
        dial = swarm.dial_addr_as_responder if as_responder else swarm.dial_addr
        last = trio.current_time() + REFUSED_SECONDS
        while self.direct(peer_id) is None and trio.current_time() < last:
            try:
                with trio.fail_after(DIAL_SECONDS):
                    await dial(addr, peer_id, self._source_for(addr))
            except Exception as error:  # libp2p raises many kinds
                log.debug("punching to %s: %r", addr, error)
                await trio.sleep(REDIAL_SECONDS)

    def _source_for(self, addr: Multiaddr) -> tuple[str, int] | None:
        """Return the local IP address and the port from which to dial `addr`.

        The port is the one on which this node listens in the same family (IPv4 or IPv6); None: it does not listen in
        this family.
        """
        family, anywhere = ("ip6", "::") if str(addr).startswith("/ip6/") else ("ip4", "0.0.0.0")  # noqa: S104 - any
        for own in self.host.get_transport_addrs():
            if str(own).startswith(f"/{family}/"):
                here = own.value_for_protocol(family)
                return (here if here.startswith("127.") else anywhere), int(own.value_for_protocol("tcp"))
        return None

    @override
    async def _verify_direct_connection(self, peer_id: ID) -> bool:
        return self.direct(peer_id) is not None

    @override
    async def _have_direct_connection(self, peer_id: ID) -> bool:
        if self.direct(peer_id) is not None:
            await self._close_dead(partial(self._all_direct, peer_id))
        return self.direct(peer_id) is not None

    @override
    def _schedule_relay_close(self, peer_id: ID) -> None:
        """Do nothing: the push link closes the relayed connection when it has moved to the direct one."""

    @override
    async def _get_observed_addrs(self) -> list[bytes]:
        _told_at.set(trio.current_time())
        return [Multiaddr(addr).to_bytes() for addr in self._outer()][:MAX_ADDRS]


class PunchedConnections(ConnectionNotifee):
    """Marks each new connection that was opened by hole punching, before the peer's push link moves to it."""

    def __init__(self, punching: HolePunching) -> None:
        self._punching = punching

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Mark the new connection `conn`, if it was opened by hole punching."""
        self._punching.mark(conn)
