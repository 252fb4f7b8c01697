"""Switches to another node, where a dashboard shows several."""

from collections.abc import Callable

from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.watched_node import Nodes


class NodeSwitch:
    """Switches to another node. Each node keeps its own cursor in time. `changed` is called after a switch."""

    def __init__(
        self,
        nodes: Nodes,
        liveness: Liveness,
        playback: Playback,
        panels: Panels,
        *,
        notify: Notify,
        changed: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._playback = playback
        self._panels = panels
        self._notify = notify
        self._changed = changed

    def show(self, title: str) -> None:
        """Show the node with this title.

        A recording of the same swarm is shown at the moment that was shown before.
        """
        moment = self._playback.now if self._nodes.beside and self._playback.frozen else None
        if self._nodes.show(title):
            self._playback.leave_node()
            self._liveness.begin_again()
            if moment is not None:
                self._nodes.source.poll()
                self._playback.go_to_time(moment)
            elif self._nodes.beside:
                self._nodes.source.live()
            self._panels.show_node()
            self._changed()

    def show_next(self) -> None:
        """Show the next node of this dashboard; after the last node comes the first."""
        after = self._nodes.after()
        if after is None:
            self._notify("this is the only node here", timeout=3)
            return
        self.show(after.title)
        self._notify(f"this is {after.title}", timeout=2)
