"""Leaves the dashboard, after a question if that stops a node that is fetching something."""

from collections.abc import Callable

from flux_tui.core.text.unfinished import unfinished
from flux_tui.ui.keys import Keys
from flux_tui.ui.screens.open_window_protocol import OpenWindow
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes

NAME_WIDTH = 80
"""The width of the view that names objects. A name does not depend on it."""


class Leaving:
    """Leaves the dashboard. `leave` ends it, and is told whether the node keeps running.

    A node that ran before the dashboard was opened goes on in any case, so nothing is asked then.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        keys: Keys,
        *,
        open_window: OpenWindow,
        leave: Callable[[bool], None],
    ) -> None:
        self._nodes = nodes
        self._views = views
        self._keys = keys
        self._open_window = open_window
        self._leave = leave
        self._asked = False
        """Whether the window with the question is open."""

    def quit(self) -> None:
        """Leave, and stop the node if this dashboard started it. If the node is fetching, ask before."""
        node = self._nodes.shown
        names = self._views.view(NAME_WIDTH)
        left = unfinished(node.source.newest, names) if node.ends() else None
        if left is None or self._asked:  # Textual's own key for "quit" works in the window, too
            self._leave(False)
            return
        self._asked = True
        from flux_tui.ui.screens.leave import LeaveScreen  # imported when it is first opened

        window = LeaveScreen(left, self._single("quit", "q"), self._single("detach", "d"))
        self._open_window(window, self._answered)

    def _single(self, name: str, usual: str) -> list[str]:
        """Return those keys of the action `name` that are pressed alone, not in a sequence.

        If the person has bound none, return the key `usual`.
        """
        keys = self._keys.keys(self._keys.named(name)).split(",")
        return [key for key in keys if key and " " not in key] or [usual]

    def _answered(self, stays: bool | None) -> None:
        self._asked = False
        if stays is not None:
            self._leave(stays)
