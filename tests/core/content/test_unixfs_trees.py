"""Files and folders as UnixFS: public vectors, and decoding returns what was encoded."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import FileNode, FileRoot, FolderEntry, FolderNode, ShardNode, SymlinkNode
from flux_tui.core.content.unixfs_trees import (
    CHUNK_SIZE,
    BadBlockError,
    FileBuilder,
    build_folder,
    build_symlink,
    decode_node,
)
from flux_tui.core.ids import Cid, cid_bytes, dag_cid, is_leaf, raw_cid

MIB = 1 << 20
LEAF = raw_cid(b"x")


def zeros(size: int) -> FileRoot:
    """Return a file of zero bytes. Each distinct leaf is hashed once."""
    builder = FileBuilder()
    known: dict[int, Cid] = {}
    left = size
    while True:
        count = min(left, CHUNK_SIZE)
        cid = known.get(count)
        if cid is None:
            cid = known[count] = raw_cid(bytes(count))
        builder.add_leaf(cid, count)
        left -= count
        if left <= 0:
            return builder.finish()


@pytest.mark.parametrize(
    ("size", "cid"),
    [
        (0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (1, "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"),
        (1_048_576, "bafkreibq4fevl27rgurgnxbp7adh42aqiyd6ouflxhj3gzmcxcxzbh6lla"),
        (1_048_577, "bafybeihd4yzq7n5umhjngdum4r6k2to7egxfkf2jz6thvwzf6djus22cmq"),
        (5_242_880, "bafybeiakykiwgk2qsjglssicrhh5ekrm44xdd34qdo56ll2ejysdyhbtzy"),
    ],
)
def test_public_vectors(size: int, cid: str) -> None:
    root = zeros(size)
    assert root.cid == cid
    assert root.size == size


def test_a_level_more_than_1024_chunks() -> None:
    """CIDs from the JavaScript importer (ipfs-unixfs-importer 15) with the profile's parameters."""
    full, over = zeros(1024 * MIB), zeros(1025 * MIB)
    assert full.cid == "bafybeibqawkaltgjfdebq4no6nmfcvkcw7k52xqzclkwfmrkn6oxw7srmy"
    assert over.cid == "bafybeigt7wofv4vnxbg3titijasuw4ptg5kfztec4smsk7opdt7z6djoxq"
    node = decode_node(over.cid, over.blocks[-1].data)
    assert isinstance(node, FileNode)
    assert [child.size for child in node.children] == [1024 * MIB, MIB]
    assert not any(is_leaf(child.cid) for child in node.children), "all leaves are equally deep"


def test_a_folder_as_the_javascript_importer_makes_it() -> None:
    def leaf(name: str, data: bytes) -> FolderEntry:
        return FolderEntry(name, raw_cid(data), len(data))

    sub = build_folder([leaf("é.txt", b"x"), leaf("b b.txt", b"")])
    root = build_folder(
        [leaf("a.txt", b"hello\n"), FolderEntry("sub", sub.cid, sub.tsize), leaf("empty.bin", bytes(3))]
    )
    assert root.cid == "bafybeifgevm2zzhibqb2leksibcn2zd2e3ckzugr63z5xbi47zujiiniyq"
    assert root.tsize == 268


def test_a_large_folder_as_the_javascript_importer_makes_it() -> None:
    names = [f"file-{number:05}.txt" for number in range(6000)]
    entries = [FolderEntry(n, raw_cid(str(i).encode()), len(str(i))) for i, n in enumerate(names)]
    random.Random(1).shuffle(entries)
    root = build_folder(entries)
    assert root.cid == "bafybeidlecd2q5hh3jiqlc6hnnrarklkgkj3pgkrlpcx5w4ohevjeejbb4"
    assert root.tsize == 426_744
    blocks = dict(root.blocks)
    assert sorted(walk_folder(root.cid, blocks)) == sorted(names)


def walk_folder(cid: Cid, blocks: dict[Cid, bytes]) -> list[str]:
    node = decode_node(cid, blocks[cid])
    assert isinstance(node, FolderNode | ShardNode)
    found = [entry.name for entry in node.entries]
    for shard in node.subshards if isinstance(node, ShardNode) else ():
        found += walk_folder(shard, blocks)
    return found


@pytest.mark.parametrize(("last", "sharded"), [(21, False), (22, True)])
def test_a_folder_is_sharded_above_256_kib_of_block(last: int, sharded: bool) -> None:
    """4,765 links of 55 bytes, one of 65 or 66, and 4 bytes around them: the threshold, and one byte over it."""
    names = [f"{number:011}" for number in range(4765)] + ["z" * last]
    root = build_folder([FolderEntry(name, LEAF, 1) for name in names])
    node = decode_node(root.cid, dict(root.blocks)[root.cid])
    assert isinstance(node, ShardNode) == sharded
    if not sharded:
        assert len(root.blocks[0].data) == 262_144


def reassemble(cid: Cid, blocks: dict[Cid, bytes]) -> bytes:
    if is_leaf(cid):
        return blocks[cid]
    node = decode_node(cid, blocks[cid])
    assert isinstance(node, FileNode)
    out = node.data
    for child in node.children:
        assert child.offset == len(out)
        part = reassemble(child.cid, blocks)
        assert len(part) == child.size
        out += part
    assert len(out) == node.size
    return out


@given(st.binary(max_size=400), st.integers(1, 7), st.integers(2, 4))
def test_decoding_returns_what_was_encoded(data: bytes, chunk: int, links: int) -> None:
    builder = FileBuilder(chunk, links)
    blocks: dict[Cid, bytes] = {}
    for start in range(0, max(len(data), 1), chunk):
        leaf = data[start : start + chunk]
        blocks[raw_cid(leaf)] = leaf
        blocks.update(builder.add_leaf(raw_cid(leaf), len(leaf)))
    root = builder.finish()
    blocks.update(root.blocks)
    assert reassemble(root.cid, blocks) == data
    assert root.size == len(data)


def test_an_empty_file_is_an_empty_leaf() -> None:
    with pytest.raises(ValueError, match="at least one leaf"):
        FileBuilder().finish()


def test_symlinks() -> None:
    block = build_symlink("../other file")
    assert decode_node(block.cid, block.data) == SymlinkNode("../other file")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\0b", "x" * 256])
def test_names_that_could_leave_a_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        build_folder([FolderEntry(name, LEAF, 1)])
    data = protobufs.encode_node([protobufs.PBLink(LEAF, name, 1)], protobufs.UnixFS(protobufs.DIRECTORY))
    with pytest.raises(BadBlockError, match="name"):
        decode_node(dag_cid(data), data)


def test_a_repeated_name_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        build_folder([FolderEntry("a", LEAF, 1)] * 2)
    data = protobufs.encode_node([protobufs.PBLink(LEAF, "a", 1)] * 2, protobufs.UnixFS(protobufs.DIRECTORY))
    with pytest.raises(BadBlockError, match="twice"):
        decode_node(dag_cid(data), data)


@pytest.mark.parametrize(
    ("links", "body"),
    [
        (1, protobufs.UnixFS(protobufs.FILE, filesize=1)),
        (1, protobufs.UnixFS(protobufs.FILE, filesize=2, blocksizes=(1,))),
        (0, protobufs.UnixFS(protobufs.FILE, filesize=5, data=b"1234")),
        (1, protobufs.UnixFS(protobufs.FILE, blocksizes=(1 << 60,))),
        (1, protobufs.UnixFS(protobufs.SYMLINK, data=b"x")),
        (0, protobufs.UnixFS(protobufs.SYMLINK)),
        (0, protobufs.UnixFS(protobufs.METADATA)),
        (0, protobufs.UnixFS(17)),
        (0, protobufs.UnixFS(protobufs.HAMT_SHARD)),
        (1, protobufs.UnixFS(protobufs.HAMT_SHARD, fanout=256)),
        (1, protobufs.UnixFS(protobufs.HAMT_SHARD, fanout=3)),
    ],
)
def test_nodes_that_contradict_themselves(links: int, body: protobufs.UnixFS) -> None:
    data = protobufs.encode_node([protobufs.PBLink(LEAF, "", 1)] * links, body)
    with pytest.raises(BadBlockError):
        decode_node(dag_cid(data), data)


def test_content_inside_an_inner_node_of_older_tools() -> None:
    data = protobufs.encode_node(
        [protobufs.PBLink(LEAF, "", 1)], protobufs.UnixFS(protobufs.FILE, b"head", 5, (1,))
    )
    node = decode_node(dag_cid(data), data)
    assert isinstance(node, FileNode)
    assert (node.size, node.data, node.children[0].offset) == (5, b"head", 4)


@settings(max_examples=200)
@given(st.data())
def test_any_bytes_are_a_node_or_a_bad_block(data: st.DataObject) -> None:
    good = bytearray(build_folder([FolderEntry(n, LEAF, 1) for n in ("a", "b", "c")]).blocks[0].data)
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    raw = data.draw(st.sampled_from([bytes(good), bytes(good[: data.draw(st.integers(0, len(good)))])]))
    try:
        node = decode_node(dag_cid(raw), raw)
    except BadBlockError:
        return
    assert isinstance(node, FileNode | FolderNode | ShardNode | SymlinkNode)


@given(st.binary(max_size=64))
def test_arbitrary_bytes(raw: bytes) -> None:
    try:
        decode_node(dag_cid(raw), raw)
    except BadBlockError:
        return


# ── links, decoded in two ways ──────────────────────────────────────────────────────────────────


def as_decoded(decode: Callable[[bytes], object], data: bytes) -> object:
    try:
        return decode(data)
    except BadBlockError:
        return BadBlockError


@given(st.binary(max_size=60), st.text(max_size=200), st.integers(0, (1 << 64) - 1))
def test_a_usual_link_is_decoded_as_any_link(data: bytes, name: str, tsize: int) -> None:
    """The fast way decodes a link as the slow one does, or leaves it to that one."""
    whole = protobufs.encode_node(
        [protobufs.PBLink(raw_cid(data), name, tsize)], protobufs.UnixFS(protobufs.DIRECTORY)
    )
    ((link,), _) = protobufs.decode_node(whole)
    assert link == (raw_cid(data), name, tsize)


@given(st.data())
def test_a_changed_link_is_never_decoded_otherwise(data: st.DataObject) -> None:
    out = bytearray()
    protobufs._put_bytes(out, 1, cid_bytes(LEAF))
    protobufs._put_bytes(out, 2, b"name")
    protobufs._put_varint(out, 3, 300)
    at = data.draw(st.integers(0, len(out) - 1))
    out[at] = data.draw(st.integers(0, 255))
    changed = bytes(out[: data.draw(st.integers(0, len(out)))])
    usual = protobufs._usual_link(changed)
    assert usual is None or usual == as_decoded(protobufs._any_link, changed)


@given(st.lists(st.tuples(st.text(max_size=150), st.integers(0, (1 << 64) - 1), st.booleans()), max_size=80))
def test_links_of_all_forms_are_decoded_in_their_order(links: list[tuple[str, int, bool]]) -> None:
    """Those at the beginning that have the usual form are decoded together."""
    made = [protobufs.PBLink(dag_cid(name.encode()), name, tsize) for name, tsize, _ in links]
    out = bytearray()
    for link, (_, _, old) in zip(made, links, strict=True):
        one = bytearray()
        protobufs._put_bytes(one, 1, cid_bytes(link.cid)[2 if old else 0 :])
        protobufs._put_bytes(one, 2, link.name.encode())
        protobufs._put_varint(one, 3, link.tsize)
        protobufs._put_bytes(out, 2, one)
    whole = bytes(out) + protobufs.encode_node([], protobufs.UnixFS(protobufs.DIRECTORY))
    assert protobufs.decode_node(whole)[0] == tuple(made)


def test_a_node_may_not_have_too_many_links() -> None:
    link = protobufs.PBLink(LEAF, "", 0)
    most = [link] * protobufs.MAX_LINKS
    body = protobufs.UnixFS(protobufs.DIRECTORY)
    assert len(protobufs.decode_node(protobufs.encode_node(most, body))[0]) == protobufs.MAX_LINKS
    with pytest.raises(BadBlockError, match="more than"):
        protobufs.decode_node(protobufs.encode_node([*most, link], body))
