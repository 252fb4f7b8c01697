"""The actions of keys in the Flow panel: choose an object, lanes or picture, and an order; go from mark to mark.

A lane is the line of one peer over time. A mark in it is a message.
"""

from collections.abc import Callable

from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.playback import Playback

FLOW = "flow"


class FlowActions:
    """Runs the actions of keys in the Flow panel. `changed` is called after each action."""

    def __init__(
        self,
        flow: FlowFeed,
        panels: Panels,
        playback: Playback,
        *,
        notify: Notify,
        changed: Callable[[], None],
    ) -> None:
        self._flow = flow
        self._panels = panels
        self._playback = playback
        self._notify = notify
        self._changed = changed

    @property
    def current(self) -> bool:
        """Whether Flow is the current panel, on which the keys act."""
        return self._panels.current == FLOW

    def open(self) -> None:
        """Make Flow the current panel.

        If an object is selected in the panel that was current, show only messages about this object.
        """
        if not self.current and (root := self._panels.selected_root()) is not None:
            self._flow.show_object(root)
        self._panels.go_to(FLOW)

    def zoom(self, by: int) -> None:
        """Show a shorter (-1) or longer (1) period of time in the Flow panel."""
        self._flow.zoom(by)
        self._changed()

    def next_order(self) -> None:
        """Sort the peers' lanes in the Flow panel by the next criterion."""
        self._notify(f"lanes by {self._flow.next_order()}", timeout=2)
        self._changed()

    def toggle_picture(self) -> None:
        """Switch the Flow panel between lanes over time and the picture of this node among its peers.

        From another panel, also make Flow the current one.
        """
        self._flow.picture = not self._flow.picture
        if self.current:
            self._changed()
        else:
            self._panels.go_to(FLOW)

    def go_to_mark(self, by: int) -> None:
        """Freeze the cursor at the previous (-1) or next (1) message (mark) in the selected peer's lane."""
        key = self._panels.selected_key()
        if not self.current or key is None:
            self._notify("select a lane of Flow (7) first", timeout=3)
            return
        found = self._flow.mark_before(key) if by < 0 else self._flow.mark_after(key)
        if found is None:
            self._notify(
                "no mark before this one in the stretch that is shown"
                if by < 0
                else "no mark after this one",
                timeout=3,
            )
            return
        self._playback.go_to(found)
