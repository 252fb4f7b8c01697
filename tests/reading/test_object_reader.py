"""Reading files by their blocks: any range, what is expected ahead, and nodes that lie."""

import random
from collections.abc import Mapping, Sequence

import pytest

from flux_tui.core.content import protobufs
from flux_tui.core.content.unixfs_trees import BadBlockError, FileBuilder
from flux_tui.core.ids import Cid, is_leaf, raw_cid
from flux_tui.reading import object_reader
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.reading.object_reader import ObjectReader, whole
from tests.support.objects import LEAF, Blocks, file_node, folder


class Table:
    """Blocks in memory. It notes what is read and expected."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks
        self.asked: list[Cid] = []
        self.expected: list[Cid] = []

    async def read(self, cids: Sequence[Cid]) -> Mapping[Cid, bytes]:
        self.asked += cids
        for cid in cids:
            if cid not in self.blocks:
                raise NotHereError(cid)
        return {cid: self.blocks[cid] for cid in cids}

    async def expect(self, cids: Sequence[Cid]) -> None:
        self.expected += cids


def built(data: bytes, chunk: int = 10, links: int = 3) -> tuple[Cid, Blocks]:
    """Return the root and blocks of a file with small chunks."""
    blocks: Blocks = {}
    builder = FileBuilder(chunk, links)
    for at in range(0, len(data), chunk):
        leaf = data[at : at + chunk]
        blocks[raw_cid(leaf)] = leaf
        blocks.update(builder.add_leaf(raw_cid(leaf), len(leaf)))
    root = builder.finish()
    blocks.update(root.blocks)
    return root.cid, blocks


async def test_any_range_is_read_and_nothing_else() -> None:
    data = random.Random(7).randbytes(995)
    root, blocks = built(data)
    for start, stop in [
        (0, None),
        (0, 0),
        (0, 1),
        (994, None),
        (995, None),
        (2_000, 3_000),
        (333, 700),
        (10, 20),
    ]:
        table = Table(blocks)
        assert await whole(ObjectReader(table).read(root, start, stop)) == data[start:stop]
        leaves = {cid for cid in table.asked if is_leaf(cid)}
        needed = {raw_cid(data[at : at + 10]) for at in range(start // 10 * 10, min(stop or 995, 995), 10)}
        assert leaves == (needed if start < 995 and stop != 0 else set())
        assert leaves <= set(table.expected)


async def test_a_leaf_and_content_inside_nodes_are_read() -> None:
    blocks: Blocks = {LEAF: b"four"}
    assert await whole(ObjectReader(Table(blocks)).read(LEAF, 1, 3)) == b"ou"
    root = file_node(blocks, (LEAF, 4), (LEAF, 4), data=b"inline-")
    assert await whole(ObjectReader(Table(blocks)).read(root)) == b"inline-fourfour"
    assert await whole(ObjectReader(Table(blocks)).read(root, 5, 9)) == b"e-fo"


async def test_a_window_is_expected_and_not_all_of_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "READ_AHEAD", 100)
    monkeypatch.setattr(object_reader, "BATCH", 20)
    root, blocks = built(random.Random(8).randbytes(2_000), links=30)
    table = Table(blocks)
    pieces = ObjectReader(table).read(root)
    await anext(pieces)
    assert 10 <= sum(map(is_leaf, table.expected)) <= 12
    await pieces.aclose()


async def test_nodes_that_lie_are_refused() -> None:
    blocks: Blocks = {LEAF: b"four"}
    part = file_node(blocks, (LEAF, 4))
    for lie in (
        file_node(blocks, (LEAF, 5)),
        file_node(blocks, (part, 5)),
        file_node(blocks, (folder(blocks, ("x", LEAF, 4)), 5)),
        file_node(blocks, (LEAF, 4), size=9),
    ):
        with pytest.raises(BadBlockError):
            await whole(ObjectReader(Table(blocks)).read(lie))
    with pytest.raises(ReadError, match="is a folder, not a file"):
        await whole(ObjectReader(Table(blocks)).read(folder(blocks, ("x", LEAF, 4))))


async def test_nodes_without_bytes_cost_no_steps() -> None:
    """Sixty levels of nodes that each name the one below ten times, all empty: 10⁶⁰ places."""
    blocks: Blocks = {}
    empty = file_node(blocks, kind=protobufs.FILE)
    for _ in range(60):
        empty = file_node(blocks, *[(empty, 0)] * 10)
    table = Table(blocks)
    assert await whole(ObjectReader(table).read(empty)) == b""
    assert table.asked == [empty]
    deep = LEAF
    blocks[LEAF] = b"four"
    for _ in range(object_reader.MAX_DEPTH + 1):
        deep = file_node(blocks, (deep, 4))
    with pytest.raises(BadBlockError, match="inner nodes above a leaf"):
        await whole(ObjectReader(Table(blocks)).read(deep))


async def test_content_inside_nodes_is_yielded_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_reader, "NODE_BYTES_AHEAD", 50)
    blocks: Blocks = {}
    parts = [bytes([number]) * 10 for number in range(40)]
    nodes = [file_node(blocks, data=part) for part in parts]
    root = file_node(blocks, *((node, 10) for node in nodes))
    table = Table(blocks)
    reading = ObjectReader(table).read(root)
    for number in range(40):
        assert bytes(await anext(reading)) == parts[number]
        assert table.asked == [root, *nodes[: number + 1]], "no more than what is yielded is held"
        assert table.expected[-1] == nodes[min(number + 5, 39)] or number > 34, "but it is on its way"
    assert [one async for one in reading] == []
    assert len(table.expected) <= 2 * len(nodes), "each is expected once, and once when it is needed"
