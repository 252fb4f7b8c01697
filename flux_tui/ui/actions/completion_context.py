"""Completes lines that a person types, from names that the shown node knows."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events.named_ids import peers_of
from flux_tui.path_arguments import folder_here
from flux_tui.ui.actions.command_sender import new_mark
from flux_tui.ui.actions.sorting import Sorting
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.panel_layout import PANELS

if TYPE_CHECKING:  # what reads typed lines is imported when the first one is typed
    from flux_tui.ui.typed.command_line_types import Context


class Completion:
    """Completes typed commands and filters. `themes` returns the names of all themes."""

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        panels: Panels,
        sorting: Sorting,
        *,
        themes: Callable[[], Iterable[str]],
    ) -> None:
        self._panels = panels
        self._nodes = nodes
        self._views = views
        self._sorting = sorting
        self._themes = themes

    def context(self) -> "Context":
        """Return the names that a typed line may use now: objects, peers, themes, panels, columns."""
        from flux_tui.ui.typed.command_line_types import Context

        return Context(
            self._nodes.state,
            folder_here(),
            new_mark,
            sorted(self._themes()),
            PANELS,
            self._sorting.columns(),
            {} if self._views.masked else self._nodes.shown.names,
            {} if self._views.masked else self._views.forms(),
            self._selected(),
        )

    def _selected(self) -> PeerId | None:
        """Return the peer in the selected line, or the first peer that the selected entry names.

        None: there is none.
        """
        key, entry = self._panels.selected_key(), self._panels.selected_entry()
        if entry is not None:
            return next(iter(peers_of(entry.event)), None)
        return PeerId(key) if key is not None and key in self._nodes.state.peers else None

    def lines(self, typed: str) -> list[str]:
        """Return complete command lines that begin with the typed text."""
        from flux_tui.ui.typed.command_line import complete_line

        return complete_line(typed, self.context())

    def filters(self, typed: str) -> list[str]:
        """Return complete filters that begin with the typed text."""
        return [line.removeprefix("filter ") for line in self.lines(f"filter {typed}")]
