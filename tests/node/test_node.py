"""Real nodes over libp2p on loopback, in one process: the API of the founding document, and what users expect."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive
from flux_tui.home import HomeBusyError
from flux_tui.net.port import Network, Receiver
from flux_tui.node.node import FluxNode
from flux_tui.testing.memory_network import Switchboard
from tests.support.nodes_here import LOOPBACK, series_of, share, until


async def test_a_file_crosses_and_both_series_record_it(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "film.mkv").write_bytes(data)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "film.mkv")
        b.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), "film.mkv", len(data), a.addrs, "me"))
        assert b.count_pending() == 1, "pushed, and returned at once"
        await until(lambda: not b.count_pending())
        assert (tmp_path / "copy.mkv").read_bytes() == data
        state = b.derive_state()
        assert state.duplicate_factor == 1.0
        assert state.objects[root].path == str(tmp_path / "copy.mkv")
        assert state.status[a.peer_id].has_it
        await until(lambda: a.derive_state().sent_bytes == state.received_bytes)
    for home in ("a", "b"):
        async with FluxNode.open(tmp_path / home, LOOPBACK) as node:
            await until(lambda: len(series_of(node)) == node.derive_state().seq)
            entries = series_of(node)
            assert derive(entries) == node.derive_state()
    told = {type(entry.event) for entry in entries}
    assert {ev.Requested, ev.PushedWant, ev.Granted, ev.ChunkReceived, ev.ObjectCompleted} <= told


async def test_the_verbs_of_the_founding_document(tmp_path: Path) -> None:
    folder = tmp_path / "chunks"
    folder.mkdir()
    chunks = {raw_cid(data): data for data in (b"chunk %d" % n for n in range(300))}
    for number, data in enumerate(chunks.values()):
        (folder / f"{number}").write_bytes(data)
    arrived: list[Cid] = []
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        await share(a, folder)
        b.on_data("chunk", lambda entry: arrived.append(entry.event.cid))  # type: ignore[union-attr, arg-type]
        b.push_intent(cmd.Join(a.addrs[0]))
        first, *rest = chunks
        b.get_chunk(first)
        assert b.check_if_arrived(first) is None
        b.want_multiple_chunks(rest)
        assert b.count_pending() == 300
        assert set(b.derive_state().pending) == set(chunks)
        await until(lambda: len(arrived) == 300)
        assert b.derive_chunks() == chunks
        assert b.check_if_arrived(first) == chunks[first]
        assert not b.derive_state().pending
        with pytest.raises(ValueError, match="is not a kind"):
            b.on_data("No such kind!", print)


async def test_a_handler_that_fails_is_an_entry_not_the_end(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as node:

        def broken(entry: Entry) -> None:
            raise RuntimeError("oh no")

        node.on_data("requested", broken)
        node.get_chunk(raw_cid(b"x"))
        await until(lambda: "oh no" in (node.derive_state().last_error or ""))
        node.get_chunk(raw_cid(b"y"))
        await until(lambda: node.count_pending() == 2)


async def test_folders_cross_whole(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "a file with ünïcode").write_bytes(b"x" * 3_000_000)
    (tree / "sub" / "nothing").write_bytes(b"")
    (tree / "sub" / "link").symlink_to("../a file with ünïcode")
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tree)
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs))
        await until(lambda: not b.count_pending())
    copy = tmp_path / "copy"
    found = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    assert found == {str(path.relative_to(tree)) for path in tree.rglob("*")}
    assert (copy / "a file with ünïcode").read_bytes() == b"x" * 3_000_000
    assert (copy / "sub" / "link").readlink() == Path("../a file with ünïcode")


async def test_gossip_reaches_an_unconnected_holder(tmp_path: Path) -> None:
    """b knows only the middle node. The holder behind it hears of the want, and dials b to answer."""
    (tmp_path / "x").write_bytes(b"far away" * 100_000)
    async with (
        FluxNode.open(tmp_path / "a", LOOPBACK) as a,
        FluxNode.open(tmp_path / "m", LOOPBACK) as m,
        FluxNode.open(tmp_path / "b", LOOPBACK) as b,
    ):
        root = await share(a, tmp_path / "x")
        a.push_intent(cmd.Join(m.addrs[0]))
        b.push_intent(cmd.Join(m.addrs[0]))
        await until(lambda: m.derive_state().connected == 2)
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, ()))

        asked = [trio.current_time()]

        def again() -> bool:
            # Gossip needs a heartbeat to form its mesh. A person would press r meanwhile.
            if not b.derive_state().peers.get(a.peer_id) and trio.current_time() > asked[-1] + 0.3:
                asked.append(trio.current_time())
                b.retry_pending()
            return not b.count_pending()

        await until(again, 30)
    assert (tmp_path / "copy").read_bytes() == b"far away" * 100_000


async def test_a_changed_file_is_not_sent_and_both_sides_say_so(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    path.write_bytes(b"a" * 2_000_000)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, path)
        path.write_bytes(b"b" * 2_000_000)
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs))
        await until(lambda: a.derive_state().errors)
        await until(lambda: "not_held" in b.derive_state().peers[a.peer_id].counts)
        assert str(path) in (a.derive_state().last_error or "")
        assert b.count_pending() == 1
        path.write_bytes(b"a" * 2_000_000)
        await share(a, path)
        b.retry_pending()
        await until(lambda: not b.count_pending())
    assert (tmp_path / "copy").read_bytes() == b"a" * 2_000_000


async def test_cancel_keeps_fetched_chunks_and_the_same_get_goes_on(tmp_path: Path) -> None:
    data = bytes(range(251)) * 100_000
    (tmp_path / "x").write_bytes(data)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "x")
        get = cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs)
        b.push_intent(get)
        await until(lambda: b.derive_state().chunk_count > 3)
        b.push_intent(cmd.Cancel((root,)))
        await until(lambda: not b.count_pending())
        b.push_intent(get)
        await until(lambda: not b.count_pending() and (tmp_path / "copy").exists())
        received = [e.event.cid for e in series_of(b) if isinstance(e.event, ev.ChunkReceived)]
        assert len(received) == len(set(received))
    assert (tmp_path / "copy").read_bytes() == data


async def test_an_object_that_is_wanted_without_a_path_goes_to_the_home(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"q" * 1_500_000)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "x")
        b.push_intent(cmd.Join(a.addrs[0]))
        b.push_intent(cmd.Want(root))
        await until(lambda: not b.count_pending())
        assert (tmp_path / "b" / "objects" / root).read_bytes() == b"q" * 1_500_000


async def test_an_unwritable_path_is_an_entry_with_the_mark(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as node:
        node.push_intent(cmd.Get(dag_cid(b"x"), str(tmp_path / "taken"), by="me"))
        node.push_intent(cmd.Add(str(tmp_path / "nothing"), "you"))
        node.push_intent(cmd.Join("/ip4/127.0.0.1/tcp/1/p2p/" + node.peer_id[:-1] + "z", "x"))
        await until(lambda: node.derive_state().errors >= 2)
        await until(lambda: {"me", "you"} <= {getattr(e.event, "by", None) for e in series_of(node)})
    assert (tmp_path / "taken").read_text() == "mine"


async def test_a_home_has_one_node(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "a", LOOPBACK):
        with pytest.raises(HomeBusyError, match="in use by the node with pid"):
            async with FluxNode.open(tmp_path / "a", LOOPBACK):
                pass


async def test_an_exception_of_the_body_is_not_wrapped_in_a_group(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with FluxNode.open(tmp_path / "a", LOOPBACK):
            raise ZeroDivisionError
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as node:
        assert isinstance(series_of(node)[1].event, ev.NodeStopped), "it was stopped in order all the same"


async def test_the_error_of_a_background_task_is_raised(tmp_path: Path) -> None:
    """It is not the cancellation of the program's own task, which only follows from it."""

    @asynccontextmanager
    async def failing(receiver: Receiver) -> AsyncIterator[Network]:
        async with Switchboard().opening(bytes(32))(receiver) as network, trio.open_nursery() as nursery:

            async def fail() -> None:
                raise OSError("the network card is gone")

            nursery.start_soon(fail)
            yield network

    with pytest.raises(OSError, match="the network card is gone") as caught:
        async with FluxNode.open(tmp_path / "a", LOOPBACK, network=failing):
            await trio.sleep_forever()
    assert caught.traceback[-1].name == "fail", "with its own traceback"
