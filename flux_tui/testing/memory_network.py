"""A network in memory, for tests and simulation, with the same rules as the one on libp2p.

A `Switchboard` replaces the wire: networks that are opened on it reach each other by address. Real frames
(`net/flux/push_stream.py`) travel through pipes that hold a bounded number of bytes. So a peer that does not
read fills its sender's queue here too. Peer ids, signatures and error sentences are real as well. There are
no sockets and no encryption. All time is trio's, so a test may use a clock of its own.

- A link has two halves, one at each network. When one half ends, so does the other, and bytes on their way
  are lost.
- An exception in a receiver or in loading a chunk is a bug, and leaves the network's context as it is.
- Gossip is flooded: each network forwards new messages to every peer except the one that they came from.
- A peer that was disconnected or sent garbage is refused for a while.
- The DHT at once knows all nodes that a path of links leads to. The nodes closest to a root, by Kademlia's
  distance, keep its provider records. As on libp2p, messages through the DHT need no link.

Not provided: mDNS, agent versions, delays and losses (tests/sim has a swarm with both), round-trip times.
"""

import errno
import itertools
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256

import trio
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from libp2p.crypto.ed25519 import create_new_key_pair
from multiaddr import Multiaddr
from typing_extensions import override

from flux_tui.core.ids import Cid, PeerId, cid_bytes, peer_id_bytes
from flux_tui.core.limits import Backoff, BoundedSet
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.wire import codec
from flux_tui.core.wire.codec import MAX_SEALED, BadFrameError
from flux_tui.core.wire.exchange import OpenedRecord
from flux_tui.core.wire.messages import Message, Route
from flux_tui.net.addresses.peer_multiaddrs import (
    Unreached,
    addrs_of,
    connect_any,
    parse_peer_addr,
    report_of,
)
from flux_tui.net.dial_errors import SYSTEM_ERRORS, WRONG_PEER
from flux_tui.net.discovery.peer_records import open_sealed, seal
from flux_tui.net.flux.push_stream import Outgoing, StalledError, StreamSource, read_from
from flux_tui.net.port import (
    BAN_SECONDS,
    CLOSEST,
    MAX_FANOUT,
    MAX_PROVIDED,
    WIDTH,
    Network,
    NetworkError,
    OpenNetwork,
    Receiver,
)
from flux_tui.testing.ed25519_peer_ids import peer_id_of, public_key
from flux_tui.testing.pipe import Pipe

log = logging.getLogger(__name__)

SLICE_BYTES = 64 * 1024
"""Bytes of one write, as on a real network."""
REDIAL = Backoff(first=0.1, most=30.0)
"""The wait between two tries to reach a peer with `keep`."""
GOSSIP_QUEUE = 256
"""Gossip messages waiting at one network; a further one is dropped."""
GOSSIP_SEEN = 4096
"""Gossip messages remembered, to recognise copies."""
ROUTE_QUEUE = 256
"""Intents waiting to be routed or forwarded by one network; a further one is dropped."""

MAX_DIALS = 128
"""Addresses that are dialled once, at the same time."""


class Switchboard:
    """Connects networks in memory. Each network listens on its own port of 127.0.0.1; no real port is used."""

    def __init__(self) -> None:
        self._by_transport: dict[str, MemoryNetwork] = {}
        self._ports = itertools.count(49_152)

    def opening(self, secret: bytes | None = None, port: int = 0) -> OpenNetwork:
        """Return a function that opens a network on this switchboard.

        `secret`: the node's key (32 bytes); None: a new key. `port`: 0 means a free port. The returned
        function raises NetworkError if the port is in use.
        """
        key = Ed25519PrivateKey.from_private_bytes(secret) if secret else Ed25519PrivateKey.generate()

        def opening(receiver: Receiver) -> AbstractAsyncContextManager[Network]:
            return self._open(key, port, receiver)

        return opening

    @asynccontextmanager
    async def _open(self, key: Ed25519PrivateKey, port: int, receiver: Receiver) -> AsyncIterator[Network]:
        transport = f"/ip4/127.0.0.1/tcp/{port or self.free_port()}"
        if transport in self._by_transport:
            raise NetworkError(f"cannot listen on {transport}: the port is in use")
        async with trio.open_nursery() as nursery:
            network = MemoryNetwork(self, key, transport, receiver, nursery)
            nursery.start_soon(network.run_gossip)
            nursery.start_soon(network.run_dht)
            self._by_transport[transport] = network
            try:
                yield network
            finally:
                del self._by_transport[transport]
                nursery.cancel_scope.cancel()

    def changed(self) -> None:
        """Update the DHT of every node, because a link came up or went down."""
        for network in list(self._by_transport.values()):
            network.look_around()

    def free_port(self) -> int:
        """Return a port number that no network on this switchboard uses.

        A connection also takes its local port from here.
        """
        return next(port for port in self._ports if f"/ip4/127.0.0.1/tcp/{port}" not in self._by_transport)

    def at(self, transport: str) -> "MemoryNetwork | None":
        """Return the network that listens on an address. None: no network listens there."""
        return self._by_transport.get(transport)


class MemoryNetwork(Network):
    """A node's network in memory, instead of the one on libp2p. Implements `net.port.Network`."""

    def __init__(
        self,
        board: Switchboard,
        key: Ed25519PrivateKey,
        transport: str,
        receiver: Receiver,
        nursery: trio.Nursery,
    ) -> None:
        self._board = board
        self._key = key
        self._receiver = receiver
        self._nursery = nursery
        self._links: dict[PeerId, _Link] = {}
        self._refused: dict[PeerId, float] = {}
        self._left: set[PeerId] = set()
        """Peers that are refused only because a person left them."""
        self._dialling: dict[str, bool] = {}
        """Addresses being dialled, and whether to try again for ever."""
        self._seen: BoundedSet[bytes] = BoundedSet(GOSSIP_SEEN)  # by sha256
        self._gossip_in, self._gossip = trio.open_memory_channel[tuple[PeerId, bytes]](GOSSIP_QUEUE)
        self._known: set[PeerId] = set()
        self._provided: BoundedSet[Cid] = BoundedSet(MAX_PROVIDED)
        self._records: dict[Cid, dict[PeerId, MemoryNetwork]] = {}
        """Provider records that this network keeps for the swarm."""
        self._routed_in, self._routed = trio.open_memory_channel[tuple[MemoryNetwork, Message]](ROUTE_QUEUE)
        self.peer_id = peer_id_of(key.public_key())
        self.transport = transport
        self._addrs = (f"{transport}/p2p/{self.peer_id}",)
        self.place = int.from_bytes(sha256(peer_id_bytes(self.peer_id)).digest(), "big")
        """This network's place in the DHT."""

    @property
    @override
    def addrs(self) -> tuple[str, ...]:
        return self._addrs

    @override
    def peers(self) -> tuple[PeerId, ...]:
        return tuple(peer for peer, link in self._links.items() if link.up)

    @override
    def push(self, peer: PeerId, message: Message) -> bool:
        link = self._links.get(peer)
        return link is not None and link.up and link.outgoing.push(message)

    @override
    def serve(self, peer: PeerId) -> bool:
        link = self._links.get(peer)
        if link is None or not link.up:
            return False
        link.outgoing.serve()
        return True

    @override
    def publish(self, data: bytes) -> None:
        self.gossip(self.peer_id, data)

    @override
    def provide(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        for root in roots:
            self._provided.add(root)
        self._spread()

    @override
    def withdraw(self, roots: Sequence[Cid]) -> None:
        for root in roots:
            self._provided.discard(root)

    @override
    def route(self, roots: Sequence[Cid], message: Route) -> None:
        swarm = self._swarm()
        for root in roots:
            self.forward((root,), Route(intent=message.intent, hops=0))
            for other in _closest(root, swarm)[:WIDTH]:
                self._hand(other, message)

    @override
    def forward(self, roots: Sequence[Cid], message: Route) -> None:
        found = {peer: other for root in roots for peer, other in self._records.get(root, {}).items()}
        found.pop(self.peer_id, None)
        for other in list(found.values())[:MAX_FANOUT]:
            self._hand(other, message)

    async def run_dht(self) -> None:
        """Deliver messages that are routed through the DHT, until cancelled."""
        async for other, message in self._routed:
            if other._board.at(other.transport) is other and not other._refuses(self.peer_id):
                other._receiver.on_message(self.peer_id, message)

    def look_around(self) -> None:
        """Find the nodes that a path of links leads to, and note them as the nodes that this node's DHT knows.

        If they changed, tell the receiver, and store this node's provider records at the nodes closest to
        each root.
        """
        swarm = self._swarm()
        now = {other.peer_id for other in swarm}
        if now != self._known:
            came, went = now - self._known, self._known - now
            self._known = now
            self._receiver.on_routing(tuple(came), tuple(went))
            self._spread()

    @override
    def tell(self, peer: PeerId, data: bytes) -> None:
        link = self._links.get(peer)
        if link is not None and link.up:
            link.far.owner._receiver.on_told(self.peer_id, data)

    @override
    def seal_record(self, seq: int) -> bytes:
        key = create_new_key_pair(self._key.private_bytes_raw()).private_key
        return seal(key, self._addrs, seq)

    @override
    def open_record(self, sealed: bytes) -> OpenedRecord | None:
        return open_sealed(sealed)

    @override
    def reach(self, peer: PeerId) -> Reach:
        return Reach.LOOPBACK

    def note_addrs(self, teller: PeerId, addrs: Sequence[str], reach: Reach | None = None) -> None:
        """Do nothing with the addresses: this network needs no addresses to route messages."""

    @override
    def dial(
        self, addr: str, *, keep: bool = False, more: Sequence[str] = (), from_peers: bool = False
    ) -> None:
        if keep and not from_peers:
            self._forgive(PeerId(addr.rpartition("/p2p/")[2]))
        if addr in self._dialling:
            self._dialling[addr] |= keep
        else:
            self._dialling[addr] = keep
            self._nursery.start_soon(self._dial, addr, more)

    @override
    def disconnect(
        self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS, forget: bool = False
    ) -> None:
        for addr in self._dialling if forget else ():
            if addr.endswith(f"/p2p/{peer}"):
                self._dialling[addr] = False
        blameless = not self._refuses(peer)
        self._refuse(peer, seconds)
        if forget and blameless:
            self._left.add(peer)
        if (link := self._links.get(peer)) is not None:
            link.end(why)

    @override
    async def drain(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for link in self._links.values():
                    if link.up:
                        nursery.start_soon(link.outgoing.drained)

    @override
    def rtt(self, peer: PeerId) -> float | None:
        return None

    @override
    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)

    @override
    def verify(self, peer: PeerId, data: bytes, signature: bytes) -> bool:
        key = public_key(peer)
        try:
            if key is not None:
                key.verify(signature, data)
        except InvalidSignature:
            return False
        return key is not None

    def gossip(self, forwarder: PeerId, data: bytes) -> None:
        """Queue a gossip message, which `run_gossip` delivers and forwards.

        If too many messages are queued already, the message is dropped. `forwarder`: the peer that it came
        from.
        """
        try:
            self._gossip_in.send_nowait((forwarder, data))
        except trio.WouldBlock:
            log.debug("gossip by way of %s was dropped", forwarder)

    async def run_gossip(self) -> None:
        """Deliver new gossip messages and forward them to other peers, until cancelled."""
        async for forwarder, data in self._gossip:
            name = sha256(data).digest()
            if name in self._seen:
                continue
            self._seen.add(name)
            if forwarder != self.peer_id:
                if not 0 < len(data) <= MAX_SEALED:
                    continue
                if not self._receiver.on_gossip(forwarder, data):
                    continue
            for link in self._links.values():
                if link.up and link.peer != forwarder:
                    link.far.owner.gossip(self.peer_id, data)

    def _swarm(self) -> "list[MemoryNetwork]":
        """Return all other networks that a path of links leads to from this one."""
        found: dict[PeerId, MemoryNetwork] = {self.peer_id: self}
        waiting: list[MemoryNetwork] = [self]
        while waiting:
            for link in waiting.pop()._links.values():
                other = link.far.owner
                if link.up and other.peer_id not in found:
                    found[other.peer_id] = other
                    waiting.append(other)
        del found[self.peer_id]
        return list(found.values())

    def _spread(self) -> None:
        swarm = self._swarm()
        for root in self._provided:
            for other in _closest(root, swarm):
                other._records.setdefault(root, {})[self.peer_id] = self

    def _hand(self, other: "MemoryNetwork", message: Route) -> None:
        """Queue an intent, as a frame, for another node, which need not be connected to this one.

        If too many intents are queued already, the intent is dropped.
        """
        frame = codec.encode_frame(message)
        try:
            self._routed_in.send_nowait((other, codec.decode_header(frame[codec.PREFIX_BYTES :])))
        except trio.WouldBlock:
            log.debug("an intent for %s was dropped", other.peer_id)

    async def _dial(self, addr: str, more: Sequence[str]) -> None:
        try:
            try:
                peer, transport = parse_peer_addr(addr)
            except ValueError as error:
                self._receiver.on_dial_failed(addr, str(error))
                return
            if not self._dialling[addr] and list(self._dialling.values()).count(False) > MAX_DIALS:
                self._receiver.on_dial_failed(addr, f"{addr} is not dialled: too many others are just now")
                return
            addrs = [(addr, transport), *addrs_of(peer, more)]
            failures = 0
            while True:
                await trio.lowlevel.checkpoint()
                failed = await connect_any(self._connect, peer, addrs)
                if not failed:
                    failures = 0
                    if self._dialling[addr] and (link := self._links.get(peer)) is not None:
                        await link.done.wait()
                else:
                    self._receiver.on_dial_failed(addr, report_of(failed))
                failures += 1
                if self._dialling[addr]:
                    await trio.sleep(REDIAL.wait(failures))
                if not self._dialling[addr]:
                    return  # it was to be dialled once, or was forgotten
        finally:
            del self._dialling[addr]

    async def _connect(self, peer: PeerId, transport: Multiaddr, addr: str) -> Unreached | None:
        """Connect to a peer at its address. Return why this failed; None: the link is up."""
        if peer == self.peer_id:
            return Unreached(f"{addr} is this node itself")
        while (link := self._links.get(peer)) is not None:
            if not link.scope.cancel_called:
                return None
            await link.done.wait()
        if self._refuses(peer):
            return Unreached(f"{addr} is not dialled: it misbehaved just now")
        other = self._board.at(str(transport))
        if other is None:
            return Unreached(f"{addr} cannot be reached: {SYSTEM_ERRORS[errno.ECONNREFUSED]}")
        if other.peer_id != peer:
            return Unreached(f"{addr} cannot be reached: {WRONG_PEER}")
        if other._refuses(self.peer_id):
            return Unreached(f"{addr} answers, but does not take this node")
        near = _Link(self, other.peer_id, addr, self._receiver)
        came_from = f"/ip4/127.0.0.1/tcp/{self._board.free_port()}/p2p/{self.peer_id}"
        far = _Link(other, self.peer_id, came_from, other._receiver)
        near.far, far.far = far, near
        self._start(near)
        other._start(far)
        return None

    def _start(self, link: "_Link") -> None:
        old = self._links.get(link.peer)
        self._links[link.peer] = link
        self._nursery.start_soon(self._run, link, old)

    async def _run(self, link: "_Link", old: "_Link | None") -> None:
        if old is not None:
            await old.done.wait()  # its on_disconnected comes before the new link's on_connected
        link.up = True
        self._receiver.on_connected(link.peer, link.addr)
        self._board.changed()
        try:
            with link.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._read, link)
                    nursery.start_soon(link.outgoing.write_to, link.far.incoming)
        finally:
            if self._links.get(link.peer) is link:
                del self._links[link.peer]
            self._receiver.on_disconnected(link.peer, link.why)
            self._board.changed()
            link.far.end("the connection was closed")
            link.done.set()

    async def _read(self, link: "_Link") -> None:
        try:
            await read_from(StreamSource(link.incoming), link.peer, self._receiver)
        except StalledError as error:
            self._receiver.on_fault(link.peer, "slow", str(error))
            link.end(str(error))
        except BadFrameError as error:
            self._receiver.on_fault(link.peer, "garbage", str(error))
            self._refuse(link.peer)
            link.end(f"it sent garbage: {error}")

    def _forgive(self, peer: PeerId) -> None:
        if peer in self._left:
            self._left.discard(peer)
            self._refused.pop(peer, None)

    def _refuse(self, peer: PeerId, seconds: float = BAN_SECONDS) -> None:
        self._left.discard(peer)
        self._refused[peer] = max(trio.current_time() + seconds, self._refused.get(peer, 0.0))

    def _refuses(self, peer: PeerId) -> bool:
        return self._refused.get(peer, 0.0) > trio.current_time()


class _Link:
    """One node's half of a link between two nodes."""

    def __init__(self, owner: MemoryNetwork, peer: PeerId, addr: str, receiver: Receiver) -> None:
        self.owner = owner
        self.peer = peer
        self.addr = addr
        """The address that the owner dialled, or from which the peer came."""
        self.far: _Link
        """The other half."""
        self.incoming = Pipe()
        self.outgoing = Outgoing(peer, receiver, SLICE_BYTES)
        self.up = False
        self.done = trio.Event()
        self.scope = trio.CancelScope()
        self.why = ""

    def end(self, why: str) -> None:
        """Begin to close the link, for the reason `why`. If it is closing already, the first reason is kept."""
        self.why = self.why or why
        self.scope.cancel()


def _closest(root: Cid, networks: "Sequence[MemoryNetwork]") -> "list[MemoryNetwork]":
    """Return the networks closest to a root by Kademlia's distance. They keep the root's provider records."""
    target = int.from_bytes(sha256(cid_bytes(root)[2:]).digest(), "big")
    return sorted(networks, key=lambda network: network.place ^ target)[:CLOSEST]
