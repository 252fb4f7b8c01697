"""The window that asks whether the node goes on, when a person leaves during a download."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain
from flux_tui.ui.keys import sign
from flux_tui.ui.widgets.plain_text import PlainText, content


class LeaveScreen(ModalScreen[bool | None]):
    """A window with three answers: False: the node stops; True: it goes on alone; None: the person stays."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,n", "answer(None)", "Stay", show=False)]

    def __init__(self, unfinished: Plain, quit_keys: Sequence[str], detach_keys: Sequence[str]) -> None:
        """Ask the question. `unfinished`: what is not whole, in words.

        `quit_keys`: the keys that stop the node. `detach_keys`: the keys with which the node goes on alone.
        They are the same keys as in the dashboard.
        """
        super().__init__()
        self._unfinished = unfinished
        self._keys = (quit_keys[0], detach_keys[0])
        for key in quit_keys:
            self._bindings.bind(key, "answer(False)", show=False)
        for key in detach_keys:
            self._bindings.bind(key, "answer(True)", show=False)

    @override
    def compose(self) -> ComposeResult:
        stop, detach = map(sign, self._keys)
        with Vertical(classes="window") as window:
            window.border_title = content(plain("Leave?"))
            yield PlainText(self._unfinished, id="question")
            yield PlainText(
                plain(f"{stop}  Stop the node. What came is kept; the next start goes on from there.")
            )
            yield PlainText(plain(f"{detach}  Leave. The node goes on with it."))
            yield PlainText(plain("esc stays"), classes="note")

    def action_answer(self, stays: bool | None) -> None:
        """Close the window with the person's answer."""
        self.dismiss(stays)
