"""The window with a question before an action that cannot be undone."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain
from flux_tui.ui.widgets.plain_text import PlainText, content


class ConfirmScreen(ModalScreen[bool]):
    """A window with a question. It closes with True after `y`, and with False after n, esc, enter or q."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", show=False),
        Binding("n,escape,enter,q", "answer(False)", "No", show=False),
    ]

    def __init__(self, question: Plain, *facts: Plain) -> None:
        super().__init__()
        self._question = question
        self._facts = facts

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = content(plain("Sure?"))
            yield PlainText(self._question, id="question")
            for fact in self._facts:
                yield PlainText(fact, classes="note")
            yield PlainText(plain("y yes · n no"), classes="note")

    def action_answer(self, answer: bool) -> None:
        """Close the window with the person's answer: True for yes."""
        self.dismiss(answer)
