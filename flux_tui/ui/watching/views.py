"""How the shown node is looked at: masked or not, with which times, and tables sorted by which column."""

from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.peers import TABLES
from flux_tui.ui.rows.view import Sort, Times, View
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode

TIMES: tuple[Times, ...] = ("clock", "start", "gap")
TRENDING = ("pending", "peers", "objects")
"""The panels that show the last minute of each peer."""


class Views:
    """Makes the view of the state at the cursor for each panel."""

    def __init__(
        self, nodes: Nodes, liveness: Liveness, playback: Playback, glyphs: Glyphs, *, masked: bool = False
    ) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._playback = playback
        self._masked = masked
        self._times: Times = TIMES[0]
        self._sorts = {name: Sort() for name in TABLES}
        self.glyphs = glyphs

    @property
    def masked(self) -> bool:
        """Whether ids and addresses are hidden."""
        return self._masked

    @property
    def times(self) -> Times:
        """How times of entries are shown."""
        return self._times

    def sort_of(self, panel: str) -> Sort:
        """Return how a table is sorted. The panel must be one of TABLES."""
        return self._sorts[panel]

    def toggle_mask(self) -> None:
        """Hide ids and addresses, or show them."""
        self._masked = not self._masked

    def next_times(self) -> None:
        """Show times in the next of three ways."""
        self._times = TIMES[(TIMES.index(self._times) + 1) % len(TIMES)]

    def set_sort(self, panel: str, sort: Sort) -> None:
        """Sort a table. The panel must be one of TABLES."""
        self._sorts[panel] = sort

    def view(self, width: int, panel: str = "", height: int = 0) -> View:
        """Return the view of the state and the time at the cursor.

        `width` and `height` are those of `panel`, in cells. Without a panel, it is sorted as nothing is.
        """
        node, source = self._nodes.shown, self._nodes.source
        dead = not (source.frozen or source.loading or node.recording or self._liveness.alive)
        view = View(
            source.state, self._playback.now, width, self.glyphs, self._masked, height=height,
            times=self._times, called=node.names, dead=dead,
            playing=self._playback.speed is not None,
        )  # fmt: skip
        return self._of_panel(view, panel)

    def beside(self, node: WatchedNode, width: int) -> View:
        """Return the view of another recording, at the moment of the cursor of the shown one."""
        now = self._playback.now
        node.source.poll()
        node.source.go_to_time(now)
        return View(
            node.source.state, now, width, self.glyphs, self._masked, times=self._times, called=node.names
        )

    def _of_panel(self, view: View, panel: str) -> View:
        source = self._nodes.source
        if panel in TRENDING:
            view = view._replace(trends=source.trends())
        return view._replace(sort=self._sorts[panel]) if panel in self._sorts else view
