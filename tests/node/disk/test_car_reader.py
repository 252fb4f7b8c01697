"""CARs that are shared: what is indexed where, and bombs, lies and damage that are refused."""

import random
from pathlib import Path

import pytest

from flux_tui.core.content.car import encode_header, encode_section, varint
from flux_tui.core.content.nodes import Block
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.ids import Cid, is_leaf, raw_cid
from flux_tui.node.disk.car_reader import is_car, walk_car
from flux_tui.node.disk.chunker import AddError, Done, Leaves, Step
from tests.support.objects import LEAF, Blocks, doubled, file_node, folder, many

DATA = random.Random(5).randbytes(95)


def built() -> tuple[Cid, Blocks]:
    blocks: Blocks = {}
    builder = FileBuilder(10, 3)
    for at in range(0, len(DATA), 10):
        leaf = DATA[at : at + 10]
        blocks[raw_cid(leaf)] = leaf
        blocks.update(builder.add_leaf(raw_cid(leaf), len(leaf)))
    root = builder.finish()
    blocks.update(root.blocks)
    return root.cid, blocks


def car(path: Path, root: Cid, blocks: Blocks, end: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(encode_header([root]))
        for cid, data in blocks.items():
            file.write(encode_section(cid, len(data)) + data)
        file.write(end)
    return path


def read(path: Path) -> list[Step]:
    return list(walk_car(path, lambda _: None, lambda: False))


def done(steps: list[Step]) -> Done:
    assert isinstance(steps[-1], Done)
    return steps[-1]


@pytest.mark.parametrize("order", ["as built", "root first", "shuffled"])
def test_leaves_are_indexed_where_they_stand(tmp_path: Path, order: str) -> None:
    root, blocks = built()
    items = list(blocks.items())
    if order == "root first":
        items.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(items)
    items.append((raw_cid(b"of no use"), b"of no use"))
    path = car(tmp_path / "x.car", root, dict(items))
    assert is_car(path)
    steps = read(path)
    raw = path.read_bytes()
    leaves = [leaf for step in steps if isinstance(step, Leaves) for leaf in step.leaves]
    assert {leaf.cid: raw[leaf.offset : leaf.offset + leaf.size] for leaf in leaves} == {
        cid: data for cid, data in blocks.items() if is_leaf(cid)
    }
    assert {step.cid for step in steps if isinstance(step, Block)} == {
        cid for cid in blocks if not is_leaf(cid)
    }
    assert (done(steps).root.cid, done(steps).root.name, done(steps).size) == (root, "x", 95)
    assert done(steps).chunks == len(blocks)


def test_an_object_of_one_leaf_and_a_folder(tmp_path: Path) -> None:
    path = car(tmp_path / "one.car", LEAF, {LEAF: b"four"})
    assert (done(read(path)).size, done(read(path)).chunks) == (4, 1)
    blocks: Blocks = {LEAF: b"four"}
    root = folder(blocks, ("a", LEAF, 4), ("b", LEAF, 4))
    assert done(read(car(tmp_path / "two.car", root, blocks))).size == 8


def test_what_is_not_whole_or_not_right_is_refused(tmp_path: Path) -> None:
    root, blocks = built()
    leaf = next(cid for cid in blocks if is_leaf(cid))
    node = next(cid for cid in blocks if not is_leaf(cid))
    bad = {
        "it lacks 1 of the blocks": {cid: data for cid, data in blocks.items() if cid != leaf},
        "it lacks blocks of its root": {cid: data for cid, data in blocks.items() if cid != node},
        "does not match its CID": blocks | {leaf: b"0123456789"},
    }
    for why, some in bad.items():
        with pytest.raises(AddError, match=why):
            read(car(tmp_path / "x.car", root, some))
    with pytest.raises(AddError, match="does not match its CID"):
        read(car(tmp_path / "x.car", root, blocks | {node: b"not a node"}))
    whole = car(tmp_path / "x.car", root, blocks).read_bytes()
    (tmp_path / "x.car").write_bytes(whole[:-3])
    with pytest.raises(AddError, match="ends inside a block"):
        read(tmp_path / "x.car")


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (b"\xff" * 8 + b"\x7f", "a block of"),
        (b"\xff" * 20, "does not end"),
        (varint(3 << 20) + bytes(3 << 20), "at most 2,097,152"),
        (varint(0), "a block of 0"),
        (varint(10) + bytes(10), "without a whole CID"),
        (varint(40) + b"\x01\x71\x12\x20" + bytes(36), "neither raw bytes"),
        (b"\x80", "ends inside a block"),
    ],
    ids=["huge", "without end", "too long", "empty", "cut CID", "codec", "cut length"],
)
def test_lengths_that_lie_are_refused_before_anything_is_read(tmp_path: Path, end: bytes, why: str) -> None:
    root, blocks = built()
    with pytest.raises(AddError, match=why):
        read(car(tmp_path / "x.car", root, blocks, end))


def test_a_small_car_that_describes_exabytes_is_refused(tmp_path: Path) -> None:
    blocks: Blocks = {LEAF: b"four"}
    bomb = doubled(blocks, many(blocks, LEAF, 100), 60)
    with pytest.raises(AddError, match=r"parts|larger"):
        read(car(tmp_path / "bomb.car", bomb, blocks))
    lying: Blocks = {LEAF: b"four"}
    root = file_node(lying, (LEAF, 2_000_000))
    with pytest.raises(AddError, match="should have 2,000,000"):
        read(car(tmp_path / "lie.car", root, lying))


def test_what_is_no_car_of_version_1(tmp_path: Path) -> None:
    for name, data, found in (
        ("film.mkv", encode_header([LEAF]), False),
        ("x.car", b"just a file", False),
        ("x.car", b"", False),
        ("x.car", bytes.fromhex("0aa16776657273696f6e02") + bytes(60), True),
    ):
        (tmp_path / name).write_bytes(data)
        assert is_car(tmp_path / name) == found
    with pytest.raises(AddError, match="version 2"):
        read(tmp_path / "x.car")
    (tmp_path / "x.car").write_bytes(encode_header([LEAF, LEAF]))
    with pytest.raises(AddError, match="2 roots"):
        read(tmp_path / "x.car")
