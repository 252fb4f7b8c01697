"""Actions that change the view: panels, zoom, filters, sorting, folding, inspecting, copying, masking."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, on

from flux_tui.core.text.plain import plain
from flux_tui.ui.actions.clipboard import copy
from flux_tui.ui.dashboard.board import Board
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.next_steps import shared_last, ticket_of
from flux_tui.ui.rows.peers import TABLES, column_at, columns_that_fit
from flux_tui.ui.rows.view import Sort, Times
from flux_tui.ui.series.filter import Filter, cids_of, parse_filter, peers_of
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.one_line import Tabs
from flux_tui.ui.widgets.panel_layout import PANELS

FILTERS = "text  !not  kind:status_no  peer:12D3  cid:bafk  reason:busy"
NOT_FILTERED = "Throughput has no lines to filter"
TIMES: tuple[Times, ...] = ("clock", "start", "gap")
TIMES_WORDS = {
    "clock": "times by the clock",
    "start": "times since the node started",
    "gap": "times since the entry before",
}

if TYPE_CHECKING:
    from flux_tui.ui.screens.inspect import InspectScreen  # imported when it is first opened


class LookActions(Board):
    """Actions that change only what is shown."""

    # ── panels ──────────────────────────────────────────────────────────────────────────────────

    def action_panel(self, number: int) -> None:
        self.go_to_panel(PANELS[number - 1])

    def action_next_panel(self) -> None:
        self.go_to_panel(PANELS[(PANELS.index(self.current) + 1) % len(PANELS)])

    def action_previous_panel(self) -> None:
        self.go_to_panel(PANELS[(PANELS.index(self.current) - 1) % len(PANELS)])

    @on(events.DescendantFocus)
    def _focused(self, event: events.DescendantFocus) -> None:
        if self.focused is not event.widget:
            return  # the focus has moved on meanwhile
        if event.widget.id in PANELS and event.widget.id != self.current:
            self.current = event.widget.id
            self.mark_current()

    @on(Tabs.Picked)
    def _picked(self, event: Tabs.Picked) -> None:
        self.action_panel(event.number)

    def action_zoom(self) -> None:
        self.screen.toggle_class("-zoomed")
        self.mark_current()
        self.call_after_refresh(self.show_all)

    def action_place(self) -> None:
        if len(self.places) == 1:
            self.notify("this is the only node here", timeout=3)
            return
        after = self.places[(self.places.index(self.place) + 1) % len(self.places)]
        self.look_at(after.title)
        self.notify(f"this is {after.title}", timeout=2)

    # ── how panels are shown ────────────────────────────────────────────────────────────────────

    def action_fold(self) -> None:
        self.series.set_folding(not self.series.folding)
        self.show_all()
        self.notify(
            "runs of like entries are one line" if self.series.folding else "every entry is a line", timeout=2
        )

    def action_times(self) -> None:
        self.times = TIMES[(TIMES.index(self.times) + 1) % len(TIMES)]
        self.show_all()
        self.notify(TIMES_WORDS[self.times], timeout=2)

    def action_sort(self, by: int) -> None:
        if self.current not in TABLES:
            self.notify("NO by node (3) and Peers (5) can be sorted", timeout=3)
            return
        sort = self.sorts[self.current]
        if by == 0:
            self.sorts[self.current] = sort._replace(falling=not sort.falling)
        else:
            names = ["", *self.sort_columns(shown=True)]
            at = names.index(sort.column) if sort.column in names else 0
            self.sorts[self.current] = Sort(names[(at + by) % len(names)])
        self.show_all()

    def sort_columns(self, *, shown: bool = False) -> list[str]:
        """Return the columns by which the current table can be sorted. `shown`: only those that fit."""
        if self.current not in TABLES:
            return []
        width = self.panel().columns
        columns = TABLES[self.current](self.view(width, self.current))
        if shown:
            columns = columns_that_fit(columns, width)
        return [column.name for column in columns if column.head]

    def sort_by(self, column: str) -> None:
        """Sort the current table by a column. If it is sorted by it already, reverse the order."""
        sort = self.sorts[self.current]
        self.sorts[self.current] = Sort(column, not sort.falling if sort.column == column else True)
        self.show_all()

    @on(LinesPanel.HeadClicked)
    def _head_clicked(self, event: LinesPanel.HeadClicked) -> None:
        name = event.panel.id or ""
        if name in TABLES:
            self.current = name
            view = self.view(event.panel.columns, name)
            column = column_at(TABLES[name](view), view, event.x)
            if column is not None:
                self.sort_by(column)

    # ── filters ─────────────────────────────────────────────────────────────────────────────────

    def action_filter(self) -> None:
        if self._can_filter():
            self.prompt.open("filter", "/", FILTERS, completer=self.complete_filter)

    def _can_filter(self) -> bool:
        """Return whether the current panel has lines to filter. If not, tell the person."""
        if self.current == "throughput":
            self.notify(NOT_FILTERED, timeout=3)
        return self.current != "throughput"

    def complete_filter(self, text: str) -> list[str]:
        """Return completions of a filter."""
        return []

    def action_match(self, direction: int) -> None:
        panel = self.panel()
        if not self._can_filter():
            return
        if not self.panel_filters.get(self.current):
            self.notify(f"no filter here: {self.keys.shown(self.keys.named('filter'))} sets one", timeout=3)
            return
        before = panel.selected
        panel.action_move(direction)
        if panel.selected == before and direction < 0 and self.current == "series" and self.series.looking:
            self.notify("still looking further back", timeout=2)
        elif not panel.count():
            self.notify("nothing matches", timeout=2)
        elif panel.selected == before:
            self.notify(f"no match {'after' if direction > 0 else 'before'} this one", timeout=2)

    def set_filter(self, text: str) -> None:
        """Filter the current panel."""
        wanted = parse_filter(text)
        if wanted == self.panel_filters.get(self.current, Filter()):
            return
        self.panel_filters[self.current] = wanted
        self.say_where_empty()
        if self.current == "series":
            self.series.set_filter(wanted)
        self.show_all()

    def action_clear(self) -> None:
        if self.prompt.kind:
            self.prompt.leave()
        elif self.screen.has_class("-zoomed"):
            self.action_zoom()
        elif self.panel().marked:
            self.panel().marked.clear()
            self.show_all()
        elif self.panel_filters.get(self.current):
            self.set_filter("")
        else:
            self.clear_notifications()

    # ── inspecting and taking away ──────────────────────────────────────────────────────────────

    def action_inspect(self) -> None:
        key = self.panel().selected
        if key is None or self.panel().selected_index() < 0:
            return
        from flux_tui.ui.screens import inspect

        view = self.view(100, self.current)._replace(trends=self.source.trends())
        subject: inspect.Subject | None = None
        if self.current == "series":
            group = self.series.group(int(key))
            subject = inspect.subject_of_entries(group, self.source)
        elif key in view.state.peers:
            subject = inspect.Subject("peer", key)
        elif any(key in known for known in (view.state.pending, view.state.objects, view.state.holds)):
            subject = inspect.Subject("cid", key)
        if subject is not None:
            self.push_screen(inspect.InspectScreen(subject, self.source, view), self._inspected)

    def _inspected(self, seq: int | None) -> None:
        if seq is not None:
            self.show_entry(seq)

    def show_entry(self, seq: int) -> None:
        """Freeze the cursor at an entry, and show it."""

    @on(LinesPanel.Chosen)
    def _chosen(self) -> None:
        if len(self.screen_stack) == 1:
            self.action_inspect()

    def action_copy(self) -> None:
        key = self.panel().selected
        if key is not None and self.current == "series":
            entry = self.source.entry(int(key))
            found = (*cids_of(entry.event), *peers_of(entry.event)) if entry is not None else ()
            key = found[0] if found else None
        if key is None or key in ("loose", "more", "total"):
            self.notify("select a line with an id first", timeout=3)
        else:
            self.take(key)

    def action_ticket(self) -> None:
        root = self.selected_root()
        found = shared_last(self.state) if root is None else self.state.objects[root]
        if found is None and self.state.objects:
            self.notify("select an object first: in Pending (2), or an entry about it", timeout=4)
        elif found is None:
            add = self.keys.shown(self.keys.named("add"))
            self.notify(f"nothing is shared yet: {add} shares a file or folder", timeout=4)
        else:
            self.take(ticket_of(self.state, found))

    def on_inspect_screen_copy(self, message: "InspectScreen.Copy") -> None:
        """Copy a text for a window of Inspect."""
        self.take(message.text)

    def take(self, text: str) -> None:
        """Copy a text, and say how."""
        how = copy(text, self.copy_to_clipboard)
        self.notify(
            self._in_a_line("copied ", "it" if self.masked else " ".join(text.split()), f" ({how})"),
            timeout=4,
        )

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        name = filename or f"flux-tui-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        try:
            saved = Path(self.save_screenshot(name, path)).absolute()
        except OSError as error:
            self.notify(f"{name} cannot be saved: {(error.strerror or '').lower()}", severity="error")
            return
        self.notify(self._in_a_line("saved ", saved.name if self.masked else str(saved)), timeout=6)

    def _in_a_line(self, before: str, text: str, after: str = "") -> str:
        """Return words that fit in the line of the footer. The text in their middle is cut if needed."""
        room = max(16, self.size.width - cell_width.width(before) - cell_width.width(after) - 3)
        return f"{before}{cell_width.cut(plain(text), room)}{after}"

    def action_mask(self) -> None:
        self.masked = self.prompt.masked = not self.masked
        self.series.forget_names()
        self.show_all()
        self.notify(
            "ids and addresses are hidden" if self.masked else "ids and addresses are shown", timeout=2
        )
