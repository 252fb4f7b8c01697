"""The base of all panels: a virtualised list of lines with one selected, drawn by Textual's line API.

Only lines that changed are drawn again, and a panel with a million lines costs as much as one with ten.
Lines keep their place by key, not by number: what is selected stays selected when others come and go. The
first column tells by a sign, for those who see no colours, what is selected and what is marked.
"""

import re
from typing import ClassVar, Self

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from flux_tui.core.text.plain import Plain, plain, plain_lines
from flux_tui.ui.rows import cells
from flux_tui.ui.rows.glyphs import Glyphs, Role
from flux_tui.ui.rows.view import Line, Row, merged, span, wide
from flux_tui.ui.widgets.roles import Roles
from flux_tui.ui.widgets.shown import NOTHING, assembled, content, segment

STRIPS = 256
"""Drawn lines that are kept."""
ROOM = 1_000
"""Lines for which there is room before they come."""
IN_BORDER: dict[Role, str] = {
    "warn": "$text-warning", "bad": "$text-error", "accent": "$primary", "dim": "$foreground 60%",
}  # fmt: skip
"""Roles that words in a border have."""


class LinesScrollBar(ScrollBar):
    """Goes by the lines that there are, and not by the room that there is for them."""

    @property
    def window_virtual_size(self) -> int:
        """Lines; where all can be seen, as many as that: nothing to scroll."""
        panel = self.parent
        return max(panel.count(), panel.size.height) if isinstance(panel, LinesPanel) else 0

    @window_virtual_size.setter
    def window_virtual_size(self, room: int) -> None:
        """Textual tells the room whenever it lays out or scrolls."""


class LinesPanel(Roles, ScrollView, can_focus=True):
    """Lines with a selection. Subclasses say what the lines are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("left,h", "app.previous_panel", "The panel before", show=False),
        Binding("right,l", "app.next_panel", "The next panel", show=False),
    ]

    _hushed = False
    _titled = ("", "")

    class Chosen(Message):
        """Enter, or a click on the selected line."""

        def __init__(self, panel: "LinesPanel", key: str) -> None:
            super().__init__()
            self.panel = panel
            self.key = key

    class HeadClicked(Message):
        """A click on a heading."""

        def __init__(self, panel: "LinesPanel", x: int) -> None:
            super().__init__()
            self.panel = panel
            self.x = x
            """The column of text, from 0."""

    def __init__(self, number: str, name: str, *, empty: str = "", id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.number = number
        self.label = name
        self.letter = ""
        """By which one jumps here; underlined in the title."""
        self.empty = plain_lines(*empty.split("\n"))
        """What to do, said where there is nothing to show."""
        self.rows: list[Row] = []
        self.selected: str | None = None
        self.marked: set[str] = set()
        self._legend: Line = []
        self._strips: LRUCache[tuple[object, ...], Strip] = LRUCache(STRIPS)
        """Lines as they were drawn: most of them only move up."""
        self.signs = Glyphs(unicode=True)
        self._empty_shown = ""
        self._by_itself = False
        """Whether a line is selected that nobody has chosen: the first click on it chooses it only."""
        self._place = 0
        """Where the selected line was, for when it is gone."""

    def restyle(self) -> None:
        super().restyle()
        self._strips.clear()

    # ── what subclasses may replace ─────────────────────────────────────────────────────────────

    def count(self) -> int:
        """How many lines there are."""
        return len(self.rows)

    def line(self, index: int) -> tuple[str, Line]:
        """The key and the spans of one line."""
        row = self.rows[index]
        return row.key, row.line

    def selected_index(self) -> int:
        """Where the selected line is; -1: nowhere."""
        return next((i for i, row in enumerate(self.rows) if row.key == self.selected and not row.title), -1)

    def select_index(self, index: int) -> None:
        """Select a line; a heading hands it on to the next below."""
        while 0 <= index < len(self.rows) and self.rows[index].title:
            index += 1
        if 0 <= index < len(self.rows):
            self.selected = self.rows[index].key

    @property
    def columns(self) -> int:
        """Columns for text: without border, sign and scrollbar."""
        return max(0, self.scrollable_content_region.width - 1)

    # ── showing ─────────────────────────────────────────────────────────────────────────────────

    def show(self, rows: list[Row], note: Plain = NOTHING) -> None:
        """Replace the lines; only those that differ are drawn."""
        if (at := self.selected_index()) >= 0:
            self._place = at
        old, self.rows = self.rows, rows
        if self.selected is None and self.has_focus:
            self._select_first()  # it had no lines yet when it got the keys
        self.set_title(note)
        if len(old) != len(rows):
            self._have_room(len(rows))
            if self.scroll_offset.y > self.max_scroll_y:
                self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)
        if not (old and rows):
            if old or rows or self._empty_shown != self.empty:
                self._empty_shown = self.empty
                self.refresh()
            return
        top = int(self.scroll_offset.y)
        for y in range(top, min(top + self.size.height, max(len(old), len(rows)))):
            if y >= len(old) or y >= len(rows) or old[y].line != rows[y].line:
                self.refresh(Region(0, y - top, self.size.width, 1))

    def _have_room(self, count: int) -> None:
        """Have room for `count` lines. Every change of `virtual_size` lays out and draws the whole screen, so
        once not all can be seen there is always room for more; `max_scroll_y` and the scrollbar know how many there
        are.
        """
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.refresh()
        room, seen = int(self.virtual_size.height), self.size.height
        if count <= room <= 2 * count + 2 * ROOM and self.virtual_size.width == self.columns:
            return
        self.virtual_size = Size(self.columns, seen if count <= seen else count + max(ROOM, count // 4))
        self.call_after_refresh(self._align_scrollbar)

    @property
    def max_scroll_y(self) -> int:
        return max(0, self.count() - self.size.height)

    def _align_scrollbar(self) -> None:
        """A scrollbar that was not there yet when it was scrolled does not know where to."""
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """As Textual makes it, of a kind of our own."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = LinesScrollBar(
                vertical=True, name="vertical", thickness=self.scrollbar_size_vertical
            )
            self._vertical_scrollbar.display = False
            self.app._start_widget(self, self._vertical_scrollbar)
        return self._vertical_scrollbar

    def set_title(self, note: Plain = NOTHING) -> None:
        """The border's title: number, name, and a few words."""
        number = f"{self.number} " if self.number else ""
        title = plain(f"{number}{self.label}" + (f" · {note}" if note else ""))
        if self._titled != (title, self.letter):
            self._titled = title, self.letter
            # By itself, a new title would draw the whole panel.
            self._hushed = True
            self._put_title(title, len(number))
            self._hushed = False
            self.refresh(Region(-self.gutter.left, -self.gutter.top, self.outer_size.width, 1))

    def set_legend(self, line: Line) -> None:
        """Words at the right of the lower border: what signs stand for."""
        if line != self._legend:
            self._legend = line
            self.border_subtitle = assembled([(text, IN_BORDER[role]) for text, role in line])

    def _put_title(self, title: Plain, start: int) -> None:
        shown = content(title)
        at = title[: start + len(self.label)].lower().find(self.letter.lower(), start)
        if self.letter and at >= 0:
            shown = shown.stylize("underline", at, at + 1)
        self.border_title = shown

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        if self._hushed:
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_mount(self) -> None:
        self.set_title()

    def on_resize(self, event: events.Resize) -> None:
        self._have_room(self.count())

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        index = y + int(self.scroll_offset.y)
        total = self.count()
        if total == 0:
            return self._empty_line(y, width)
        if not 0 <= index < total:
            return Strip.blank(width, self._base)
        key, line = self.line(index)
        selected = key == self.selected and (self.has_focus or self.has_class("-keep-selection"))
        sign = self.signs.mark if key in self.marked else self.signs.here if selected else " "
        drawn = (tuple(line), sign, selected, width)
        strip = self._strips.get(drawn)
        if strip is None:
            strip = self._strips[drawn] = self._draw(line, sign, selected, width)
        return strip

    def _draw(self, line: Line, sign: str, selected: bool, width: int) -> Strip:
        spans = merged([span(sign, "accent"), *line])
        if spans and (room := width - wide(spans)) > 0:
            text, role = spans[-1]
            spans[-1] = (Plain(text + " " * room), role)
        over = Style.null()
        if selected:
            # Over the spans' own styles, which have a background too.
            over = self._selection()
            if self.app.theme.startswith("ansi"):
                over = Style(reverse=True)  # the terminal's own colours cannot be mixed
        segments = [segment(text, self._role(role) + over) for text, role in spans]
        return Strip(segments).crop_extend(0, width, self._base + over)

    def _empty_line(self, y: int, width: int) -> Strip:
        lines = wrapped(self.empty, max(10, width - 4))
        top = max(0, (self.size.height - len(lines)) // 2)
        if top <= y < top + len(lines):
            text = Plain(" " * ((width - cells.width(lines[y - top])) // 2) + lines[y - top])
            return Strip([segment(text, self._role("dim"))]).crop_extend(0, width, self._base)
        return Strip.blank(width, self._base)

    @property
    def _base(self) -> Style:
        style = self._styles.get("")
        if style is None:
            style = self._styles[""] = self.rich_style
        return style

    # ── moving ──────────────────────────────────────────────────────────────────────────────────

    def action_move(self, by: int) -> None:
        index = self.selected_index()
        self.go(self._place if index < 0 else index + by, by)

    def step_aside(self) -> None:
        """Select the line below, or else above, as what is selected is about to go."""
        before = self.selected
        self.action_move(1)
        if self.selected == before:
            self.action_move(-1)

    def action_page(self, by: int) -> None:
        index = max(0, self.selected_index())
        self.go(index + by * max(1, self.size.height - 1), by)

    def action_edge(self, to: int) -> None:
        self.go(0 if to < 0 else self.count() - 1, to)

    def go(self, index: int, direction: int) -> None:
        """Select a line by number, as near as can be, and show it."""
        total = self.count()
        self._by_itself = False
        if not total:
            return
        index = min(max(index, 0), total - 1)
        if direction < 0:
            while index > 0 and self.is_title(index):
                index -= 1
        self.select_index(index)
        at = self.selected_index()
        if at >= 0:
            self.reveal(at)
        self.refresh()

    def is_title(self, index: int) -> bool:
        """Whether a line is a heading."""
        return bool(self.rows) and self.rows[index].title

    def reveal(self, index: int) -> None:
        """Scroll so that a line can be seen."""
        top, height = int(self.scroll_offset.y), max(1, self.size.height)
        if index < top:
            self.scroll_to(y=0 if index == 1 and self.is_title(0) else index, animate=False, force=True)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        index = int(event.y - self.gutter.top + self.scroll_offset.y)
        if 0 <= index < self.count() and self.is_title(index):
            self.post_message(self.HeadClicked(self, event.x - self.gutter.left - 1))
        elif 0 <= index < self.count():
            before = self.selected
            self.select_index(index)
            self.refresh()
            if before == self.selected and self.selected is not None and not self._by_itself:
                self.post_message(self.Chosen(self, self.selected))
            self._by_itself = False

    def on_focus(self) -> None:
        if self.selected_index() < 0 and self.count():
            self._select_first()
        self.refresh()

    def _select_first(self) -> None:
        self.select_index(0)
        self._by_itself = True

    def on_blur(self) -> None:
        self.refresh()


def wrapped(text: Plain, width: int) -> list[Plain]:
    """A text in lines of at most `width` columns; not broken where a space is one that does not break (U+00A0)."""
    lines: list[Plain] = []
    for paragraph in text.splitlines():
        line = ""
        for part in re.findall(r"[^ ]+", paragraph):
            word = part.replace("\u00a0", " ")
            if line and cells.width(line) + 1 + cells.width(word) > width:
                lines.append(Plain(line))
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(Plain(line))
    return lines
