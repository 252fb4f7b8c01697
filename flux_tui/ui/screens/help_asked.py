"""The message by which an open window asks for the help about itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:  # with the glossary, which is imported when help is first opened
    from flux_tui.ui.rows.terms_in_focus import Explained


class HelpAsked(Message):
    """A person pressed the key for help in a window. The dashboard opens the help over the window."""

    def __init__(self, window: str, focus: "Sequence[Explained]" = ()) -> None:
        """Ask for the help about a window. `window`: its name in WINDOWS of the glossary.

        `focus`: the terms in the selected line of the window.
        """
        super().__init__()
        self.window = window
        self.focus = focus
