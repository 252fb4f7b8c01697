"""The facts about the nodes and the content of a scenario while it is played, read from the series."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import ChunkReceived, ObjectCompleted, kind_of
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.demo.facts.download_time import Stages
from flux_tui.store.schema import StoreError
from flux_tui.store.series_reader import SeriesReader

PAGE = 5_000
"""How many entries are read at a time."""


class Made(NamedTuple):
    """Content that a scenario made."""

    path: Path
    cids: tuple[Cid, ...]
    """The root of a file, or all CIDs of a set of loose chunks."""
    size: int


class Scene(Protocol):
    """The nodes and the content of a scenario that is being played."""

    @property
    def contents(self) -> "dict[str, Made]":
        """The files that the scenario made, by name."""

    def watch(self, node: str) -> "Watch":
        """Return what is known of a node's series."""

    def alive(self, node: str) -> bool:
        """Return whether the process of a node runs."""

    def latency(self, node: str) -> float:
        """Return the one-way delay of a node's links, in seconds."""

    def port(self, node: str) -> int:
        """Return the TCP port at which a node listens. 0: at none."""

    @property
    def names(self) -> Mapping[PeerId, str]:
        """The names of the nodes, by peer id."""

    @property
    def everyone(self) -> tuple[str, ...]:
        """The names of all nodes."""


class Watch:
    """One node, seen through its series as the dashboard sees it.

    It is folded entry by entry, so that peaks are not missed.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._reader: SeriesReader | None = None
        self.state = State()
        self.counts: Counter[str] = Counter()
        self.first: dict[str, float] = {}
        """The time of the first entry of each kind."""
        self.last: dict[str, float] = {}
        self.received: Counter[Cid] = Counter()
        self.refetched = 0
        """How many chunks came again after they had been committed."""
        self.completed: dict[Cid, str | None] = {}
        self.stages = Stages()
        self.peak_pending = self.peak_pushed = self.peak_waiting = 0

    def poll(self) -> None:
        """Read new entries."""
        if self._reader is None:
            if not self._database.exists():
                return
            try:
                self._reader = SeriesReader.open(self._database)
            except StoreError:
                return  # the database is being made
        while page := self._reader.read(self.state.seq, PAGE):
            for entry in page:
                apply(self.state, entry)
                kind = kind_of(entry.event)
                self.counts[kind] += 1
                self.first.setdefault(kind, entry.at)
                self.last[kind] = entry.at
                match entry.event:
                    case ChunkReceived(cid=cid):
                        self.received[cid] += 1
                        self.refetched += self.received[cid] > 1
                    case ObjectCompleted(root=root, path=path):
                        self.completed[root] = path
                pending, pushed, queued = len(self.state.pending), self.state.pushed, self.state.queued
                self.stages.add(entry, len(self.state.leases), pushed)
                self.peak_pending = max(self.peak_pending, pending)
                self.peak_pushed = max(self.peak_pushed, pushed)
                self.peak_waiting = max(self.peak_waiting, queued)

    def close(self) -> None:
        """Close the series."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
