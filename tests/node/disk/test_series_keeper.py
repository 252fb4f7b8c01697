"""A running node moves old entries into segments, and prunes them by its settings and when it is asked to."""

from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.node import engine
from flux_tui.node.disk import series_keeper
from flux_tui.node.node import FluxNode
from flux_tui.store.segments import rotation
from flux_tui.store.series_reader import SeriesReader
from tests.support.nodes_here import LOOPBACK, until


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "SEGMENT_BYTES", 1 << 14)
    monkeypatch.setattr(engine, "CHECKPOINT_ENTRIES", 50)
    monkeypatch.setattr(series_keeper, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(series_keeper, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(series_keeper, "PRUNE_SECONDS", 0.05)


async def fill(node: FluxNode) -> None:
    """Append some hundred entries in groups, about releases of what is not held, each with a checkpoint."""
    for _ in range(8):
        goal = node.derive_state().errors + 60
        for number in range(60):
            node.push_intent(cmd.Release((CID,), f"{number}"))
        await until(partial(has_errors, node, goal))
        await until(lambda: node.store.last_seq == node.derive_state().seq)


def has_errors(node: FluxNode, count: int) -> bool:
    return node.derive_state().errors >= count


CID = Cid("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")


async def test_a_node_keeps_what_its_settings_say(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(LOOPBACK, series_keep="30KiB", series_archive="old")
    async with FluxNode.open(tmp_path / "home", settings) as node:
        for _ in range(4):
            await fill(node)
        await until(lambda: bool(list((tmp_path / "home" / "old").glob("*.flux"))))
        with closing(SeriesReader.open(tmp_path / "home" / "flux.db")) as reader:
            await until(lambda: reader.first_seq() > 1)
            await until(lambda: bool([e for page in reader.of_kinds(("series_pruned",), 0) for e in page]))
        state = node.derive_state()
    async with FluxNode.open(tmp_path / "home", settings) as node:
        assert node.derive_state().errors == state.errors, "what is dropped stays in the state"


async def test_a_node_prunes_when_it_is_asked(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "home", LOOPBACK) as node:
        await fill(node)
        await until(lambda: bool(node.store.series.segments))
        told: list[ev.Event] = []
        node.on_data("series_pruned", lambda entry: told.append(entry.event))
        node.push_intent(cmd.Prune("1KB", by="me"))
        await until(lambda: bool(told))
        assert isinstance(told[0], ev.SeriesPruned)
        assert (told[0].by, told[0].archive) == ("me", None)
        assert told[0].entries > 0
        node.push_intent(cmd.Prune("all", by="again"))
        await until(lambda: len(told) == 2)
        assert told[1] == ev.SeriesPruned(entries=0, size=0, first=node.store.series.first, by="again")
        with pytest.raises(cmd.BadCommandError, match="is not all"):
            node.push_intent(cmd.Prune("soon"))
    with closing(SeriesReader.open(tmp_path / "home" / "flux.db")) as reader:
        found = reader.checkpoint(reader.last_seq())
        assert found is not None
        assert found[0] == reader.last_seq(), "a node saves its state when it stops"


class FakeSeries:
    """Counts how often the keeper looks, and how often it prunes."""

    def __init__(self) -> None:
        self.looks = self.prunes = 0

    @property
    def due(self) -> bool:
        self.looks += 1
        return False

    def prune(self, *_: object) -> None:
        self.prunes += 1


async def test_after_the_clock_was_set_nothing_is_pruned_by_age_for_an_hour() -> None:
    """A clock that is set years forward makes all entries old at once."""
    series, now = FakeSeries(), [0.0]
    clock = type("FakeClock", (), {"__call__": lambda _: now[0], "wall": lambda _: now[0]})()
    fake = SimpleNamespace(clock=clock, store=SimpleNamespace(series=series, has_staged=False), stalled=False)
    keeper = series_keeper.SeriesKeeper(cast("engine.Engine", fake), KeepRule(seconds=86_400.0), None)

    async def looked_again() -> None:
        looks = series.looks
        await until(lambda: series.looks > looks + 6)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keeper.run)
        await looked_again()
        assert series.prunes == 0, "not before the clock has been right for an hour"
        now[0] += 3601.0
        await until(lambda: series.prunes == 1)
        keeper.clock_was_set()
        now[0] += 3500.0
        await looked_again()
        assert series.prunes == 1
        now[0] += 101.0
        await until(lambda: series.prunes == 2)
        nursery.cancel_scope.cancel()
