"""Which portions of chunks a stream takes from the receiver, and when; and what is written between their parts."""

from collections.abc import Sequence

import pytest
import trio

from flux_tui.core.ids import PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Cancel, Chunk
from flux_tui.net.flux.chunk_portions import Portions, parts_of
from flux_tui.net.flux.push_stream import AT_ONCE, Outgoing
from flux_tui.net.port import LoadedChunk
from tests.support.networks import MIB, Seen, a_chunk

PEER = PeerId("12D3KooW" + "A" * 44)


class Memory(Seen):
    """A receiver whose portions are in memory, except for those that begin with a chunk in `on_disk`."""

    def __init__(self, *portions: Sequence[LoadedChunk]) -> None:
        super().__init__()
        self.granted[PEER].extend(portions)
        self.on_disk: list[LoadedChunk] = []
        self.waits = 0

    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        if not self.granted[peer]:
            return ()
        return None if self.granted[peer][0][0] in self.on_disk else self.granted[peer].popleft()

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        self.waits += 1
        return await super().next_chunks(peer, spread=spread)


CHUNKS = [[a_chunk(1000, number)] for number in range(4)]


@pytest.mark.parametrize("on_disk", [(), (0,), (1,), (0, 1, 2, 3), (1, 2)])
async def test_portions_come_in_order_from_memory_and_from_a_disk(
    on_disk: tuple[int, ...], nursery: trio.Nursery
) -> None:
    receiver = Memory(*CHUNKS)
    receiver.on_disk = [CHUNKS[number][0] for number in on_disk]
    portions = Portions(PEER, receiver)
    portions.serve()
    found: list[LoadedChunk] = []
    while portions.has_more:
        found += await portions.next(nursery, takes_turns=False)
    assert found == [chunk for portion in CHUNKS for chunk in portion]
    assert receiver.waits >= len(on_disk)


async def test_from_memory_nothing_is_taken_ahead(nursery: trio.Nursery) -> None:
    receiver = Memory(*CHUNKS)
    portions = Portions(PEER, receiver)
    portions.serve()
    await portions.next(nursery, takes_turns=False)
    await trio.testing.wait_all_tasks_blocked()
    assert len(receiver.granted[PEER]) == 3


async def test_from_a_disk_one_portion_is_taken_ahead(nursery: trio.Nursery) -> None:
    receiver = Memory(*CHUNKS)
    receiver.on_disk = [chunk for portion in CHUNKS for chunk in portion]
    portions = Portions(PEER, receiver)
    portions.serve()
    await portions.next(nursery, takes_turns=False)
    await trio.testing.wait_all_tasks_blocked()
    assert len(receiver.granted[PEER]) == 2


def test_a_portion_is_cut_between_chunks() -> None:
    sizes = [400, 600, 1, 2000, 5]
    portion = [a_chunk(size, number) for number, size in enumerate(sizes)]
    parts = [[len(chunk.data) for chunk in part] for part in parts_of(portion, 1000)]
    assert parts == [[400, 600], [1], [2000], [5]]
    assert not list(parts_of([], 1000))


class Recorded:
    """A stream that keeps what is written. With the first bytes written, `push` is called."""

    def __init__(self, push: Sequence[Cancel], outgoing: Outgoing) -> None:
        self.data = bytearray()
        self._push = list(push)
        self._outgoing = outgoing

    async def read(self, n: int | None = None) -> bytes:
        raise AssertionError("nothing is read here")

    async def write(self, data: bytes) -> None:
        self.data += data
        while self._push:
            self._outgoing.push(self._push.pop())


async def test_a_message_waits_for_one_part_of_a_portion_only(nursery: trio.Nursery) -> None:
    portion = [a_chunk(MIB, number) for number in range(3)]
    assert MIB == AT_ONCE
    receiver = Memory(portion)
    receiver.cancelled = {portion[2].cid}
    outgoing = Outgoing(PEER, receiver, 1 << 16)
    message = Cancel(cids=(portion[0].cid,))
    stream = Recorded([message], outgoing)
    outgoing.serve()
    nursery.start_soon(outgoing.write_to, stream)
    await outgoing.drained()
    frames = [codec.encode_frame(Chunk(cid=chunk.cid), MIB) + bytes(chunk.data) for chunk in portion]
    assert stream.data == frames[0] + codec.encode_frame(message) + frames[1]
    assert receiver.sent == [((portion[0].cid, portion[1].cid), 2 * MIB)], "it is told once"
