"""The network on libp2p: a host with one push link to each peer, gossip beside it.

Everything that libp2p raises ends here: as a sentence to the receiver, or as a link that is gone.
"""

import logging
import random
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import lru_cache

import trio
from libp2p.abc import IHost, INetStream
from libp2p.crypto.keys import KeyPair, PublicKey
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.messages import Message, Route
from flux_tui.net.broadcast import Broadcast, open_broadcast
from flux_tui.net.budget import Budget
from flux_tui.net.dht import Dht
from flux_tui.net.dialling import Dialler
from flux_tui.net.discovery import addrs_of, concrete, connect_any, mdns, parse_peer_addr
from flux_tui.net.guests import Guests
from flux_tui.net.keepalive import Keepalive, probe
from flux_tui.net.links import CLOSED, PROTOCOL, Link, Links
from flux_tui.net.network import BAN_SECONDS, Load, Network, NetworkError, OpenNetwork, Receiver
from flux_tui.net.relay import CIRCUIT, CircuitTransport, Relay, Reservations, circuit_addr
from flux_tui.net.supervisor import Supervisor, Tasks
from flux_tui.net.swarm import forget_failures, open_host

log = logging.getLogger(__name__)

DIAL_SECONDS = 10.0
"""For a dialled peer to have its link up."""
REDIAL_MIN, REDIAL_MAX = 0.5, 30.0
"""Seconds between two tries to reach a peer that is to be kept; doubling, with jitter."""
GONE_SECONDS = 2.0
"""For a connection that turned out to be dead to be cleared away."""
MAX_DIALS = 128
"""Addresses being dialled at the same time."""
MAX_CAUSES = 32
"""Exceptions that are looked into for what went wrong."""


def open_network(
    identity: KeyPair,
    listen: Sequence[str],
    *,
    use_mdns: bool,
    swarm_key: bytes | None = None,
    relays: Sequence[str] = (),
    serve_relay: bool = False,
) -> OpenNetwork:
    """How to open a libp2p network with this key on these multiaddrs.

    `swarm_key`: 32 bytes; only those with the same key can talk to it. `relays`: multiaddrs of relays through
    which it is to be reached. `serve_relay`: be one for others.
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
    advertised: list[Multiaddr] = []
    addrs = [_listen_addr(addr) for addr in listen]
    through = [_relay(addr) for addr in relays]
    async with AsyncExitStack() as stack:
        budget = Budget()
        supervisor = Supervisor()
        supervisor.on_failure = receiver.on_failure
        opening = open_host(identity, swarm_key, lambda: advertised, budget, supervisor)
        host = await stack.enter_async_context(opening)
        for addr in addrs:
            await _listen_on(host, addr)
        broadcast = await stack.enter_async_context(open_broadcast(host, receiver, supervisor))
        nursery = await stack.enter_async_context(trio.open_nursery())
        tasks = Tasks(nursery, supervisor)
        network = Libp2pNetwork(host, identity, receiver, tasks, broadcast)
        # Who asks for relays cannot be dialled: others try those first.
        network.addrs = (*(circuit_addr(addr, network.peer_id) for addr in relays), *network.addrs)
        advertised += [Multiaddr(addr) for addr in network.addrs]
        host.get_network().transport_manager.add_transport(CircuitTransport(host))  # type: ignore[attr-defined]
        Dialler(host)
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
            near = [addr for addr in network.addrs if f"/{CIRCUIT}/" not in addr]
            stack.enter_context(mdns(near, receiver.on_found))
        try:
            yield network
        finally:
            nursery.cancel_scope.cancel()


class _Dial:
    """An address that is being dialled."""

    def __init__(self, keep: bool) -> None:
        self.keep = keep
        """Whether to go on until the peer is there, and whenever it is gone."""
        self.again = trio.Event()
        """Somebody asked for it once more: now is a good time to try."""


class Libp2pNetwork:
    """Implements `net.network.Network`."""

    def __init__(
        self,
        host: IHost,
        identity: KeyPair,
        receiver: Receiver,
        nursery: Tasks,
        broadcast: Broadcast,
    ) -> None:
        self._host = host
        self._identity = identity
        self._receiver = receiver
        self._nursery = nursery
        self._broadcast = broadcast
        self._links = Links(host, receiver, nursery, self._addr_of)
        self._links.close = lambda peer: nursery.start_soon(self._close_peer, peer)
        self.budget: Budget
        self._dialling: dict[str, _Dial] = {}
        """Addresses being dialled."""
        self._addr_by_peer: dict[PeerId, str] = {}
        self.peer_id = PeerId(str(host.get_id()))
        self.addrs = self._own_addrs()
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

    def peers(self) -> tuple[PeerId, ...]:
        return tuple(peer for peer in self._links.by_peer if self._links.get(peer))

    def push(self, peer: PeerId, message: Message) -> bool:
        link = self._links.get(peer)
        return link is not None and link.outgoing.push(message)

    def serve(self, peer: PeerId, load: Load) -> bool:
        link = self._links.get(peer)
        if link is None:
            return False
        link.outgoing.serve(load)
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
        """Keep the DHT going, until cancelled."""
        await self.dht.run()

    def dial(self, addr: str, *, keep: bool = False, more: Sequence[str] = ()) -> None:
        dial = self._dialling.get(addr)
        if dial is None:
            self._dialling[addr] = dial = _Dial(keep)
            self._nursery.start_soon(self._dial, addr, more, dial)
        else:
            dial.keep |= keep
            dial.again.set()

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
        for connection in self._host.get_network().connections.get(ID.from_base58(peer), []):
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
        """A connection was dropped for what it costs."""
        self._receiver.on_fault(peer, "memory", why)
        self.disconnect(peer, why)

    async def _on_stream(self, stream: INetStream) -> None:
        await self._links.take(stream)

    async def _dial(self, addr: str, more: Sequence[str], dial: "_Dial") -> None:
        try:
            if len(self._dialling) > MAX_DIALS:
                self._receiver.on_dial_failed(addr, f"{addr} is not dialled: too many others are just now")
                return
            try:
                peer, transport = parse_peer_addr(addr)
            except ValueError as error:
                self._receiver.on_dial_failed(addr, str(error))
                return
            places = [(addr, transport), *addrs_of(peer, more)]
            wait = REDIAL_MIN
            while True:
                why = await connect_any(self._connect, peer, places)
                if why is None:
                    wait = REDIAL_MIN
                    link = self._links.by_peer.get(peer)
                    while dial.keep and link is not None and not link.done.is_set():
                        await _first(link.done, dial.again)
                        dial.again = trio.Event()
                        if not link.done.is_set():
                            await self._is_alive(link)  # somebody asks for it again
                else:
                    self._receiver.on_dial_failed(addr, why)
                if not dial.keep:
                    return
                with trio.move_on_after(wait * random.uniform(0.8, 1.2)):  # noqa: S311 - jitter, no secret
                    await dial.again.wait()
                dial.again = trio.Event()
                wait = min(wait * 2, REDIAL_MAX)
        finally:
            del self._dialling[addr]

    async def _connect(self, peer: PeerId, transport: Multiaddr, addr: str) -> str | None:
        """Have a link to this peer. Returns why not, in a sentence."""
        if peer == self.peer_id:
            return f"{addr} is this node itself"
        if (link := self._links.get(peer)) is not None and await self._is_alive(link):
            return None
        refused = f"{addr} is not dialled: there are too many peers, or it misbehaved just now"
        if not self._links.allowed(peer):
            return refused
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
            probed = None if f"/{CIRCUIT}" in addr else await _probe(transport)
            return f"{addr} cannot be reached: {probed}" if probed else f"{addr} does not answer"
        except Exception as error:  # libp2p raises many kinds
            probed = None if f"/{CIRCUIT}" in addr else await _probe(transport)
            return f"{addr} cannot be reached: {_unknown_identity(error) or probed or _reason(error)}"
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
        """Whether a link still leads to its peer. If not, it is gone afterwards, and its connections as well."""
        dead = [one for one in link.connections() if not await probe(one)]
        if dead:
            with trio.move_on_after(GONE_SECONDS):
                await link.done.wait()
                for one in dead:
                    await one.event_closed.wait()
        return not dead

    def _forget_failures(self, peer: ID) -> None:
        """Nor does it matter what libp2p once knew of its addresses: it would try those before the new one."""
        forget_failures(self._host, peer)
        self._host.get_network().peerstore.clear_addrs(peer)

    async def _close_peer(self, peer: PeerId) -> None:
        with trio.move_on_after(1):
            try:
                await self._host.disconnect(ID.from_base58(peer))
            except Exception as error:  # it is gone
                log.debug("disconnecting %s: %r", peer, error)

    def _addr_of(self, peer: PeerId) -> str:
        """Where a peer can be dialled, as far as known; or where it comes from."""
        if (dialled := self._addr_by_peer.get(peer)) is not None:
            return dialled
        for connection in self._host.get_network().connections.get(ID.from_base58(peer), []):
            ask = getattr(connection.muxed_conn, "get_remote_address", lambda: None)
            remote = ask()
            if remote is not None:
                family = "ip6" if ":" in remote[0] else "ip4"
                return f"/{family}/{remote[0]}/tcp/{remote[1]}/p2p/{peer}"
        return ""

    def _own_addrs(self) -> tuple[str, ...]:
        found: list[str] = []
        for listener in self._host.get_network().listeners.values():
            for addr in listener.get_addrs():
                found += [f"{one}/p2p/{self.peer_id}" for one in concrete(addr)]
        return tuple(dict.fromkeys(found))


def can_listen(addr: str) -> str | None:
    """Why this multiaddr cannot be listened on; None: it can. libp2p shares ports (SO_REUSEPORT), and so
    would let two nodes take each other's connections without a word.
    """
    parsed = _listen_addr(addr)
    family = "ip6" if str(parsed).startswith("/ip6/") else "ip4"
    kind = socket.AF_INET6 if family == "ip6" else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parsed.value_for_protocol(family), int(parsed.value_for_protocol("tcp") or 0)))
        except OSError as error:
            return _reason(error)
    return None


async def _listen_on(host: IHost, addr: Multiaddr) -> None:
    if (why := can_listen(str(addr))) is not None:
        raise NetworkError(f"cannot listen on {addr}: {why}")
    try:
        if await host.get_network().listen(addr):
            return
        why = "the port is in use, or the address is not this machine's"
    except Exception as error:  # libp2p wraps the operating system's errors in its own
        why = _reason(error)
    raise NetworkError(f"cannot listen on {addr}: {why}")


def _relay(addr: str) -> tuple[str, ID, Multiaddr]:
    try:
        peer, transport = parse_peer_addr(addr)
    except ValueError as error:
        raise NetworkError(f"cannot use a relay: {error}") from None
    return addr, ID.from_base58(peer), transport


def _listen_addr(addr: str) -> Multiaddr:
    try:
        parsed = Multiaddr(addr)
        parsed.value_for_protocol("ip6" if addr.startswith("/ip6/") else "ip4")
        parsed.value_for_protocol("tcp")
    except Exception:  # the library raises kinds of its own
        raise NetworkError(
            f"cannot listen on {addr}: expected a multiaddr like /ip4/127.0.0.1/tcp/0"
        ) from None
    return parsed


async def _probe(transport: Multiaddr) -> str | None:
    """Why a connection cannot even be opened, by the operating system's own word, which libp2p drops."""
    try:
        host = transport.value_for_protocol("ip6" if str(transport).startswith("/ip6/") else "ip4")
        with trio.fail_after(2):
            stream = await trio.open_tcp_stream(str(host), int(transport.value_for_protocol("tcp") or 0))
            await stream.aclose()
    except trio.TooSlowError:
        return "nothing answers there"
    except OSError as error:
        return _reason(error)
    except Exception:  # not an address of this kind
        return None
    return "something listens there, but it is another peer, in another private swarm (--swarm-key), or hangs"


async def _first(*events: trio.Event) -> None:
    """Wait until one of these is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


def _reason(error: BaseException) -> str:
    """What went wrong, from the depths of a chain of exceptions, in words."""
    text = " ".join(_words_of(error))
    if found := re.search(r"the relay (says: [\w ,()]+|does not answer, or is none)", text):
        return found.group()
    text = text.lower()
    if "mismatch" in text or "does not correspond" in text:
        return "another peer answers there (its peer id is a different one)"
    if "refused" in text:
        return "nobody listens there (connection refused)"
    if "in use" in text:
        return "the port is in use"
    if "cannot assign" in text:
        return "the address is not this machine's"
    if "permission" in text:
        return "that needs rights that this user does not have"
    if "unreachable" in text or "no route" in text:
        return "there is no way to it from this network"
    return "the connection could not be made"


def _unknown_identity(error: BaseException) -> str | None:
    """Why a peer that was reached cannot prove who it is; None where the error is another one."""
    if any(text.startswith("MissingDeserializerError") for text in _words_of(error)):
        return "its identity is an ECDSA key, and this node verifies Ed25519, secp256k1 and RSA keys only"
    return None


def _words_of(error: BaseException) -> list[str]:
    """What all of them say, the outermost first."""
    texts: list[str] = []
    waiting: list[BaseException] = [error]
    while waiting and len(texts) < MAX_CAUSES:
        seen = waiting.pop()
        texts.append(f"{type(seen).__name__} {seen}")
        if (cause := seen.__cause__ or seen.__context__) is not None:
            waiting.append(cause)
        if isinstance(seen, BaseExceptionGroup):
            waiting += reversed(seen.exceptions)
    return texts


@lru_cache(maxsize=1024)
def _public_key(peer: PeerId) -> PublicKey | None:
    try:
        return ID.from_base58(peer).extract_public_key()
    except Exception:  # not a peer id that holds a key
        return None


def _quiet() -> None:
    """libp2p logs every hiccup of every peer; ours says what matters. Its own goes only to handlers
    that somebody put on its logger on purpose."""
    logger = logging.getLogger("libp2p")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
