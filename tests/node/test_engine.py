"""The engine: append, then act. Everything accepted is durable before the node ends, or is never claimed."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from msgspec.structs import replace
from trio.testing import wait_all_tasks_blocked

from flux_tui.clock import SteadyClock
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.node import engine
from flux_tui.node.disk.stored_state import load_state
from flux_tui.node.node import FluxNode
from flux_tui.store.store import Landed, Store, StoreError
from flux_tui.testing.memory_network import Switchboard
from tests.support.nodes_here import LOOPBACK, series_of, until

WANTED = [raw_cid(b"%d" % number) for number in range(3)]


async def test_inputs_taken_during_a_commit_survive_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, begun, go_on = Store.commit, threading.Event(), threading.Event()

    def slow(self: Store, *args: Any, **extra: Any) -> int:
        begun.set()
        assert go_on.wait(10)
        return commit(self, *args, **extra)

    async with FluxNode.open(tmp_path, LOOPBACK, network=Switchboard().opening()) as node:
        await until(lambda: node.store.last_seq > 0)
        monkeypatch.setattr(Store, "commit", slow)
        node.push_intent(cmd.Want(WANTED[0]))
        await until(begun.is_set)
        node.push_intent(cmd.Want(WANTED[1]))
        assert node.count_pending() == 2
        seq = node.derive_state().seq
        go_on.set()
    monkeypatch.undo()
    assert _pending(tmp_path, seq) == set(WANTED[:2])


async def test_a_stop_while_the_disk_is_full_keeps_what_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, full, tried = Store.commit, threading.Event(), threading.Event()

    def sometimes(self: Store, *args: Any, **extra: Any) -> int:
        if full.is_set():
            tried.set()
            raise StoreError("the disk is full")
        return commit(self, *args, **extra)

    monkeypatch.setattr(Store, "commit", sometimes)
    async with FluxNode.open(tmp_path, LOOPBACK, network=Switchboard().opening()) as node:
        await until(lambda: node.store.last_seq > 0)
        full.set()
        node.push_intent(cmd.Want(WANTED[0]))
        await until(tried.is_set)
        node.push_intent(cmd.Want(WANTED[1]))
        seq = node.derive_state().seq
        full.clear()  # there is room again just when the node is told to stop
    assert _pending(tmp_path, seq) == set(WANTED[:2])


def _pending(home: Path, at_least: int) -> set[str]:
    store = Store.open(home)
    try:
        state = load_state(store)
        entries = store.reader().read(0, 1000)
    finally:
        store.close()
    assert state.seq > at_least
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert isinstance(entries[-1].event, ev.NodeStopped)
    return set(state.pending)


async def test_peers_are_told_that_a_node_stops(tmp_path: Path) -> None:
    """As on real streams, the last messages are written before the link is closed."""
    board = Switchboard()
    (tmp_path / "file").write_bytes(bytes(range(256)) * 8192)
    async with FluxNode.open(tmp_path / "b", LOOPBACK, network=board.opening()) as asker:
        slow = replace(LOOPBACK, upload_limit=600_000)  # the granted chunks are under way for seconds
        async with FluxNode.open(tmp_path / "a", slow, network=board.opening()) as holder:
            holder.push_intent(cmd.Add(str(tmp_path / "file")))
            await until(lambda: holder.derive_state().objects)
            (root,) = holder.derive_state().objects
            asker.push_intent(cmd.Get(root, str(tmp_path / "out"), addrs=holder.addrs))
            await until(lambda: _granted(holder) > 1)  # its index, then its blocks
        await until(lambda: asker.derive_state().connected == 0)
        await until(_heard(asker, "shutting_down"))


def _granted(node: FluxNode) -> int:
    return sum(isinstance(entry.event, ev.GrantReceived) for entry in series_of(node))


def _heard(node: FluxNode, reason: str) -> Callable[[], bool]:
    def heard() -> bool:
        return any(
            isinstance(entry.event, ev.StatusNo) and entry.event.reason == reason for entry in series_of(node)
        )

    return heard


async def _push_each(node: FluxNode, wanted: Sequence[Cid]) -> None:
    """Push one after the other: the next when the one before is in the series."""
    for cid in wanted:
        seq = node.store.last_seq
        node.push_intent(cmd.Want(cid))
        await until(partial(_longer_than, node, seq))
        await wait_all_tasks_blocked()  # the effects of this commit have begun


def _longer_than(node: FluxNode, seq: int) -> bool:
    return node.store.last_seq > seq


async def test_a_few_commits_in_a_row_wait_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "GATHER_SECONDS", 3600.0)
    async with FluxNode.open(tmp_path, LOOPBACK, network=Switchboard().opening()) as node:
        await _push_each(node, WANTED)


async def test_a_busy_node_batches_its_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit, at = Store.commit, list[float]()

    def timed(self: Store, *args: Any, **extra: Any) -> int:
        at.append(time.monotonic())
        return commit(self, *args, **extra)

    monkeypatch.setattr(engine, "GATHER_SECONDS", 0.2)
    monkeypatch.setattr(engine, "HASTE_BURST", 0.0)
    async with FluxNode.open(tmp_path, LOOPBACK, network=Switchboard().opening()) as node:
        await until(lambda: node.store.last_seq > 0)
        monkeypatch.setattr(Store, "commit", timed)
        await _push_each(node, WANTED)
        gathered = at[: len(WANTED)]
    assert min(later - before for before, later in pairwise(gathered)) >= 0.19


class _Machine:
    """Makes an entry of each input, and an effect of those whose text says so."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(seq=0, pending={}, leases={})

    def handle(self, given: inp.Failed, now: float) -> tuple[list[Entry], list[str]]:
        self.state.seq += 1
        entry = Entry(self.state.seq, now, ev.ErrorOccurred(text=given.text))
        return [entry], [given.text] if given.text.startswith("act") else []

    def next_deadline(self) -> float:
        return float("inf")


class _Store:
    """Notes what is committed together. The first commit takes until it is told to go on."""

    def __init__(self) -> None:
        self.last_seq = 0
        self.groups: list[list[str]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def commit(self, events: Sequence[tuple[float, ev.ErrorOccurred]], *_: object) -> None:
        self.groups.append([event.text for _, event in events])
        self.begun.set()
        assert self.go_on.wait(10)
        self.last_seq += len(events)


async def test_what_came_during_a_commit_is_committed_with_what_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a busy machine, a commit of a few chunks would be followed at once by one of the few that came meanwhile."""
    monkeypatch.setattr(engine, "LAZY_SECONDS", 1000.0)
    machine, store, effects = _Machine(), _Store(), list[Any]()
    fed = engine.Engine(cast("Any", machine), cast("Any", store), SteadyClock())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fed.run, effects.append, lambda _: None)
        fed.feed(inp.Failed(text="act first"))
        await until(store.begun.is_set)
        fed.feed(inp.Failed(text="tell"))
        store.go_on.set()
        await until(lambda: effects == ["act first"])
        await wait_all_tasks_blocked()
        assert store.groups == [["act first"]], "nothing waits for the second entry"
        fed.feed(inp.Failed(text="act next"))
        await until(lambda: effects == ["act first", "act next"])
        assert store.groups == [["act first"], ["tell", "act next"]]
        nursery.cancel_scope.cancel()


async def test_a_row_is_committed_with_the_entry_of_its_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the chunks came together, and their entries are more than one commit takes."""
    commit, groups = Store.commit, list[tuple[list[Cid], list[Cid]]]()

    def noted(self: Store, events: Any, landed: Sequence[Landed] = (), *rest: Any) -> int:
        told = [event.cid for _, event in events if isinstance(event, ev.ChunkWasted)]
        groups.append((told, [row.cid for row in landed]))
        return commit(self, events, landed, *rest)

    monkeypatch.setattr(engine, "MAX_GROUP", 2)
    async with FluxNode.open(tmp_path, LOOPBACK, network=Switchboard().opening()) as node:
        await until(lambda: node.store.last_seq > 0)
        monkeypatch.setattr(Store, "commit", noted)
        cids = [*WANTED, WANTED[0]]  # nobody wants them: each is recorded as wasted
        landed = tuple(inp.ChunkLanded(PeerId("p"), cid, 1) for cid in cids)
        node._engine.feed(inp.ChunksLanded(landed), [Landed(cid, 1, data=b"x") for cid in cids])
    assert [told for told, _ in groups if told] == [WANTED[:2], [WANTED[2], WANTED[0]]]
    for told, rows in groups:
        assert set(told) <= set(rows) | set(WANTED[:1])
        assert set(rows) <= set(told)
