"""Permissions in UnixFS: which are recorded, in which form, and which are applied."""

from typing import Literal

import pytest

from flux_tui.core.content import hamt, protobufs
from flux_tui.core.content.nodes import (
    Block,
    FileChild,
    FileNode,
    FileRoot,
    FolderEntry,
    FolderNode,
    ShardNode,
)
from flux_tui.core.content.protobufs import PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import (
    FileBuilder,
    applied_mode,
    build_folder,
    decode_node,
    recorded_mode,
)
from flux_tui.core.fetching.downloads.download import Download, Location
from flux_tui.core.fetching.downloads.plan_builder import plan_node
from flux_tui.core.ids import Cid, dag_cid, is_leaf, raw_cid

LEAF = raw_cid(b"#!/bin/sh\n")


def small(mode: int | None, size: int = 10) -> FileRoot:
    builder = FileBuilder()
    builder.add_leaf(LEAF if size else raw_cid(b""), size)
    return builder.finish(mode)


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o666, 0o646, 0o100644, 0o6644, 0o000, 0o200, 0o111])
def test_usual_permissions_of_files_change_no_cid(mode: int) -> None:
    assert recorded_mode(mode, folder=False) is None
    assert small(recorded_mode(mode, folder=False)).cid == LEAF


@pytest.mark.parametrize("mode", [0o755, 0o775, 0o777, 0o040755, 0o2755, 0o1777, 0o000, 0o300])
def test_usual_permissions_of_folders_change_no_cid(mode: int) -> None:
    assert recorded_mode(mode, folder=True) is None
    entries = [FolderEntry("a", LEAF, 10)]
    assert build_folder(entries, recorded_mode(mode, folder=True)) == build_folder(entries)


@pytest.mark.parametrize(
    ("mode", "folder", "recorded"),
    [
        (0o755, False, 0o755),
        (0o600, False, 0o600),
        (0o444, False, 0o444),
        (0o4755, False, 0o755),
        (0o700, True, 0o700),
        (0o2750, True, 0o750),
        (0o555, True, 0o555),
    ],
)
def test_unusual_permissions_are_recorded_without_dangerous_bits(
    mode: int, folder: bool, recorded: int
) -> None:
    assert recorded_mode(mode, folder=folder) == recorded


@pytest.mark.parametrize(
    ("mode", "folder", "applied"),
    [
        (0o755, False, 0o755),
        (0o7755, False, 0o755),
        (0o4755, True, 0o755),
        (0o000, False, None),
        (0o333, False, None),
        (0o444, False, 0o444),
        (0o444, True, None),
        (0o600, True, None),
        (0o500, True, 0o500),
    ],
)
def test_hostile_permissions_are_not_applied(mode: int, folder: bool, applied: int | None) -> None:
    assert applied_mode(mode, folder=folder) == applied


def test_a_small_file_is_a_node_above_its_leaf() -> None:
    root = small(0o755)
    (block,) = root.blocks
    assert block.cid == root.cid == dag_cid(block.data)
    assert (root.size, root.chunks, root.tsize) == (10, 2, len(block.data) + 10)
    links, body = protobufs.decode_node(block.data)
    assert links == (PBLink(LEAF, "", 10),)
    assert body == UnixFS(protobufs.FILE, filesize=10, blocksizes=(10,), mode=0o755)
    assert block.data.endswith(b"\x38\xed\x03"), "field 7, as a varint"
    assert decode_node(block.cid, block.data) == FileNode(10, (FileChild(LEAF, 0, 10),), b"", 0o755)


def test_an_empty_file_is_one_node() -> None:
    root = small(0o755, 0)
    (block,) = root.blocks
    assert block.data == bytes.fromhex("0a070802180038ed03")
    assert (root.size, root.chunks, root.tsize) == (0, 1, len(block.data))
    assert decode_node(block.cid, block.data) == FileNode(0, (), b"", 0o755)


@pytest.mark.parametrize("leaves", [2, 3, 4, 5, 9, 10])
def test_only_the_root_of_a_tree_has_permissions(leaves: int) -> None:
    blocks: list[Block] = []
    builder, plain = FileBuilder(4, 3), FileBuilder(4, 3)
    for number in range(leaves):
        cid = raw_cid(bytes([number]))
        blocks += builder.add_leaf(cid, 4)
        plain.add_leaf(cid, 4)
    root, without = builder.finish(0o700), plain.finish()
    blocks += root.blocks
    nodes = {block.cid: decode_node(block.cid, block.data) for block in blocks}
    assert [cid for cid, node in nodes.items() if getattr(node, "mode", None) is not None] == [root.cid]
    assert root.chunks == without.chunks
    assert root.cid != without.cid


def test_folders_of_both_kinds() -> None:
    few = build_folder([FolderEntry("a", LEAF, 10)], 0o700)
    node = decode_node(few.cid, few.blocks[-1].data)
    assert isinstance(node, FolderNode)
    assert node.mode == 0o700
    many = hamt.build([FolderEntry(f"{number}", LEAF, 10) for number in range(2_000)], 0o700)
    nodes = {block.cid: decode_node(block.cid, block.data) for block in many.blocks}
    assert [cid for cid, found in nodes.items() if isinstance(found, ShardNode) and found.mode] == [many.cid]


def test_a_download_uses_only_the_permissions_of_roots() -> None:
    script, part = (
        small(0o755),
        dag_cid(protobufs.encode_node((), UnixFS(protobufs.FILE, filesize=0, mode=0o777))),
    )
    folder = build_folder([FolderEntry("run", script.cid, 1), FolderEntry("plain", LEAF, 10)], 0o700)
    download = Download(folder.cid, path="/x", tree=True, by=None, size=None)
    download.add_block(folder.cid, _location(""))
    ((place, inner),) = plan_node(download, folder.cid, folder.blocks[-1].data)
    assert (place.folders, place.modes, inner) == (("",), (("", 0o700),), [script.cid])
    ((place, _),) = plan_node(download, script.cid, script.blocks[-1].data)
    assert place.modes == (("run", 0o755),)
    download.add_block(part, _location("run", "part"))
    ((place, _),) = plan_node(
        download, part, protobufs.encode_node((), UnixFS(protobufs.FILE, filesize=0, mode=0o777))
    )
    assert place.modes == ()


def test_meaningless_bits_are_masked_and_times_ignored() -> None:
    body = bytes.fromhex("0802180038") + b"\xed\xff\xff\xff\x0f" + bytes.fromhex("42020801")
    data = b"\x0a" + bytes([len(body)]) + body
    cid: Cid = dag_cid(data)
    assert not is_leaf(cid)
    assert decode_node(cid, data) == FileNode(0, (), b"", 0o7755)


def _location(rel: str, kind: Literal["any", "part"] = "any") -> Location:
    return Location(rel, 0, kind)
