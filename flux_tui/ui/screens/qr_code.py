"""The window with a ticket as a QR code."""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain
from flux_tui.ui.widgets.plain_text import PlainText, content


class QrScreen(ModalScreen[None]):
    """A window with a QR code, dark on light whatever the theme. Any of esc, enter, q and space closes it."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,space", "close", "Close", show=False)]

    def __init__(self, name: Plain, lines: Sequence[str]) -> None:
        """Make the window. `name`: the object that the ticket is for; `lines`: those of `qr_code.qr_lines`."""
        super().__init__()
        self._title = name
        self._lines = lines

    @override
    def compose(self) -> ComposeResult:
        with Vertical(id="code-window") as window:
            window.border_title = content(self._title)
            window.border_subtitle = content(plain("esc closes"))
            for line in self._lines:
                yield PlainText(plain(line), classes="code")

    def action_close(self) -> None:
        """Close the window."""
        self.dismiss(None)
