"""Removing shared objects, on real nodes over libp2p: what others are told, what stays, and what a restart does."""

import os
import random
from pathlib import Path

import pytest
import trio

from flux_tui import Remove
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.node.disk import add_task
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, share, until

SLOW = Settings(listen=LOOPBACK.listen, mdns=False, upload_limit=1 << 20)


async def remove(node: FluxNode, *roots: Cid) -> None:
    node.push_intent(Remove(roots, "rm"))
    await until(lambda: not any(root in node.derive_state().objects for root in roots))
    await until(lambda: not node.derive_state().removing)


def film(path: Path, seed: int, mib: int) -> bytes:
    data = random.Random(seed).randbytes(mib << 20)
    path.write_bytes(data)
    return data


async def test_a_running_fetch_is_refused_and_a_restart_announces_nothing(tmp_path: Path) -> None:
    data = film(tmp_path / "film", 1, 8)
    async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        async with FluxNode.open(tmp_path / "a", SLOW) as a:
            root = await share(a, tmp_path / "film")
            b.push_intent(cmd.Get(root, str(tmp_path / "copy"), "film", len(data), a.addrs, "me"))
            await until(lambda: b.derive_state().unique_bytes > 1 << 20)
            await remove(a, root)
            assert a.derive_chunks() == {}
            assert (tmp_path / "film").read_bytes() == data
            # A NO to the root, and to the granted chunks.
            await until(
                lambda: len([e for e in series_of(b) if getattr(e.event, "reason", "") == "not_held"]) >= 2
            )
            assert root in b.derive_state().pending, "it may come from somebody else"
            b.push_intent(cmd.Retry((root,)))
            told = len(series_of(b))
            await until(
                lambda: any(
                    isinstance(e.event, ev.StatusNo) and root in e.event.cids for e in series_of(b)[told:]
                )
            )
        async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
            assert not a.derive_state().objects
            await until(lambda: not a.derive_state().removing)
            b.push_intent(cmd.Join(a.addrs[0]))
            await until(lambda: a.peer_id in b.derive_state().peers and b.derive_state().connected)
            assert not [e for e in series_of(a)[-8:] if isinstance(e.event, ev.PushedHave)]
            again = await share(a, tmp_path / "film")
            assert again == root
            await until(lambda: not b.count_pending())
            assert (tmp_path / "copy").read_bytes() == data


async def test_an_object_that_shares_blocks_is_unharmed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    data = film(folder / "inside", 1, 3)
    (tmp_path / "alone").write_bytes(data)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        whole = await share(a, folder)
        alone = await share(a, tmp_path / "alone")
        await remove(a, alone)
        (tmp_path / "alone").unlink()
        b.push_intent(cmd.Get(whole, str(tmp_path / "copy"), "folder", len(data), a.addrs, "me"))
        await until(lambda: not b.count_pending())
        assert (tmp_path / "copy" / "inside").read_bytes() == data


async def test_a_replica_promised_to_others_stays(tmp_path: Path) -> None:
    data = film(tmp_path / "film", 1, 3)
    keeping = Settings(listen=LOOPBACK.listen, mdns=False, quota=1 << 30)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", keeping) as b:
        root = await share(a, tmp_path / "film")
        b.push_intent(cmd.Join(a.addrs[0]))
        await until(lambda: a.derive_state().connected)
        a.push_intent(cmd.Hold(root))
        await until(lambda: a.derive_state().holds[root].whole == 1)
        (tmp_path / "mine").write_bytes(data)
        await share(b, tmp_path / "mine")
        await until(lambda: b.derive_state().kept[root].own and not b.derive_state().dropping)
        b.push_intent(Remove((root,)))
        await until(lambda: b.derive_state().kept[root].whole and not b.derive_state().removing)
        (tmp_path / "mine").unlink()
        assert not b.derive_state().kept[root].own
        held = tmp_path / "b" / "held" / root
        assert held.read_bytes() == data
        assert a.derive_state().holds[root].whole == 1


async def test_an_object_wanted_into_the_store_is_deleted(tmp_path: Path) -> None:
    data = film(tmp_path / "film", 1, 2)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "film")
        b.push_intent(cmd.Join(a.addrs[0]))
        b.push_intent(cmd.Want(root))
        await until(lambda: not b.count_pending() and b.derive_state().objects[root].completed_at)
        place = tmp_path / "b" / "objects" / root
        assert place.read_bytes() == data
        await remove(b, root)
        assert not place.exists()
        assert (b.derive_state().chunk_count, b.store.chunks.counts()) == (0, (0, 0))
        b.push_intent(cmd.Want(root))
        await until(lambda: place.exists() and not b.count_pending())


async def test_a_cancelled_add_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_task, "ROWS_AT_ONCE", 4)
    path = tmp_path / "large"
    with path.open("wb") as file:  # full of holes, but no two chunks are alike: reading takes a while
        for number in range(3_000):
            file.seek(number << 20)
            file.write(number.to_bytes(4, "big"))
        file.truncate(3_000 << 20)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
        a.push_intent(cmd.Add(str(path), "a"))
        await until(lambda: str(path) in a.derive_state().adding)
        a.push_intent(cmd.CancelAdd(str(path), "a"))
        await until(lambda: not a.derive_state().adding)
        with trio.fail_after(20):
            while a.store.chunks.counts() != (0, 0):  # noqa: ASYNC110
                await trio.sleep(0.01)
        entries = series_of(a)
        assert ev.AddCancelled(path=str(path), by="a") in [entry.event for entry in entries]
        assert not a.derive_state().objects
        assert not [entry for entry in entries if isinstance(entry.event, ev.ErrorOccurred)]
        os.truncate(path, 1 << 20)
        await share(a, path)
        await remove(a, *a.derive_state().objects)
