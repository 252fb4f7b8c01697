"""Turns what arrives from the network into the machine's inputs."""

import logging
from collections.abc import Sequence

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.peers.intent_limits import IntentLimits
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Message, Route, SealedIntent
from flux_tui.net.connections.frames import Piece
from flux_tui.net.port import LoadedChunk, Network
from flux_tui.node.disk.chunk_reader import ChunkReader
from flux_tui.node.disk.chunk_writer import ChunkWriter
from flux_tui.node.engine import Clock, Engine
from flux_tui.node.intents import unseal, unseal_route

log = logging.getLogger(__name__)


class NodeReceiver:
    """Implements `net.port.Receiver`. Inputs that come before `attach` (connections only) are kept for the engine."""

    def __init__(self) -> None:
        self._limits = IntentLimits()
        self._early: list[inp.Input] = []
        self._engine: Engine | None = None
        self._clock: Clock
        self._machine: Machine
        self._network: Network
        self._writer: ChunkWriter
        self._reader: ChunkReader

    def attach(
        self, engine: Engine, machine: Machine, network: Network, writer: ChunkWriter, reader: ChunkReader
    ) -> None:
        """Connect the receiver to the complete node, and feed what came before."""
        self._engine, self._machine, self._network = engine, machine, network
        self._writer, self._reader = writer, reader
        self._clock = engine.clock
        for given in self._early:
            engine.feed(given)
        self._early.clear()

    def _feed(self, given: inp.Input) -> None:
        if self._engine is None:
            self._early.append(given)
        else:
            self._engine.feed(given)

    def on_connected(self, peer: PeerId, addr: str) -> None:
        self._feed(inp.PeerUp(peer=peer, addr=addr))

    def on_disconnected(self, peer: PeerId, why: str) -> None:
        if self._engine is not None:
            self._reader.forget(peer)
        self._feed(inp.PeerDown(peer=peer, why=why))

    def on_message(self, peer: PeerId, message: Message) -> None:
        if isinstance(message, SealedIntent):
            if self._engine is not None and self._takes_from(peer, gossip=False):
                self._on_intent(peer, message, gossip=False)
        elif isinstance(message, Route):
            if self._engine is not None and self._takes_from(peer, gossip=True):
                given = unseal_route(
                    self._network, self._machine, self._limits, peer, message, now=self._clock()
                )
                if given is not None:
                    self._feed(given)
        else:
            self._feed(inp.MessageCame(peer=peer, message=message))

    def on_unknown(self, peer: PeerId, kind: str) -> None:
        self._feed(inp.UnknownCame(peer=peer, kind=kind))

    def admits(self, peer: PeerId) -> bool:
        return self._engine is None or self._machine.admits(peer, self._clock())

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        if self._engine is None or self._engine.stalled:
            return False
        if self._machine.accepts(peer, chunk.cid):
            return True
        self._feed(inp.ChunkSkipped(peer=peer, cid=chunk.cid, size=size))
        return False

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        await self._writer.take(peer, chunk.cid, payload)

    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        if self._engine is None or not self._takes_from(forwarder, gossip=True):
            return False
        try:
            sealed = codec.decode_sealed(data)
        except codec.UnknownKindError as error:
            self.on_unknown(forwarder, error.kind)
            return False
        except codec.BadFrameError as error:
            self._feed(
                inp.PeerFault(peer=forwarder, fault="garbage", text=f"gossip that is no intent: {error}")
            )
            return False
        return self._on_intent(forwarder, sealed, gossip=True)

    async def next_chunks(self, peer: PeerId) -> Sequence[LoadedChunk]:
        return await self._reader.next_chunks(peer)

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        return self._reader.still_granted(peer, chunks)

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        self._feed(inp.ChunksWritten(peer=peer, cids=cids, size=size))

    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        self._feed(inp.PeerFault(peer=peer, fault=fault, text=text))

    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        self._feed(inp.AddrsChanged(addrs=addrs))

    def on_failure(self, text: str) -> None:
        self._feed(inp.Failed(text=text))

    def on_dial_failed(self, addr: str, why: str) -> None:
        self._feed(inp.DialFailed(addr=addr, text=why))

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        self._feed(inp.RoutingChanged(came=came, went=went))

    def on_found(self, addr: str) -> None:
        self._feed(inp.PeerFound(addr=addr))

    def _takes_from(self, sender: PeerId, *, gossip: bool) -> bool:
        """Whether an intent from this sender is admitted. Asked before anything of the intent is decoded."""
        if self._limits.admits_sender(sender, self._clock()):
            return True
        self._feed(inp.NotAdmitted(peer=sender, forwarded=gossip))
        return False

    def _on_intent(self, sender: PeerId, sealed: SealedIntent, *, gossip: bool) -> bool:
        """Take an intent. Returns whether it is worth forwarding."""
        given = unseal(
            self._network, self._machine, self._limits, sender, sealed, gossip=gossip, now=self._clock()
        )
        if given is not None:
            self._feed(given)
        return isinstance(given, inp.IntentCame)
