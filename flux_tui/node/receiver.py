"""Turns what arrives from the network into inputs of the machine."""

from collections.abc import Sequence
from typing import NamedTuple

import trio
from typing_extensions import override

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.peers.intent_limits import IntentLimits
from flux_tui.core.vocabulary import ErrorCode, Speaks, Way
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Message, Route, SealedIntent, Want
from flux_tui.net.connections.yamux_read_buffer import Piece
from flux_tui.net.port import LoadedChunk, Network, Receiver
from flux_tui.node.disk.chunk_reader import ChunkReader
from flux_tui.node.disk.chunk_writer import ChunkWriter
from flux_tui.node.engine import Engine
from flux_tui.node.exchange import RecordLimits, take
from flux_tui.node.programs.hooks import ShouldAnswer, ask
from flux_tui.node.signed_intents import unseal, unseal_route, unsigned_want
from flux_tui.node.suggested_names import SuggestedNames


class NodeParts(NamedTuple):
    """The parts of a complete node that the receiver uses."""

    engine: Engine
    network: Network
    writer: ChunkWriter
    reader: ChunkReader


class NodeReceiver(Receiver):
    """Implements `net.port.Receiver`: the network calls it, and it feeds the node's engine with inputs.

    The network is made before the node, because the node needs its peer id and addresses. So the network may
    call this receiver before `attach`. Until then, inputs are stored for the engine, and intents and payloads
    are refused.
    """

    def __init__(self) -> None:
        self._limits = IntentLimits()
        self._record_limits = RecordLimits()
        self._names = SuggestedNames()
        self._early: list[inp.Input] = []
        self._node: NodeParts | None = None
        self._hook: ShouldAnswer | None = None

    def attach(self, node: NodeParts) -> None:
        """Connect the receiver to the complete node, and feed the engine the inputs that came earlier."""
        self._node = node
        for given in self._early:
            node.engine.feed(given)
        self._early.clear()

    def _feed(self, given: inp.Input) -> None:
        if self._node is None:
            self._early.append(given)
        else:
            self._node.engine.feed(given)

    def decide_by(self, hook: ShouldAnswer) -> None:
        """Ask a program from now on which wants and holds of others are answered."""
        self._hook = hook
        self._feed(inp.ProgramDecides())

    def _intent_came(self, given: inp.IntentCame | inp.RouteCame) -> None:
        node = self._node
        if self._hook is None or node is None or node.engine.machine.has_seen(given.intent):
            self._feed(given)
            return
        self._feed(ask(self._hook, given))

    @override
    def on_connected(self, peer: PeerId, addr: str, way: Way = "direct", speaks: Speaks = "flux") -> None:
        self._feed(inp.PeerUp(peer=peer, addr=addr, way=way, speaks=speaks))
        for given in self._names.connected(peer):
            self._feed(given)

    @override
    def on_moved(self, peer: PeerId, addr: str, way: Way) -> None:
        self._feed(inp.PeerMoved(peer=peer, addr=addr, way=way))

    @override
    def on_disconnected(self, peer: PeerId, why: str) -> None:
        if self._node is not None:
            self._node.reader.forget(peer)
        self._names.disconnected(peer)
        self._feed(inp.PeerDown(peer=peer, why=why))

    @override
    def on_message(self, peer: PeerId, message: Message) -> None:
        if not isinstance(message, SealedIntent | Route):
            self._feed(inp.MessageCame(peer=peer, message=message))
            return
        node, routed = self._node, isinstance(message, Route)
        if node is None or not self._takes_from(node, peer, gossip=routed):
            return
        if isinstance(message, SealedIntent):
            self._on_intent(node, peer, message, gossip=False)
        elif given := unseal_route(
            node.network, node.engine.machine, self._limits, peer, message, now=node.engine.clock()
        ):
            if isinstance(given, inp.RouteCame):
                self._intent_came(given)
            else:
                self._feed(given)

    @override
    def on_want(self, peer: PeerId, want: Want) -> None:
        if (node := self._node) is not None:
            now, wall = node.engine.clock(), node.engine.clock.wall()
            given = unsigned_want(self._limits, peer, want, now=now, wall=wall)
            if isinstance(given, inp.IntentCame):
                self._intent_came(given)
            else:
                self._feed(given)

    @override
    def on_unknown(self, peer: PeerId, kind: str) -> None:
        self._feed(inp.UnknownCame(peer=peer, kind=kind))

    @override
    def on_told(self, peer: PeerId, data: bytes) -> None:
        node = self._node
        if node is None:
            return
        if given := take(node.network, self._record_limits, peer, data, node.engine.clock()):
            self._feed(given)

    @override
    def on_agent_version(self, peer: PeerId, told: str) -> None:
        for given in self._names.told(peer, told, trio.current_time()):
            self._feed(given)

    @override
    def admits(self, peer: PeerId) -> bool:
        node = self._node
        return node is None or node.engine.machine.admits(peer, node.engine.clock())

    @override
    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        node = self._node
        if node is None or node.engine.stalled:
            return False
        if node.engine.machine.accepts(peer, chunk.cid):
            return True
        self._feed(inp.ChunkSkipped(peer=peer, cid=chunk.cid, size=size))
        return False

    @override
    def on_progress(self, peer: PeerId, chunk: Chunk, received: int, seconds: float) -> None:
        self._feed(inp.ChunkComing(peer=peer, cid=chunk.cid, received=received, seconds=seconds))

    @override
    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        assert self._node is not None, "wants_payload takes nothing before"
        await self._node.writer.take(peer, chunk.cid, payload)

    @override
    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        node = self._node
        if node is None or not self._takes_from(node, forwarder, gossip=True):
            return False
        try:
            sealed = codec.decode_sealed(data)
        except codec.UnknownKindError as error:
            self.on_unknown(forwarder, error.kind)
            return False
        except codec.BadFrameError as error:
            self._feed(
                inp.PeerFault(peer=forwarder, fault="garbage", text=f"gossip that is not an intent: {error}")
            )
            return False
        return self._on_intent(node, forwarder, sealed, gossip=True)

    @override
    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        return await self._node.reader.next_chunks(peer, spread=spread) if self._node is not None else ()

    @override
    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        return self._node.reader.chunks_in_memory(peer) if self._node is not None else ()

    @override
    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        if self._node is None:
            return ()
        granted = self._node.reader.still_granted(peer, chunks)
        if granted:
            self._feed(inp.ChunksLeaving(peer=peer, cids=tuple(chunk.cid for chunk in granted)))
        return granted

    @override
    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        self._feed(inp.ChunksWritten(peer=peer, cids=cids, size=size))

    @override
    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        self._feed(inp.PeerFault(peer=peer, fault=fault, text=text))

    @override
    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        self._feed(inp.AddrsChanged(addrs=addrs))

    @override
    def on_failure(self, text: str, *, addr: str | None = None, code: ErrorCode = "other") -> None:
        self._feed(inp.Failed(text=text, addr=addr, code=code))

    @override
    def on_dial_failed(self, addr: str, why: str) -> None:
        self._feed(inp.DialFailed(addr=addr, text=why))

    @override
    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        self._feed(inp.RoutingChanged(came=came, went=went))

    @override
    def on_provided(self, roots: int, left: int, seconds: float) -> None:
        self._feed(inp.RootsProvided(roots=roots, left=left, seconds=seconds))

    @override
    def on_found(self, addr: str) -> None:
        self._feed(inp.PeerFound(addr=addr))

    def _takes_from(self, node: NodeParts, sender: PeerId, *, gossip: bool) -> bool:
        """Return whether intents from this sender are admitted now. If not, feed the engine the input NotAdmitted.

        The check runs before anything of the intent is decoded. `gossip`: the sender forwarded the intent for
        another node.
        """
        if self._limits.admits_sender(sender, node.engine.clock()):
            return True
        self._feed(inp.NotAdmitted(peer=sender, forwarded=gossip))
        return False

    def _on_intent(self, node: NodeParts, sender: PeerId, sealed: SealedIntent, *, gossip: bool) -> bool:
        """Check an intent's signature and limits, and feed the outcome to the engine.

        Return whether to forward the intent to other peers: only if it is valid and admitted.
        """
        given = unseal(
            node.network,
            node.engine.machine,
            self._limits,
            sender,
            sealed,
            gossip=gossip,
            now=node.engine.clock(),
        )
        if isinstance(given, inp.IntentCame):
            self._intent_came(given)
            return True
        if given is not None:
            self._feed(given)
        return False
