"""Help: every key as this person has bound it, from the table of actions.

The text for the current panel comes first.
"""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text.plain import plain
from flux_tui.ui.keys import GROUPS, Keys
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.view import Line, Row, span
from flux_tui.ui.typed.command_line import WORDS
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import PlainText

MOVING: tuple[tuple[str, str], ...] = (
    ("↑ ↓ j k", "One line up or down; up stops following"),
    ("← → h l", "The panel before, the next one"),
    ("page keys", "One screenful"),
    ("g G", "To the first line, to the last; G follows again"),
    ("mouse", "Select, inspect, sort by a heading, go to a place in the strip of time"),
)
KEY_WIDTH = 9
"""Columns for keys. Longer keys move the text beside them to the right."""
ABOUT = {
    "series": "Series: every entry, the newest last. → pushed out, ← flowed in, ✗ a NO, ↓ a chunk; a run is one line.",
    "pending": "Pending: what is wanted and not whole, and what it waits for.",
    "noes": "NO by node: who said NO, why and how often, whether it has it, and when to ask again.",
    "retries": "Retries: when each want is pushed again, and why then.",
    "peers": "Peers: what flowed, what was granted and came, how soon it answers, how it stands.",
    "flow": "Flow: one lane a peer, this node on top. A want reaches lanes; each answer is a mark in its own lane.",
    "objects": "Objects: what is wanted, here, shared, and kept for others, with blocks, files, and who takes it.",
    "throughput": "Throughput: the last two minutes. dup is the share of bytes that came twice; its top is 10 %.",
}
"""A sentence about each panel, by its name."""


class HelpScreen(ModalScreen[None]):
    """All keys, in groups."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", show=False)
    ]

    def __init__(self, keys: Keys, panel: str) -> None:
        super().__init__()
        self._keys = keys
        self._panel = panel

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall") as window:
            window.border_title = "Keys"
            yield PlainText(plain(ABOUT[self._panel]), classes="note")
            yield LinesPanel("", "")
            yield PlainText(
                plain("names in grey are for [keys] in settings.toml and for `:` · esc leaves"),
                classes="note",
            )

    def on_mount(self) -> None:
        """Focus the list, so that the keys scroll it."""
        self.query_one(LinesPanel).focus()

    def on_resize(self) -> None:
        """Lay the list out again for the new width."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        if self.is_mounted:
            panel = self.query_one(LinesPanel)
            panel.show(help_rows(self._keys, panel.columns))


def help_rows(keys: Keys, width: int) -> list[Row]:
    """Return the table of keys in lines of at most `width` columns. Longer texts are wrapped, not cut."""
    rows: list[Row] = []

    def group(name: str, lines: list[tuple[str, str, str]]) -> None:
        rows.append(Row(f"group {name}", [span(name, "accent")], title=True))
        for key, text, note in lines:
            found = _entry(key, text, note, width)
            rows.extend(Row(f"{name} {key} {note} {number}", line) for number, line in enumerate(found))

    for name in GROUPS:
        actions = [action for action in keys.actions if action.group == name]
        if actions:
            # A key that the story uses has no other action. The action can still be typed after `:`.
            group(name, [(keys.all_shown(action) or ":", action.help, action.name) for action in actions])
    group("Move", [(key, text, "") for key, text in MOVING])
    group(
        "After :",
        [(word.usage.split(" ")[0], word.help, word.usage.partition(" ")[2]) for word in WORDS.values()],
    )
    return rows


def _entry(key: str, text: str, note: str, width: int) -> list[Line]:
    """Return the lines for a key: what it does, and its note beside the last words or below them."""
    head = f"  {key:<{KEY_WIDTH}} "
    room = max(10, width - len(head))
    texts = wrapped(plain(text), room)
    beside = len(texts[-1]) + 2 + len(note) <= room
    lines: list[Line] = [[span(" " * len(head), "text"), span(line, "text")] for line in texts]
    lines[0][0] = span(head, "strong")
    if note and beside:
        lines[-1].append(span(f"  {note}", "dim"))
    elif note:
        lines += [[span(" " * len(head), "text"), span(line, "dim")] for line in wrapped(plain(note), room)]
    return lines
