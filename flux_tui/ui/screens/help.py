"""The help: the current panel and its selected line, all keys as this person has bound them, and the glossary.

A person can search it.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, TypeAlias

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text import glossary
from flux_tui.core.text.plain import plain
from flux_tui.ui.keys import GROUPS, Keys
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.terms_in_focus import Explained
from flux_tui.ui.rows.view_and_lines import Line, Row, span
from flux_tui.ui.typed.command_line import WORDS
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.panel_layout import PANELS, TITLES
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText

MOVING: tuple[tuple[str, str], ...] = (
    ("↑ ↓ j k", "One line up or down; up stops following"),
    ("← → h l", "The panel before, the next one"),
    ("page keys", "One screenful"),
    ("g G", "To the first line, to the last; G follows again"),
    ("mouse", "Select, inspect, sort by a heading, go to a place in the strip of time"),
)
KEY_WIDTH = 9
"""Columns for keys. Longer keys move the text beside them to the right."""
NOTE = "/ searches · grey: names for [keys] in settings.toml and `:` · esc"


WINDOW_KEYS: dict[str, tuple[tuple[str, str], ...]] = {
    "inspect": (
        ("enter → l", "Show what the selected line names"),
        ("← h", "Back to what was shown before"),
        ("tab", "The other half: the facts, or all entries about it"),
        ("t", "Go to the selected entry in the panel Series"),
        ("n", "Give the peer a name"),
        ("y Y", "Copy the selected line, or all facts"),
        ("esc q", "Close the window"),
    ),
    "want": (("enter", "Push the want"), ("tab", "Complete"), ("esc", "Close the window; nothing is sent")),
    "add": (
        ("enter", "Share it"),
        ("tab", "Complete"),
        ("↓", "To the tree of files"),
        ("esc", "Close the window; nothing is sent"),
    ),
}
"""The keys of each window, and what they do."""


class Entry(NamedTuple):
    """One entry of the help: a key or a term, its meaning, and a note in grey."""

    head: str
    text: str
    note: str = ""


Group: TypeAlias = tuple[str, list[Entry]]
"""A group of entries with its title."""


class HelpScreen(ModalScreen[None]):
    """The window with the help, in groups: selected line, current panel, keys, and glossary."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("q,question_mark,f1", "dismiss", "Close", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("down", "to_list", "To the list", show=False),
    ]

    def __init__(self, groups: "list[Group]") -> None:
        """Make the help from these groups (`panel_help`, `window_help`)."""
        super().__init__()
        self._groups = groups

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall") as window:
            window.border_title = "Help"
            yield PlainInput(placeholder="a key or a word", id="search")
            yield LinesPanel("", "", empty="No key and no word has that in it.")
            yield PlainText(plain(NOTE), classes="note")

    def on_mount(self) -> None:
        """Give the focus to the list, so that the arrow keys scroll it."""
        self.query_one(PlainInput).display = False
        self.query_one(LinesPanel).focus()

    def on_resize(self) -> None:
        """Wrap the lines again for the new width."""
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        if self.is_mounted:
            panel = self.query_one(LinesPanel)
            panel.show(help_rows(self._groups, panel.columns, self.query_one(PlainInput).value))

    # ── searching ───────────────────────────────────────────────────────────────────────────────

    def action_search(self) -> None:
        """Open the input in which the person types words to search for."""
        field = self.query_one(PlainInput)
        field.display = True
        field.focus()

    @on(PlainInput.Changed)
    def search(self) -> None:
        """Show only the lines that contain the typed words."""
        panel = self.query_one(LinesPanel)
        panel.select(None)
        self._fill()
        panel.scroll_to(y=0, animate=False, force=True)

    @on(PlainInput.Submitted)
    def action_to_list(self) -> None:
        """Move the focus from the search to the list. The search still applies."""
        self.query_one(LinesPanel).focus()

    def action_leave(self) -> None:
        """End the search, or close the window if there is no search."""
        field = self.query_one(PlainInput)
        if field.display:
            field.value = ""
            field.display = False
            self.query_one(LinesPanel).focus()
        else:
            self.dismiss()


def panel_help(
    keys: Keys, panel: str, focus: Sequence[Explained] = (), columns: Sequence[Explained] = ()
) -> list[Group]:
    """Return the whole help as groups: selected line, current panel, keys, and glossary.

    `focus`: terms in the selected line. `columns`: terms in the panel's columns and texts.
    """
    about = [Entry("", glossary.PANELS[panel]), *(Entry(one.term, one.text) for one in columns)]
    return [*_selected(focus), (TITLES[PANELS.index(panel)], about), *_general(keys)]


def window_help(keys: Keys, window: str, focus: Sequence[Explained] = ()) -> list[Group]:
    """Return the whole help for an open window: selected line, the window with its keys, and the rest.

    `window`: its name in WINDOWS of the glossary. `focus`: terms in its selected line.
    """
    title, text = glossary.WINDOWS[window]
    own = [Entry(key, does) for key, does in WINDOW_KEYS[window]]
    return [*_selected(focus), (title, [Entry("", text), *own]), *_general(keys)]


def _selected(focus: Sequence[Explained]) -> list[Group]:
    return [("The selected line", [Entry(one.term, one.text) for one in focus])] if focus else []


def _general(keys: Keys) -> list[Group]:
    """Return the groups that are the same everywhere: all keys, and the glossary."""
    found: list[Group] = []
    for name in GROUPS:
        actions = [action for action in keys.actions if action.group == name]
        if actions:
            # A key that a narrated demo uses has no other action. The action can still be typed after `:`.
            entries = [Entry(keys.all_shown(action) or ":", action.help, action.name) for action in actions]
            found.append((name, entries))
    found.append(("Move", [Entry(key, text) for key, text in MOVING]))
    words = [(word.usage.partition(" "), word.help) for word in WORDS.values()]
    found.append(("After :", [Entry(first, text, rest) for (first, _, rest), text in words]))
    found += [
        (group.title, [Entry(term, text) for term, text in group.terms.items()])
        for group in glossary.groups()
    ]
    return found


def help_rows(groups: list[Group], width: int, wanted: str = "") -> list[Row]:
    """Return the help as rows of at most `width` columns. Longer texts are wrapped, not cut.

    `wanted`: words. Only entries are returned that have all of them, in the entry itself or in its group's
    title. Empty: all entries.
    """
    words = wanted.lower().split()
    rows: list[Row] = []
    for title, entries in groups:
        shown = [one for one in entries if all(word in f"{title} {' '.join(one)}".lower() for word in words)]
        if shown:
            rows.append(Row(f"group {title}", [span(title, "accent")], title=True))
        for number, one in enumerate(shown):
            rows.extend(Row(f"{title} {number} {at}", line) for at, line in enumerate(_lines(one, width)))
    return rows


def _lines(entry: Entry, width: int) -> list[Line]:
    """Return the lines of one entry of the help.

    Its note is put beside the last words, or below them if it is too long.
    """
    key, text, note = entry
    head = f"  {key:<{KEY_WIDTH}} " if key else "  "
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
