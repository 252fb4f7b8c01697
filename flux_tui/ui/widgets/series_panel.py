"""The Series panel: shows every entry of the series, and costs the same for any length of the series.

While the panel follows, the newest entry is selected and visible. Any move upwards stops following. Going to
the end (G) starts it again.

To filter entries, or to fold runs of similar entries, the panel reads some entries at a time, from the newest
back. So near lines are shown at once, and keys never wait. Without folding and filter, the number of a line
is the number of its entry, and no entry has to be read to know it.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.cache import LRUCache
from typing_extensions import override

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import Entry
from flux_tui.core.text.names import NOBODY
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import Line, View, entry_line, span, text_of
from flux_tui.ui.series.block_roots import CONTEXT, Owners
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group, Window
from flux_tui.ui.series.filter import Filter
from flux_tui.ui.widgets.lines_panel import LinesPanel

if TYPE_CHECKING:
    from flux_tui.store.segments.page_index import Wanted

SLICE = 4_000
"""Entries read in one slice."""
SLICE_SECONDS = 0.015
"""The longest slice of a filter, which may have to make the whole text of each entry. A key waits no longer."""
WHOLE = 1_000
"""A width in which the text of every entry fits whole."""
NEAR = 1_000
"""If the shown lines are more than this many entries behind the cursor, an unfiltered panel skips the gap."""
AHEAD = 3
"""Screenfuls of lines that are ready above the visible ones."""


class SeriesPanel(LinesPanel):
    """The panel with the list of entries. The key of a line is the number of an entry that it shows."""

    def __init__(
        self,
        source: Source,
        *,
        grows: bool = True,
        signs: Glyphs | None = None,
        letter: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__("1", "Series", signs=signs, letter=letter, id=id)
        self.source = source
        self.following = True
        self.grows = grows
        """Whether more entries may come. A recording has all of its entries."""
        self.filter = Filter()
        self._wanted: Wanted | None = None
        """What the index of the series can tell about the filter. None: nothing."""
        self.folding = True
        self._view: View | None = None
        self._window = Window(0, fold=True)
        self._lines: LRUCache[tuple[object, ...], Line] = LRUCache(512)
        self._shown: tuple[object, ...] = ()
        self._owners = Owners()
        self._learned = (0, 0)
        """The first and last entry from which the owners of blocks were learned."""
        self._named = 0
        """The number of objects and names of peers that are known."""

    # ── what is shown ───────────────────────────────────────────────────────────────────────────

    def set_source(self, source: Source, *, grows: bool) -> None:
        """Show the series of another node. `grows`: whether a node still writes it."""
        self.source, self.grows = source, grows
        self._restart()

    def follow(self) -> None:
        """Follow the cursor: its entry is the last line, and is selected and visible."""
        self.following = True

    def set_filter(self, wanted: Filter) -> None:
        """Show only entries that pass a filter. The selected entry stays selected if it passes."""
        selected, following = self.selected, self.following
        self.filter = wanted
        self._keep_place(selected, following)

    def set_folding(self, folding: bool) -> None:
        """Show each run of similar entries as one line, or each entry as a line. The selection stays."""
        selected, following = self.selected, self.following
        self.folding = folding
        self._keep_place(selected, following)

    def _keep_place(self, selected: str | None, following: bool) -> None:
        """Make the lines around the selected entry again, so that it stays selected and in its place.

        `selected`: its key. `following`: the panel followed the newest entry.
        """
        self._restart()
        if not following and selected is not None:
            self._look_around(int(selected))
            self.selected, self.following = selected, False
            self._settle(int(selected))

    def _restart(self) -> None:
        self._window = Window(
            self.source.cursor, fold=self._folds, passes=self._passes if self.filter else None
        )
        self._wanted = self.filter.wanted(lambda: self._called)
        self._owners, self._learned = Owners(), (self.source.cursor, self.source.cursor)
        self._lines.clear()
        self.following = True
        self.selected = None
        self._shown = ()

    def group(self, seq: int) -> Group:
        """Return the entries that are shown in one line together with entry `seq`.

        It is this entry alone if no line with it is made, or if entries are neither folded nor filtered.
        """
        index = self._window.index_of(seq) if self._windowed else -1
        return self._window[index] if index >= 0 else Group(seq, seq, 1)

    @property
    def _folds(self) -> bool:
        """Whether runs of similar entries are shown as one line. With a filter, each match has its own line."""
        return self.folding and not self.filter

    @property
    def _windowed(self) -> bool:
        return self.folding or bool(self.filter)

    @override
    def count(self) -> int:
        return len(self._window) if self._windowed else self.source.cursor

    @override
    def line(self, index: int) -> tuple[str, Line]:
        group = self._group_at(index)
        view = self._view
        selected = int(self.selected) if self.selected is not None else 0
        name = self.selected if group.first <= selected <= group.last and self.selected else str(group.last)
        if view is None:
            return name, [span("", "text")]
        key = (group, self.columns, view.masked, view.times)
        found = self._lines.get(key)
        if found is None:
            entry = self.source.entry(group.last)
            if entry is None:
                return name, [span("", "text")]
            before = self.source.entry(group.first - 1) if view.times == "gap" else None
            found = entry_line(
                entry, view._replace(width=self.columns), group, None if before is None else before.at
            )
            self._lines[key] = found
        return name, found

    def _group_at(self, index: int) -> Group:
        return self._window[index] if self._windowed else Group(index + 1, index + 1, 1)

    @override
    def selected_index(self) -> int:
        if self.selected is None:
            return -1
        seq = int(self.selected)
        if self._windowed:
            return self._window.index_of(seq)
        return seq - 1 if 1 <= seq <= self.count() else -1

    @override
    def select_index(self, index: int) -> None:
        if 0 <= index < self.count():
            self.selected = str(self._group_at(index).last)

    @override
    def is_title(self, index: int) -> bool:
        return False

    # ── the ticker ──────────────────────────────────────────────────────────────────────────────

    def update_view(self, view: View) -> None:
        """Show new entries. The dashboard calls this on every tick, with the state at the cursor (`view`)."""
        old, self._view = self._view, view
        named = len(view.state.objects) + len(view.called)
        renamed = old is not None and view.forms is not old.forms and _differ(old.forms, view.forms)
        if named != self._named or renamed:
            self._named = named
            self.forget_names()
        if old is not None and (view.masked, view.times) != (old.masked, old.times):
            self._shown = ()
        if self._windowed:
            self._look()
        count = self.count()
        self._title(count)
        newest = self._group_at(count - 1) if count else None
        shown = (count, newest)
        moved, self._window.prepended = self._window.prepended, 0
        if shown == self._shown:
            return
        self._shown = shown
        self._have_room(count)
        if self.following and newest is not None:
            self.selected = str(newest.last)
            self._scroll(max(0, count - self.size.height))
        elif moved:
            self._scroll(int(self.scroll_offset.y) + moved)
        self.refresh()

    @override
    def on_resize(self, event: events.Resize) -> None:
        self._shown = ()
        self._lines.clear()
        if self._view is not None:
            self.update_view(self._view)  # draw now: lines would be missing until the next tick

    def _scroll(self, y: int) -> None:
        self.scroll_to(y=y, animate=False, force=True, immediate=True)
        self.call_after_refresh(self._align_scrollbar)

    def _look(self) -> None:
        """Read some more entries for the filter or the folding: first new ones, then older ones."""
        window, cursor, budget = self._window, self.source.cursor, SLICE
        far = 10 * SLICE if self.filter else NEAR  # a filter keeps its count of matches
        if cursor < window.low or (self.following and cursor - window.high > far):
            # The cursor is far from the entries read so far: begin again at the cursor.
            window = self._window = Window(
                cursor, fold=self._folds, passes=self._passes if self.filter else None
            )
        elif cursor < window.high:
            window.cut(cursor, self._read)
        while window.high < cursor and budget > 0 and (self.following or self._wants_more_below()):
            page = self._read(window.high, min(budget, cursor - window.high))
            if not page:
                break
            window.extend(page)
            budget -= len(page)
        self._look_back(budget)

    def _look_back(self, budget: int) -> None:
        window, until = self._window, time.monotonic() + SLICE_SECONDS
        while window.low > self.source.begin and budget > 0 and not window.full and self._wants_more():
            if self._wanted is not None:
                found, low = self.source.search_back(self._wanted, window.low + 1)
                self._learn(found)
                window.prepend(found, low)
                budget -= len(found)
                if time.monotonic() >= until:
                    break
                continue
            count = min(250, budget, window.low - self.source.begin)
            window.prepend(self._read(window.low - count, count), window.low - count)
            budget -= count
            if self.filter and time.monotonic() >= until:
                break

    def search_on(self) -> bool:
        """Read on for the filter, without drawing. Return whether that is all there is to do now.

        False: the first line was found, or the search has ended, so the panel has to be drawn.
        """
        if self._view is None or not self.filter:
            return False
        lines = len(self._window)
        self._look()
        return self.looking and bool(lines) == bool(len(self._window))

    @property
    def looking(self) -> bool:
        """Whether more entries have to be read for the filter or the folding."""
        if not self._windowed:
            return False
        window = self._window
        back = window.low > self.source.begin and not window.full and self._wants_more()
        return back or (window.high < self.source.cursor and (self.following or self._wants_more_below()))

    def _wants_more(self) -> bool:
        """Return whether older entries have to be read.

        A filter counts all matches; folding needs only the visible lines.
        """
        if self.filter:
            return True
        above = len(self._window) - self.size.height if self.following else int(self.scroll_offset.y)
        return above + self._window.prepended < AHEAD * max(10, self.size.height)

    def _wants_more_below(self) -> bool:
        below = len(self._window) - int(self.scroll_offset.y) - self.size.height
        return bool(self.filter) or below < AHEAD * max(10, self.size.height)

    def _look_around(self, seq: int) -> None:
        """Read the entries before and after entry `seq`, anywhere in the series, and make their lines."""
        if not self._windowed:
            return
        if not self._window.low < seq <= self._window.high:
            self._window = Window(
                max(0, seq - 1), fold=self._folds, passes=self._passes if self.filter else None
            )
            self._window.extend(self._read(max(0, seq - 1), SLICE // 2))
        self._look_back(SLICE // 2)

    def _settle(self, seq: int) -> None:
        """Scroll until the line of entry `seq` is in the middle of the panel."""
        count = self.count()
        self._have_room(count)
        self._window.prepended = 0
        index = self.selected_index()
        self._shown = (count, self._group_at(count - 1) if count else None)
        self._scroll(max(0, index - self.size.height // 2))
        self.refresh()

    def forget_names(self) -> None:
        """Draw all lines again, because names of peers or objects have changed, or were hidden."""
        self._lines.clear()
        self._shown = ()

    # ── moving ──────────────────────────────────────────────────────────────────────────────────

    @override
    def go(self, index: int, direction: int) -> None:
        if self._windowed and index <= 0 and self._window.low > self.source.begin:
            self._look_back(SLICE)
            index += self._window.prepended
        super().go(index, direction)
        self.following = direction > 0 and self.selected_index() == self.count() - 1
        if self._window.prepended:
            at = self.selected_index()
            self._settle(at)
            self.reveal(at)
        self._title(self.count())

    @override
    def action_edge(self, to: int) -> None:
        if to < 0 and self._windowed and not self.filter and self._window.low > self.source.begin:
            # Jump to the first entry without reading the entries between.
            begin = self.source.begin
            self._window = Window(begin, fold=self._folds)
            self._window.extend(self.source.read(begin, min(SLICE, self.source.cursor - begin)))
        elif to > 0 and self._windowed and self._window.high < self.source.cursor:
            self._restart()
            if self._view is not None:
                self.update_view(self._view)
        super().action_edge(to)
        if to < 0:
            self.following = False

    def on_mouse_scroll_up(self) -> None:
        """Stop following the newest entry, because the person scrolls up."""
        self.following = False
        self._title(self.count())

    def on_mouse_scroll_down(self) -> None:
        """Follow the newest entry again, if the person has scrolled down to the end."""
        if self.scroll_offset.y >= self.max_scroll_y - 1 and self._window.high >= self.source.cursor:
            self.following = True

    def _passes(self, entry: Entry) -> bool:
        assert self._view is not None
        roots = self._owners.of(entry.event)
        if self.filter.by_words:
            whole = self._view._replace(width=WHOLE)  # a match does not depend on the width of the panel
            named = (*getattr(entry.event, "roots", ()), *roots)
            words = [text_of(entry_line(entry, whole)), *(self._view.name(root) for root in named)]
            return self.filter.takes(entry, " ".join(words).lower(), self._called, roots)
        return self.filter.takes(entry, "", self._called, roots)

    def _read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry `after`, and note to which objects their chunks belong.

        So a filter for the name of an object finds entries about its chunks, too.
        """
        page = self.source.read(after, limit)
        self._learn(page)
        return page

    def _learn(self, page: Sequence[Entry]) -> None:
        """Note to which objects the chunks of some entries belong, which follow each other without a gap."""
        if self.filter.by_object and page:
            after = page[0].seq - 1
            start = max(0, after - CONTEXT)
            if not self._learned[0] <= after <= self._learned[1]:
                self._learned = after, after
            if start < self._learned[0]:
                self._owners.learn(self.source.read(start, self._learned[0] - start))
            self._owners.learn(page)
            self._learned = min(start, self._learned[0]), max(page[-1].seq, self._learned[1])

    @property
    def _called(self) -> Mapping[PeerId, str]:
        """The names of peers for which a filter may look. Empty while names are hidden."""
        return NOBODY if self._view is None or self._view.masked else self._view.called

    def _title(self, count: int) -> None:
        cursor = self.source.cursor
        if self.filter:
            note = counted(self._window.total, "match", "matches")
            if self._window.full:
                note = f"the last {note}"
            elif self._window.low > self.source.begin:
                note += ", looking further back"
        else:
            note = counted(cursor, "entry", "entries")
            if self.source.begin:
                note += f", from {self.source.first_seq:,} on"
        if self._view is not None and self._view.playing:
            note += " · playing"
        elif self.source.frozen:
            note += " · frozen"
        elif self.grows:
            note += " · following" if self.following else " · G follows"
        if self.filter and self._view is not None:
            note += f" · /{self._view.text(str(self.filter))}"
        self.set_title(plain(note))


def _differ(old: Mapping[PeerId, Plain], new: Mapping[PeerId, Plain]) -> bool:
    """Return whether the text that stands for a peer on the screen has changed.

    Added and removed peers do not count.
    """
    return any(new.get(peer, form) != form for peer, form in old.items())
