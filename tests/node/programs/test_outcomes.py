"""The outcome of each command, as a program waits for it; and what is taken back when it stops waiting."""

import os
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.core.series.want_explanation import NotPendingError
from flux_tui.node.programs.outcomes import OutcomeError
from flux_tui.testing import nodes

LACKING = raw_cid(b"nobody has this")
SECONDS = 60


def file_of(folder: Path, size: int, name: str = "f") -> Path:
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


async def test_the_outcome_of_what_is_added_wanted_got_and_removed(tmp_path: Path) -> None:
    path, small = file_of(tmp_path, 2_500_000), file_of(tmp_path, 10, "small")
    async with nodes(2, tmp_path) as (a, b):
        with trio.fail_after(SECONDS):
            added = await a.outcome(cmd.Add(path))
            assert (added.path, added.size, added.name) == (str(path), 2_500_000, "f")
            leaf = await a.outcome(cmd.Add(small))
            whole = await b.outcome(cmd.Want(added.root))
            assert (whole.root, whole.size) == (added.root, 2_500_000)
            assert await b.outcome(cmd.Want(added.root)) is not None, "it is here already"
            both = await b.outcome(cmd.WantMany((added.root, leaf.root)))
            assert {one.root for one in both} == {added.root, leaf.root}
            got = await b.outcome(cmd.Get(added.root, tmp_path / "got"))
            assert got.path == str(tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == path.read_bytes()
            seq = b.derive_state().seq
            again = await b.outcome(cmd.Get(added.root, tmp_path / "got"))
            assert (again.path, b.derive_state().seq) == (got.path, seq), "the same get is the same result"
            freed = await b.outcome(cmd.Remove((added.root, leaf.root)))
            assert freed.roots == (added.root, leaf.root)
            assert freed.size >= 2_500_010


async def test_a_command_that_fails_raises_its_error_as_data(tmp_path: Path) -> None:
    path = file_of(tmp_path, 10)
    async with nodes(1, tmp_path) as (a,):
        with trio.fail_after(SECONDS):
            with pytest.raises(OutcomeError) as missing:
                await a.outcome(cmd.Add(tmp_path / "missing"))
            assert (missing.value.code, missing.value.path) == ("cannot_add", str(tmp_path / "missing"))
            assert "does not exist" in str(missing.value)
            with pytest.raises(OutcomeError) as gone:
                await a.outcome(cmd.Remove((LACKING,)))
            assert (gone.value.code, gone.value.cid) == ("not_shared", LACKING)
            assert isinstance(gone.value.event, ev.ErrorOccurred)
            with pytest.raises(OutcomeError) as nothing:
                await a.outcome(cmd.Cancel((LACKING,)))
            assert nothing.value.code == "not_pending"
            added = await a.outcome(cmd.Add(path))
            with pytest.raises(NotPendingError, match="is not pending: it is whole"):
                a.why(added.root)
            with pytest.raises(OutcomeError) as there:
                await a.outcome(cmd.Get(added.root, file_of(tmp_path, 11, "taken")))
            assert there.value.code == "cannot_write"
            with pytest.raises(cmd.BadCommandError, match="no outcome"):
                await a.outcome(cmd.Retry())  # type: ignore[call-overload]


async def test_leaving_early_takes_the_want_back_and_tells_why(tmp_path: Path) -> None:
    async with nodes(2, tmp_path) as (a, b):
        with pytest.raises(NotPendingError):
            b.why(LACKING)
        with trio.fail_after(SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(b.outcome, cmd.Want(LACKING))
                no = await anext(b.follow(ev.StatusNo, after=0))
                assert no.event.peer == a.peer_id
                nursery.cancel_scope.cancel()
        assert not b.is_pending(LACKING)
        told = b.why(LACKING)
        assert told.lines[0].standing == "has_none"
        assert "has none" in str(told)
        assert told.as_json()["cid"] == LACKING


async def test_a_want_of_somebody_else_stays(tmp_path: Path) -> None:
    async with nodes(1, tmp_path) as (a,):
        a.push_intent(cmd.Want(LACKING))
        with trio.move_on_after(0.05):
            await a.outcome(cmd.Want(LACKING))
        assert a.is_pending(LACKING)
        async with trio.open_nursery() as nursery:
            failed: list[str] = []

            async def wait() -> None:
                with pytest.raises(OutcomeError) as error:
                    await a.outcome(cmd.Want(LACKING))
                failed.append(error.value.code)

            nursery.start_soon(wait)
            await wait_all_tasks_blocked(0.05)
            a.push_intent(cmd.Cancel((LACKING,)))
        assert failed == ["cancelled"]


async def test_join_leave_and_a_policy(tmp_path: Path) -> None:
    async with nodes(2, tmp_path, joined=False) as (a, b):
        with trio.fail_after(SECONDS):
            up = await a.outcome(cmd.Join(b.addrs[0]))
            assert up.peer == b.peer_id
            assert (await a.outcome(cmd.Join(b.addrs[0]))).peer == b.peer_id, "connected already"
            changed = await a.outcome(cmd.Configure(PolicyChange(upload_limit=5)))
            assert changed.policy.upload_limit == 5
            pushed = await a.outcome(cmd.Custom("app.word", b"payload"))
            assert (pushed.kind, pushed.payload) == ("app.word", b"payload")
            down = await a.outcome(cmd.Leave(b.addrs[0]))
            assert down is not None
            assert down.peer == b.peer_id
            assert await a.outcome(cmd.Leave(b.peer_id)) is None, "it is not connected"
            with pytest.raises(OutcomeError) as nobody:
                await a.outcome(cmd.Join(f"/ip4/127.0.0.1/tcp/1/p2p/{a.peer_id[:-1]}x"))
            assert nobody.value.code == "not_reached"
        with pytest.raises(cmd.BadCommandError):
            a.push_intent(cmd.Leave("nobody"))


async def test_replicas_are_waited_for_and_released(tmp_path: Path) -> None:
    path = file_of(tmp_path, 100_000)
    async with nodes(2, tmp_path) as (a, b):
        with trio.fail_after(SECONDS):
            await b.outcome(cmd.Configure(PolicyChange(quota=10_000_000)))
            root = (await a.outcome(cmd.Add(path))).root
            held = await a.outcome(cmd.Hold(root))
            assert isinstance(held, ev.ReplicaHeld)
            assert (held.peer, held.how) == (b.peer_id, "whole")
            assert isinstance((await a.outcome(cmd.Release((root,))))[0], ev.Released)


async def test_a_relative_path_is_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_of(tmp_path, 10, "here")
    monkeypatch.chdir(tmp_path)
    async with nodes(1, tmp_path) as (a,):
        assert (await a.outcome(cmd.Add(Path("here")))).path == str(tmp_path / "here")
        assert cmd.Get(LACKING, Path("x")).path == str(tmp_path / "x")
        with pytest.raises(cmd.BadCommandError, match="absolute"):
            a.push_intent(
                cmd.Add("here")
            )  # as text, it might be meant for another process: the command line has another working folder
