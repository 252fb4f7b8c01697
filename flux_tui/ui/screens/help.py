"""Help: every key, from the one table of actions."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from flux_tui.ui.keys import ACTIONS, GROUPS
from flux_tui.ui.panels.lines import LinesPanel
from flux_tui.ui.view import Line, Row

MOVING: tuple[tuple[str, str], ...] = (
    ("↑ ↓ j k", "One line up or down; up stops following"),
    ("page keys", "One screenful"),
    ("g G", "To the first line, to the last; G follows again"),
)


class HelpScreen(ModalScreen[None]):
    """All keys, in groups."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", show=False)
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall") as window:
            window.border_title = "Keys"
            yield LinesPanel("", "")
            yield Static("esc leaves", classes="note")

    def on_mount(self) -> None:
        panel = self.query_one(LinesPanel)
        panel.show(help_rows())
        panel.focus()


def help_rows() -> list[Row]:
    """The table as lines."""
    rows: list[Row] = []

    def group(name: str, keys: list[tuple[str, str]]) -> None:
        rows.append(Row(f"group {name}", [(name, "accent")], title=True))
        for key, text in keys:
            line: Line = [(f"  {key:<12}", "strong"), (text, "text")]
            rows.append(Row(f"{name} {key}", line))

    for name in GROUPS:
        group(name, [(action.shown, action.help) for action in ACTIONS if action.group == name])
    group("Move", list(MOVING))
    return rows
