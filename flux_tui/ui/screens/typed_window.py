"""The common base of the windows in which a person types something to send: a want, or paths to share.

If the window cannot send, it says why and keeps the typed text.
"""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from flux_tui.core.text.plain import plain_lines
from flux_tui.ui.screens.help_asked import HelpAsked
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText

KEPT = "What you typed stays here: press enter again when the node runs."
Sent = TypeVar("Sent")
"""What the window sends."""


class TypedWindow(ModalScreen[None], Generic[Sent]):
    """A window with one input, and a line for errors below the input (`#error`)."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_nothing", "Close", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
        Binding("f1", "explain", "Explain", show=False),
    ]
    WINDOW: ClassVar[str]
    """The name of the window in WINDOWS of the glossary."""

    def __init__(self, send: Callable[[Sent], None], text: str, trouble: str | None) -> None:
        """Open the window with `text` in the input.

        `send` sends the typed values, or raises ValueError with the reason. `trouble`: why no node takes
        commands now, which is shown from the beginning. None: a node does.
        """
        super().__init__()
        self._send = send
        self._text = text
        """The text that the window opens with."""
        self._trouble = trouble

    @property
    def field(self) -> PlainInput:
        """The input of the window."""
        return self.query_one(PlainInput)

    def on_mount(self) -> None:
        """Put the text that the window was opened with into the input, and show why no node takes commands, if so."""
        if self._text:
            self.field.take(self._text)
        if self._trouble is not None:
            self.say(self._trouble)

    def send_and_close(self, sent: Sent) -> None:
        """Send `sent` and close the window. If that fails, show why and keep the typed text."""
        try:
            self._send(sent)
        except ValueError as error:
            self.say(str(error), KEPT)
        else:
            self.dismiss()

    def fill(self, completed: str | None) -> None:
        """Put a completed text into the input. None: there is no completion, and the input stays."""
        if completed is not None:
            self.field.value = completed
            self.field.cursor_position = len(completed)

    def action_explain(self) -> None:
        """Open the help about this window. A question mark is typed, so the key is f1."""
        self.post_message(HelpAsked(self.WINDOW))

    def action_dismiss_nothing(self) -> None:
        """Close the window without sending anything."""
        self.dismiss()

    def say(self, *lines: str) -> None:
        """Show lines below the input. Without lines, remove the lines that are shown."""
        self.query_one("#error", PlainText).tell(plain_lines(*lines))
