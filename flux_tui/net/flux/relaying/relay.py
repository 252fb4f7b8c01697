"""Relays: a node that cannot be dialled is reached through one that can (libp2p's circuit v2).

Three parts:

- `Relay` forwards bytes for other nodes: much, if its owner asks for it (`--serve-relay`), else a little for this
  node's peers (`nat/peer_relays.py`).
- `Reservations` keeps a reservation at each `--relay`, and accepts connections that come through it.
- `CircuitTransport` (`circuit_transport.py`) dials relayed addresses. `upstream/dial_peer.py` chooses which of a peer's
  addresses are dialled.

A connection inside a circuit is like any other, with Noise end to end: a relay sees only encrypted bytes.

For libp2p 0.8.x. What libp2p 0.8.1 has, and why that is not enough:

- Its relay (`CircuitV2Protocol`) has limits that can be set: by default 4 reservations, 8 circuits to one node, and
  1 GiB and an hour for a circuit. A data limit of 0 should mean no limit, but ends each circuit at once. It stores the
  two streams of a circuit under the node's id. So the end of one circuit to a node closes all other circuits to this
  node, 0.6 s later. The circuits of one peer to several nodes have no bound, nor have all circuits together.
- Its `CircuitV2Transport` dials and upgrades by itself, with a discovery that asks every connected peer whether it is a
  relay. The swarm's `dial_peer` leaves relayed addresses out, so they are used only by code that calls that transport.

The wire format here follows the specification (specs/relay/circuit-v2.md), with libp2p's own protobufs. So this
node can also use the relay of another libp2p program, within the limits of that relay.

Upstream: #691 and #996 are work on relays; no issue about these faults is known. The tests with `libp2p` in their names
in tests/net/flux/relaying/test_relay.py fail when upstream changes.

Two nodes that meet through a relay try to connect directly (`upstream/hole_punching.py`). Where that fails, the relay
carries all their bytes (three hosts in one process: 43 MB/s through a relay, 71 MB/s without). So a relay that its
owner made one is meant for friends, not for strangers.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any, NamedTuple

import trio
from libp2p.abc import IHost, INetStream
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, Reservation, Status, StopMessage
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as WirePeerId
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import Backoff, TokenBucket
from flux_tui.net.addresses.dial_guard import told_by_person
from flux_tui.net.addresses.peer_multiaddrs import parse_peer_addr
from flux_tui.net.connections.keepalive import close_dead
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.dial_errors import RelayRefusedError, relay_answer
from flux_tui.net.flux.libp2p_host import forget_failures
from flux_tui.net.flux.noise_and_yamux import WRITE_BYTES, widen
from flux_tui.net.nat.circuits import Circuit, CircuitTurns, limit_of
from flux_tui.net.port import CIRCUIT, Receiver

log = logging.getLogger(__name__)

HOP = TProtocol("/libp2p/circuit/relay/0.2.0/hop")
STOP = TProtocol("/libp2p/circuit/relay/0.2.0/stop")

TALK_SECONDS = 8.0
"""Seconds for one request and its answer; less than a dial may take."""
RESERVED_SECONDS = 3600.0
"""Seconds for which a relay keeps a reservation that is not renewed."""
KEPT_MIN, KEPT_MAX = 60.0, 600.0
"""Bounds of the seconds for which this node counts on a reservation, whatever the relay's clock says."""
RENEW_SHARE = 0.5
"""Share of this time after which the node renews its reservation."""
RETRY = Backoff(first=1.0, most=60.0)
"""The wait between two tries to get a reservation."""
MAX_RESERVATIONS = 128
"""Reservations at one relay."""
MAX_CIRCUITS, MAX_CIRCUITS_EACH = 64, 16
"""Circuits through one relay; and of these, to or from one node."""
LITTLE_CIRCUITS, LITTLE_BYTES, LITTLE_SECONDS, LITTLE_RATE = 2, 64 << 20, 600.0, 1 << 20
"""Limits for a peer for which no person asked this node to relay: circuits at once, bytes and seconds of one circuit,
and the bytes per second of all circuits together. It is enough to meet, and to punch a hole."""
IDLE_SECONDS = 300.0
"""Seconds after which a circuit without traffic is closed; yamux pings more often."""


def circuit_addr(relay: str, peer: str) -> str:
    """Return the multiaddr at which `peer` is reached through a relay. `relay`: the relay's multiaddr."""
    return f"{relay}/{CIRCUIT}/p2p/{peer}"


class Terms(NamedTuple):
    """The limits within which this node relays for others. `size`, `seconds`, `rate`: 0 means no limit."""

    reservations: int = MAX_RESERVATIONS
    circuits: int = MAX_CIRCUITS
    circuits_each: int = MAX_CIRCUITS_EACH
    size: int = 0
    """Bytes of one circuit, those of both directions together."""
    seconds: float = 0.0
    """Seconds of one circuit."""
    rate: float = 0.0
    """Bytes per second of all circuits together."""

    @classmethod
    def little(cls, peers: int) -> "Terms":
        """Return the limits of a node that relays unasked for at most `peers` peers: small ones (LITTLE_…)."""
        circuits = LITTLE_CIRCUITS
        return cls(peers, circuits * peers, circuits, LITTLE_BYTES, LITTLE_SECONDS, LITTLE_RATE)

    @property
    def limit(self) -> Limit | None:
        """The limit of one circuit, in the form in which the relay tells it to nodes; None: it has no limit."""
        return Limit(data=self.size, duration=int(self.seconds)) if self.size or self.seconds else None


FULL = Terms()
"""The terms of a relay that its owner made one."""


class Relay:
    """Makes this node a relay: forwards the bytes of a circuit, the connection of two other nodes.

    `admits`: whether a node may have a reservation here.
    """

    def __init__(
        self, host: IHost, terms: Terms = FULL, admits: Callable[[PeerId], bool] = lambda peer: True
    ) -> None:
        self._host = host
        self._terms = terms
        self._admits = admits
        self._pace = TokenBucket(terms.rate, terms.rate, trio.current_time())
        self._offers = False
        self._reservations: dict[ID, float] = {}
        """Nodes with a reservation here, each with its end."""
        self._circuits: dict[ID, int] = {}

    def offer(self, offers: bool) -> None:
        """Begin to accept requests for reservations and circuits (`offers`), or stop it. Open circuits stay open."""
        if offers and not self._offers:
            self._host.set_stream_handler(HOP, self._take)
        elif self._offers and not offers:
            self._host.remove_stream_handler(HOP)
        self._offers = offers

    async def _take(self, stream: INetStream) -> None:
        peer = stream.muxed_conn.peer_id
        if _relayed(stream):
            await _answer(stream, HopMessage, Status.PERMISSION_DENIED)  # not through another relay
            return
        try:
            with trio.fail_after(TALK_SECONDS):
                asked = await read_delimited_msg(stream, HopMessage)
        except Exception as error:  # garbage, or the end of the stream
            log.debug("a relay's client %s: %r", peer, error)
            await try_to_close(stream.reset)
            return
        if asked.type == HopMessage.RESERVE:
            await self._reserve(stream, peer)
        elif asked.type == HopMessage.CONNECT and asked.HasField("peer"):
            await self._connect(stream, peer, ID(asked.peer.id))
        else:
            await _answer(stream, HopMessage, Status.UNEXPECTED_MESSAGE)

    async def _reserve(self, stream: INetStream, peer: ID) -> None:
        now = trio.current_time()
        swarm: Any = self._host.get_network()
        self._forget_gone(swarm, now)
        full = peer not in self._reservations and len(self._reservations) >= min(
            self._terms.reservations, MAX_RESERVATIONS
        )
        if full or not self._admits(PeerId(str(peer))):
            await _answer(stream, HopMessage, Status.RESERVATION_REFUSED)
            return
        self._reservations[peer] = now + RESERVED_SECONDS
        swarm.protect(peer, CIRCUIT)
        addrs = [addr.to_bytes() for addr in self._host.get_addrs()]
        made = Reservation(expire=int(time.time() + RESERVED_SECONDS), addrs=addrs)
        await _answer(stream, HopMessage, Status.OK, reservation=made, limit=self._terms.limit)

    def _forget_gone(self, swarm: Any, now: float) -> None:
        """Forget the reservations that are over, and those of nodes without a connection: they have to reserve anew."""
        for other, until in list(self._reservations.items()):
            if until <= now or not swarm.connections.get(other):
                del self._reservations[other]
                swarm.unprotect(other, CIRCUIT)

    async def _connect(self, stream: INetStream, peer: ID, target: ID) -> None:
        """Connect `peer` with `target`, and forward their bytes until `_join` ends. `stream`: the peer's request.

        It is refused if `target` has no reservation or does not accept, or if there are too many circuits.
        """
        busy = sum(self._circuits.values()) // 2 >= min(self._terms.circuits, MAX_CIRCUITS)
        each = max(self._circuits.get(peer, 0), self._circuits.get(target, 0))
        if busy or each >= min(self._terms.circuits_each, MAX_CIRCUITS_EACH):
            await _answer(stream, HopMessage, Status.RESOURCE_LIMIT_EXCEEDED)
            return
        there = self._host.get_network().connections.get(target)
        if self._reservations.get(target, 0.0) <= trio.current_time() or not there:
            await _answer(stream, HopMessage, Status.NO_RESERVATION)
            return
        swarm: Any = self._host.get_network()
        for one in (peer, target):
            self._circuits[one] = self._circuits.get(one, 0) + 1
            swarm.protect(one, f"{CIRCUIT} {id(stream)}")
        try:
            onward = await self._ask(peer, target)
            if onward is None:
                await _answer(stream, HopMessage, Status.CONNECTION_FAILED)
                return
            limit = self._terms.limit
            await write_delimited_msg(
                stream, HopMessage(type=HopMessage.STATUS, status=Status.OK, limit=limit)
            )
            await _join(stream, onward, self._terms, self._wait_for)
        except Exception as error:  # one of the two is gone
            log.debug("a circuit from %s to %s: %r", peer, target, error)
        finally:
            for one in (peer, target):
                swarm.unprotect(one, f"{CIRCUIT} {id(stream)}")
                self._circuits[one] -= 1
                if not self._circuits[one]:
                    del self._circuits[one]

    async def _ask(self, peer: ID, target: ID) -> INetStream | None:
        """Ask `target` to accept a circuit from `peer`. Returns the stream to it; None if it does not accept."""
        stream: INetStream | None = None
        try:
            with trio.fail_after(TALK_SECONDS):
                stream = await self._host.new_stream(target, [STOP])
                who = WirePeerId(id=peer.to_bytes())
                asked = StopMessage(type=StopMessage.CONNECT, peer=who, limit=self._terms.limit)
                await write_delimited_msg(stream, asked)
                told = await read_delimited_msg(stream, StopMessage)
                if told.status == Status.OK:
                    return stream
        except Exception as error:  # libp2p raises many kinds; each means no
            log.debug("%s does not take a circuit: %r", target, error)
        if stream is not None:
            await try_to_close(stream.reset)
        return None

    async def _wait_for(self, size: int) -> None:
        """Wait until the rate limit of this relay allows to forward `size` more bytes."""
        if self._terms.rate:
            self._pace.take(size, trio.current_time())
            await trio.sleep(self._pace.wait(trio.current_time()))


class Reservations:
    """This node's reservations at its relays. Other nodes reach this node through these relays."""

    def __init__(
        self,
        host: IHost,
        relays: Sequence[tuple[str, ID, Multiaddr]],
        receiver: Receiver,
        turns: CircuitTurns,
        reserved: Callable[[PeerId], None] = lambda relay: None,
    ) -> None:
        """Set the relays: for each, its multiaddr as the user gave it, its peer id, and the address to dial.

        `reserved` is called with each relay that has made or renewed a reservation. A relay that speaks flux then
        becomes a peer: wants of others reach this node by way of it.
        """
        self._reserved = reserved
        self._turns = turns
        self._host = host
        self._receiver = receiver
        self._relays: dict[ID, list[tuple[str, Multiaddr]]] = {}
        """Several addresses may name one relay."""
        for addr, relay, transport in relays:
            self._relays.setdefault(relay, []).append((addr, transport))
        host.set_stream_handler(STOP, self._take)

    async def run(self) -> None:
        """Keep a reservation at each relay, and renew it in time, until cancelled."""
        with told_by_person():
            await self._run()

    async def _run(self) -> None:
        async with trio.open_nursery() as nursery:
            for relay, named in self._relays.items():
                addrs = [addr for addr, _ in named]
                nursery.start_soon(self._keep, addrs, relay, [transport for _, transport in named])

    async def _keep(self, addrs: list[str], relay: ID, transports: list[Multiaddr]) -> None:
        failures = 0
        named = " or ".join(addrs)
        swarm: Any = self._host.get_network()
        swarm.protect(relay, "relay")
        while True:
            forget_failures(self._host, relay)
            try:
                with trio.fail_after(TALK_SECONDS):
                    await close_dead(lambda: swarm.connections.get(relay, ()))
                    await self._host.connect(PeerInfo(relay, transports))
                    seconds = await self._reserve(relay)
            except Exception as error:  # libp2p raises many kinds
                why = relay_answer(error) or "it does not answer, or is not a relay"
                log.debug("no reservation at %s: %r", named, error)
                self._receiver.on_dial_failed(
                    addrs[0], f"there is no reservation at the relay {named}: {why}; it is tried again later"
                )
                failures += 1
                await trio.sleep(RETRY.wait(failures))
                continue
            failures = 0
            self._reserved(PeerId(str(relay)))
            with trio.move_on_after(seconds * RENEW_SHARE):
                await self._while_connected(relay)

    async def borrow(self, addr: str, reserved: Callable[[bool], None]) -> None:
        """Keep a reservation at a connected peer, until it refuses or is gone. Returns at once if there is one already.

        `addr`: the peer's multiaddr. `reserved`: called with True for each reservation that is made or renewed, and
        with False at the end.
        """
        peer, transport = parse_peer_addr(addr)
        relay = ID.from_base58(peer)
        if relay in self._relays:
            return
        self._relays[relay] = [(addr, transport)]
        try:
            while True:
                with trio.fail_after(TALK_SECONDS):
                    seconds = await self._reserve(relay)
                reserved(True)
                with trio.move_on_after(seconds * RENEW_SHARE):
                    await self._while_connected(relay)
                    return
        except Exception as error:  # libp2p raises many kinds
            log.debug("no reservation at the peer %s: %r", addr, error)
        finally:
            del self._relays[relay]
            reserved(False)

    async def _while_connected(self, relay: ID) -> None:
        """Wait until the connection to the relay has ended."""
        for connection in self._host.get_network().connections.get(relay, []):
            closed = getattr(connection, "event_closed", None)
            if closed is not None:
                await closed.wait()

    async def _reserve(self, relay: ID) -> float:
        """Make or renew a reservation at a relay. Returns the seconds for which it is valid.

        Raises RelayRefusedError if the relay refuses.
        """
        stream = await self._host.new_stream(relay, [HOP])
        try:
            await write_delimited_msg(stream, HopMessage(type=HopMessage.RESERVE))
            told = await read_delimited_msg(stream, HopMessage)
        finally:
            await try_to_close(stream.close)
        if told.status != Status.OK:
            raise RelayRefusedError(told.status)
        # The relay's clock may be wrong, so the time is limited.
        return min(max(told.reservation.expire - time.time(), KEPT_MIN), KEPT_MAX)

    async def _take(self, stream: INetStream) -> None:
        """Accept a connection from another node that comes through a relay."""
        relay = stream.muxed_conn.peer_id
        if relay not in self._relays:
            await try_to_close(stream.reset)
            return
        try:
            with trio.fail_after(TALK_SECONDS):
                asked = await read_delimited_msg(stream, StopMessage)
                if asked.type != StopMessage.CONNECT or not asked.HasField("peer"):
                    raise ValueError("not a circuit")
                peer = ID(asked.peer.id)
                await widen(stream)
                await write_delimited_msg(stream, StopMessage(type=StopMessage.STATUS, status=Status.OK))
            came_from = Multiaddr(f"/p2p/{relay}/{CIRCUIT}/p2p/{peer}")
            raw = Circuit(stream, False, came_from, peer, limit_of(asked.limit), self._turns)
            swarm: Any = self._host.get_network()
            await swarm.upgrade_inbound_raw_conn(raw, came_from)
        except Exception as error:  # garbage, the end of the stream, or a failed handshake
            log.debug("a circuit by way of %s: %r", relay, error)
            await try_to_close(stream.reset)


async def _join(
    one: INetStream, other: INetStream, terms: Terms, wait: Callable[[int], Awaitable[None]]
) -> None:
    """Forward bytes between two streams in both directions, until either ends or a limit of `terms` is reached.

    Also ends after IDLE_SECONDS without bytes. Then closes both. `wait`: waits until this many more bytes may pass.
    """
    passed, ends = 0, trio.current_time() + (terms.seconds or inf)
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = min(trio.current_time() + IDLE_SECONDS, ends)
        await widen(one)

        async def pass_on(source: INetStream, sink: INetStream) -> None:
            try:
                while data := await source.read(WRITE_BYTES):
                    nonlocal passed
                    passed += len(data)
                    if terms.size and passed > terms.size:
                        break
                    nursery.cancel_scope.deadline = min(trio.current_time() + IDLE_SECONDS, ends)
                    await wait(len(data))
                    await sink.write(data)
            except Exception as error:  # the end of the stream, in any wording of libp2p
                log.debug("a circuit ends: %r", error)
            nursery.cancel_scope.cancel()

        nursery.start_soon(pass_on, one, other)
        nursery.start_soon(pass_on, other, one)
    with trio.move_on_after(1, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
        await try_to_close(one.reset)
        await try_to_close(other.reset)


async def _answer(stream: INetStream, kind: type[HopMessage], status: Any, **fields: Any) -> None:
    try:
        with trio.fail_after(TALK_SECONDS):
            await write_delimited_msg(stream, kind(type=HopMessage.STATUS, status=status, **fields))
            await stream.close()
    except Exception as error:  # it is gone
        log.debug("answering a relay's client: %r", error)


def _relayed(stream: INetStream) -> bool:
    kind = getattr(stream.muxed_conn, "get_connection_type", None)
    return kind is not None and bool(kind() == ConnectionType.RELAYED)
