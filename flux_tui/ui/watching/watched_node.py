"""A node that a dashboard shows: a home or a recording."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flux_tui.core.api.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.ui.series.cursor import Source


@dataclass(frozen=True, kw_only=True)
class WatchedNode:
    """A series to show, and what a person can do with its node."""

    title: str
    source: Source
    push: Callable[[Command], None] | None = None
    """Pushes a command into the node. None: this is a recording."""
    node_alive: Callable[[], bool] = lambda: False
    restart: Callable[[], None] | None = None
    """Starts the node again, and returns at once. The outcome is in `trouble` or in the series."""
    starting: Callable[[], bool] = lambda: False
    """Whether a node is being started now."""
    trouble: Callable[[], str | None] = lambda: None
    """What is wrong with the node, in one sentence."""
    names: Mapping[PeerId, str] = field(default_factory=dict)
    """Names of peers, where they are known. More may come. Other peers are shown by id."""

    @property
    def recording(self) -> bool:
        """Whether this is a recording, which no node writes."""
        return self.push is None
