"""What a dashboard looks at: one home or one recording."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flux_tui.core.api.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.ui.series.cursor import Source


@dataclass(frozen=True, kw_only=True)
class Place:
    """A series to show, and what can be done with its node."""

    title: str
    source: Source
    push: Callable[[Command], None] | None = None
    """Into the node; None: a recording, into which nothing can be pushed."""
    node_alive: Callable[[], bool] = lambda: False
    restart: Callable[[], None] | None = None
    """Starts the node again, and returns at once; what it came to is in `trouble` or in the series."""
    starting: Callable[[], bool] = lambda: False
    """Whether one is being started now."""
    trouble: Callable[[], str | None] = lambda: None
    """What is wrong around the node: one sentence."""
    names: Mapping[PeerId, str] = field(default_factory=dict)
    """What people call peers, where somebody knows it; may grow. Peer ids are shown for all others."""

    @property
    def recording(self) -> bool:
        """Whether no node can ever write this."""
        return self.push is None
