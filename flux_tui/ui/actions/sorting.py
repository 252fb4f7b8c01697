"""Sorts the two panels that are tables: NO by node, and Peers."""

from collections.abc import Callable

from flux_tui.ui.board.panels import Panels
from flux_tui.ui.rows.peer_and_no_tables import TABLES, column_at, columns_that_fit
from flux_tui.ui.rows.view_and_lines import Sort
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views


class Sorting:
    """Sorts the current panel, if it is a table. `changed` is called after it was sorted."""

    def __init__(self, views: Views, panels: Panels, *, notify: Notify, changed: Callable[[], None]) -> None:
        self._views = views
        self._panels = panels
        self._notify = notify
        self._changed = changed

    @property
    def possible(self) -> bool:
        """Whether the current panel is a table that can be sorted."""
        return self._panels.current in TABLES

    def columns(self, *, shown: bool = False) -> list[str]:
        """Return the names of the columns by which the current table can be sorted; empty: it is not a table.

        `shown`: only the visible columns.
        """
        if not self.possible:
            return []
        view = self._panels.view()
        columns = TABLES[self._panels.current](view)
        if shown:
            columns = columns_that_fit(columns, view.width)
        return [column.name for column in columns if column.head]

    def step(self, by: int) -> None:
        """Sort the current table by the next (1) or previous (-1) column.

        Between the last column and the first, there is one step at which the table is not sorted.
        """
        if not self._can_sort():
            return
        current = self._panels.current
        names = ["", *self.columns(shown=True)]
        column = self._views.sort_of(current).column
        at = names.index(column) if column in names else 0
        self._set(Sort(names[(at + by) % len(names)]))

    def reverse(self) -> None:
        """Reverse the order of the current table."""
        if self._can_sort():
            sort = self._views.sort_of(self._panels.current)
            self._set(sort._replace(falling=not sort.falling))

    def sort_by(self, column: str) -> None:
        """Sort the current table by a column, the largest values first; with an empty name, do not sort it.

        If it is already sorted by this column, reverse the order.
        """
        sort = self._views.sort_of(self._panels.current)
        self._set(Sort(column, not sort.falling if sort.column == column else True))

    def click(self, panel: str, x: int) -> None:
        """Make a table the current panel, and sort it by the column whose heading was clicked.

        `panel`: the name of the clicked panel; one that is no table is ignored. `x`: the column of the text,
        counted from 0.
        """
        if panel in TABLES:
            self._panels.set_current(panel)
            view = self._panels.view()
            column = column_at(TABLES[panel](view), view, x)
            if column is not None:
                self.sort_by(column)

    def _can_sort(self) -> bool:
        if not self.possible:
            self._notify("NO by node (3) and Peers (5) can be sorted", timeout=3)
        return self.possible

    def _set(self, sort: Sort) -> None:
        self._views.set_sort(self._panels.current, sort)
        self._changed()
