"""Walks to the end of a path, and through a folder: which blocks they need, and what they refuse."""

import pytest

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import FolderEntry
from flux_tui.core.content.path_walk import NoSuchNameError, T, Walk, list_folder, resolve
from flux_tui.core.content.protobufs import PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import BadBlockError, build_folder, build_symlink
from flux_tui.core.ids import Cid, raw_cid
from tests.support.objects import LEAF, Blocks, file_node, folder, put


def run(walk: Walk[T], blocks: Blocks) -> tuple[T, list[Cid]]:
    """Return what a walk returns, and the blocks that it needed."""
    needed: list[Cid] = []
    try:
        wanted = next(walk)
        while True:
            needed += wanted
            wanted = walk.send({cid: blocks[cid] for cid in wanted})
    except StopIteration as end:
        result: T = end.value
        return result, needed


def test_only_the_nodes_on_the_way_are_needed() -> None:
    blocks: Blocks = {}
    file = file_node(blocks, (LEAF, 4), (raw_cid(b"more"), 4))
    inner = folder(blocks, ("b.txt", file, 8), ("leaf", LEAF, 4))
    other = folder(blocks, ("x", LEAF, 4))
    root = folder(blocks, ("a", inner, 99), ("other", other, 99))

    part, needed = run(resolve(root, ("a", "b.txt")), blocks)
    assert (part.cid, part.kind, part.name, part.size) == (file, "file", "b.txt", 8)
    assert needed == [root, inner, file]
    assert part.roots == (root, inner, file)

    part, needed = run(resolve(root, ("a", "leaf")), blocks)
    assert (part.cid, part.kind, part.size, needed) == (LEAF, "file", None, [root, inner])
    part, needed = run(resolve(root, ()), blocks)
    assert (part.kind, part.name, needed) == ("folder", None, [root])
    items, needed = run(list_folder(root), blocks)
    assert ([item.name for item in items], needed) == (["a", "other"], [root])


def test_a_large_folder_is_walked_by_the_hash_of_the_name() -> None:
    names = [f"name {number}" for number in range(6_000)]
    built = build_folder([FolderEntry(name, LEAF, 4) for name in names])
    blocks = dict(built.blocks)
    assert len(blocks) > 256
    for name in names[::1_000]:
        part, needed = run(resolve(built.cid, (name,)), blocks)
        assert (part.cid, len(needed) <= 4) == (LEAF, True)
    with pytest.raises(NoSuchNameError, match="there is no 'nothing'"):
        run(resolve(built.cid, ("nothing",)), blocks)
    items, needed = run(list_folder(built.cid), blocks)
    assert [item.name for item in items] == sorted(names, key=str.encode)
    assert set(needed) == set(blocks)
    with pytest.raises(BadBlockError, match="more than 100 names"):
        run(list_folder(built.cid, limit=100), blocks)


def test_what_is_no_folder_has_no_names_in_it() -> None:
    blocks: Blocks = {}
    link = build_symlink("elsewhere")
    blocks[link.cid] = link.data
    file = file_node(blocks, (LEAF, 4))
    root = folder(blocks, ("file", file, 4), ("leaf", LEAF, 4), ("link", link.cid, 4))
    for name, kind in (("file", "is a file"), ("leaf", "is a file"), ("link", "is a symbolic link")):
        with pytest.raises(NoSuchNameError, match=kind):
            run(resolve(root, (name, "x")), blocks)
    part, _ = run(resolve(root, ("link",)), blocks)
    assert (part.kind, part.target) == ("link", "elsewhere")
    with pytest.raises(NoSuchNameError, match="not a folder"):
        run(list_folder(file), blocks)


def test_a_name_in_the_wrong_shard_is_refused() -> None:
    blocks: Blocks = {}
    body = UnixFS(protobufs.HAMT_SHARD, data=b"\x01", hash_type=protobufs.MURMUR3_X64_64, fanout=256)
    root = put(blocks, protobufs.encode_node([PBLink(LEAF, "00misplaced", 4)], body))
    for walk in (resolve(root, ("misplaced",)), list_folder(root)):
        with pytest.raises(BadBlockError, match="belongs elsewhere"):
            run(walk, blocks)
