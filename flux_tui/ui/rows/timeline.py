"""The timeline: how many entries each moment had, how many of them were NO, and where the cursor is. Pure.

A column is a short period of time. Its number of entries is the difference of two entry numbers, found by
bisection. Its share of NO is estimated from a sample. So a timeline over ten million entries costs as much as
one over a hundred. A column of the past is computed once.
"""

from typing import NamedTuple

from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.events import Entry, StatusNo
from flux_tui.ui.rows.glyphs import Glyphs, Role
from flux_tui.ui.rows.view_and_lines import Line, merged, span
from flux_tui.ui.series.cursor import Source

SPANS = (120.0, 600.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
"""The periods that the timeline can show, in seconds. After the last comes the whole series."""
SAMPLE = 32
"""How many entries are read to estimate the share of NO in a column."""
KEPT = 2_000
"""How many columns are remembered."""
INSTANT = 1e-6
"""Less than the time between two entries, so that a column ends right before the next begins."""
MANY_NOES, SOME_NOES = 0.3, 0.05


class Column(NamedTuple):
    """A column of the timeline: how many entries its period of time has, and which share of them is NO."""

    entries: int
    noes: float
    """The share of entries that are NO."""


class Timeline:
    """The timeline of one series, and the period of time that it shows.

    `whole`: the series is a recording, so all of it is shown at first.
    """

    def __init__(self, source: Source, *, whole: bool) -> None:
        self._source = source
        self.span = len(SPANS) if whole else 0
        """The index in SPANS. One after the last: the whole series."""
        self._start = 0.0
        """The time of the first column while the cursor is frozen. The cursor moves, the strip stays."""
        self._columns: BoundedTable[tuple[float, int], Column] = BoundedTable(KEPT)
        self._first_at: float | None = None
        self._grows = not whole
        self._end = 0.0
        """The end of the strip for a whole, growing series.

        It has room, so that columns are not counted again each time.
        """
        self._range = (0.0, 1.0)
        self._last_at = 0.0
        """The time of the newest entry."""
        self._width = 1

    def wider(self, by: int) -> str:
        """Show a longer (1) or shorter (-1) period of time. Return its length as text, such as `10 min`.

        The longest and the shortest period stay as they are.
        """
        self.span = min(max(self.span + by, 0), len(SPANS))
        self._start = 0.0
        return self.words

    @property
    def words(self) -> str:
        """The length of the shown period as text, such as `10 min`; `all` for the whole series."""
        if self.span >= len(SPANS):
            return "all"
        seconds = SPANS[self.span]
        return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.0f} h"

    def at(self, x: int) -> float:
        """Return the time (seconds since 1970) at the end of column `x` of the timeline as it was drawn last."""
        start, end = self._range
        return start + (end - start) * min(max(x, 0) + 1, self._width) / self._width

    def line(self, now: float, width: int, glyphs: Glyphs) -> Line:
        """Return the timeline as a line of `width` columns. `now` is the time at the cursor.

        While the cursor is frozen, its column has a mark.
        """
        start, end = self._shown_period(now)
        step = (end - start) / width
        if self.span < len(SPANS):
            # Columns begin at multiples of their length. As time goes on, only the newest changes.
            first = int(start // step) + 1
            start, end = first * step, (first + width) * step
        else:
            first = 0
        self._range, self._width = (start, end), width
        bounds: dict[int, int] = {}
        columns = [self._column(start, step, first, index, bounds) for index in range(width)]
        marked = min(int((now - start) / step), width - 1) if self._source.frozen else -1
        top = max((column.entries for column in columns), default=0)
        line: Line = []
        for index, column in enumerate(columns):
            if index == marked:
                line.append(span(glyphs.cursor, "accent"))
            elif not column.entries:
                line.append(span(glyphs.quiet, "rail"))
            else:
                role: Role = "good"
                if column.noes > SOME_NOES:
                    role = "bad" if column.noes > MANY_NOES else "warn"
                line.append(span(glyphs.spark([float(column.entries)], float(top)), role))
        return merged(line)

    def _shown_period(self, now: float) -> tuple[float, float]:
        source = self._source
        if self._first_at is None and (first := source.entry(source.first_seq)) is not None:
            self._first_at = first.at
        last = source.entry(source.last_seq) if source.frozen or self.span >= len(SPANS) else None
        if self.span >= len(SPANS):
            begin = self._first_at if self._first_at is not None else now - 1
            end = max(last.at if last else now, now, begin + 1) + INSTANT
            if not self._grows:
                return begin, end
            if not end <= self._end <= begin + (end - begin) * 1.5:
                self._end = begin + (end - begin) * 1.1
            return begin, self._end
        seconds = SPANS[self.span]
        if not source.frozen:
            self._start = 0.0
            return now - seconds, now
        if not self._start <= now <= self._start + seconds:
            # Move the strip to the cursor. Near the end of the series, that end is at the right.
            end = max(last.at if last else now, now)
            self._start = (end if end - now < seconds else now + seconds / 2) - seconds
        return self._start, self._start + seconds

    def _column(self, start: float, step: float, first: int, index: int, bounds: dict[int, int]) -> Column:
        if not self._source.last_seq:  # nothing was read yet: the first frame does not wait for the series
            return Column(0, 0.0)
        last = self._source.entry(self._source.last_seq)
        if last is not None and last.at < self._last_at:
            self._columns.clear()  # the clock was set back: past columns get more entries
        self._last_at = last.at if last is not None else 0.0
        key = (step, first + index) if self.span < len(SPANS) else (start + step, index)
        found = self._columns.get(key)
        if found is not None:
            return found
        for side in (index, index + 1):
            if side not in bounds:
                bounds[side] = self._source.seq_at(_before(start + side * step))
        column = Column(bounds[index + 1] - bounds[index], self._noes(bounds[index], bounds[index + 1]))
        if last is not None and last.at >= start + (index + 1) * step:  # it is past: it gets no more entries
            self._columns[key] = column
        return column

    def _noes(self, before: int, after: int) -> float:
        count = after - before
        if count <= 0:
            return 0.0
        if count <= SAMPLE:
            sample: list[Entry] = self._source.read(before, count)
        else:
            quarter = count // 4
            sample = [e for n in range(4) for e in self._source.read(before + n * quarter, SAMPLE // 4)]
        return sum(isinstance(entry.event, StatusNo) for entry in sample) / max(len(sample), 1)


def _before(at: float) -> float:
    """Return the moment right before a time, so that an entry at the border of two columns counts in the later one."""
    return at - INSTANT
