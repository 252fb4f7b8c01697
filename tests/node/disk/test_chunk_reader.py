"""One queue holds what was granted: chunks are sent in order and once, and a cancelled chunk at no stage later.

The stages of a chunk: granted (its entry is not durable yet), queued, read, and being written.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.core.serving.upload_queue import MAX_QUEUED
from flux_tui.core.wire import messages as msg
from flux_tui.net.port import LoadedChunk
from flux_tui.node.disk.chunk_reader import CACHED_BYTES, LOAD_BYTES, LOAD_CHUNKS, ChunkReader
from flux_tui.store.store import Lost, ReadResult
from tests.support.script import HOLDER, OTHER, Script, up

CIDS = [raw_cid(b"%d" % number) for number in range(MAX_QUEUED)]
SMALL = LOAD_BYTES // 4


class Holder:
    """A machine, an engine, a store and a network in one. Its peer's stream takes chunks when it is told to."""

    def __init__(self, size: int = LOAD_BYTES, **policy: Any) -> None:
        self.script = Script(dict.fromkeys(CIDS, size), **policy)
        self.machine = self.script.machine
        self.store = self.chunks = self
        self.lost: set[Cid] = set()
        self.connected: set[PeerId] = set()
        self.uncommitted: list[fx.Serve] = []
        """Effects of turns that are not durable yet."""
        self.read_cids: list[Cid] = []
        this: Any = self
        self.reader = ChunkReader(this, this)
        for peer in (OTHER, HOLDER):
            self.connect(peer)

    def connect(self, peer: PeerId) -> None:
        self.connected.add(peer)
        self.feed(up(peer))

    def disconnect(self, peer: PeerId) -> None:
        """Do what `NodeReceiver.on_disconnected` does."""
        self.connected.discard(peer)
        self.reader.forget(peer)
        self.feed(inp.PeerDown(peer, "it is gone"))

    def feed(self, given: inp.Input, lost: Sequence[Cid] = ()) -> None:
        effects = self.script.give(given)[1]
        self.uncommitted += [effect for effect in effects if isinstance(effect, fx.Serve)]

    def commit(self) -> None:
        for effect in self.uncommitted:
            self.reader.serve(effect.peer, effect.through)
        self.uncommitted.clear()

    def grant(self, *cids: Cid, peer: PeerId = OTHER, commit: bool = True) -> None:
        for start in range(0, len(cids), 256):
            self.feed(inp.MessageCame(peer, msg.Grant(cids=cids[start : start + 256], ttl=30)))
        if commit:
            self.commit()

    def cancel(self, *cids: Cid, peer: PeerId = OTHER) -> None:
        self.feed(inp.MessageCame(peer, msg.Cancel(cids=cids)))

    def serve(self, peer: PeerId) -> bool:
        return peer in self.connected

    def read(self, cids: Sequence[Cid], *, wait: bool = True) -> ReadResult | None:
        if not wait and self.lost.intersection(cids):
            return None
        self.read_cids += cids
        bad = tuple(cid for cid in cids if cid in self.lost)
        lost = [Lost(Path("/film"), bad, len(bad), "/film is gone")] if bad else []
        return ReadResult([(cid, b"x") for cid in cids if cid not in self.lost], lost)

    async def take(self, peer: PeerId = OTHER) -> Sequence[LoadedChunk]:
        """Read the next portion, as the stream does while it writes the portion before."""
        return await self.reader.next_chunks(peer)

    def write(self, portion: Sequence[LoadedChunk], peer: PeerId = OTHER) -> list[Cid]:
        """Write a portion that was read. Return what is written."""
        cids = tuple(chunk.cid for chunk in self.reader.still_granted(peer, portion))
        if cids:
            self.feed(inp.ChunksWritten(peer, cids, len(cids)))
        self.commit()
        return list(cids)

    async def drain(self, peer: PeerId = OTHER) -> list[Cid]:
        found: list[Cid] = []
        while portion := await self.take(peer):
            found += self.write(portion, peer)
        return found


# ── order and bounds ────────────────────────────────────────────────────────────────────────────


async def test_in_order_and_each_once() -> None:
    holder = Holder()
    holder.grant(*CIDS[:5])
    holder.cancel(*CIDS[1:3])
    holder.grant(*CIDS[1:2])
    assert await holder.drain() == [CIDS[0], CIDS[3], CIDS[4], CIDS[1]]
    assert holder.read_cids == [CIDS[0], CIDS[3], CIDS[4], CIDS[1]], "nothing is read that is not sent"


@pytest.mark.parametrize(
    ("size", "expected"), [(1, LOAD_CHUNKS), (SMALL, 4), (LOAD_BYTES, 1), (3 * LOAD_BYTES, 1)]
)
async def test_a_portion_has_at_most_so_many_bytes_and_chunks(size: int, expected: int) -> None:
    holder = Holder(size)
    holder.grant(*CIDS[:600])
    assert [chunk.cid for chunk in await holder.take()] == CIDS[:expected]
    assert [chunk.cid for chunk in await holder.take()] == CIDS[expected : 2 * expected]


async def test_what_is_in_memory_is_taken_at_once_and_more_of_it() -> None:
    holder = Holder(LOAD_BYTES)
    holder.grant(*CIDS[:3])
    chunks = holder.reader.chunks_in_memory(OTHER)
    assert chunks is not None
    assert [chunk.cid for chunk in chunks] == CIDS[: CACHED_BYTES // LOAD_BYTES]
    assert holder.write(chunks) + await holder.drain() == CIDS[:3]
    assert holder.reader.chunks_in_memory(OTHER) == []


async def test_what_is_not_in_memory_is_left_for_a_read_that_waits() -> None:
    holder = Holder(LOAD_BYTES)
    holder.lost.add(CIDS[1])  # it needs a thread
    holder.grant(*CIDS[:3])
    assert holder.reader.chunks_in_memory(OTHER) is None
    assert not holder.read_cids
    assert holder.write(await holder.take()) == CIDS[:1]
    assert await holder.drain() == CIDS[2:3]


async def test_a_peer_that_grants_and_cancels_without_reading_fills_no_queue() -> None:
    holder = Holder()
    for _ in range(20):
        holder.grant(*CIDS[:256])
        holder.cancel(*CIDS[:256])
    assert not holder.machine.responder.uploads
    assert await holder.take() == []


async def test_no_more_is_queued_than_one_peer_may_have() -> None:
    holder = Holder(1)
    holder.script.held |= dict.fromkeys((more := [raw_cid(b"more %d" % n) for n in range(50)]), 1)
    holder.grant(*CIDS)
    holder.grant(*more)
    assert await holder.drain() == CIDS


async def test_two_peers_do_not_wait_for_each_other() -> None:
    holder = Holder()
    holder.grant(*CIDS[:3])
    holder.grant(*CIDS[1:4], peer=HOLDER)
    first = await holder.take()
    assert await holder.drain(HOLDER) == CIDS[1:4]
    assert holder.write(first) + await holder.drain() == CIDS[:3]


# ── cancelled at each stage ─────────────────────────────────────────────────────────────────────


async def test_nothing_is_sent_before_its_entry_is_durable() -> None:
    holder = Holder()
    holder.grant(CIDS[0])
    holder.grant(CIDS[1], commit=False)
    first = await holder.take()
    assert await holder.take() == []
    assert holder.write(first) == [CIDS[0]]
    holder.commit()
    assert await holder.drain() == [CIDS[1]]


async def test_a_chunk_cancelled_when_it_is_just_granted_is_not_sent() -> None:
    holder = Holder()
    holder.grant(*CIDS[:2], commit=False)
    holder.cancel(CIDS[0])
    holder.commit()
    assert await holder.drain() == [CIDS[1]]


async def test_a_chunk_cancelled_in_the_queue_is_not_read() -> None:
    holder = Holder()
    holder.grant(*CIDS[:3])
    first = await holder.take()
    holder.cancel(CIDS[2])
    assert holder.write(first) + await holder.drain() == CIDS[:2]
    assert holder.read_cids == CIDS[:2]


async def test_a_chunk_cancelled_when_it_is_read_is_not_written() -> None:
    holder = Holder(SMALL)
    holder.grant(*CIDS[:8])
    first, ahead = await holder.take(), await holder.take()
    holder.cancel(*CIDS[5:8])
    assert holder.write(first) == CIDS[:4]
    assert holder.write(ahead) == [CIDS[4]]
    assert not holder.machine.responder.uploads


async def test_a_chunk_cancelled_while_it_is_written_is_counted_as_sent() -> None:
    holder = Holder()
    holder.grant(*CIDS[:2])
    portion = holder.reader.still_granted(OTHER, await holder.take())
    holder.cancel(CIDS[0])
    holder.feed(inp.ChunksWritten(OTHER, (portion[0].cid,), 1))
    assert await holder.drain() == CIDS[1:2]


@pytest.mark.parametrize("stage", ["queued", "read", "being written"])
async def test_a_peer_that_is_denied_gets_nothing_more(stage: str) -> None:
    holder = Holder()
    holder.grant(*CIDS[:3])
    portion = await holder.take() if stage != "queued" else []
    if stage == "being written":
        portion = holder.reader.still_granted(OTHER, portion)
    holder.feed(inp.Commanded(cmd.Configure(PolicyChange(deny=(OTHER,)))))
    assert holder.write(portion) + await holder.drain() == []


async def test_freed_chunks_are_not_sent() -> None:
    holder = Holder()
    holder.script.held[CIDS[9]] = 1
    holder.grant(*CIDS[:4])
    portion = await holder.take()
    holder.feed(inp.Commanded(cmd.Remove((CIDS[0],))))
    holder.feed(inp.Freed(root=CIDS[0], cids=(CIDS[0], CIDS[2]), chunks=2, size=2))
    assert holder.write(portion) + await holder.drain() == [CIDS[1], CIDS[3]]


async def test_lost_chunks_are_told_and_the_next_ones_sent() -> None:
    holder = Holder()
    holder.lost = set(CIDS[:2])
    holder.grant(*CIDS[:4])
    assert await holder.drain() == CIDS[2:4]
    assert not holder.machine.responder.uploads


# ── granted twice ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", ["granted", "queued", "read"])
async def test_a_chunk_granted_twice_is_sent_once(stage: str) -> None:
    holder = Holder()
    holder.grant(CIDS[0], commit=stage != "granted")
    portion = await holder.take() if stage == "read" else []
    holder.grant(*CIDS[:2])
    assert holder.write(portion) + await holder.drain() == CIDS[:2]


@pytest.mark.parametrize("ahead", [False, True])
async def test_a_chunk_that_is_cancelled_and_granted_again_while_it_is_written_is_sent_once(
    ahead: bool,
) -> None:
    """A slow uplink takes seconds for a chunk. Its requester gives up, asks others, and comes back."""
    holder = Holder()
    holder.grant(CIDS[0])
    portion = holder.reader.still_granted(OTHER, await holder.take())
    holder.cancel(CIDS[0])
    holder.grant(*CIDS[:2])
    again = await holder.take() if ahead else []
    holder.feed(inp.ChunksWritten(OTHER, (portion[0].cid,), 1))
    assert holder.write(again) + await holder.drain() == CIDS[1:2]


# ── peers that go ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", ["granted", "queued", "read"])
async def test_a_returning_peer_starts_with_an_empty_queue(stage: str) -> None:
    holder = Holder()
    holder.grant(*CIDS[:5], commit=stage != "granted")
    portion = await holder.take() if stage == "read" else []
    holder.disconnect(OTHER)
    assert holder.write(portion) == []
    holder.connect(OTHER)
    holder.commit()
    assert await holder.take() == []
    holder.grant(*CIDS[3:4])
    assert await holder.drain() == CIDS[3:4]


async def test_chunks_granted_as_a_stream_broke_are_not_sent_on_the_next() -> None:
    """The core accepted a grant before it knew that the peer was gone."""
    holder = Holder()
    holder.grant(*CIDS[:1])
    holder.connected.discard(OTHER)  # the stream broke
    holder.grant(*CIDS[1:15])
    assert await holder.take() == []
    holder.disconnect(OTHER)
    holder.connect(OTHER)
    holder.grant(*CIDS[20:32])
    assert await holder.drain() == CIDS[20:32]


async def test_a_peer_without_grants_has_no_chunks() -> None:
    holder = Holder()
    assert await holder.take() == []
