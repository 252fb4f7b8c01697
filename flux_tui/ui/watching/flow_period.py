"""Reads the entries of the period that the Flow panel shows of one series, some in each frame."""

from flux_tui.core.ids import Cid
from flux_tui.ui.rows.flow import STEPS, frame
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.flow_marks import FlowWindow

SLICE = 4_000
"""Entries that are read in one frame, in about 20 ms. Others follow between keys and frames."""
MOST = 60_000
"""Entries of a period that are read at most: the newest ones."""


class PeriodReader:
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
