"""The base of all panels: a list of lines with a selection, drawn by Textual's line API.

Only visible lines are drawn, and only if they changed, so a panel with a million lines costs as much as one
with ten. A line is identified by its key, not by its number: the selected line stays selected when others
come and go. A sign in the first column shows which lines are selected and which are marked, for people who
see no colours.
"""

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
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain, plain_lines
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.glyphs import Glyphs, Role
from flux_tui.ui.rows.view_and_lines import Line, Row, merged, span, wide
from flux_tui.ui.widgets.plain_text import NOTHING, assembled, content, segment
from flux_tui.ui.widgets.span_styles import SpanStyles

STRIPS = 256
"""How many drawn lines the cache keeps."""
ROOM = 1_000
"""How many lines of room a panel reserves in advance."""
IN_BORDER: dict[Role, str] = {
    "warn": "$text-warning", "bad": "$text-error", "accent": "$primary", "dim": "$foreground 60%",
}  # fmt: skip
"""The colours of the roles that words in a border can have."""


class LinesScrollBar(ScrollBar):
    """A scrollbar that counts only the lines that exist, not the room that the panel reserves for more lines."""

    @property
    def window_virtual_size(self) -> int:
        """The number of lines. Where all lines are visible, it is the height of the panel: nothing scrolls."""
        panel = self.parent
        return max(panel.count(), panel.size.height) if isinstance(panel, LinesPanel) else 0

    @window_virtual_size.setter
    def window_virtual_size(self, room: int) -> None:
        """Ignore the reserved room, which Textual sets whenever it lays out or scrolls."""


class LinesPanel(ScrollView, can_focus=True):
    """A panel with lines, one of which can be selected. A subclass may replace how lines are made and found."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "edge(-1)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
        Binding("left,h", "app.do('previous-panel')", "The panel before", show=False),
        Binding("right,l", "app.do('next-panel')", "The next panel", show=False),
    ]

    _hushed = False
    _titled = ("", "")

    class Chosen(Message):
        """Message: the person pressed enter on the selected line, or clicked the line that was selected already."""

        def __init__(self, panel: "LinesPanel", key: str) -> None:
            super().__init__()
            self.panel = panel
            self.key = key

    class Uncovered(Message):
        """Message: the panel has become visible, so its lines have to be made."""

    class HeadClicked(Message):
        """Message: the person clicked the heading of a table, at a column of its text."""

        def __init__(self, panel: "LinesPanel", x: int, index: int) -> None:
            super().__init__()
            self.panel = panel
            self.x = x
            """The column of the text, counted from 0."""
            self.index = index
            """The number of the line, counted from 0."""

    def __init__(
        self,
        number: str,
        name: str,
        *,
        empty: str = "",
        signs: Glyphs | None = None,
        letter: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.number = number
        self.label = name
        self._letter = letter
        """The letter that jumps to this panel. It is underlined in the title."""
        self.empty = plain_lines(*empty.split("\n"))
        """The text that the panel shows when it has no lines."""
        self.rows: list[Row] = []
        self.selected: str | None = None
        self.marked: set[str] = set()
        self._marked_last = ""
        """The key of the line that was marked or unmarked last."""
        self._legend: Line = []
        self._span_styles = SpanStyles(self)
        self._strips: LRUCache[tuple[object, ...], Strip] = LRUCache(STRIPS)
        """Lines as they were drawn. Most lines only move up, so they are used again."""
        self._signs = signs or Glyphs(unicode=True)
        self._empty_shown = ""
        self._by_itself = False
        """Whether the panel, not the person, selected the line. Then the first click on it only selects it."""
        self._covered = True
        """Whether the panel has no room on the screen."""
        self._place = 0
        """The index of the selected line, for when that line is gone."""

    @override
    def notify_style_update(self) -> None:
        super().notify_style_update()
        if self._span_styles.check():
            self._strips.clear()

    # ── what subclasses may replace ─────────────────────────────────────────────────────────────

    def count(self) -> int:
        """Return the number of lines in this panel."""
        return len(self.rows)

    def line(self, index: int) -> tuple[str, Line]:
        """Return the key and the spans (text with colours) of the line with this index."""
        row = self.rows[index]
        return row.key, row.line

    def selected_index(self) -> int:
        """Return the index of the selected line, or -1 if no line is selected."""
        return next((i for i, row in enumerate(self.rows) if row.key == self.selected and not row.title), -1)

    def select_index(self, index: int) -> None:
        """Select the line with this index.

        If it is a heading, select the next line below that is not a heading.
        """
        while 0 <= index < len(self.rows) and self.rows[index].title:
            index += 1
        if 0 <= index < len(self.rows):
            self.selected = self.rows[index].key

    @property
    def columns(self) -> int:
        """The number of columns for text, without the border, the first column for signs, and the scrollbar."""
        return max(0, self.scrollable_content_region.width - 1)

    def select(self, key: str | None) -> None:
        """Select the line with this key. None: select no line."""
        self.selected = key

    def toggle_mark(self, key: str) -> None:
        """Mark the line with this key, or unmark it."""
        self.marked ^= {key}
        self._marked_last = key
        self.refresh()  # as below: `show` draws only lines whose text differs

    def mark_range(self) -> int:
        """Mark all lines from the last marked line to the selected line. Return how many lines these are.

        0: no line was marked before, or none is selected, so nothing changes.
        """
        keys = [row.key for row in self.rows if not row.title]
        if self._marked_last not in keys or self.selected not in keys:
            return 0
        first, last = sorted((keys.index(self._marked_last), keys.index(self.selected)))
        self.marked |= {*keys[first : last + 1]}
        self._marked_last = self.selected
        self.refresh()
        return last - first + 1

    def toggle_all(self) -> bool:
        """Mark all lines, or unmark them if all are marked. Return whether they are marked now."""
        keys = {row.key for row in self.rows if not row.title}
        self.marked = set() if keys <= self.marked else self.marked | keys
        self.refresh()
        return bool(self.marked)

    def clear_marks(self) -> None:
        """Unmark all lines of the panel."""
        self.marked.clear()
        self.refresh()

    def set_empty(self, text: Plain) -> None:
        """Set the text that the panel shows when it has no lines."""
        self.empty = text

    # ── showing ─────────────────────────────────────────────────────────────────────────────────

    def show(self, rows: list[Row], note: Plain = NOTHING) -> None:
        """Replace the lines by `rows`, and the note beside the title. Only lines that differ are drawn."""
        if (at := self.selected_index()) >= 0:
            self._place = at
        old, self.rows = self.rows, rows
        if self.selected is None and self.has_focus:
            self._select_first()  # the panel got the focus before it had lines
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
        """Reserve room for `count` lines in Textual's layout.

        Every change of `virtual_size` lays out and draws the whole screen. So once not all lines are visible,
        the panel reserves room for more lines than it has. `max_scroll_y` and the scrollbar use the real
        number.
        """
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.refresh()
        room, seen = int(self.virtual_size.height), self.size.height
        if count <= room <= 2 * count + 2 * ROOM and self.virtual_size.width == self.columns:
            return
        self.virtual_size = Size(self.columns, seen if count <= seen else count + max(ROOM, count // 4))
        self.call_after_refresh(self._align_scrollbar)

    @property
    @override
    def max_scroll_y(self) -> int:
        return max(0, self.count() - self.size.height)

    def _align_scrollbar(self) -> None:
        """Set the scrollbar to the panel's scroll position.

        A scrollbar that was hidden has missed how far the panel was scrolled meanwhile.
        """
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = self.scroll_y

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """The scrollbar of this panel: a LinesScrollBar instead of Textual's."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = LinesScrollBar(
                vertical=True, name="vertical", thickness=self.scrollbar_size_vertical
            )
            self._vertical_scrollbar.display = False
            self.app._start_widget(self, self._vertical_scrollbar)
        return self._vertical_scrollbar

    def set_title(self, note: Plain = NOTHING) -> None:
        """Set the title in the upper border: the panel's number, its name and a note."""
        number = f"{self.number} " if self.number else ""
        title = plain(f"{number}{self.label}" + (f" · {note}" if note else ""))
        if self._titled != (title, self._letter):
            self._titled = title, self._letter
            # A new title would draw the whole panel. Draw only the line of the title.
            self._hushed = True
            self._put_title(title, len(number))
            self._hushed = False
            self.refresh(Region(-self.gutter.left, -self.gutter.top, self.outer_size.width, 1))

    def set_legend(self, line: Line) -> None:
        """Set the text at the right of the lower border, which explains the signs in the panel."""
        if line != self._legend:
            self._legend = line
            self.border_subtitle = assembled([(text, IN_BORDER[role]) for text, role in line])

    def _put_title(self, title: Plain, start: int) -> None:
        shown = content(title)
        at = title[: start + len(self.label)].lower().find(self._letter.lower(), start)
        if self._letter and at >= 0:
            shown = shown.stylize("underline", at, at + 1)
        self.border_title = shown

    @override
    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> Self:
        if self._hushed:
            return self
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    @override
    def on_mount(self) -> None:
        self.set_title()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the lines to the panel's new size. If the panel was not visible before, ask for its lines."""
        self._have_room(self.count())
        covered, self._covered = self._covered, not event.size.height
        if covered and not self._covered:
            self.post_message(self.Uncovered())

    @override
    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        index = y + int(self.scroll_offset.y)
        total = self.count()
        if total == 0:
            return self._empty_line(y, width)
        if not 0 <= index < total:
            return Strip.blank(width, self._span_styles.base())
        key, line = self.line(index)
        selected = key == self.selected and (self.has_focus or self.has_class("-keep-selection"))
        sign = self._signs.mark if key in self.marked else self._signs.here if selected else " "
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
            # Lay the selection over the styles of the spans, which have a background too.
            over = self._span_styles.selection()
            if self.app.theme.startswith("ansi"):
                over = Style(reverse=True)  # the terminal's own colours cannot be mixed
        segments = [segment(text, self._span_styles.role(role) + over) for text, role in spans]
        return Strip(segments).crop_extend(0, width, self._span_styles.base() + over)

    def _empty_line(self, y: int, width: int) -> Strip:
        lines = wrapped(self.empty, max(10, width - 4))
        top = max(0, (self.size.height - len(lines)) // 2)
        if top <= y < top + len(lines):
            text = Plain(" " * ((width - cell_width.width(lines[y - top])) // 2) + lines[y - top])
            return Strip([segment(text, self._span_styles.role("dim"))]).crop_extend(
                0, width, self._span_styles.base()
            )
        return Strip.blank(width, self._span_styles.base())

    # ── moving ──────────────────────────────────────────────────────────────────────────────────

    def action_move(self, by: int) -> None:
        """Select the line `by` lines below the selected line, or above if `by` is negative."""
        index = self.selected_index()
        self.go(self._place if index < 0 else index + by, by)

    def select_neighbour(self) -> None:
        """Select the line below the selected one, or else above, because the selected line will disappear."""
        before = self.selected
        self.action_move(1)
        if self.selected == before:
            self.action_move(-1)

    def action_page(self, by: int) -> None:
        """Select the line `by` pages below the selected line, or above if `by` is negative."""
        index = max(0, self.selected_index())
        self.go(index + by * max(1, self.size.height - 1), by)

    def action_edge(self, to: int) -> None:
        """Select the first line if `to` is negative, otherwise the last line."""
        self.go(0 if to < 0 else self.count() - 1, to)

    def go(self, index: int, direction: int) -> None:
        """Select the line with this index, or the nearest line that can be selected, and scroll to it.

        `direction`: where to go on from a heading: down if positive, up if negative.
        """
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
        """Return whether the line with this index is a heading, which cannot be selected."""
        return bool(self.rows) and self.rows[index].title

    def reveal(self, index: int) -> None:
        """Scroll until the line with this index is visible."""
        top, height = int(self.scroll_offset.y), max(1, self.size.height)
        if index < top:
            self.scroll_to(y=0 if index == 1 and self.is_title(0) else index, animate=False, force=True)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """Select the clicked line. If the person had selected it already, post Chosen, as after enter.

        If the line is a heading, post HeadClicked.
        """
        index = int(event.y - self.gutter.top + self.scroll_offset.y)
        if 0 <= index < self.count() and self.is_title(index):
            self.post_message(self.HeadClicked(self, event.x - self.gutter.left - 1, index))
        elif 0 <= index < self.count():
            before = self.selected
            self.select_index(index)
            self.refresh()
            if before == self.selected and self.selected is not None and not self._by_itself:
                self.post_message(self.Chosen(self, self.selected))
            self._by_itself = False

    def on_focus(self) -> None:
        """Select a line, because the panel got the focus."""
        self.select_some()
        self.refresh()

    def select_some(self) -> None:
        """Select the first line if no line is selected."""
        if self.selected_index() < 0 and self.count():
            self._select_first()

    def _select_first(self) -> None:
        self.select_index(0)
        self._by_itself = True

    def on_blur(self) -> None:
        """Draw the selected line in another colour, because the panel has lost the focus."""
        self.refresh()
