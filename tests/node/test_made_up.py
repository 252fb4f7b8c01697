"""Objects that are not what they say, on real nodes: each is refused with a sentence, and nothing of it stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from flux_tui.core.api import commands as cmd
from flux_tui.core.content import protobufs
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, share, until
from tests.support.objects import Blocks, doubled, file_node, folder, many

MIB = 1 << 20


@asynccontextmanager
async def holding(home: Path, blocks: Blocks) -> AsyncIterator[FluxNode]:
    """Return a node that has these blocks, whatever they are."""
    async with FluxNode.open(home, LOOPBACK) as node:
        for cid, data in blocks.items():
            node.store.share_block(cid, data)
        yield node


def leaf(blocks: Blocks, data: bytes) -> Cid:
    blocks[raw_cid(data)] = data
    return raw_cid(data)


async def refused(tmp_path: Path, root: Cid, blocks: Blocks, size: int | None = None) -> str:
    """Fetch an object, which must fail and leave nothing behind. Return the error sentence."""
    target = tmp_path / "here"
    target.mkdir()
    async with holding(tmp_path / "a", blocks) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        b.push_intent(cmd.Get(root, str(target / "thing"), "thing", size, a.addrs, "me"))
        await until(lambda: not b.count_pending() and not b.derive_state().refused, 60)
        assert list(target.iterdir()) == []
        assert (
            b.store.chunks.counts() == (0, 0) == (b.derive_state().chunk_count, b.derive_state().chunk_bytes)
        )
        await until(lambda: len(series_of(b)) == b.derive_state().seq)
        errors = [entry.event for entry in series_of(b) if isinstance(entry.event, ev.ErrorOccurred)]
        assert derive(series_of(b)) == b.derive_state()
        assert [(error.cid, error.by) for error in errors] == [(root, "me")]
        # The node can go on with another object.
        (tmp_path / "good").write_bytes(b"good" * 1000)
        good = await share(a, tmp_path / "good")
        b.push_intent(cmd.Get(good, str(target / "good"), "good", 4000, a.addrs))
        await until(lambda: (target / "good").exists())
    return errors[0].text


async def test_block_sizes_that_differ_from_the_leaves(tmp_path: Path) -> None:
    blocks: Blocks = {}
    root = file_node(blocks, (leaf(blocks, b"1234"), 1), (leaf(blocks, b"5678"), 7))
    assert "bytes, and should have" in await refused(tmp_path, root, blocks, 8)


async def test_a_known_leaf_with_a_false_length(tmp_path: Path) -> None:
    """The node of its parent would be whole at once."""
    blocks: Blocks = {}
    data = b"12345678"
    root = file_node(blocks, (leaf(blocks, data), 1_000_000))
    async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        (tmp_path / "mine").write_bytes(data)
        await share(b, tmp_path / "mine")
        for cid, block in blocks.items():
            b.store.share_block(cid, block)
        b.push_intent(cmd.Get(root, str(tmp_path / "thing"), None, None, (), "me"))
        await until(lambda: not b.count_pending() and not b.derive_state().refused)
        assert "has 8 bytes, and should have 1,000,000" in str(b.derive_state().last_error)
        assert not list(tmp_path.glob("*thing*"))
        assert b.check_if_arrived(raw_cid(data)) == data, "what the user shares stays"
    assert (tmp_path / "mine").read_bytes() == data


async def test_a_part_with_a_false_size_of_a_terabyte(tmp_path: Path) -> None:
    blocks: Blocks = {}
    part = file_node(blocks, (leaf(blocks, b"12345678"), 8))
    root = file_node(blocks, (part, 10**12))
    assert "has 8 bytes, and should have 1,000,000,000,000" in await refused(tmp_path, root, blocks)


async def test_a_leaf_longer_than_its_folder_says(tmp_path: Path) -> None:
    blocks: Blocks = {}
    root = folder(blocks, ("ok", leaf(blocks, b"x" * 10), 10), ("long", leaf(blocks, b"y" * 5000), 1))
    assert "has 5,000 bytes, and should have 1" in await refused(tmp_path, root, blocks)


async def test_small_objects_that_expand_to_huge_ones(tmp_path: Path) -> None:
    blocks: Blocks = {}
    root = doubled(blocks, folder(blocks), 40)
    assert "parts" in await refused(tmp_path, root, blocks)


async def test_more_folders_than_blocks_could_need(tmp_path: Path) -> None:
    blocks: Blocks = {}
    root = many(blocks, many(blocks, folder(blocks), 1500), 1500)
    assert "3 blocks repeat each other to" in await refused(tmp_path, root, blocks)


async def test_a_link_where_content_should_be(tmp_path: Path) -> None:
    blocks: Blocks = {}
    link = protobufs.encode_node((), protobufs.UnixFS(protobufs.SYMLINK, data=b"/etc/passwd"))
    cid = dag_cid(link)
    blocks[cid] = link
    root = file_node(blocks, (leaf(blocks, b"1234"), 4), (cid, 0))
    assert "a part of a file is a symbolic link" in await refused(tmp_path, root, blocks)


async def test_a_late_error_removes_all_folders(tmp_path: Path) -> None:
    """Thousands of folders exist by the time that a leaf turns out to be wrong."""
    blocks: Blocks = {}
    good = many(blocks, folder(blocks), 3000)
    bad = file_node(blocks, (leaf(blocks, b"four"), 3))
    root = folder(blocks, ("good", good, 1), ("bad", bad, 1))
    assert "should have 3" in await refused(tmp_path, root, blocks)


async def test_an_object_larger_than_its_ticket_says(tmp_path: Path) -> None:
    blocks: Blocks = {}
    leaves = [leaf(blocks, bytes([number]) * 1000) for number in range(4)]
    root = file_node(blocks, *((cid, 1000) for cid in leaves))
    text = await refused(tmp_path, root, blocks, 1000)
    assert "it has 3.9 KiB, and its ticket says 1000 B" in text
    assert "by its CID alone" in text


async def test_a_repeated_small_leaf_exceeds_the_size_of_its_ticket(tmp_path: Path) -> None:
    """The folder does not give the size. Bytes to write are counted before they are written."""
    blocks: Blocks = {}
    data = b"z" * MIB
    cid = leaf(blocks, data)
    root = folder(blocks, *((f"{number}", cid, MIB) for number in range(200)))
    text = await refused(tmp_path, root, blocks, 3 * MIB)
    assert "it has 200 MiB, and its ticket says 3.0 MiB" in text


async def test_the_size_of_a_ticket_is_checked_after_a_restart_too(tmp_path: Path) -> None:
    blocks: Blocks = {}
    root = folder(blocks, *((f"{n}", leaf(blocks, bytes([n]) * MIB), MIB) for n in range(4)))
    target = str(tmp_path / "thing")
    async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        b.push_intent(cmd.Get(root, target, None, 2 * MIB, (), "me"))
        await until(lambda: b.count_pending() == 1)
    async with holding(tmp_path / "a", blocks) as a:
        settings = msgspec.structs.replace(LOOPBACK, join=(a.addrs[0],))
        async with FluxNode.open(tmp_path / "b", settings) as b:
            await until(lambda: not b.count_pending() and not b.derive_state().refused)
            assert "its ticket says 2.0 MiB" in str(b.derive_state().last_error)
            assert not list(tmp_path.glob("*thing*"))


async def test_wrong_totals_of_a_folder_do_no_harm(tmp_path: Path) -> None:
    """Some tools count more bytes than there are."""
    blocks: Blocks = {}
    root = folder(blocks, ("a", leaf(blocks, b"a" * 10), 60), ("b", leaf(blocks, b"b" * 10), 1000))
    async with holding(tmp_path / "a", blocks) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        b.push_intent(cmd.Get(root, str(tmp_path / "thing"), None, 20, a.addrs, "me"))
        await until(lambda: not b.count_pending())
        found = b.derive_state().objects[root]
        assert (found.size, found.have_bytes, b.derive_state().errors) == (20, 20, 0)
    assert (tmp_path / "thing" / "b").read_bytes() == b"b" * 10
