"""Planning: a slice in each turn, each object in its turn, and again after a lack of room."""

from typing import Any

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.fetching.downloads import peer_bitmaps
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.plan_builder import SLICE
from flux_tui.core.fetching.downloads.planning_in_turns import OPEN_ROWS
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_PART
from tests.support.objects import LEAF, Blocks, file_node, folder
from tests.support.script import HOLDER, Script, up

FULL = "the disk is full: /x cannot be written"


class Store:
    """A store that has all inner nodes, and answers when it is told to."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.script = Script({cid: len(data) for cid, data in blocks.items()})
        self.script.give(up(HOLDER))
        self.todo: list[Any] = []
        self.placed: list[fx.Place] = []

    def get(self, root: Cid, path: str, size: int | None = None) -> None:
        self.take(self.script.give(inp.Commanded(cmd.Get(root, path, None, size))))

    def take(self, turn: tuple[list[Any], list[Any]]) -> list[Any]:
        self.todo += [e for e in turn[1] if isinstance(e, fx.Place | fx.ReadNode | fx.FinishTree)]
        return turn[0]

    def answer(self) -> list[Any]:
        """Answer the oldest request."""
        work = self.todo.pop(0)
        if isinstance(work, fx.ReadNode):
            return self.take(self.script.give(inp.NodeRead(work.root, work.cid, self.blocks[work.cid])))
        assert isinstance(work, fx.Place)
        self.placed.append(work)
        missing = tuple(leaf.cid for file in work.files for leaf in file.leaves)
        return self.take(self.script.give(inp.Placed(work.root, (), missing)))

    def tick(self) -> None:
        self.take(self.script.give(inp.Tick()))


def large(blocks: Blocks, count: int = 12 * SLICE) -> Cid:
    return folder(blocks, *((f"{number:05}", LEAF, 4) for number in range(count)))


def test_a_large_object_is_planned_in_slices_and_delays_no_other() -> None:
    blocks: Blocks = {}
    root, other = large(blocks), folder(blocks, ("note", LEAF, 4))
    store = Store(blocks)
    store.get(root, "/large")
    while not any(isinstance(work, fx.Place) for work in store.todo):
        store.answer()
        store.tick()
    for _ in range(50):
        store.tick()
    places = [work for work in store.todo if isinstance(work, fx.Place)]
    assert sum(2 * len(place.files) for place in places) < OPEN_ROWS + 2 * SLICE, "the store is not flooded"
    assert all(len(place.files) <= 2 * SLICE for place in places)
    store.get(other, "/other")
    for _ in range(2 * len(store.todo) + 2):
        store.answer()
        store.tick()
    assert other in {place.root for place in store.placed}
    assert sum(len(place.files) for place in store.placed if place.root == root) < 12 * SLICE, (
        "it is not done"
    )
    while store.todo:
        store.answer()
        store.tick()
    rels = [file.rel for place in store.placed if place.root == root for file in place.files]
    assert sorted(rels) == [f"{number:05}" for number in range(12 * SLICE)], "each once"
    assert {place.size for place in store.placed if place.root == root} == {4 * 12 * SLICE}


def test_an_object_without_room_is_placed_when_there_is_room() -> None:
    blocks: Blocks = {}
    root = folder(blocks, ("note", LEAF, 4))
    store = Store(blocks)
    store.get(root, "/x")
    store.answer()
    place = store.todo.pop()
    events = store.take(store.script.give(inp.Placed(root, (), (), FULL, later=place)))
    assert ev.ErrorOccurred(text=FULL, cid=root, path="/x", code="cannot_write") in events
    assert store.script.machine.state.pending[root].cause == "unwritten"
    waits = []
    for _ in range(3):
        before = store.script.now
        while not store.todo:
            wait = store.script.machine.next_deadline() - store.script.now
            store.take(store.script.give(inp.Tick(), max(wait, 0.0)))
        waits.append(store.script.now - before)
        assert store.todo == [place], "the same again"
        store.todo.clear()
        events = store.take(store.script.give(inp.Placed(root, (), (), FULL, later=place)))
        assert not any(isinstance(event, ev.ErrorOccurred) for event in events), "it is told once"
    assert waits == [10, 20, 40]
    store.take(store.script.give(inp.Commanded(cmd.Retry((root,)))))
    store.tick()
    assert store.todo == [place], "a person need not wait"
    store.answer()
    store.script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0)))
    store.take(store.script.give(inp.ChunkLanded(HOLDER, LEAF, 4)))
    (finish,) = store.todo
    assert finish == fx.FinishTree(root)
    store.todo.clear()
    store.take(store.script.give(inp.FinishFailed(root, FULL, later=True)))
    while not store.todo:
        wait = store.script.machine.next_deadline() - store.script.now
        store.take(store.script.give(inp.Tick(), max(wait, 0.0)))
    assert store.todo == [finish]
    store.script.give(inp.Finished(root, "/x"))
    assert not store.script.machine.state.pending


def test_an_answer_for_the_old_place_is_not_taken_for_the_new_one() -> None:
    """An object that was wanted at another place used to be whole before any of it was there."""
    blocks: Blocks = {}
    root = folder(blocks, ("note", LEAF, 4))
    store = Store(blocks)
    store.get(root, "/one")
    store.answer()
    stale = store.todo.pop()
    assert isinstance(stale, fx.Place)
    store.get(root, "/two")
    assert [type(work) for work in store.todo] == [fx.ReadNode]
    store.script.give(inp.Placed(root, (LEAF,), ()))
    assert [type(work) for work in store.todo] == [fx.ReadNode], "not finished"
    store.answer()
    (place,) = store.todo
    assert isinstance(place, fx.Place)


def test_a_refused_object_is_removed_also_after_a_restart() -> None:
    blocks: Blocks = {}
    root = file_node(blocks, (LEAF, 4), (LEAF, 5))
    store = Store(blocks)
    store.get(root, "/x")
    events = store.answer()
    assert [type(event) for event in events] == [ev.ErrorOccurred, ev.Cancelled, ev.ObjectRefused]
    script = store.script
    assert script.machine.state.refused == {root: "/x"}
    script.restart()
    script.give(inp.Discarded(root, 1, 100))
    assert script.machine.state.refused == {}
    assert script.give(inp.Discarded(root, 1, 100)) == ([], []), "once"


def test_an_object_with_more_blocks_than_a_bitmap_is_not_ordered() -> None:
    download = Download(LEAF, path="/x", tree=True, by=None, size=None)
    for number in range(peer_bitmaps.MAX_BLOCKS - 1):
        download.add_block(Cid(f"{number}"))
    assert len(download.order or ()) == peer_bitmaps.MAX_BLOCKS
    assert download.bitmap == bytes(MAX_PART)
    download.add_block(Cid("one more"))
    assert not download.order
    assert download.bitmap is None
