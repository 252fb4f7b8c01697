"""What a narrator says beside the panels, and how a story is paged through."""

from typing import NamedTuple, Protocol


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
