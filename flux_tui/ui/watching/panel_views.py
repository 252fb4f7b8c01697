"""How the shown node is looked at: masked or not, with which times, and tables sorted by which column."""

from collections.abc import Mapping, Set

from flux_tui.core.ids import PeerId
from flux_tui.core.text.names import distinct_names
from flux_tui.core.text.plain import Plain
from flux_tui.ui.rows import cell_width
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
        self._forms: dict[PeerId, Plain] = {}
        self._formed_of: tuple[Set[PeerId], Mapping[PeerId, str]] | None = None
        """The peers and the names of which the forms were made."""

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

    def forms(self) -> Mapping[PeerId, Plain]:
        """Return the form in which each peer of the shown node is shown. They differ."""
        state, names = self._nodes.state, self._nodes.shown.names
        if self._formed_of is None or self._formed_of[0] != state.peers.keys() or self._formed_of[1] != names:
            self._formed_of = frozenset(state.peers), dict(names)
            own = () if state.peer_id is None else (state.peer_id,)
            self._forms = distinct_names((*state.peers, *names, *own), names, cell_width.cut)
        return self._forms

    def view(self, width: int, panel: str = "", height: int = 0) -> View:
        """Return the view of the state and the time at the cursor.

        `width` and `height` are those of `panel`, in cells. Without a panel, it is sorted as nothing is.
        """
        node, source = self._nodes.shown, self._nodes.source
        dead = not (source.frozen or source.loading or node.recording or self._liveness.alive)
        view = View(
            source.state, self._playback.now, width, self.glyphs, self._masked, height=height,
            times=self._times, called=node.names, forms=self.forms(), dead=dead,
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
