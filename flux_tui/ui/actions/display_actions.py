"""Actions that change only the display: current panel, panel size, folding, form of times, hiding of ids."""

from collections.abc import Callable

from flux_tui.ui.actions.filtering import Filtering
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.prompt import Prompt

TIMES_WORDS = {
    "clock": "times by the clock",
    "start": "times since the node started",
    "gap": "times since the entry before",
}


class DisplayActions:
    """Runs the actions that change only the display, not the node.

    `changed` is called after each action. `clear_notices` removes the notice that is shown.
    """

    def __init__(
        self,
        views: Views,
        panels: Panels,
        flow: FlowFeed,
        filtering: Filtering,
        prompt: Prompt,
        *,
        notify: Notify,
        clear_notices: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._views = views
        self._panels = panels
        self._flow = flow
        self._filtering = filtering
        self._prompt = prompt
        self._notify = notify
        self._clear_notices = clear_notices
        self._changed = changed

    def next_panel(self, by: int) -> None:
        """Give the focus to the next (1) or previous (-1) panel; after the last panel comes the first."""
        self._panels.go_to(PANELS[(PANELS.index(self._panels.current) + by) % len(PANELS)])

    def fold(self) -> None:
        """Show each run of similar entries as one line in the Series panel, or show every entry again."""
        series = self._panels.series
        series.set_folding(not series.folding)
        self._changed()
        self._notify(
            "runs of like entries are one line" if series.folding else "every entry is a line", timeout=2
        )

    def next_times(self) -> None:
        """Show the times of entries in the next of three forms."""
        self._views.next_times()
        self._changed()
        self._notify(TIMES_WORDS[self._views.times], timeout=2)

    def mask(self) -> None:
        """Hide ids, addresses and paths on the screen, or show them again."""
        self._views.toggle_mask()
        masked = self._views.masked
        self._prompt.mask(masked)
        self._panels.series.forget_names()
        self._changed()
        self._notify("ids and addresses are hidden" if masked else "ids and addresses are shown", timeout=2)

    def clear(self) -> None:
        """Undo the first of these that applies: open prompt, zoom, marks, filter, object chosen in Flow, notice."""
        if self._prompt.kind:
            self._prompt.leave()
        elif self._panels.zoomed:
            self._panels.toggle_zoom()
        elif self._panels.panel().marked:
            self._panels.panel().clear_marks()
            self._changed()
        elif self._panels.filter_of():
            self._filtering.set("")
        elif self._panels.current == "flow" and self._flow.root is not None:
            self._flow.show_object(None)
            self._changed()
        else:
            self._clear_notices()
