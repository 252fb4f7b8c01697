"""The series: every entry, as it comes or as it was; any length at the cost of one screenful.

Following, the newest entry is selected and in view. Any move upwards stops that; going to the end (G)
begins it again. A filter is applied in slices, from the newest entry backwards, so that what is near
shows at once and keys are never held up.
"""

from collections import deque

from textual.cache import LRUCache
from textual.geometry import Size

from flux_tui.core.words import counted
from flux_tui.ui.filter import Filter
from flux_tui.ui.panels.lines import LinesPanel
from flux_tui.ui.source import Source
from flux_tui.ui.view import Line, View, entry_line, text_of

FILTER_SLICE = 5_000
"""Entries looked at in one tick for a filter: some 30 ms."""


class SeriesPanel(LinesPanel):
    """Entries by number. The key of a line is its entry's number."""

    def __init__(self, source: Source, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            "1",
            "Series",
            empty="Nothing has happened yet.\nPress w to want something, a to share a file.",
            id=id,
        )
        self.source = source
        self.following = True
        self.filter = Filter()
        self._view: View | None = None
        self._matches: deque[int] = deque()
        self._scanned_down = 0
        """Entries above this were looked at."""
        self._scanned_up = 0
        """Entries up to this were looked at."""
        self._lines: LRUCache[tuple[int, int, bool], Line] = LRUCache(512)
        self._shown = 0

    def set_filter(self, wanted: Filter) -> None:
        """Show only what passes."""
        self.filter = wanted
        self._matches.clear()
        self._scanned_down = self._scanned_up = self.source.cursor
        self.following = True
        self.selected = None
        self._shown = -1

    def count(self) -> int:
        if not self.filter:
            return self.source.cursor
        return sum(1 for _ in self._matches) if self.source.frozen else len(self._matches)

    def line(self, index: int) -> tuple[str, Line]:
        seq = self._seq(index)
        key = (seq, self.columns, self._view.masked if self._view else False)
        found = self._lines.get(key)
        if found is None:
            entry = self.source.entry(seq)
            if entry is None or self._view is None:
                return str(seq), [("", "text")]
            found = entry_line(entry, self._view._replace(width=self.columns))
            self._lines[key] = found
        return str(seq), found

    def selected_index(self) -> int:
        if self.selected is None:
            return -1
        seq = int(self.selected)
        if not self.filter:
            return seq - 1 if 1 <= seq <= self.count() else -1
        try:
            return self._matches.index(seq)
        except ValueError:
            return -1

    def select_index(self, index: int) -> None:
        if 0 <= index < self.count():
            self.selected = str(self._seq(index))

    def is_title(self, index: int) -> bool:
        return False

    def update_view(self, view: View) -> None:
        """A tick: take in what is new."""
        if self._view is not None and len(view.state.objects) != len(self._view.state.objects):
            self._lines.clear()  # names became known
        if self._view is not None and view.masked != self._view.masked:
            self._shown = -1
        self._view = view
        if self.filter:
            self._scan()
        count = self.count()
        self._title(count)
        if count == self._shown:
            return
        self._shown = count
        # `virtual_size` draws every visible line again: touched only when there is something new.
        self.virtual_size = Size(self.columns, count)
        if self.following and count:
            self.selected = str(self._seq(count - 1))
            self.scroll_to(y=max(0, count - self.size.height), animate=False, force=True, immediate=True)
        self.refresh()

    def forget_names(self) -> None:
        """What entries are called has changed: draw all anew."""
        self._lines.clear()
        self._shown = -1

    def go(self, index: int, direction: int) -> None:
        super().go(index, direction)
        self.following = direction > 0 and self.selected_index() == self.count() - 1
        self._title(self.count())

    def on_mouse_scroll_up(self) -> None:
        self.following = False
        self._title(self.count())

    def on_mouse_scroll_down(self) -> None:
        if self.scroll_offset.y >= self.max_scroll_y - 1:
            self.following = True

    def matches_after(self, direction: int) -> None:
        """Go to the next (1) or previous (-1) entry."""
        self.action_move(direction)

    def _seq(self, index: int) -> int:
        return self._matches[index] if self.filter else index + 1

    def _scan(self) -> None:
        """Look at some more entries: those that came, then those further back."""
        assert self._view is not None
        budget = FILTER_SLICE
        cursor = self.source.cursor
        if cursor < self._scanned_up:  # the cursor went back: what is beyond it is not there
            while self._matches and self._matches[-1] > cursor:
                self._matches.pop()
            self._scanned_up = cursor
        while self._scanned_up < cursor and budget > 0:
            page = self.source.read(self._scanned_up, min(budget, cursor - self._scanned_up))
            if not page:
                break
            self._matches.extend(e.seq for e in page if self._passes(e))
            self._scanned_up = page[-1].seq
            budget -= len(page)
        while self._scanned_down > 0 and budget > 0:
            count = min(budget, self._scanned_down)
            page = self.source.read(self._scanned_down - count, count)
            self._matches.extendleft(e.seq for e in reversed(page) if self._passes(e))
            self._scanned_down -= count
            budget -= count

    def _passes(self, entry: object) -> bool:
        assert self._view is not None
        return self.filter.takes(entry, text_of(entry_line(entry, self._view)).lower())  # type: ignore[arg-type]

    def _title(self, count: int) -> None:
        note = counted(count, "match", "matches") if self.filter else counted(count, "entry", "entries")
        if self.filter and self._scanned_down > 0:
            note += ", looking further back"
        if self.source.frozen:
            note += " · held"
        elif self.following:
            note += " · following"
        self.set_title(note)
