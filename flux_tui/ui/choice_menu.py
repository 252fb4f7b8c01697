"""A menu with one line for each demo, which is shown before a dashboard opens.

It is an app of its own. It returns the name that the person chose, or None.
"""

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, NamedTuple

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.filter import ANSIToTruecolor, LineFilter
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain, plain_lines
from flux_tui.ui.dashboard.signals_and_crashes import SignalEnd
from flux_tui.ui.dashboard.themes import THEMES
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.glyphs import Glyphs, for_this_terminal
from flux_tui.ui.rows.view_and_lines import Line, Row, cut, span
from flux_tui.ui.widgets.ascii_filter import AsciiFilter
from flux_tui.ui.widgets.line_strips import LineStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import ControlFilter, PlainText

DONE = "✓"
"""The sign of an entry that was played."""
NAME_WIDTH, TIME_WIDTH = 13, 6
"""Columns of the name of an entry, and of how long it takes."""
KEYS = (("enter", "play"), ("\u2191 \u2193", "choose"), ("q", "leave"))


class MenuEntry(NamedTuple):
    """One line of the menu: the name of a demo, and texts about it."""

    name: str
    about: str
    """A sentence about what the demo shows."""
    lasts: str
    """The duration of the demo, in words."""


class Menu(App[str]):
    """The app with the menu of demos. Its result is the name of the chosen entry, or None."""

    CSS = """
    Screen { layout: vertical; background: $background; }
    #words { height: auto; padding: 0 2; margin: 1 0; color: $foreground; }
    .-low #words { margin: 0; }
    LinesPanel { height: 1fr; min-height: 5; border: round $primary; border-title-color: $primary;
        border-title-style: bold; background: $background; scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0; overflow-x: hidden; scrollbar-gutter: stable; }
    #more { height: 2; padding: 0 2; color: $text-muted; }
    #keys { height: 1; dock: bottom; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Play", show=False),
        Binding("q,escape,ctrl+q,ctrl+c", "leave", "Leave", show=False, priority=True),
    ]
    TITLE = "flux-tui"
    ENABLE_COMMAND_PALETTE = False
    animation_level = "none"

    def __init__(
        self,
        title: Plain,
        words: Sequence[tuple[str, str]],
        entries: Sequence[MenuEntry],
        *,
        selected: str = "",
        done: Collection[str] = (),
        note: str = "",
        glyphs: Glyphs | None = None,
    ) -> None:
        """Make a menu with a title above its entries.

        `words`: terms and their meanings, shown above the entries. `selected`: the name of the entry that is
        selected when the menu opens; empty: the first. `done`: the names of the demos that the person has
        seen. `note`: the error with which the last demo ended; empty: none. `glyphs`: the signs to draw with;
        None: those that this terminal can show.
        """
        super().__init__()
        for own in THEMES:
            self.register_theme(own)
        self.theme = THEMES[0].name
        self._glyphs = glyphs or for_this_terminal()
        self._words = words
        self._entries = entries
        self._done = done
        self._note = note
        self._panel = LinesPanel("", title, id="entries", signs=self._glyphs)
        self._panel.select(selected or entries[0].name)
        self._signal_end = SignalEnd(leave=self.exit)
        self._has_terminal = False

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters for every drawn line: one against control characters, and the ASCII filter if needed."""
        found = [one for one in super().get_line_filters() if not isinstance(one, ANSIToTruecolor)]
        return [*found, ControlFilter()] if self._glyphs.unicode else [*found, ControlFilter(), AsciiFilter()]

    @override
    def compose(self) -> ComposeResult:
        yield PlainText(id="words")
        yield self._panel
        yield PlainText(id="more")
        yield LineStrip(id="keys")

    def on_mount(self) -> None:
        """Give the keyboard focus to the list of entries, and set its height."""
        self._panel.styles.max_height = len(self._entries) + 2
        self._panel.focus()

    def on_resize(self, event: events.Resize) -> None:
        """Draw the menu for the new size of the terminal."""
        self.screen.set_class(event.size.height < MEDIUM, "-low")
        self.call_after_refresh(self._draw, event.size.width)

    def on_key(self) -> None:
        """Show the explanation of the entry that is selected now."""
        self.call_after_refresh(self._say_more)

    def action_do(self, name: str) -> None:
        """Ignore keys that would go to another panel: a menu has no panels."""

    def action_choose(self) -> None:
        """End the menu, and return the name of the selected entry."""
        self.exit(self._panel.selected)

    def action_leave(self) -> None:
        """End the menu, and return None: the person chose no entry."""
        self.exit(None)

    @on(LinesPanel.Chosen)
    def _chosen(self) -> None:
        self.action_choose()

    def _draw(self, width: int) -> None:
        self.query_one("#words", PlainText).tell(self._explanation(width - 4))
        self._panel.show([self._row(entry) for entry in self._entries])
        self._panel.reveal(max(0, self._panel.selected_index()))
        keys: Line = []
        for key, label in KEYS:
            keys += [span(f" {key} ", "accent"), span(f"{label} ", "dim")]
        self.query_one("#keys", LineStrip).show(keys)
        self._say_more()

    def _explanation(self, width: int) -> Plain:
        """Return the terms and their meanings as text, the meanings in a column of their own."""
        lines: list[Plain] = []
        room = max((len(term) for term, _ in self._words), default=0) + 2
        for term, meaning in self._words:
            for number, text in enumerate(wrapped(plain(meaning), max(20, width - room))):
                lines.append(plain(f"{'' if number else term:<{room}}{text}"))
        return plain_lines(*lines)

    def _row(self, entry: MenuEntry) -> Row:
        done = DONE if entry.name in self._done else " "
        room = max(10, self._panel.columns - NAME_WIDTH - TIME_WIDTH - 3)
        about = cut([span(entry.about, "text")], room, self._glyphs.ellipsis)
        shown = sum(len(text) for text, _ in about)
        line: Line = [span(f" {done} {entry.name:<{NAME_WIDTH}}", "strong"), *about]
        line.append(span(" " * (room - shown) + f"{entry.lasts:>{TIME_WIDTH}}", "dim"))
        return Row(entry.name, line)

    def _say_more(self) -> None:
        entry = next((entry for entry in self._entries if entry.name == self._panel.selected), None)
        text = self._note or (f"{entry.name}: {entry.about}." if entry is not None else "")
        lines = wrapped(plain(text), max(20, self.size.width - 4))
        self.query_one("#more", PlainText).tell(plain_lines(*lines[:2]))

    async def run_async(self, **options: Any) -> Any:
        """Run the menu. In a terminal, install the signal handlers first.

        They must be there before Textual takes the terminal, so that it can always be restored.
        """
        if self._has_terminal:
            self._signal_end.install()
        return await super().run_async(**options)

    def run_in_terminal(self) -> str | None:
        """Run the menu until the person chose an entry. Return its name; None: the person left the menu.

        Raises Ended if a signal ends the menu.
        """
        from flux_tui.signals import Ended

        self._has_terminal = True
        chosen = self.run()
        if self._signal_end.signal is not None:
            raise Ended(self._signal_end.signal)
        return chosen


MEDIUM = 26
"""Rows under which the menu has no empty lines."""
