"""The display settings for the shown node: hidden ids, the form of times, and how tables are sorted."""

from collections.abc import Mapping, Set

from flux_tui.core.ids import PeerId
from flux_tui.core.text.names import distinct_names, names_in
from flux_tui.core.text.plain import Plain
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.peer_and_no_tables import TABLES
from flux_tui.ui.rows.view_and_lines import Sort, Times, View
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode

TIMES: tuple[Times, ...] = ("clock", "start", "gap")
TRENDING = ("pending", "peers", "objects")
"""The panels that show the last minute of each peer."""


class Views:
    """Keeps the display settings, and puts them together with the state at the cursor for each panel."""

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
        """Whether ids and addresses are hidden on the screen."""
        return self._masked

    @property
    def times(self) -> Times:
        """The form in which times of entries are shown."""
        return self._times

    def sort_of(self, panel: str) -> Sort:
        """Return the column by which a panel is sorted, and the direction. The panel must be one of TABLES."""
        return self._sorts[panel]

    def toggle_mask(self) -> None:
        """Hide ids and addresses on the screen, or show them again."""
        self._masked = not self._masked

    def next_times(self) -> None:
        """Show the times of entries in the next of three forms."""
        self._times = TIMES[(TIMES.index(self._times) + 1) % len(TIMES)]

    def set_sort(self, panel: str, sort: Sort) -> None:
        """Sort a panel by a column. The panel must be one of TABLES."""
        self._sorts[panel] = sort

    def forms(self) -> Mapping[PeerId, Plain]:
        """Return the text that stands for each peer of the shown node: its name or a part of its id.

        No two are the same.
        """
        state = self._nodes.state
        names = names_in(state, self._nodes.shown.names)
        if self._formed_of is None or self._formed_of[0] != state.peers.keys() or self._formed_of[1] != names:
            self._formed_of = frozenset(state.peers), names
            own = () if state.peer_id is None else (state.peer_id,)
            self._forms = distinct_names((*state.peers, *names, *own), names, cell_width.cut)
        return self._forms

    def view(self, width: int, panel: str = "", height: int = 0) -> View:
        """Return the state and the time at the cursor together with the display settings, for one panel.

        `width` and `height` are those of the panel, in terminal columns and lines. `panel`: its name. Empty:
        for no panel, so without a sorting.
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
        """Move the cursor of another recording to the time that is shown now.

        Return its state there together with the display settings.
        """
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
        if panel == "throughput":
            view = view._replace(disk=source.disk())
        return view._replace(sort=self._sorts[panel]) if panel in self._sorts else view
