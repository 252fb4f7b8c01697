"""The captions of a narrated demo, shown below the panels, and how a person moves between them."""

from typing import NamedTuple, Protocol


class Pointer(NamedTuple):
    """The line or object that a caption is about, in the caption's panel, and how the panel shows it."""

    select: str = ""
    """The name of the object or peer whose line is selected. Empty: the selection stays."""
    about: str = ""
    """The name of the object whose lanes Flow shows. Empty: all."""
    picture: bool = False
    """Whether Flow shows this node among its peers, not lanes over time."""
    filter: str = ""
    """The filter of the panel, as a person types it. Empty: none."""
    from_start: bool = False
    """Whether Flow shows all the time since the node started."""


class Caption(NamedTuple):
    """One caption of a narrated demo, with the node and panel that it is about."""

    text: str
    """The text, long enough for one to three lines. It is wrapped to the terminal."""
    step: int
    """The number of this caption, from 1."""
    steps: int
    paused: bool = False
    """Whether the narrated demo is paused until a key is pressed."""
    back: int = 0
    """The number of steps from this caption to the newest. 0: it is the newest."""
    node: str | None = None
    """The title of the node to show. None: the one that the person chose."""
    panel: str | None = None
    """The panel that shows the subject of the caption. None: the first, unless the person chose another."""
    ends: bool = False
    """Whether the narrated demo is over, and the dashboard leaves by itself."""
    pointer: Pointer | None = None
    """The line or object that the caption is about. None: no particular one."""
    press: str = ""
    """The effect of the enter key, in words. Empty: the demo does not wait for that."""
    inspects: bool = False
    """Whether enter inspects the selected line. The demo goes on when that window is closed."""


class Narrator(Protocol):
    """Tells a narrated demo in captions.

    The dashboard reads `caption` on every tick; the narrator never calls back.
    """

    @property
    def caption(self) -> Caption:
        """The caption of the narrated demo to show now."""

    def move(self, by: int) -> None:
        """Show the next caption (1) or the previous caption (-1)."""

    def press(self) -> None:
        """Do what the enter key does at this caption; `Caption.press` says it in words."""

    def toggle_pause(self) -> None:
        """Pause the narrated demo, or resume it at its newest caption."""
