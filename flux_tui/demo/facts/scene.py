"""The nodes and the content of a scenario while it is played. Facts are read from the nodes' series."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import ChunkReceived, ObjectCompleted, kind_of
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.demo.facts.download_stages import Stages
from flux_tui.store.database import StoreError
from flux_tui.store.series_reader import SeriesReader

PAGE = 5_000
"""How many entries are read at a time."""


class Made(NamedTuple):
    """Content that the demo made for a scenario: a file, or a set of chunks."""

    path: Path
    cids: tuple[Cid, ...]
    """The root of a file, or all CIDs of a set of loose chunks."""
    size: int


class Scene(Protocol):
    """The nodes and the content of a scenario that is being played, as facts need them."""

    @property
    def contents(self) -> "dict[str, Made]":
        """The content that the demo made for the scenario, by name."""

    def watch(self, node: str) -> "Watch":
        """Return what has been read from a node's series."""

    def alive(self, node: str) -> bool:
        """Whether the process of a node runs."""

    def latency(self, node: str) -> float:
        """Return the delay to a node, one way, in seconds."""

    def port(self, node: str) -> int:
        """Return the TCP port at which a node listens; 0 if it does not listen."""

    @property
    def names(self) -> Mapping[PeerId, str]:
        """The names of the scenario's nodes, by peer id."""

    @property
    def everyone(self) -> tuple[str, ...]:
        """The names of all nodes of the scenario."""


class Watch:
    """Follows one node's series, as the dashboard does, and counts what facts need.

    The state is computed entry by entry, so that the highest values of counters are not missed.
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
        """Read the entries that were appended to the series since the last call."""
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
        """Close the series file."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
