"""The network on libp2p: a host with one push link to each peer, and gossip beside it.

Every exception of libp2p ends here: the receiver gets a sentence, or a link ends.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache, partial

import trio
from libp2p.abc import IHost, INetStream
from libp2p.crypto.keys import KeyPair, PublicKey
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.dial_policy import Reach, reach_of
from flux_tui.core.wire.messages import Message, Route
from flux_tui.net.addresses.dial_guard import DialGuard, DialRefusedError, by_person, guard_of, is_by_person
from flux_tui.net.addresses.listening import listen_addr, listen_on, listening
from flux_tui.net.addresses.local_discovery import Mdns, addrs_of, connect_any, parse_peer_addr
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.connections.dials import Dial, Dials
from flux_tui.net.connections.idle_connections import Guests
from flux_tui.net.connections.keepalive import Keepalive, probe
from flux_tui.net.connections.supervisor import Supervisor, Tasks
from flux_tui.net.flux.broadcast import Broadcast, open_broadcast
from flux_tui.net.flux.dht_routing import Dht
from flux_tui.net.flux.peer_links import CLOSED, PROTOCOL, Link, Links
from flux_tui.net.flux.relay import CircuitTransport, Relay, Reservations, circuit_addr
from flux_tui.net.flux.swarm import forget_failures, open_host
from flux_tui.net.port import BAN_SECONDS, CIRCUIT, Network, NetworkError, OpenNetwork, Receiver
from flux_tui.net.reasons import reason, unknown_identity, why_closed
from flux_tui.net.upstream.budget import Budget
from flux_tui.net.upstream.dialling import Dialler

log = logging.getLogger(__name__)

DIAL_SECONDS = 10.0
"""Seconds for a dialled peer to have its link up."""
GONE_SECONDS, CLEARED_SECONDS = 2.0, 0.01
"""Seconds for a dead connection to be removed, and between two checks."""
TOLD = ""
"""The reason where the guard has already reported it, or reported the same a while ago."""
MAX_DIALLED = 4096
"""Peers and addresses for which the result of a dial is remembered."""
PROBE_SECONDS = 60.0
"""Seconds between two probes of one address."""


def open_network(
    identity: KeyPair,
    listen: Sequence[str],
    *,
    use_mdns: bool,
    swarm_key: bytes | None = None,
    relays: Sequence[str] = (),
    serve_relay: bool = False,
) -> OpenNetwork:
    """Return how to open a libp2p network with this key on these multiaddrs.

    `swarm_key`: 32 bytes; only peers with the same key can connect. `relays`: multiaddrs of the relays
    through which this node can be reached. `serve_relay`: be a relay for others.
    """

    def opening(receiver: Receiver) -> AbstractAsyncContextManager[Network]:
        return _open(identity, listen, use_mdns, swarm_key, relays, serve_relay, receiver)

    return opening


@asynccontextmanager
async def _open(
    identity: KeyPair,
    listen: Sequence[str],
    use_mdns: bool,
    swarm_key: bytes | None,
    relays: Sequence[str],
    serve_relay: bool,
    receiver: Receiver,
) -> AsyncIterator[Network]:
    _quiet()
    addrs = [listen_addr(addr) for addr in listen]
    through = [_relay(addr) for addr in relays]
    async with AsyncExitStack() as stack:
        budget = Budget()
        supervisor = Supervisor()
        supervisor.on_failure = receiver.on_failure
        peer = PeerId(str(ID.from_pubkey(identity.public_key)))
        own = OwnAddrs(peer, [circuit_addr(addr, peer) for addr in relays])
        opening = open_host(identity, swarm_key, own.advertised, budget, supervisor)
        host = await stack.enter_async_context(opening)
        own.listening = partial(listening, host)
        for addr in addrs:
            if why := await listen_on(host, addr):
                own.late.append(addr)
                receiver.on_failure(
                    f"cannot listen on {addr}: {why}; the node listens there as soon as this machine has it"
                )
        own.look()
        guard = guard_of(host, receiver)
        broadcast = await stack.enter_async_context(open_broadcast(host, receiver, supervisor, guard))
        nursery = await stack.enter_async_context(trio.open_nursery())
        tasks = Tasks(nursery, supervisor)
        network = Libp2pNetwork(host, identity, receiver, tasks, broadcast, own, guard)
        host.get_network().transport_manager.add_transport(CircuitTransport(host))  # type: ignore[attr-defined]
        Dialler(host, guard)
        if serve_relay:
            Relay(host)
        if through:
            tasks.keep(Reservations(host, through, receiver).run)
        tasks.keep(network.run_dht)
        network.budget = budget
        budget.on_drop = network.over_budget
        tasks.keep(Keepalive(lambda: list(budget.connections)).run)
        tasks.keep(broadcast.run_outbox)
        tasks.keep(broadcast.run_inbox, network.peer_id, receiver)
        if use_mdns:
            tasks.keep(Mdns(lambda: own.direct, network.found).run, lambda: own.changed)
        tasks.keep(own.watch, partial(listen_on, host), network.moved, receiver.on_addrs)
        try:
            yield network
        finally:
            nursery.cancel_scope.cancel()


class Libp2pNetwork:
    """Implements `net.port.Network`."""

    def __init__(
        self,
        host: IHost,
        identity: KeyPair,
        receiver: Receiver,
        nursery: Tasks,
        broadcast: Broadcast,
        own: OwnAddrs,
        guard: DialGuard,
    ) -> None:
        self._host = host
        self._own = own
        self._guard = guard
        self._identity = identity
        self._receiver = receiver
        self._nursery = nursery
        self._broadcast = broadcast
        self._links = Links(host, receiver, nursery, self._addr_of)
        self._links.close = lambda peer: nursery.start_soon(self._close_peer, peer)
        self.budget: Budget
        self._dials = Dials()
        self._addr_by_peer: BoundedTable[PeerId, str] = BoundedTable(MAX_DIALLED)
        self._probed: BoundedTable[str, tuple[float, str | None]] = BoundedTable(MAX_DIALLED)
        """Addresses that were probed, each with the time and the result."""
        self.peer_id = PeerId(str(host.get_id()))
        self.dht = Dht(
            host,
            receiver,
            push=self.push,
            refuses=self._links.refuses,
            supervisor=nursery.supervisor,
        )
        self._links.on_up = self.dht.peer_up
        host.set_stream_handler(PROTOCOL, self._on_stream)
        guests = Guests(lambda peer: peer in self._links.by_peer, self._links.refuses)
        host.get_network().register_notifee(guests)

    @property
    def addrs(self) -> tuple[str, ...]:
        return self._own.all

    def moved(self) -> None:
        """Probe all connections: this machine has new addresses, so a connection may be dead without a sign of it."""
        for connection in list(self.budget.connections):
            self._nursery.start_soon(probe, connection)

    def peers(self) -> tuple[PeerId, ...]:
        return tuple(peer for peer in self._links.by_peer if self._links.get(peer))

    def push(self, peer: PeerId, message: Message) -> bool:
        link = self._links.get(peer)
        return link is not None and link.outgoing.push(message)

    def serve(self, peer: PeerId) -> bool:
        link = self._links.get(peer)
        if link is None:
            return False
        link.outgoing.serve()
        return True

    def publish(self, data: bytes) -> None:
        self._broadcast.publish(data)

    def provide(self, roots: Sequence[Cid]) -> None:
        self.dht.provide(roots)

    def withdraw(self, roots: Sequence[Cid]) -> None:
        self.dht.withdraw(roots)

    def route(self, roots: Sequence[Cid], message: Route) -> None:
        self.dht.route(roots, message)

    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        self.dht.forward(roots, message)

    async def run_dht(self) -> None:
        """Run the DHT, until cancelled."""
        await self.dht.run()

    def note_addrs(self, teller: PeerId, addrs: Sequence[str]) -> None:
        self._guard.heard(ID.from_base58(teller), addrs)

    def found(self, addr: str) -> None:
        """Take an address from mDNS. Anybody on the local network may announce anything there."""
        alone = all(reach_of(own) == Reach.LOOPBACK for own in self.addrs)
        self._guard.heard("mDNS", [addr], Reach.LOOPBACK if alone else Reach.NEAR)
        self._receiver.on_found(addr)

    def dial(self, addr: str, *, keep: bool = False, more: Sequence[str] = (), hearsay: bool = False) -> None:
        dial = self._dials.get(addr)
        if dial is not None:
            dial.keep |= keep
            if not hearsay:
                dial.hearsay = False
                dial.again.set()
        elif (dial := self._dials.add(addr, keep=keep, hearsay=hearsay)) is not None:
            self._nursery.start_soon(self._dial, addr, more, dial)
        else:
            self._receiver.on_dial_failed(addr, f"{addr} is not dialled: too many others are just now")

    def disconnect(self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS) -> None:
        self._links.ban(peer, seconds)
        if (link := self._links.by_peer.get(peer)) is not None:
            link.end(why)
        self._nursery.start_soon(self._close_peer, peer)

    async def drain(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for link in self._links.by_peer.values():
                    if link.up.is_set():
                        nursery.start_soon(link.outgoing.drained)

    def rtt(self, peer: PeerId) -> float | None:
        for connection in reversed(self._host.get_network().connections.get(ID.from_base58(peer), [])):
            measured = getattr(connection.muxed_conn, "rtt", None)
            if measured is not None and (seconds := float(measured())) > 0:
                return seconds
        return None

    def sign(self, data: bytes) -> bytes:
        return self._identity.private_key.sign(data)

    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        key = _public_key(peer)
        try:
            return key is not None and key.verify(data, signature)
        except Exception:  # libsodium's own errors for a signature of the wrong form
            return False

    def over_budget(self, peer: PeerId, why: str) -> None:
        """Report and disconnect a peer whose connection exceeded its budget."""
        self._receiver.on_fault(peer, "memory", why)
        self.disconnect(peer, why)

    async def _on_stream(self, stream: INetStream) -> None:
        await self._links.take(stream)

    async def _dial(self, addr: str, more: Sequence[str], dial: Dial) -> None:
        try:
            with dial.scope:
                try:
                    peer, transport = parse_peer_addr(addr)
                except ValueError as error:
                    self._receiver.on_dial_failed(addr, str(error))
                    return
                await self._keep_dialling(peer, addr, [(addr, transport), *addrs_of(peer, more)], dial)
        finally:
            self._dials.remove(addr)

    async def _keep_dialling(
        self, peer: PeerId, addr: str, places: Sequence[tuple[str, Multiaddr]], dial: Dial
    ) -> None:
        """Dial once, or again and again if the address is kept."""
        at_once = True
        while True:
            async with AsyncExitStack() as stack:
                if not at_once:
                    await stack.enter_async_context(self._dials.retries)
                if not dial.hearsay:
                    stack.enter_context(by_person())
                why = await connect_any(self._connect, peer, places)
            if why is None:
                dial.failures = 0
                await self._while_up(peer, dial)
            else:
                dial.failures += 1
                if why != TOLD:
                    self._receiver.on_dial_failed(addr, why)
            if not dial.keep:
                return
            with trio.move_on_after(self._dials.wait(addr, dial)):
                await dial.again.wait()
            at_once = dial.again.is_set() or not dial.failures
            dial.again = trio.Event()

    async def _while_up(self, peer: PeerId, dial: Dial) -> None:
        """Return when a kept peer is gone."""
        link = self._links.by_peer.get(peer)
        while dial.keep and link is not None and not link.done.is_set():
            await _first(link.done, dial.again)
            dial.again = trio.Event()
            if not link.done.is_set():
                await self._is_alive(link)  # the address was asked for again

    async def _connect(self, peer: PeerId, transport: Multiaddr, addr: str) -> str | None:
        """Bring up a link to this peer. Returns why it failed, in a sentence; None on success."""
        if peer == self.peer_id:
            return f"{addr} is this node itself"
        if (link := self._links.get(peer)) is not None and await self._is_alive(link):
            return None
        refused = f"{addr} is not dialled: there are too many peers, or it misbehaved just now"
        if is_by_person():
            self._links.expect(peer)  # a crowd of strangers does not keep it out
        if not self._links.allowed(peer):
            return refused
        if not is_by_person() and self._guard.refuses(addr):
            return TOLD
        self._addr_by_peer[peer] = addr
        self._links.expect(peer)
        self._forget_failures(ID.from_base58(peer))
        try:
            with trio.fail_after(DIAL_SECONDS):
                await self._host.connect(PeerInfo(ID.from_base58(peer), [transport]))
                self._links.connected(peer)
                link = self._links.by_peer.get(peer)
                if link is not None:
                    await _first(link.up, link.done)
        except trio.TooSlowError:
            probed = await self._probe_once(addr, transport)
            return f"{addr} cannot be reached: {probed}" if probed else f"{addr} does not answer"
        except DialRefusedError:
            return TOLD
        except Exception as error:  # libp2p raises many kinds
            probed = await self._probe_once(addr, transport)
            return f"{addr} cannot be reached: {unknown_identity(error) or probed or reason(error)}"
        if link is None or not link.up.is_set():
            if not self._links.allowed(peer):
                return refused
            if link is not None and link.foreign:
                return f"{addr} answers, but does not speak flux"
            why = link.why if link is not None else CLOSED
            return (
                f"{addr} answers, but no link came up: {why}; it may have too many peers, or refuse this node"
            )
        return None

    async def _is_alive(self, link: Link) -> bool:
        """Whether a link still leads to its peer. If not, the link and its connections are closed on return."""
        dead = [one for one in link.connections() if not await probe(one)]
        if dead:
            connections = self._host.get_network().connections
            with trio.move_on_after(GONE_SECONDS):
                await link.done.wait()
                peer = ID.from_base58(link.peer)
                while any(one.muxed_conn in dead for one in connections.get(peer, ())):  # noqa: ASYNC110
                    await trio.sleep(CLEARED_SECONDS)  # until then, libp2p would use the dead connection
        return not dead

    async def _probe_once(self, addr: str, transport: Multiaddr) -> str | None:
        """Return why an address that a person named cannot be reached. To find out, the address is dialled
        once more, at most once in PROBE_SECONDS."""
        now = trio.current_time()
        if not is_by_person() or f"/{CIRCUIT}" in addr:
            return None
        known = self._probed.get(addr)
        if known is not None and known[0] > now - PROBE_SECONDS:
            return known[1]
        found = await why_closed(transport)
        self._probed[addr] = (now, found)
        return found

    def _forget_failures(self, peer: ID) -> None:
        """Clear the failures and addresses that libp2p remembers: it would try the old addresses before the new one."""
        forget_failures(self._host, peer)
        self._host.get_network().peerstore.clear_addrs(peer)

    async def _close_peer(self, peer: PeerId) -> None:
        with trio.move_on_after(1):
            try:
                await self._host.disconnect(ID.from_base58(peer))
            except Exception as error:  # it is gone
                log.debug("disconnecting %s: %r", peer, error)

    def _addr_of(self, peer: PeerId) -> str:
        """Return where a peer can be dialled, as far as known, else the address that it connected from."""
        if (dialled := self._addr_by_peer.get(peer)) is not None:
            return dialled
        for connection in reversed(self._host.get_network().connections.get(ID.from_base58(peer), [])):
            ask = getattr(connection.muxed_conn, "get_remote_address", lambda: None)
            remote = ask()
            if remote is not None:
                family = "ip6" if ":" in remote[0] else "ip4"
                return f"/{family}/{remote[0]}/tcp/{remote[1]}/p2p/{peer}"
        return ""


def _relay(addr: str) -> tuple[str, ID, Multiaddr]:
    try:
        peer, transport = parse_peer_addr(addr)
    except ValueError as error:
        raise NetworkError(f"cannot use a relay: {error}") from None
    return addr, ID.from_base58(peer), transport


async def _first(*events: trio.Event) -> None:
    """Wait until one of these events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


@lru_cache(maxsize=1024)
def _public_key(peer: PeerId) -> PublicKey | None:
    try:
        return ID.from_base58(peer).extract_public_key()
    except Exception:  # not a peer id that holds a key
        return None


def _quiet() -> None:
    """Silence libp2p's logs, unless somebody has put a handler on its logger.

    libp2p logs every small failure of every peer. This node's own log has what matters.
    """
    logger = logging.getLogger("libp2p")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
