"""Chunks whose files change, disappear, or cannot be looked up any more, while a node runs."""

from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.node.node import FluxNode
from tests.support.damage import damaged
from tests.support.nodes_here import LOOPBACK, series_of, share, until

DATA = b"the same bytes" * 100_000


async def test_a_removed_copy_does_not_affect_the_original(tmp_path: Path) -> None:
    """The original could not be fetched any more then, and a peer that fetched it waited for ever."""
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        for name in ("one.bin", "two.bin"):
            (tmp_path / name).write_bytes(DATA)
            root = await share(a, tmp_path / name)
        (tmp_path / "two.bin").unlink()
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs))
        await until(lambda: not b.count_pending())
        assert a.derive_state().errors == 0
    assert (tmp_path / "copy").read_bytes() == DATA


async def test_a_failed_copy_of_a_chunk_is_an_entry_and_the_chunk_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(DATA)
    (tmp_path / "two").write_bytes(DATA)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "one")
        await share(b, tmp_path / "two")
        (tmp_path / "two").write_bytes(b"changed")
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs))
        await until(lambda: not b.count_pending())
        assert (tmp_path / "copy").read_bytes() == DATA
        state = b.derive_state()
        assert str(tmp_path / "two") in (state.last_error or "")
        assert (state.chunk_count, state.chunk_bytes) == b.store.chunks.counts()
        assert any(isinstance(entry.event, ev.ChunksLost) for entry in series_of(b))


async def test_a_damaged_index_is_an_entry_and_the_node_goes_on(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as node:
        await until(lambda: node.store.last_seq == node.derive_state().seq)
        damaged(node.store)
        node.get_chunk(raw_cid(b"nobody has this"))
        node.get_chunk(raw_cid(b"nor that"))
        await until(lambda: node.derive_state().errors)
        assert "flux.db is damaged" in (node.derive_state().last_error or "")
        assert node.count_pending() == 2
        assert node.derive_state().errors == 1
