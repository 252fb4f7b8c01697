"""The queue for a peer is bounded whatever the peer grants and cancels. Chunks come in order, each once."""

from collections.abc import Sequence
from typing import Any

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.serving.upload_queue import MAX_QUEUED
from flux_tui.net.port import Load
from flux_tui.node.disk.chunk_reader import LOAD_BYTES, Serving
from flux_tui.store.store import ReadResult
from tests.core.samples import PEER

HOLDER = PeerId(PEER)
CIDS = [raw_cid(b"%d" % number) for number in range(MAX_QUEUED)]


class Stream:
    """A store, an engine and a network in one, with a peer that reads only when it is told to."""

    def __init__(self) -> None:
        self.store = self
        self.loads: list[Load] = []
        self.up = True

    def size_of(self, cid: Cid) -> int:
        return LOAD_BYTES

    def read(self, cids: Sequence[Cid], *, wait: bool = True) -> ReadResult:
        return ReadResult([(cid, b"x") for cid in cids], [])

    def serve(self, peer: PeerId, load: Load) -> bool:
        if self.up:
            self.loads.append(load)
        return self.up

    async def drain(self) -> list[Cid]:
        found: list[Cid] = []
        while self.loads:
            found += [chunk.cid for chunk in await self.loads.pop(0)()]
        return found


def serving() -> tuple[Serving, Stream]:
    stream: Any = Stream()
    return Serving(stream, stream), stream


async def test_in_order_and_each_once() -> None:
    queues, stream = serving()
    queues.serve(HOLDER, CIDS[:5])
    queues.unserve(HOLDER, CIDS[1:3])
    queues.serve(HOLDER, CIDS[1:2])
    assert await stream.drain() == [CIDS[0], CIDS[3], CIDS[4], CIDS[1]]


async def test_a_peer_that_grants_and_cancels_without_reading_fills_no_queue() -> None:
    queues, stream = serving()
    for _ in range(200):
        queues.serve(HOLDER, CIDS[:256])
        queues.unserve(HOLDER, CIDS[:256])
    assert len(stream.loads) <= 256
    queues.serve(HOLDER, CIDS)
    assert len(stream.loads) <= MAX_QUEUED, "what the responder takes of one peer at a time"
    assert await stream.drain() == CIDS


async def test_a_returning_peer_starts_with_an_empty_queue() -> None:
    queues, stream = serving()
    queues.serve(HOLDER, CIDS[:5])
    queues.forget(HOLDER)
    stream.loads.clear()  # they went with its stream
    queues.serve(HOLDER, CIDS[:2])
    assert await stream.drain() == CIDS[:2]


async def test_chunks_granted_as_a_stream_broke_are_not_sent_on_the_next() -> None:
    """The core accepted a grant before it knew that the peer was gone.

    Such a queue used to outlive the stream. The next stream then got these chunks first, and never its own
    last ones.
    """
    queues, stream = serving()
    queues.serve(HOLDER, CIDS[:1])
    queues.forget(HOLDER)  # the stream broke
    stream.loads.clear()
    stream.up = False
    queues.serve(HOLDER, CIDS[1:15])
    stream.up = True
    queues.serve(HOLDER, CIDS[20:32])
    assert await stream.drain() == CIDS[20:32]
