"""Objects from an attacker: their outline is computed and checked before anything is written."""

import pytest

from flux_tui.core.content import outline, protobufs
from flux_tui.core.content.outline import FREE_PLACES, MAX_PATH, MAX_PLACES, TooLargeError
from flux_tui.core.content.protobufs import BadBlockError, PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import CHUNK_SIZE, FileBuilder, build_symlink
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.wire.codec import MAX_PAYLOAD
from tests.support.objects import LEAF, Blocks, doubled, file_node, folder, many, outlined, put, totals

# ── what is counted ─────────────────────────────────────────────────────────────────────────────


def test_an_honest_file_and_folder() -> None:
    builder = FileBuilder(chunk_size=4, max_links=3)
    blocks: Blocks = {}
    for number in range(10):
        blocks.update(builder.add_leaf(raw_cid(b"%04d" % number), 4))
    root = builder.finish()
    blocks.update(root.blocks)
    found = totals(root.cid, blocks)
    assert (found.size, found.names, found.places) == (40, 1, root.chunks)
    link = build_symlink("film")
    blocks[link.cid] = link.data
    album = folder(blocks, ("film", root.cid, 99), ("link", link.cid, 9), ("note", LEAF, 4))
    found = totals(folder(blocks, ("album", album, 1)), blocks)
    assert (found.sure, found.told, found.size) == (40, 4, 44)
    assert (found.names, found.longest) == (5, len("/album/film"))


def test_a_large_folder_and_a_large_sparse_file() -> None:
    blocks: Blocks = {}
    many = folder(blocks, *((f"{number:06}", LEAF, 4) for number in range(20_000)))
    found = totals(many, blocks)
    assert (found.names, found.size) == (20_001, 80_000)
    part = file_node(blocks, *[(LEAF, CHUNK_SIZE)] * 1024)
    image = file_node(blocks, *[(part, 1024 * CHUNK_SIZE)] * 1024)
    assert totals(image, blocks).size == 1 << 40
    blocks = {}
    hole = file_node(blocks, (raw_cid(bytes(CHUNK_SIZE)), CHUNK_SIZE), (LEAF, 4))
    found = totals(folder(blocks, ("a", hole, 1), ("b", hole, 1)), blocks)
    assert found.size - found.zeros == 8, "holes cost nothing"


# ── lies ────────────────────────────────────────────────────────────────────────────────────────


def refused(blocks: Blocks, root: Cid, words: str) -> None:
    with pytest.raises((BadBlockError, TooLargeError), match=words):
        totals(root, blocks)


def test_a_leaf_with_two_lengths() -> None:
    blocks: Blocks = {}
    refused(blocks, file_node(blocks, (LEAF, 1), (LEAF, 7)), "is said to have 1 bytes, and 7")
    inner = file_node(blocks, (LEAF, 4))
    refused(blocks, folder(blocks, ("a", inner, 1), ("b", LEAF, 5)), "is said to have")


def test_a_part_that_is_shorter_or_longer_than_its_parent_says() -> None:
    for wrong in (0, 3, 5, 10**12):
        blocks: Blocks = {}
        part = file_node(blocks, (LEAF, 4))
        refused(blocks, file_node(blocks, (part, wrong)), f"has 4 bytes, and should have {wrong:,}")
    blocks = {}
    part = file_node(blocks, data=b"abc")
    refused(blocks, file_node(blocks, (part, 8)), "has 3 bytes, and should have 8")
    deep = file_node(blocks, (file_node(blocks, (LEAF, 4)), 4))
    refused(blocks, folder(blocks, ("x", file_node(blocks, (deep, 5)), 1)), "should have 5")


@pytest.mark.parametrize("kind", [protobufs.FILE, protobufs.RAW])
def test_a_leaf_node_that_lies_about_its_size(kind: int) -> None:
    blocks: Blocks = {}
    refused(blocks, file_node(blocks, data=b"abc", size=10**12, kind=kind), "whose parts have 3")


def test_a_leaf_larger_than_any_block() -> None:
    blocks: Blocks = {}
    refused(blocks, file_node(blocks, (LEAF, MAX_PAYLOAD + 1)), "more than a block can have")
    refused(blocks, folder(blocks, ("x", LEAF, 10**12)), "more than a block can have")
    refused(blocks, folder(blocks, ("x", LEAF, (1 << 64) - 1)), "more than a block can have")


def test_nodes_of_another_kind_than_expected() -> None:
    blocks: Blocks = {}
    link = put(blocks, build_symlink("x").data)
    refused(blocks, file_node(blocks, (link, 0)), "a part of a file is a symbolic link")
    refused(blocks, file_node(blocks, (folder(blocks), 0)), "a part of a file is a folder")
    for child in (folder(blocks), link, file_node(blocks, (LEAF, 4))):
        body = UnixFS(protobufs.HAMT_SHARD, data=b"\x01", hash_type=0x22, fanout=256)
        refused(
            blocks,
            put(blocks, protobufs.encode_node([PBLink(child, "00", 1)], body)),
            "a folder's shard is a",
        )


# ── small objects that are huge ─────────────────────────────────────────────────────────────────


def test_forty_one_blocks_that_link_to_each_other_twice() -> None:
    blocks: Blocks = {}
    root = doubled(blocks, folder(blocks), 40)
    assert len(blocks) == 41
    refused(blocks, root, f"more than {MAX_PLACES:,} parts")
    refused(blocks, doubled(blocks, folder(blocks), 16), "17 blocks repeat each other to 131,071 parts")


def test_three_blocks_with_millions_of_folders() -> None:
    blocks: Blocks = {}
    refused(blocks, many(blocks, many(blocks, folder(blocks), 1500), 1500), "repeat each other")


def test_a_file_that_repeats_an_empty_part_very_often() -> None:
    blocks: Blocks = {}
    cid, size = raw_cid(b""), 0
    for _ in range(30):
        cid = file_node(blocks, (cid, size), (cid, size))
    refused(blocks, cid, "parts")


def test_sizes_that_double_at_each_level() -> None:
    blocks: Blocks = {}
    cid, size = LEAF, 4
    for _ in range(50):
        cid, size = file_node(blocks, (cid, size), (cid, size)), 2 * size
    refused(blocks, cid, "more than .* parts|larger than any")


@pytest.mark.parametrize(("name", "levels"), [("n" * 255, 4000), ("ü" * 127, 5), ("x", 600)])
def test_paths_that_no_file_system_accepts(name: str, levels: int) -> None:
    blocks: Blocks = {}
    cid = folder(blocks)
    for _ in range(levels):
        cid = folder(blocks, (name, cid, 1))
    refused(blocks, cid, f"over {MAX_PATH:,} bytes")


def test_a_path_of_the_maximum_length() -> None:
    blocks: Blocks = {}
    cid = folder(blocks, ("x" * 255, LEAF, 4))
    for length in (255, 255, 256 - 1):
        cid = folder(blocks, ("x" * length, cid, 1))
    assert totals(cid, blocks).longest == 1024
    assert MAX_PATH == 1024


def test_a_sum_is_computed_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "SUM_STEPS", 100)
    blocks: Blocks = {}
    inner = [folder(blocks, (f"{number}", LEAF, 4)) for number in range(1000)]
    root = folder(blocks, *((f"{number}", cid, 1) for number, cid in enumerate(inner)))
    adding = outlined(root, blocks).sum_up()
    rests = sum(1 for _ in iter(lambda: next(adding, "end"), "end"))
    assert rests >= 10


def test_a_usual_object_is_within_the_free_limits() -> None:
    blocks: Blocks = {}
    root = many(blocks, folder(blocks), 4000)
    assert totals(root, blocks).places == 4001 < FREE_PLACES
