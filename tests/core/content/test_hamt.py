"""Large folders from an attacker: every name of a HAMT has exactly one valid place."""

import mmh3
import pytest

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import FolderEntry
from flux_tui.core.content.protobufs import BadBlockError, PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import build_folder, build_symlink, decode_node
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.plan_builder import plan_node
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from tests.support.objects import Blocks, put, whole

LEAF = raw_cid(b"x")


def slot(name: str, level: int = 0) -> int:
    """Return the slot of a name at each level of 256."""
    first, _ = mmh3.hash64(name.encode(), x64arch=True, signed=False)
    return int(int(first).to_bytes(8, "big")[level])


def shard(blocks: Blocks, *links: PBLink, fanout: int = 256, hash_type: int | None = 0x22) -> Cid:
    body = UnixFS(protobufs.HAMT_SHARD, data=b"\x01", hash_type=hash_type, fanout=fanout)
    return put(blocks, protobufs.encode_node(links, body))


def entry(name: str, cid: Cid = LEAF, level: int = 0) -> PBLink:
    """Return a link for a name in its right slot."""
    return PBLink(cid, f"{slot(name, level):02X}{name}", 1)


def all_paths(root: Cid, blocks: Blocks) -> set[str]:
    """Return all paths of an object, as a node learns them."""
    found: set[str] = set()
    download = Download(root, path=None, tree=True, by=None, size=None)
    todo = [root]
    while todo:
        cid = todo.pop()
        todo += download.add_node(cid, blocks[cid])
    assert download.outline is not None
    download.add_up(whole(download.outline.sum_up()))
    todo = [root]
    while todo:
        cid = todo.pop()
        if cid not in download.locations:
            continue
        for place, inner in plan_node(download, cid, blocks[cid]):
            for rel in (*place.folders, *(f.rel for f in place.files), *(s.rel for s in place.symlinks)):
                assert rel not in found, "a path has one thing only"
                found.add(rel)
            todo += inner
    return found


def test_names_in_their_right_slots() -> None:
    blocks: Blocks = {}
    deep = shard(blocks, entry("b", level=1))
    root = shard(blocks, entry("a"), PBLink(deep, f"{slot('b'):02X}", 1))
    assert all_paths(root, blocks) == {"", "a", "b"}


def test_a_real_hamt_of_many_names() -> None:
    names = {f"{number:050}" for number in range(6000)}
    root = build_folder([FolderEntry(name, LEAF, 1) for name in names])
    assert all_paths(root.cid, dict(root.blocks)) == {"", *names}


def test_a_link_in_one_shard_and_a_folder_in_another() -> None:
    blocks: Blocks = {}
    link, folder = build_symlink(".."), build_folder([FolderEntry("evil.sh", LEAF, 1)])
    blocks |= {link.cid: link.data, folder.cid: folder.blocks[0].data}
    other = next(number for number in range(256) if number != slot("x"))
    deep = shard(blocks, entry("x", folder.cid, level=1))
    root = shard(blocks, entry("x", link.cid), PBLink(deep, f"{other:02X}", 1))
    with pytest.raises(BadBlockError, match="a name that belongs elsewhere: 'x'"):
        all_paths(root, blocks)


def test_a_name_in_a_wrong_slot() -> None:
    blocks: Blocks = {}
    root = shard(blocks, PBLink(LEAF, f"{(slot('x') + 1) % 256:02X}x", 1))
    with pytest.raises(BadBlockError, match="belongs elsewhere"):
        all_paths(root, blocks)


def test_the_same_shard_in_two_slots() -> None:
    blocks: Blocks = {}
    deep = shard(blocks, entry("x", level=1))
    other = (slot("x") + 1) % 256
    root = shard(blocks, PBLink(deep, f"{slot('x'):02X}", 1), PBLink(deep, f"{other:02X}", 1))
    with pytest.raises(BadBlockError, match="belongs elsewhere"):
        all_paths(root, blocks)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("00a", "00"), "two things in one slot"),
        (("00", "00"), "two things in one slot"),
        (("0ga",), "a slot that there is not"),
        (("0aa",), "a slot that there is not"),
        (("-1a",), "a slot that there is not"),
        (("+1a",), "a slot that there is not"),
        (("0",), "too short"),
    ],
)
def test_slots_that_do_not_exist(names: tuple[str, ...], words: str) -> None:
    blocks: Blocks = {}
    cid = shard(blocks, *(PBLink(dag_cid(b"x"), name, 1) for name in names))
    with pytest.raises(BadBlockError, match=words):
        decode_node(cid, blocks[cid])


def test_a_slot_above_the_fanout() -> None:
    blocks: Blocks = {}
    cid = shard(blocks, PBLink(LEAF, "Fa", 1), fanout=8)
    with pytest.raises(BadBlockError, match="a slot that there is not"):
        decode_node(cid, blocks[cid])


@pytest.mark.parametrize("hash_type", [None, 0x12])
def test_another_hash_function(hash_type: int | None) -> None:
    blocks: Blocks = {}
    cid = shard(blocks, entry("a"), hash_type=hash_type)
    with pytest.raises(BadBlockError, match="hashed in an unknown way"):
        decode_node(cid, blocks[cid])


def test_no_deeper_than_the_hash() -> None:
    blocks: Blocks = {}
    cid = shard(blocks, entry("x", level=7))
    for level in range(6, -1, -1):
        cid = shard(blocks, PBLink(cid, f"{slot('x', level):02X}", 1))
    assert all_paths(cid, blocks) == {"", "x"}
    deeper = shard(blocks, PBLink(LEAF, "00x", 1))
    for level in range(7, -1, -1):
        deeper = shard(blocks, PBLink(deeper, f"{slot('x', level):02X}", 1))
    with pytest.raises(BadBlockError, match="deeper than the hash"):
        all_paths(deeper, blocks)


def test_a_folder_in_the_place_of_a_shard() -> None:
    blocks: Blocks = {}
    folder = build_folder([FolderEntry("x", LEAF, 1)])
    blocks[folder.cid] = folder.blocks[0].data
    root = shard(blocks, entry("x"), PBLink(folder.cid, f"{(slot('x') + 1) % 256:02X}", 1))
    with pytest.raises(BadBlockError, match="a folder of its own"):
        all_paths(root, blocks)
