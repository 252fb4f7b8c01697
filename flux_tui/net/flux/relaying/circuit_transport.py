"""Dials addresses through relays. See `relay.py` for what libp2p 0.8.1 has, and why that is not enough.

Through one relay, this node opens one circuit at a time to a peer, although several addresses may name the relay. After
the end of a circuit with limits, the two nodes take turns (`CircuitTurns` in `nat/circuits.py`, which says why).
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import trio
from libp2p.abc import IHost, IListener, INetStream, IRawConnection, ITransport
from libp2p.custom_types import THandler
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Status
from libp2p.relay.circuit_v2.pb.circuit_pb2 import PeerId as WirePeerId
from libp2p.relay.circuit_v2.utils import read_delimited_msg, write_delimited_msg
from multiaddr import Multiaddr
from typing_extensions import override

from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.dial_errors import AlreadyConnectedError, NoRelayError, RelayRefusedError
from flux_tui.net.flux.libp2p_host import forget_failures
from flux_tui.net.flux.noise_and_yamux import widen
from flux_tui.net.flux.relaying.relay import HOP, TALK_SECONDS
from flux_tui.net.nat.circuits import Circuit, CircuitLimit, CircuitTurns, limit_of
from flux_tui.net.port import CIRCUIT
from flux_tui.net.upstream.dial_peer import dialled_at

CLOSE_SECONDS = 0.5
"""Seconds for resetting a stream to a relay that is not needed any more."""
RESERVATION_POLL_SECONDS = 0.4
"""Seconds between two requests for a circuit to a peer that has no reservation yet."""
TURN_POLL_SECONDS = 0.1
"""Seconds between two looks whether the peer has connected, while it is the peer's turn."""


class CircuitTransport(ITransport):
    """A libp2p transport that dials addresses through relays."""

    def __init__(self, host: IHost, turns: CircuitTurns) -> None:
        self._host = host
        self._turns = turns
        self._opening: dict[tuple[ID, ID], _Opening] = {}
        """The one circuit that is being opened or is open through each relay to each peer."""

    def listen_order(self) -> int:
        """Return the rank of this transport: before TCP, which would claim every address with a TCP part."""
        return -1

    @override
    def protocols(self) -> list[str]:
        return [CIRCUIT]

    @override
    def can_dial(self, maddr: Multiaddr) -> bool:
        return any(protocol.name == CIRCUIT for protocol in maddr.protocols())

    @override
    def can_listen(self, maddr: Multiaddr) -> bool:
        return False

    @override
    def create_listener(self, handler_function: THandler) -> IListener:
        raise NotImplementedError("what comes through a relay comes by Reservations")

    @override
    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        near, _, far = str(maddr).partition(f"/{CIRCUIT}")
        relay_addr, _, relay_text = near.rpartition("/p2p/")
        try:
            relay, target = ID.from_base58(relay_text), ID.from_base58(far.rpartition("/p2p/")[2])
        except Exception as error:  # libp2p raises many kinds
            raise NoRelayError from error
        await self._wait_for_turn(target)
        opening = _Opening()
        try:
            with trio.fail_after(TALK_SECONDS):
                await self._connect(relay, relay_addr)
                while (other := self._opening.get((relay, target))) is not None:
                    await other.over.wait()
                if self._is_connected(target):
                    raise AlreadyConnectedError
                self._opening[relay, target] = opening
                stream, limit = await self._open_when_reserved(relay, target)
        except BaseException as error:
            self._ended(relay, target, opening)
            if isinstance(error, AlreadyConnectedError | RelayRefusedError) or not isinstance(
                error, Exception
            ):
                raise
            raise NoRelayError from error  # libp2p raises many kinds
        return _Dialled(
            self._host,
            relay,
            stream,
            maddr,
            target,
            limit,
            self._turns,
            partial(self._ended, relay, target, opening),
        )

    async def _connect(self, relay: ID, addr: str) -> None:
        """Connect to a relay at its address, "" for one that is known already."""
        forget_failures(self._host, relay)
        at = [Multiaddr(addr)] if addr else []
        with dialled_at(at or None):  # not at the addresses of the peer behind the relay
            await self._host.connect(PeerInfo(relay, at))

    async def _open_when_reserved(self, relay: ID, target: ID) -> tuple[INetStream, CircuitLimit | None]:
        """Ask a relay for a circuit. Ask again while the target may have no reservation yet (`CircuitTurns`).

        Returns the circuit's stream and its limits. Raises RelayRefusedError if the relay refuses.
        """
        while True:
            try:
                return await self._open(relay, target)
            except RelayRefusedError as error:
                if error.status != Status.NO_RESERVATION or not self._turns.may_lack_reservation(target):
                    raise
            await trio.sleep(RESERVATION_POLL_SECONDS)

    async def _open(self, relay: ID, target: ID) -> tuple[INetStream, CircuitLimit | None]:
        """Ask a connected relay for a circuit to `target`. Returns its stream and its limits.

        Raises RelayRefusedError if the relay refuses.
        """
        stream = await self._host.new_stream(relay, [HOP])
        try:
            await widen(stream)
            who = WirePeerId(id=target.to_bytes())
            await write_delimited_msg(stream, HopMessage(type=HopMessage.CONNECT, peer=who))
            told = await read_delimited_msg(stream, HopMessage)
            if told.status != Status.OK:
                raise RelayRefusedError(told.status)
        except BaseException:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + CLOSE_SECONDS):
                await try_to_close(stream.reset)
            raise
        return stream, limit_of(told.limit)

    def _ended(self, relay: ID, target: ID, opening: "_Opening") -> None:
        """Note that an attempt to open a circuit has failed, or that its circuit has ended."""
        if self._opening.get((relay, target)) is opening:
            del self._opening[relay, target]
        opening.over.set()

    async def _wait_for_turn(self, target: ID) -> None:
        """Wait until it is this node's turn to open a circuit to a peer (`CircuitTurns`).

        Raises AlreadyConnectedError if there is a connection to the peer then: the peer was first.
        """
        if not self._turns.wait(target):
            return
        while (seconds := self._turns.wait(target)) and not self._is_connected(target):  # noqa: ASYNC110
            await trio.sleep(min(TURN_POLL_SECONDS, seconds))  # libp2p tells nobody who waits
        if self._is_connected(target):
            raise AlreadyConnectedError

    def _is_connected(self, peer: ID) -> bool:
        return any(not one.is_closed for one in self._host.get_network().connections.get(peer, ()))


class _Opening:
    """A circuit from the request for it until its end. `over` is set at the end."""

    def __init__(self) -> None:
        self.over = trio.Event()


class _Dialled(Circuit):
    """A connection that this node dialled through a relay. While it is open, the connection to the relay stays open."""

    def __init__(
        self,
        host: IHost,
        relay: ID,
        stream: INetStream,
        addr: Multiaddr,
        peer: ID,
        limit: CircuitLimit | None,
        turns: CircuitTurns,
        ended: Callable[[], None],
    ) -> None:
        """`ended`: called at the end of the circuit."""
        super().__init__(stream, True, addr, peer, limit, turns)
        self._ended = ended
        self._swarm: Any = host.get_network()
        self._relay = relay
        self._reason = f"{CIRCUIT} {id(self)}"
        self._swarm.protect(relay, self._reason)

    @override
    async def close(self) -> None:
        self._swarm.unprotect(self._relay, self._reason)
        await super().close()

    @override
    def over(self) -> None:
        super().over()
        self._ended()
