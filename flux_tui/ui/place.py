"""What a dashboard looks at: one home or one recording; and who narrates, if somebody does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from flux_tui.core.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.ui.source import Source


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


class Caption(NamedTuple):
    """What a narrator says now."""

    text: str
    """One to three lines' worth; wrapped to the terminal."""
    step: int
    """From 1."""
    steps: int
    held: bool = False
    """Whether the story waits for a key instead of going on by itself."""
    back: int = 0
    """How many captions before the newest this one is."""
    place: str | None = None
    """The title of the place to look at; None: whichever the person chose."""
    panel: str | None = None
    """The panel that shows what is told; None: the first, unless the person chose one."""


class Narrator(Protocol):
    """Tells what is being shown. Asked on every tick; never calls back."""

    @property
    def caption(self) -> Caption:
        """What to say now."""

    def move(self, by: int) -> None:
        """To the next caption (1), or the one before (-1)."""

    def hold(self) -> None:
        """Pause the story, or resume it at its newest caption."""
