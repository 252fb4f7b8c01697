"""Replicas on real nodes over libp2p on loopback: they spread, refuse with a reason, outlive their origin,
are released.
"""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from flux_tui import Hold, Release
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series.fold import derive
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.node.node import FluxNode
from tests.support import nodes_here
from tests.support.nodes_here import LOOPBACK, series_of, share

MIB = 1 << 20


def keeping(**policy: Any) -> Any:
    return msgspec.structs.replace(LOOPBACK, **policy)


async def until(what: Callable[[], object]) -> None:
    """Wait for a condition, long enough for five nodes in one process on a busy machine."""
    await nodes_here.until(what, 60.0)


def whole(node: FluxNode, root: Cid) -> int:
    found = node.derive_state().holds.get(root)
    return found.whole if found is not None else 0


def on_disk(node: FluxNode) -> list[str]:
    folder = node.home.path / "held"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


async def test_replicas_spread_outlive_their_origin_and_are_let_go(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(5_120_000)
    (tmp_path / "film.mkv").write_bytes(data)
    async with AsyncExitStack() as stack:

        async def node(name: str, settings: Any = LOOPBACK) -> FluxNode:
            return await stack.enter_async_context(FluxNode.open(tmp_path / name, settings))

        one, two = await node("one", keeping(quota=64 * MIB)), await node("two", keeping(quota=64 * MIB))
        tiny = await node("tiny", keeping(quota=4 * MIB))
        async with FluxNode.open(tmp_path / "origin", LOOPBACK) as origin:
            for peer in (one, two, tiny):
                origin.push_intent(cmd.Join(peer.addrs[0]))
            await until(lambda: origin.derive_state().connected == 3)
            root = await share(origin, tmp_path / "film.mkv")
            origin.push_intent(Hold(root, 2))
            await until(lambda: whole(origin, root) == 2)
            await until(lambda: tiny.peer_id in origin.derive_state().holds[root].refused)
            hold = origin.derive_state().holds[root]
            assert set(hold.keepers) == {one.peer_id, two.peer_id}
            assert hold.refused[tiny.peer_id].reason == "low_space"
            for keeper in (one, two):
                state = keeper.derive_state()
                assert (state.objects[root].origin, state.kept[root].whole) == ("held", True)
                assert (state.kept_bytes, keeper.count_pending()) == (len(data), 0)
                assert on_disk(keeper) == [root]
                assert (keeper.home.path / "held" / root).stat().st_size == len(data), "as it is, in one file"
            assert on_disk(tiny) == []
        # The origin is gone. A node that never met it gets the object from the keepers.
        late = await node("late")
        addrs = (one.addrs[0], two.addrs[0])
        late.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), "film.mkv", len(data), addrs))
        await until(lambda: not late.count_pending() and root in late.derive_state().objects)
        assert (tmp_path / "copy.mkv").read_bytes() == data
        # One keeper lets go while the origin is away. The origin comes back and is told.
        two.push_intent(cmd.Configure(PolicyChange(quota=1)))
        await until(lambda: not on_disk(two) and not two.derive_state().dropping)
        assert (
            two.store.chunks.counts()
            == (0, 0)
            == (two.derive_state().chunk_count, two.derive_state().chunk_bytes)
        )
        async with FluxNode.open(tmp_path / "origin", LOOPBACK) as origin:
            for peer in (one, two, tiny):
                origin.push_intent(cmd.Join(peer.addrs[0]))
            await until(lambda: origin.derive_state().connected == 3)
            assert one.peer_id in origin.derive_state().holds[root].keepers
            origin.push_intent(Release((root,)))
            await until(lambda: not on_disk(one) and not one.derive_state().kept)
            assert not origin.derive_state().holds
            assert (tmp_path / "film.mkv").read_bytes() == data
        await until(lambda: not one.derive_state().dropping)
        assert (
            one.store.chunks.counts()
            == (0, 0)
            == (one.derive_state().chunk_count, one.derive_state().chunk_bytes)
        )
        for keeper in (one, two, tiny):
            await until(lambda k=keeper: len(series_of(k)) == k.derive_state().seq)  # type: ignore[misc]
            assert derive(series_of(keeper)) == keeper.derive_state()


async def test_a_replica_that_the_user_gets_becomes_the_users(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_072_000)
    (tmp_path / "film.mkv").write_bytes(data)
    async with (
        FluxNode.open(tmp_path / "origin", LOOPBACK) as origin,
        FluxNode.open(tmp_path / "keeper", keeping(quota=64 * MIB)) as keeper,
    ):
        keeper.push_intent(cmd.Join(origin.addrs[0]))
        root = await share(origin, tmp_path / "film.mkv")
        origin.push_intent(Hold(root))
        await until(lambda: whole(origin, root) == 1)
        received = keeper.derive_state().received_bytes
        keeper.push_intent(cmd.Get(root, str(tmp_path / "mine.mkv")))
        await until(lambda: keeper.derive_state().kept[root].own and not keeper.derive_state().dropping)
        assert (tmp_path / "mine.mkv").read_bytes() == data
        assert on_disk(keeper) == [], "it is not kept twice"
        assert keeper.derive_state().received_bytes == received, "and did not come twice"
        assert keeper.derive_state().kept_bytes == 0
        origin.push_intent(Release((root,)))
        await until(lambda: not keeper.derive_state().kept)
        assert (tmp_path / "mine.mkv").read_bytes() == data
        chunks = keeper.store.chunks.counts()[0]
        assert chunks == keeper.derive_state().chunk_count == 4


async def test_a_restarted_keeper_goes_on_and_finishes_a_removal(
    tmp_path: Path,
) -> None:
    (tmp_path / "film.mkv").write_bytes(random.Random(1).randbytes(10_240_000))
    slow = msgspec.structs.replace(LOOPBACK, upload_limit=4 * MIB)
    async with FluxNode.open(tmp_path / "origin", slow) as origin:
        root = await share(origin, tmp_path / "film.mkv")
        origin.push_intent(Hold(root))
        settings = msgspec.structs.replace(keeping(quota=64 * MIB), join=(origin.addrs[0],))
        async with FluxNode.open(tmp_path / "keeper", settings) as keeper:
            await until(lambda: keeper.derive_state().chunk_count > 2)
            assert not whole(origin, root)
        async with FluxNode.open(tmp_path / "keeper", settings) as keeper:
            await until(lambda: whole(origin, root) == 1)
            assert keeper.derive_state().duplicate_factor < 1.3
            keeper.push_intent(Release((root,)))
        async with FluxNode.open(tmp_path / "keeper", LOOPBACK) as keeper:
            await until(lambda: not keeper.derive_state().dropping)
            assert on_disk(keeper) == []
            assert keeper.store.chunks.counts() == (0, 0)
            assert (keeper.derive_state().chunk_count, keeper.derive_state().chunk_bytes) == (0, 0)
