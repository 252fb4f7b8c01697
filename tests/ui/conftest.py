"""Fixtures: the dashboard without a terminal, on the recorded series or on one that a test appends to."""

import asyncio
import functools
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from flux_tui.core.api.commands import Command
from flux_tui.core.series.events import Entry, Event
from flux_tui.home import Home
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import WatchedNode
from tests.ui.terminal import until

P = ParamSpec("P")
RECORDING = Path(__file__).parents[2] / "assets" / "swarm.flux"
START = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _a_plain_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home of its own. The node that a test leaves running there is stopped."""
    found = Home(tmp_path / "home")
    yield found
    if pid := found.running():
        os.kill(pid, signal.SIGTERM)
    until(lambda: found.running() is None)


def on_asyncio(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Textual runs on asyncio; the rest of the tests run on trio."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def replayed(path: Path = RECORDING) -> Dashboard:
    """The dashboard as `flux-tui replay` makes it, with a clock that stands still."""
    node = WatchedNode(title=path.name, source=Source.of_file(path))
    return Dashboard(node, clock=lambda: START, glyphs=Glyphs(unicode=True))


class Live:
    """A series that grows, and a dashboard on it. `pushed` has the commands that keys pushed."""

    def __init__(self) -> None:
        self.series = MemorySeries()
        self.pushed: list[Command] = []
        self.now = START
        self.node_alive = True
        self.restarted = 0
        self.node = WatchedNode(
            title="home", source=Source(lambda: self.series), push=self._push,
            alive=lambda: self.node_alive, restart=self._restart,
        )  # fmt: skip
        self.app = self.dashboard()
        self.refuse: Exception | None = None

    def dashboard(self, **options: Any) -> Dashboard:
        """Return another dashboard on the same series."""
        return Dashboard(self.node, clock=lambda: self.now, glyphs=Glyphs(unicode=True), **options)

    def append(self, *events: Event, seconds: float = 0.0) -> None:
        """Append an event, `seconds` after the one before."""
        self.now += seconds
        last = self.series.last_seq()
        self.series.append([Entry(last + n, self.now, event) for n, event in enumerate(events, 1)])

    def _restart(self) -> None:
        self.restarted += 1

    def _push(self, command: Command) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.pushed.append(command)


@pytest.fixture
def live() -> Live:
    return Live()
