"""Sets the filter of the current panel, and selects one match after the other."""

from collections.abc import Callable

from flux_tui.ui.actions.completion_context import Completion
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.keys import Keys
from flux_tui.ui.series.filter import parse_filter
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.widgets.prompt import Prompt

FILTERS = "text  !not  kind:status_no  peer:12D3  cid:bafk  reason:busy"
NOT_FILTERED = "Throughput has no lines to filter"


class Filtering:
    """Sets the filter of the current panel, and selects matching lines.

    `changed` is called after each change.
    """

    def __init__(
        self,
        panels: Panels,
        prompt: Prompt,
        completion: Completion,
        keys: Keys,
        *,
        notify: Notify,
        changed: Callable[[], None],
    ) -> None:
        self._panels = panels
        self._prompt = prompt
        self._completion = completion
        self._keys = keys
        self._notify = notify
        self._changed = changed

    @property
    def possible(self) -> bool:
        """Whether the current panel can be filtered."""
        return self._panels.current != "throughput"

    def open(self) -> None:
        """Open the prompt in which a person types a filter, if the current panel can be filtered."""
        if self._can_filter():
            self._prompt.open("filter", "/", FILTERS, completer=self._completion.filters)

    def set(self, text: str) -> None:
        """Filter the current panel by the text that a person typed. An empty text removes the filter."""
        wanted = parse_filter(text)
        if wanted != self._panels.filter_of():
            self._panels.set_filter(wanted)
            self._changed()

    def match(self, direction: int) -> None:
        """Select the next line (1) or the previous line (-1) that matches the filter."""
        if not self._can_filter():
            return
        if not self._panels.filter_of():
            self._notify(
                f"no filter here: {self._keys.shown(self._keys.named('filter'))} sets one", timeout=3
            )
            return
        panel = self._panels.panel()
        before = panel.selected
        panel.action_move(direction)
        further = direction < 0 and self._panels.current == "series" and self._panels.series.looking
        if panel.selected == before and further:
            self._notify("still looking further back", timeout=2)
        elif not panel.count():
            self._notify("nothing matches", timeout=2)
        elif panel.selected == before:
            self._notify(f"no match {'after' if direction > 0 else 'before'} this one", timeout=2)

    def _can_filter(self) -> bool:
        if not self.possible:
            self._notify(NOT_FILTERED, timeout=3)
        return self.possible
