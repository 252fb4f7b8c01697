"""Reads the entries for the Flow panel: for the period it shows, of one or all objects, and in its order."""

from flux_tui.core.ids import Cid
from flux_tui.ui.rows.flow import ORDERS, STEPS, fitting_step, frame
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.flow_marks import FlowWindow
from flux_tui.ui.watching.watched_node import Nodes

SLICE = 4_000
"""Entries that are read in one frame, in about 20 ms. Others follow between keys and frames."""
QUIET_SECONDS = 60.0
"""The longest period, in seconds, that is shown by default where nothing was wanted."""
AHEAD = 200
"""Entries that are read at a time to find the next mark."""
MOST = 60_000
"""Entries of a period that are read at most: the newest ones."""


class _PeriodReader:
    """Reads the entries of the visible period of one series. Each entry is read only once while time goes on."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._begins = 0.0
        self.shown = FlowWindow(STEPS[0])
        """The window as it was drawn last."""
        self.looking = False
        """Whether some of its entries are not folded yet."""

    def window(self, view: View, step: float, root: Cid | None) -> FlowWindow:
        """Read some more entries, and return the messages of the period that ends at the time of the view.

        One call reads as many entries as one frame allows. Of a period with more than MOST entries, only the
        last MOST are read. `step`: the seconds of one column. `root`: the object; None: all.
        """
        source, window = self._source, self.shown
        first = frame(view.width, view.now, step).first * step
        fits = (window.step, window.root) == (step, root) and window.seq <= source.cursor
        if not fits or first < self._begins or source.cursor - window.seq > MOST:
            start = max(source.seq_at(first), source.cursor - MOST)
            window = self.shown = FlowWindow(step, root, start)
        self._begins = first
        left = SLICE
        while window.seq < source.cursor and left > 0:
            page = source.read(window.seq, min(left, source.cursor - window.seq))
            if not page:
                break
            window.extend(page)
            left -= len(page)
        self.looking = window.seq < source.cursor and left <= 0
        window.forget_before(first)
        return window


class FlowFeed:
    """Reads the entries of the period that the Flow panel shows, some in each frame."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._readers: dict[Source, _PeriodReader] = {}
        self._step: float | None = None
        """Seconds of a column. None: what fits the object."""
        self._order = ORDERS[0]
        self._root: Cid | None = None
        self.picture = False
        """Whether this node among its peers is drawn, not the lanes."""

    @property
    def root(self) -> Cid | None:
        """The object whose messages the Flow panel shows. None: the messages of all objects."""
        return self._root

    @property
    def order(self) -> str:
        """The order in which the Flow panel sorts peers."""
        return self._order

    @property
    def looking(self) -> bool:
        """Whether some entries of the shown period were not read yet."""
        return any(reader.looking for reader in self._readers.values())

    def show_object(self, root: Cid | None) -> None:
        """Show only the messages about one object in the Flow panel. None: about all objects."""
        self._root, self._step = root, None

    def next_order(self) -> str:
        """Sort the peers in the Flow panel by the next criterion, and return its name."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        return self._order

    def zoom(self, by: int) -> None:
        """Show a shorter (-1) or longer (1) period of time in the Flow panel."""
        self._step = STEPS[min(max(STEPS.index(self._window.step) + by, 0), len(STEPS) - 1)]

    def window(self, view: View) -> FlowWindow:
        """Read some more entries of the shown node, as many as one frame allows, and return the messages to draw."""
        return self._reader(self._nodes.source).window(view, self._step or self._fitting(view), self._root)

    def beside(self, view: View, source: Source, step: float) -> FlowWindow:
        """Return the messages to draw for another node, whose series is `source`.

        `view` is of that node, at the same moment. `step`: the seconds of one column.
        """
        return self._reader(source).window(view, step, self._root)

    def _reader(self, source: Source) -> "_PeriodReader":
        return self._readers.setdefault(source, _PeriodReader(source))

    @property
    def _window(self) -> FlowWindow:
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

        If all objects are shown: the want that was begun last, or else the object that was begun last.
        """
        state = view.state
        if self._root is not None and (found := state.objects.get(self._root)) is not None:
            return fitting_step(view.width, found.since, view.now)
        begun = [one.since for one in state.pending.values()] or [one.since for one in state.objects.values()]
        quiet = max(view.now - QUIET_SECONDS, state.started_at or 0.0)
        return fitting_step(view.width, max(begun, default=quiet), view.now)
