"""The receiver of a node: what comes before the node is complete waits for it, and nothing else is taken then."""

from typing import Any

import trio

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg
from flux_tui.net.port import LoadedChunk
from flux_tui.node.receiver import NodeParts, NodeReceiver
from tests.support.script import CHUNK, HOLDER, OTHER, Script

ADDR = f"/ip4/127.0.0.1/tcp/2/p2p/{OTHER}"


class Parts:
    """The engine, network, writer and reader of a node in one."""

    def __init__(self) -> None:
        self.machine = Script().machine
        self.stalled = False
        self.fed: list[inp.Input] = []
        self.forgotten: list[PeerId] = []
        self.granted: set[Cid] = {CHUNK}

    def clock(self) -> float:
        return self.machine.ledger.now

    def feed(self, given: inp.Input) -> None:
        self.fed.append(given)

    def forget(self, peer: PeerId) -> None:
        self.forgotten.append(peer)

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> list[LoadedChunk]:
        await trio.lowlevel.checkpoint()
        return [LoadedChunk(CHUNK, b"x")]

    def still_granted(self, peer: PeerId, chunks: list[LoadedChunk]) -> list[LoadedChunk]:
        return [chunk for chunk in chunks if chunk.cid in self.granted]


def attached(receiver: NodeReceiver) -> Parts:
    parts = Parts()
    this: Any = parts
    receiver.attach(NodeParts(this, this, this, this))
    return parts


def test_inputs_that_come_early_are_fed_in_order() -> None:
    receiver = NodeReceiver()
    receiver.on_connected(OTHER, ADDR)
    receiver.on_message(OTHER, msg.Grant(cids=(CHUNK,), ttl=3.0))
    receiver.on_disconnected(OTHER, "gone")
    parts = attached(receiver)
    receiver.on_connected(HOLDER, ADDR)
    assert parts.fed == [
        inp.PeerUp(OTHER, ADDR),
        inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3.0)),
        inp.PeerDown(OTHER, "gone"),
        inp.PeerUp(HOLDER, ADDR),
    ]


async def test_no_intent_and_no_payload_is_taken_early() -> None:
    receiver = NodeReceiver()
    sealed = msg.SealedIntent(signed=b"?", signature=bytes(64))
    receiver.on_message(OTHER, sealed)
    receiver.on_message(OTHER, msg.Route(intent=sealed, hops=1))
    assert not receiver.on_gossip(OTHER, b"?")
    assert not receiver.wants_payload(OTHER, msg.Chunk(cid=CHUNK), 1)
    assert await receiver.next_chunks(OTHER) == ()
    assert receiver.still_granted(OTHER, [LoadedChunk(CHUNK, b"x")]) == ()
    assert receiver.admits(OTHER), "it is read as fast as any peer"
    assert attached(receiver).fed == []


async def test_chunks_come_from_the_reader_which_forgets_a_peer_that_is_gone() -> None:
    receiver = NodeReceiver()
    parts = attached(receiver)
    chunks = await receiver.next_chunks(OTHER)
    assert receiver.still_granted(OTHER, chunks) == chunks == [LoadedChunk(CHUNK, b"x")]
    parts.granted.clear()
    assert receiver.still_granted(OTHER, chunks) == []
    receiver.on_disconnected(OTHER, "gone")
    assert parts.forgotten == [OTHER]


def test_a_payload_that_was_not_granted_is_skipped_and_counted() -> None:
    receiver = NodeReceiver()
    parts = attached(receiver)
    assert not receiver.wants_payload(OTHER, msg.Chunk(cid=CHUNK), 7)
    assert parts.fed == [inp.ChunkSkipped(OTHER, CHUNK, 7)]


def test_gossip_that_is_not_an_intent_is_the_fault_of_its_sender() -> None:
    receiver = NodeReceiver()
    parts = attached(receiver)

    assert not receiver.on_gossip(OTHER, b"garbage")
    (fault,) = parts.fed
    assert isinstance(fault, inp.PeerFault)
    assert (fault.peer, fault.fault) == (OTHER, "garbage")
