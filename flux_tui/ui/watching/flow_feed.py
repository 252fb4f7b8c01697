"""Reads the entries for the Flow panel: for the period it shows, of one or all objects, and in its order."""

from typing import TYPE_CHECKING

from flux_tui.core.ids import Cid
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import Nodes

if TYPE_CHECKING:  # imported when Flow is first shown: the dashboard's first frame does not have it
    from flux_tui.ui.series.flow_marks import FlowWindow
    from flux_tui.ui.watching.flow_period import PeriodReader

QUIET_SECONDS = 60.0
"""The longest period, in seconds, that is shown by default where nothing was wanted."""
AHEAD = 200
"""Entries that are read at a time to find the next mark."""


class FlowFeed:
    """Reads the entries of the period that the Flow panel shows, some in each frame."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._readers: dict[Source, PeriodReader] = {}
        self._step: float | None = None
        """Seconds of a column. None: what fits the object."""
        self._orders = 0
        """How often the next order was chosen."""
        self._root: Cid | None = None
        self._from_start = False
        """Whether all the time since the node started is shown."""
        self.picture = False
        """Whether this node among its peers is drawn, not the lanes."""

    @property
    def root(self) -> Cid | None:
        """The object whose messages the Flow panel shows. None: the messages of all objects."""
        return self._root

    @property
    def order(self) -> str:
        """The order in which the Flow panel sorts peers."""
        from flux_tui.ui.rows.flow import ORDERS

        return ORDERS[self._orders % len(ORDERS)]

    @property
    def looking(self) -> bool:
        """Whether some entries of the shown period were not read yet."""
        return any(reader.looking for reader in self._readers.values())

    def show_object(self, root: Cid | None, *, from_start: bool = False) -> None:
        """Show only the messages about one object in the Flow panel. None: about all objects.

        `from_start`: show all the time since the node started.
        """
        self._root, self._step, self._from_start = root, None, from_start

    def next_order(self) -> str:
        """Sort the peers in the Flow panel by the next criterion, and return its name."""
        self._orders += 1
        return self.order

    def zoom(self, by: int) -> None:
        """Show a shorter (-1) or longer (1) period of time in the Flow panel."""
        from flux_tui.ui.rows.flow import STEPS

        self._step = STEPS[min(max(STEPS.index(self._window.step) + by, 0), len(STEPS) - 1)]

    def window(self, view: View) -> "FlowWindow":
        """Read some more entries of the shown node, as many as one frame allows, and return the messages to draw."""
        return self._reader(self._nodes.source).window(view, self._step or self._fitting(view), self._root)

    def beside(self, view: View, source: Source, step: float) -> "FlowWindow":
        """Return the messages to draw for another node, whose series is `source`.

        `view` is of that node, at the same moment. `step`: the seconds of one column.
        """
        return self._reader(source).window(view, step, self._root)

    def _reader(self, source: Source) -> "PeriodReader":
        from flux_tui.ui.watching.flow_period import PeriodReader

        return self._readers.setdefault(source, PeriodReader(source))

    @property
    def _window(self) -> "FlowWindow":
        return self._reader(self._nodes.source).shown

    def entry_of(self, key: str) -> int | None:
        """Return the number of the entry of the last message in a peer's lane, up to the cursor.

        None: the lane has none. `key`: the peer's id, or the name of this node's lane.
        """
        return self._window.lane_of(key).mark_before(self._nodes.source.cursor + 1)

    def mark_before(self, key: str) -> int | None:
        """Return the number of the entry of the last message before the cursor in a peer's lane.

        None: there is none. `key`: the peer's id, or the name of this node's lane.
        """
        return self._window.lane_of(key).mark_before(self._nodes.source.cursor)

    def mark_after(self, key: str) -> int | None:
        """Return the number of the entry of the first message after the cursor in a peer's lane.

        `key`: the peer's id, or the name of this node's lane. None: there is none among the next MOST
        entries.
        """
        from flux_tui.ui.watching.flow_period import MOST

        source, ahead = self._nodes.source, self._window.after()
        while ahead.seq < source.cursor + MOST:
            page = source.read(ahead.seq, AHEAD)
            if not page:
                break
            ahead.extend(page)
            if (found := ahead.lane_of(key).first_mark()) is not None:
                return found
        return None

    def _fitting(self, view: View) -> float:
        """Return the seconds of a column at which the shown object is visible from its begin.

        If all objects are shown: the want that was begun last, or else the object that was begun last. If all the
        time is shown: the start of the node.
        """
        from flux_tui.ui.rows.flow import fitting_step

        state = view.state
        if self._from_start and state.started_at is not None:
            return fitting_step(view.width, state.started_at, view.now)
        if self._root is not None and (found := state.objects.get(self._root)) is not None:
            return fitting_step(view.width, found.since, view.now)
        begun = [one.since for one in state.pending.values()] or [one.since for one in state.objects.values()]
        quiet = max(view.now - QUIET_SECONDS, state.started_at or 0.0)
        return fitting_step(view.width, max(begun, default=quiet), view.now)
