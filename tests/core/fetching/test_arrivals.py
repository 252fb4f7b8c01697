"""What a chunk that came counts for."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.commands import Get
from flux_tui.core.content.protobufs import RAW
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.support.fetching import LEAF, Fetching
from tests.support.objects import Blocks, file_node
from tests.support.script import HOLDER, Script, up

SIZE = 1000


def test_leaves_that_are_dag_pb_nodes_count_as_soon_as_they_come() -> None:
    """Kubo writes files of CIDv0 so. All blocks of such a file are inner nodes."""
    blocks: Blocks = {}
    leaves = [file_node(blocks, data=bytes([number]) * SIZE, kind=RAW) for number in range(7)]
    root = file_node(blocks, *((leaf, SIZE) for leaf in leaves))
    script = Script()
    script.give(inp.Commanded(Get(root, "/there")))
    script.give(up(HOLDER))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0)))
    shown, places = list[int](), list[fx.Place]()
    for cid in (root, *leaves):
        script.held[cid] = len(blocks[cid])
        events, effects = script.give(inp.ChunkLanded(HOLDER, cid, len(blocks[cid]), blocks[cid]))
        assert [event.cid for event in events if isinstance(event, ev.ChunkReceived)] == [cid]
        places += [effect for effect in effects if isinstance(effect, fx.Place)]
        shown.append(script.machine.state.objects[root].have_bytes)
        assert script.machine.state.objects[root].size == 7 * SIZE
    assert shown == [number * SIZE for number in range(8)]
    for place in places:
        script.give(inp.Placed(place.root, (), ()))
    assert script.machine.state.objects[root].have_bytes == 7 * SIZE


def test_chunks_that_come_together_are_recorded_as_those_that_come_alone() -> None:
    alone, together = Fetching(3, HOLDER), Fetching(3, HOLDER)
    cids = [*alone.leaves[:2], alone.leaves[0], alone.leaves[2]]
    landed = tuple(inp.ChunkLanded(HOLDER, cid, LEAF) for cid in cids)
    events, effects = list[ev.Event](), list[fx.Effect]()
    for chunk in landed:
        events += (turn := alone.give(chunk))[0]
        effects += turn[1]
    assert together.give(inp.ChunksLanded(landed)) == (events, effects)
    assert [type(event) for event in events][:4] == [
        ev.ChunkReceived,
        ev.ChunkReceived,
        ev.ChunkWasted,
        ev.ChunkReceived,
    ]
    assert fx.FinishTree(together.root) in effects
    assert together.machine.state == alone.machine.state
