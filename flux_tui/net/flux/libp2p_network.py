"""The network on libp2p: a host with one push link to each peer, and gossip beside it.

Every exception of libp2p ends here: the receiver gets a sentence, or a link ends.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial

import trio
from libp2p.abc import IHost, INetConn, INetStream
from libp2p.crypto.keys import KeyPair, PublicKey
from libp2p.custom_types import TProtocol
from libp2p.identity.identify_push.identify_push import push_identify_to_peers
from libp2p.peer.id import ID
from multiaddr import Multiaddr
from typing_extensions import override

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.peers.address_dial_policy import Reach, is_public, reach_of
from flux_tui.core.wire.exchange import OpenedRecord
from flux_tui.core.wire.messages import Message, Route
from flux_tui.net.addresses.connected_peer_addrs import PeerAddrs
from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.addresses.listening import NOT_OURS, announced_addr, listen_addr, listen_beside, listen_on
from flux_tui.net.addresses.own_addrs import OwnAddrs, is_wildcard, machine_ips
from flux_tui.net.addresses.peer_multiaddrs import parse_peer_addr
from flux_tui.net.bitswap.link import BitswapLink, Streams
from flux_tui.net.bitswap.links import BitswapLinks
from flux_tui.net.connections import wakings
from flux_tui.net.connections.keepalive import Keepalive, abort_lost, probe
from flux_tui.net.connections.older_connections import OlderConnections
from flux_tui.net.connections.open_connections import OpenConnections
from flux_tui.net.connections.reconnects import Reconnects
from flux_tui.net.connections.supervisor import Supervisor, Tasks
from flux_tui.net.connections.unlinked_connections import UnlinkedConnections
from flux_tui.net.discovery.mdns import Mdns
from flux_tui.net.discovery.peer_exchange import PeerExchange
from flux_tui.net.discovery.peer_records import open_sealed, seal
from flux_tui.net.flux.dht.dht_routing import Dht
from flux_tui.net.flux.gossip import Broadcast, open_broadcast
from flux_tui.net.flux.libp2p_host import open_host, silence_libp2p
from flux_tui.net.flux.link_table import LinkTable
from flux_tui.net.flux.noise_and_yamux import WRITE_BYTES, source_of, widen, write_slices
from flux_tui.net.flux.peer_dials import PeerDials
from flux_tui.net.flux.peer_links import Links
from flux_tui.net.flux.relaying.circuit_transport import CircuitTransport
from flux_tui.net.flux.relaying.relay import FULL, HOP, Relay, Reservations, Terms, circuit_addr
from flux_tui.net.nat.circuits import CircuitTurns
from flux_tui.net.nat.dial_back import DialBack
from flux_tui.net.nat.nat_pmp import NatPmp
from flux_tui.net.nat.outer_addrs import OuterAddrs
from flux_tui.net.nat.peer_relays import PeerRelays
from flux_tui.net.nat.port_mapping import PortMapping
from flux_tui.net.port import BAN_SECONDS, Network, NetworkError, OpenNetwork, Receiver
from flux_tui.net.upstream.dial_peer import Dialler
from flux_tui.net.upstream.guarded_yamux import Budget, GuardedYamux
from flux_tui.net.upstream.hole_punching import HolePunching, PunchedConnections
from flux_tui.net.upstream.identify.agent_version import exchange_agent_versions
from flux_tui.net.upstream.identify.identify_again import identify_again
from flux_tui.net.upstream.peerstore import BoundedPeerstore
from flux_tui.net.upstream.supervised_manager import supervised
from flux_tui.net.upstream.upnp import LeasedUpnp


def open_network(
    identity: KeyPair,
    listen: Sequence[str],
    *,
    use_mdns: bool,
    swarm_key: bytes | None = None,
    relays: Sequence[str] = (),
    serve_relay: bool = False,
    port_mapping: bool = False,
    announce: Sequence[str] = (),
    relay_for_peers: int = 0,
    agent_version: str = "",
    bitswap_peers: int = 0,
) -> OpenNetwork:
    """Return a function that opens a libp2p network with this key, listening on these multiaddrs.

    `swarm_key`: 32 bytes; only peers with the same key can connect. `relays`: multiaddrs of the relays through
    which other nodes can reach this node. `serve_relay`: be a relay for other nodes. `port_mapping`: have the
    port mapped on the router. `announce`: multiaddrs of the router at which others reach this node.
    `relay_for_peers`: for how many peers this node may relay, within small limits (`Terms.little`).
    `agent_version`: what identify tells peers of this program; empty: that it is libp2p. `bitswap_peers`: for how many
    peers that speak Bitswap and not flux there may be a link; 0: Bitswap is not spoken.
    """

    def opening(receiver: Receiver) -> AbstractAsyncContextManager[Network]:
        return _open(
            identity, listen, use_mdns, swarm_key, relays, serve_relay, port_mapping, announce, relay_for_peers,
            agent_version, bitswap_peers, receiver,
        )  # fmt: skip

    return opening


@asynccontextmanager
async def _open(
    identity: KeyPair,
    listen: Sequence[str],
    use_mdns: bool,
    swarm_key: bytes | None,
    relays: Sequence[str],
    serve_relay: bool,
    port_mapping: bool,
    announce: Sequence[str],
    relay_for_peers: int,
    agent_version: str,
    bitswap_peers: int,
    receiver: Receiver,
) -> AsyncIterator[Network]:
    """Make all parts of a network, listen on the addresses, start the tasks, and yield the network."""
    silence_libp2p()
    addrs = [listen_addr(addr) for addr in listen]
    through = [_relay(addr) for addr in relays]
    async with AsyncExitStack() as stack:
        me = ID.from_pubkey(identity.public_key)
        announced = [announced_addr(addr, str(me)) for addr in announce]
        supervisor = Supervisor(receiver.on_failure)
        connections = OpenConnections()
        own = OwnAddrs(PeerId(str(me)), [circuit_addr(addr, str(me)) for addr in relays])
        guard = DialGuard(connections.of, receiver.on_dial_failed)
        peerstore = BoundedPeerstore(lambda peer: peer == me or peer in connections, guard.admits)
        host = await stack.enter_async_context(
            open_host(identity, swarm_key, own.advertised, peerstore, connections, supervisor)
        )
        identify_again(host)
        exchange_agent_versions(host, agent_version, receiver.on_agent_version)
        broadcast = await stack.enter_async_context(open_broadcast(host, receiver, supervisor, guard))
        nursery = await stack.enter_async_context(trio.open_nursery())
        tasks = Tasks(nursery, supervisor)
        table = LinkTable()
        dht = Dht(host, receiver, push=table.push, is_banned=table.is_banned, supervisor=supervisor)
        peer_addrs = PeerAddrs(connections.of)
        outer = OuterAddrs(host, own, DialBack(host, guard))
        punching = HolePunching(
            host, guard, partial(_outer_addrs, own, outer), lambda *found: links.reached(*found)
        )
        reconnects = Reconnects(supervisor)
        bitswap = _bitswap_links(
            host, receiver, tasks, table, peer_addrs, bitswap_peers, lambda *bad: network.disconnect(*bad)
        )
        links = Links(
            host,
            receiver,
            tasks,
            table,
            addr_of=peer_addrs.of,
            on_up=dht.peer_up,
            on_lost=reconnects.lost,
            punch=punching.punch,
            before_up=bitswap.yield_to_flux if bitswap is not None else None,
        )
        host.get_network().register_notifee(PunchedConnections(punching))
        budget = Budget(host.get_network(), links.over_budget)
        host.get_network().register_notifee(OlderConnections(connections.of, partial(_probe_soon, tasks)))
        host.get_network().register_notifee(
            UnlinkedConnections(partial(_is_linked, table, bitswap), table.is_banned, links.refuse_soon)
        )
        turns = CircuitTurns()
        host.get_network().transport_manager.add_transport(CircuitTransport(host, turns))  # type: ignore[attr-defined]
        Dialler(host, guard, table.needs_small_packets)
        dials = PeerDials(host, receiver, tasks, links, guard, peer_addrs, bitswap)
        exchange = PeerExchange(host, receiver, table.is_banned)
        network = Libp2pNetwork(
            host,
            identity,
            receiver,
            tasks,
            own,
            guard,
            links,
            dials,
            reconnects,
            broadcast,
            dht,
            exchange,
            budget,
            bitswap,
        )
        terms = FULL if serve_relay else Terms.little(relay_for_peers)
        relay = Relay(host, terms, lambda peer: serve_relay or table.up(peer) is not None)
        relay.offer(serve_relay)
        reservations = Reservations(host, through, receiver, turns, links.connected)
        peer_relays = PeerRelays(
            own,
            lambda offers: relay.offer(serve_relay or (offers and relay_for_peers > 0)),
            partial(_possible_relays, host, table, peer_addrs),
            reservations.borrow,
        )
        for addr in addrs:
            listening = await listen_beside(host, addr)
            if listening is not None:
                own.listens_on(listening)
            else:
                own.listen_later(addr)
                if not is_wildcard(addr):  # a machine without IPv6 is nothing to tell of
                    receiver.on_failure(
                        f"cannot listen on {addr}: {NOT_OURS}; the node listens there as soon as this machine has it"
                    )
        tasks.keep(reservations.run)
        tasks.keep(peer_relays.run)
        await stack.enter_async_context(supervised(punching, supervisor))
        if announced:
            outer.announce(announced, receiver.on_failure)
        tasks.keep(outer.run)
        mapping = PortMapping(own, outer, (NatPmp, LeasedUpnp))
        tasks.keep(outer.watch, partial(_call, network.moved, mapping.look_again))
        if port_mapping:
            tasks.keep(mapping.run)
        tasks.keep(dht.run)
        tasks.keep(exchange.run)
        tasks.keep(Keepalive(lambda: list(budget.connections)).run)
        tasks.keep(broadcast.run_outbox)
        tasks.keep(broadcast.run_inbox, network.peer_id, receiver)
        if use_mdns:
            tasks.keep(Mdns(lambda: own.direct, network.found).run, lambda: own.changed)
        tasks.keep(own.watch, partial(listen_on, host), network.moved, network.tell_addrs)
        tasks.keep(wakings.watch, partial(_call, network.woke, mapping.look_again))
        tasks.keep(reconnects.run, dials.reach_again)
        try:
            yield network
        finally:
            nursery.cancel_scope.cancel()


class Libp2pNetwork(Network):
    """Implements `net.port.Network` on libp2p. Each method calls one of the parts that `open_network` makes."""

    def __init__(
        self,
        host: IHost,
        identity: KeyPair,
        receiver: Receiver,
        nursery: Tasks,
        own: OwnAddrs,
        guard: DialGuard,
        links: Links,
        dials: PeerDials,
        reconnects: Reconnects,
        broadcast: Broadcast,
        dht: Dht,
        exchange: PeerExchange,
        budget: Budget,
        bitswap: BitswapLinks | None,
    ) -> None:
        self._host = host
        self._identity = identity
        self._receiver = receiver
        self._nursery = nursery
        self._own = own
        self._guard = guard
        self._links = links
        self._dials = dials
        self._reconnects = reconnects
        self._broadcast = broadcast
        self._exchange = exchange
        self._bitswap = bitswap
        self.dht = dht
        self.budget = budget
        self.peer_id = PeerId(str(host.get_id()))

    @property
    @override
    def addrs(self) -> tuple[str, ...]:
        return self._own.all

    def moved(self) -> None:
        """Repair the connections after this machine's addresses have changed.

        Connections of addresses that the machine has lost are closed. The others are probed, because they may be dead
        too. Lost peers are dialled again.
        """
        for connection in abort_lost(list(self.budget.connections), {ip for _, ip in machine_ips()}):
            self._nursery.start_soon(probe, connection)
        self._reconnects.changed()
        self._dials.changed()

    def woke(self) -> None:
        """Do what `moved` does, and announce this node's addresses anew, because the machine was asleep."""
        self._own.renew()
        self.moved()

    def tell_addrs(self, addrs: tuple[str, ...]) -> None:
        """Tell the receiver and the connected peers the addresses of this node, which have changed."""
        self._receiver.on_addrs(addrs)
        self._nursery.start_soon(push_identify_to_peers, self._host)

    @override
    def peers(self) -> tuple[PeerId, ...]:
        own = [link.peer for link in self._links.table.all_up()]
        return (*own, *(link.peer for link in self._bitswap_links()))

    def _bitswap_links(self) -> list[BitswapLink]:
        return self._bitswap.all_up() if self._bitswap is not None else []

    def _bitswap_link(self, peer: PeerId) -> BitswapLink | None:
        return self._bitswap.up(peer) if self._bitswap is not None else None

    @override
    def push(self, peer: PeerId, message: Message) -> bool:
        if (other := self._bitswap_link(peer)) is not None:
            return other.push(message)
        return self._links.table.push(peer, message)

    @override
    def serve(self, peer: PeerId) -> bool:
        if (other := self._bitswap_link(peer)) is not None:
            other.serve()
            return True
        link = self._links.table.up(peer)
        if link is None:
            return False
        link.outgoing.serve()
        return True

    @override
    def publish(self, data: bytes) -> None:
        self._broadcast.publish(data)

    @override
    def provide(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        self.dht.provide(roots, wanted=wanted)

    @override
    def withdraw(self, roots: Sequence[Cid]) -> None:
        self.dht.withdraw(roots)

    @override
    def route(self, roots: Sequence[Cid], message: Route) -> None:
        self.dht.route(roots, message)

    @override
    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        self.dht.forward(roots, message)

    @override
    def tell(self, peer: PeerId, data: bytes) -> None:
        self._exchange.tell(peer, data)

    @override
    def seal_record(self, seq: int) -> bytes:
        return seal(self._identity.private_key, self.addrs, seq)

    @override
    def open_record(self, sealed: bytes) -> OpenedRecord | None:
        return open_sealed(sealed)

    @override
    def reach(self, peer: PeerId) -> Reach:
        return self._guard.reach(ID.from_base58(peer))

    @override
    def note_addrs(self, teller: PeerId, addrs: Sequence[str], reach: Reach | None = None) -> None:
        self._guard.heard(ID.from_base58(teller), addrs, reach)

    def found(self, addr: str) -> None:
        """Handle an address that mDNS found: give it to the receiver.

        Any host of the local network can announce any address. So the dial guard is told first that the address
        comes from such a host, or from this machine if this node listens only on loopback.
        """
        alone = all(reach_of(own) == Reach.LOOPBACK for own in self.addrs)
        self._guard.heard("mDNS", [addr], Reach.LOOPBACK if alone else Reach.NEAR)
        self._receiver.on_found(addr)

    @override
    def dial(
        self, addr: str, *, keep: bool = False, more: Sequence[str] = (), from_peers: bool = False
    ) -> None:
        if keep and not from_peers:
            self._links.table.forgive(PeerId(addr.rpartition("/p2p/")[2]))
        self._dials.dial(addr, keep=keep, more=more, from_peers=from_peers)

    @override
    def disconnect(
        self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS, forget: bool = False
    ) -> None:
        if forget:
            self._dials.forget(peer)
        if self._bitswap is not None:
            self._bitswap.end(peer, why)
        self._links.disconnect(peer, why, seconds, left=forget)

    @override
    async def drain(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for link in self._links.table.all_up():
                    nursery.start_soon(link.outgoing.drained)
                for other in self._bitswap_links():
                    nursery.start_soon(other.drained)

    @override
    def rtt(self, peer: PeerId) -> float | None:
        for connection in reversed(self._host.get_network().connections.get(ID.from_base58(peer), [])):
            measured = getattr(connection.muxed_conn, "rtt", None)
            if measured is not None and (seconds := float(measured())) > 0:
                return seconds
        return None

    @override
    def sign(self, data: bytes) -> bytes:
        return self._identity.private_key.sign(data)

    @override
    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        key = _public_key(peer)
        try:
            return key is not None and key.verify(data, signature)
        except Exception:  # libsodium's own errors for a signature of the wrong form
            return False


def _call(*functions: Callable[[], None]) -> None:
    """Call all of these functions, in this order."""
    for function in functions:
        function()


def _probe_soon(tasks: Tasks, connection: INetConn) -> None:
    """Probe a connection in the background. Connections other than GuardedYamux cannot be probed, and are ignored."""
    if isinstance(connection.muxed_conn, GuardedYamux):
        tasks.start_soon(probe, connection.muxed_conn)


def _relay(addr: str) -> tuple[str, ID, Multiaddr]:
    try:
        peer, transport = parse_peer_addr(addr)
    except ValueError as error:
        raise NetworkError(f"cannot use a relay: {error}") from None
    return addr, ID.from_base58(peer), transport


def _possible_relays(host: IHost, table: LinkTable, addrs: PeerAddrs) -> list[str]:
    """Return the addresses of the linked peers that offer to relay, and that this node dialled at a public address."""
    peerstore = host.get_peerstore()
    found: list[str] = []
    for link in table.all_up():
        addr = addrs.dialled_at(link.peer)
        if is_public(addr):
            peer = ID.from_base58(link.peer)
            if peerstore.supports_protocols(peer, [HOP]):
                found.append(addr)
    return found


def _outer_addrs(own: OwnAddrs, outer: OuterAddrs) -> list[str]:
    """Return the addresses at which this node may be reached from the internet, without its peer id.

    These are this machine's public addresses, and the outer ones that are claimed or guessed, proved or not.
    """
    direct = [addr.rpartition("/p2p/")[0] for addr in own.direct if is_public(addr)]
    return [*direct, *outer.guesses()]


def _bitswap_links(
    host: IHost,
    receiver: Receiver,
    tasks: Tasks,
    table: LinkTable,
    addrs: PeerAddrs,
    most: int,
    disconnect: Callable[[PeerId, str], None],
) -> BitswapLinks | None:
    """Return the links to peers that speak Bitswap, `most` at a time; None if there may be none."""
    if not most:
        return None

    async def opened(peer: PeerId, protocols: Sequence[str]) -> INetStream:
        return await host.new_stream(ID.from_base58(peer), [TProtocol(name) for name in protocols])

    return BitswapLinks(
        host,
        receiver,
        tasks,
        Streams(opened, widen, source_of, write_slices, WRITE_BYTES),
        admits=table.admits,
        speaks_flux=lambda peer: table.up(peer) is not None,
        addr_of=addrs.of,
        on_garbage=disconnect,
        most=most,
    )


def _is_linked(table: LinkTable, bitswap: BitswapLinks | None, peer: PeerId) -> bool:
    return peer in table or (bitswap is not None and peer in bitswap)


@lru_cache(maxsize=1024)
def _public_key(peer: PeerId) -> PublicKey | None:
    try:
        return ID.from_base58(peer).extract_public_key()
    except Exception:  # not a peer id that holds a key
        return None
