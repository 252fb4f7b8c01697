"""The windows in which a person types something to send: a want, or paths to share.

Such a window says in place why it could not send, and keeps the typed text.
"""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from flux_tui.core.text.plain import plain_lines
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText

KEPT = "What you typed stays here: press enter again when the node runs."
Sent = TypeVar("Sent")
"""What the window sends."""


class TypedWindow(ModalScreen[None], Generic[Sent]):
    """A window with one input, which has a line for errors below it (`#error`)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_nothing", "Close", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]

    def __init__(self, send: Callable[[Sent], None], text: str, trouble: str | None) -> None:
        """Open the window with a text in it. `send` raises ValueError with the reason if it cannot send.

        `trouble`: why no node takes commands now, which is shown from the beginning.
        """
        super().__init__()
        self._send = send
        self._text = text
        """The text that the window opens with."""
        self._trouble = trouble

    @property
    def field(self) -> PlainInput:
        """The input."""
        return self.query_one(PlainInput)

    def on_mount(self) -> None:
        """Type the text that the window opens with."""
        if self._text:
            self.field.take(self._text)
        if self._trouble is not None:
            self.say(self._trouble)

    def send_and_close(self, sent: Sent) -> None:
        """Send and close, or say why that cannot be and keep what was typed."""
        try:
            self._send(sent)
        except ValueError as error:
            self.say(str(error), KEPT)
        else:
            self.dismiss()

    def fill(self, completed: str | None) -> None:
        """Put a completed text into the input. None: there is none."""
        if completed is not None:
            self.field.value = completed
            self.field.cursor_position = len(completed)

    def action_dismiss_nothing(self) -> None:
        """Close the window. Nothing is sent."""
        self.dismiss()

    def say(self, *lines: str) -> None:
        """Show lines about what was typed, or remove them if there are none."""
        self.query_one("#error", PlainText).tell(plain_lines(*lines))
