"""Nodes on the network port, in memory or on loopback, and the events of their receivers."""

from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.vocabulary import ErrorCode, Speaks, Way
from flux_tui.core.wire.messages import Chunk, Error, Message, Route, SealedIntent, Want
from flux_tui.net.connections.yamux_read_buffer import Piece
from flux_tui.net.flux import libp2p_network
from flux_tui.net.port import LoadedChunk, Network, OpenNetwork

BOUND = 15.0
"""Seconds. The limit only ends a test that has failed."""


MIB = 1024 * 1024


class Seen:
    """A receiver that records what it is told."""

    def __init__(self) -> None:
        self.links: list[tuple[str, PeerId]] = []
        """("up" or "down", peer), in the order of the calls."""
        self.addrs: list[str] = []
        """The arguments of on_connected."""
        self.ways: dict[PeerId, Way] = {}
        """Which way the latest link to each peer went last."""
        self.whys: list[str] = []
        """The arguments of on_disconnected."""
        self.messages: list[Message] = []
        self.frames: list[Message | Cid] = []
        """Messages, and the CIDs of chunks whose headers came, in order."""
        self.payloads: dict[Cid, bytes] = {}
        self.progress: list[tuple[Cid, int, float]] = []
        """The arguments of on_progress."""
        self.gossip: list[tuple[PeerId, bytes]] = []
        self.granted: defaultdict[PeerId, deque[Sequence[LoadedChunk]]] = defaultdict(deque)
        """What next_chunks returns, by peer."""
        self.taken: list[Cid] = []
        """Chunks that next_chunks returned."""
        self.cancelled: set[Cid] = set()
        """Chunks that still_granted leaves out."""
        self.sent: list[tuple[tuple[Cid, ...], int]] = []
        self.faults: list[tuple[PeerId, str, str]] = []
        self.failures: list[str] = []
        self.wants: list[tuple[PeerId, Want]] = []
        self.unknown: list[tuple[PeerId, str]] = []
        self.moves: list[tuple[str, ...]] = []
        self.told: list[tuple[PeerId, bytes]] = []
        self.agents: dict[PeerId, str] = {}
        """The agent version that each peer told last."""
        self.failed: list[tuple[str, str]] = []
        self.found: list[str] = []
        self.provided: list[tuple[int, int, float]] = []
        self.table: set[PeerId] = set()
        """The nodes in the DHT so far."""
        self.known = 0
        self.unwanted: set[Cid] = set()
        """Chunks that wants_payload declines."""
        self.may_take = trio.Event()
        """on_payload waits until this is set."""
        self.may_take.set()
        self._news = trio.lowlevel.ParkingLot()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for a condition on these records, at most BOUND seconds."""
        with trio.fail_after(BOUND):
            while not true():
                await self._news.park()

    async def up(self, peer: PeerId) -> None:
        """Wait until this peer is connected."""
        await self.until(lambda: self.latest(peer) == "up")

    async def down(self, peer: PeerId) -> None:
        """Wait until it is gone."""
        await self.until(lambda: self.latest(peer) == "down")

    async def was_down(self, peer: PeerId) -> None:
        """Wait until it was gone at least once; it may be connected again by now."""
        await self.until(lambda: ("down", peer) in self.links)

    def latest(self, peer: PeerId) -> str | None:
        return next((kind for kind, other in reversed(self.links) if other == peer), None)

    def on_connected(self, peer: PeerId, addr: str, way: Way = "direct", speaks: Speaks = "flux") -> None:
        self.links.append(("up", peer))
        self.addrs.append(addr)
        self.ways[peer] = way
        self._news.unpark_all()

    def on_moved(self, peer: PeerId, addr: str, way: Way) -> None:
        self.ways[peer] = way
        self._news.unpark_all()

    def on_disconnected(self, peer: PeerId, why: str) -> None:
        self.links.append(("down", peer))
        self.whys.append(why)
        self._news.unpark_all()

    def on_message(self, peer: PeerId, message: Message) -> None:
        self.messages.append(message)
        self.frames.append(message)
        self._news.unpark_all()

    def admits(self, peer: PeerId) -> bool:
        return True

    def wants_payload(self, peer: PeerId, chunk: Chunk, size: int) -> bool:
        self.frames.append(chunk.cid)
        self._news.unpark_all()
        return chunk.cid not in self.unwanted

    def on_progress(self, peer: PeerId, chunk: Chunk, received: int, seconds: float) -> None:
        self.progress.append((chunk.cid, received, seconds))
        self._news.unpark_all()

    async def on_payload(self, peer: PeerId, chunk: Chunk, payload: Sequence[Piece]) -> None:
        await self.may_take.wait()
        self.payloads[chunk.cid] = b"".join(payload)
        self._news.unpark_all()

    def on_gossip(self, forwarder: PeerId, data: bytes) -> bool:
        self.gossip.append((forwarder, data))
        self._news.unpark_all()
        return True

    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        return None  # a slow disk

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        await trio.lowlevel.checkpoint()
        chunks = self.granted[peer].popleft() if self.granted[peer] else ()
        self.taken += [chunk.cid for chunk in chunks]
        self._news.unpark_all()
        return chunks

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        return [chunk for chunk in chunks if chunk.cid not in self.cancelled]

    def on_sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        self.sent.append((cids, size))
        self._news.unpark_all()

    def on_fault(self, peer: PeerId, fault: str, text: str) -> None:
        self.faults.append((peer, fault, text))
        self._news.unpark_all()

    def on_told(self, peer: PeerId, data: bytes) -> None:
        self.told.append((peer, data))
        self._news.unpark_all()

    def on_agent_version(self, peer: PeerId, told: str) -> None:
        self.agents[peer] = told
        self._news.unpark_all()

    def on_addrs(self, addrs: tuple[str, ...]) -> None:
        self.moves.append(addrs)
        self._news.unpark_all()

    def on_want(self, peer: PeerId, want: Want) -> None:
        self.wants.append((peer, want))
        self._news.unpark_all()

    def on_unknown(self, peer: PeerId, kind: str) -> None:
        self.unknown.append((peer, kind))
        self._news.unpark_all()

    def on_failure(self, text: str, *, addr: str | None = None, code: ErrorCode = "other") -> None:
        self.failures.append(text)

    def on_dial_failed(self, addr: str, why: str) -> None:
        self.failed.append((addr, why))
        self._news.unpark_all()

    def on_routing(self, came: tuple[PeerId, ...], went: tuple[PeerId, ...]) -> None:
        assert self.table.isdisjoint(came)
        assert self.table.issuperset(went)
        self.table = self.table.union(came).difference(went)
        self.known = len(self.table)
        self._news.unpark_all()

    def on_provided(self, roots: int, left: int, seconds: float) -> None:
        self.provided.append((roots, left, seconds))

    def on_found(self, addr: str) -> None:
        self.found.append(addr)
        self._news.unpark_all()


class Node:
    """A network, and the records of its receiver."""

    def __init__(self, network: Network, seen: Seen) -> None:
        self.network = network
        self.seen = seen
        self.id = network.peer_id
        self.addr = network.addrs[0]
        self.port = int(self.addr.split("/")[4])

    def serve(self, peer: PeerId, *chunks: LoadedChunk) -> bool:
        """Send chunks in one portion. Return whether the peer is connected."""
        self.seen.granted[peer].append(chunks)
        return self.network.serve(peer)


class Wire(Protocol):
    """One implementation of the network port."""

    def opening(self, secret: bytes, port: int = 0) -> OpenNetwork: ...


class Loopback:
    """libp2p on 127.0.0.1."""

    def opening(self, secret: bytes, port: int = 0) -> OpenNetwork:
        return libp2p_network.open_network(
            create_new_key_pair(secret), [f"/ip4/127.0.0.1/tcp/{port}"], use_mdns=False
        )


@asynccontextmanager
async def node(wire: Wire, number: int, port: int = 0) -> AsyncIterator[Node]:
    """Open a node with the key of this number. An exception of the body is not wrapped in a group."""
    seen = Seen()
    failed: BaseException | None = None
    try:
        async with wire.opening(bytes([number]) * 32, port)(seen) as network:
            try:
                yield Node(network, seen)
            except BaseException as error:
                failed = error
                raise
    except BaseExceptionGroup:
        if failed is None:
            raise
        raise failed from None


async def connect(a: Node, b: Node) -> None:
    a.network.dial(b.addr)
    await a.seen.up(b.id)
    await b.seen.up(a.id)


async def settled() -> None:
    """Wait until nothing more happens: every task waits for another, or for a clock.

    libp2p checks every 10 ms whether a peer takes more.
    """
    await trio.testing.wait_all_tasks_blocked(0.005)


def words(number: int) -> Error:
    return Error(text=str(number))


def a_chunk(size: int, fill: int = 7) -> LoadedChunk:
    data = bytes([fill]) * size
    return LoadedChunk(raw_cid(data), data)


def routed(hops: int, number: int = 0) -> Route:
    return Route(intent=SealedIntent(signed=b"intent %d" % number, signature=bytes(64)), hops=hops)
