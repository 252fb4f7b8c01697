"""The actions of keys in the Flow panel: choose an object, a face and an order, and go from mark to mark."""

from collections.abc import Callable

from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.notify import Notify
from flux_tui.ui.watching.playback import Playback

FLOW = "flow"


class FlowActions:
    """Acts on the Flow panel. `changed` is called afterwards."""

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
        """Whether the keys act on the Flow panel."""
        return self._panels.current == FLOW

    def open(self) -> None:
        """Go to the Flow panel: to the lanes of the selected object, if there is one."""
        if not self.current and (root := self._panels.selected_root()) is not None:
            self._flow.show_object(root)
        self._panels.go_to(FLOW)

    def zoom(self, by: int) -> None:
        """Show a shorter (-1) or longer (1) stretch."""
        self._flow.zoom(by)
        self._changed()

    def next_order(self) -> None:
        """Sort the lanes in the next way."""
        self._notify(f"lanes by {self._flow.next_order()}", timeout=2)
        self._changed()

    def toggle_face(self) -> None:
        """Show lanes over time, or this node among its peers."""
        self._flow.picture = not self._flow.picture
        if self.current:
            self._changed()
        else:
            self._panels.go_to(FLOW)

    def go_to_mark(self, by: int) -> None:
        """Freeze the cursor at the mark before (-1) or after (1) it, in the selected lane."""
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
