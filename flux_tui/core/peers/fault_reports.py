"""Reports of faults that a peer repeats: the first is an entry at once, later ones are one entry with a count. Pure.

The time is an argument. The table is bounded.
"""

from collections import OrderedDict
from math import inf
from typing import NamedTuple

from flux_tui.core.ids import PeerId

REPORT_SECONDS = 10.0
"""Seconds between two entries about what one peer does repeatedly."""
MAX_REPORTS = 512
"""Peers and faults whose next entry is delayed."""


class Repeated(NamedTuple):
    """A fault of one peer, and how often it occurred since the last entry about it."""

    peer: PeerId
    fault: str
    text: str
    """The text of the latest case."""
    times: int


class _Report:
    """The count of a fault that a peer repeats, and when the next entry about it is due."""

    __slots__ = ("count", "due", "text")

    def __init__(self, due: float) -> None:
        self.due = due
        self.count = 0
        self.text = ""


class FaultReports:
    """The faults whose next entry is delayed, in the order in which they are due."""

    def __init__(self) -> None:
        self._reports: OrderedDict[tuple[PeerId, str], _Report] = OrderedDict()

    def add(self, peer: PeerId, fault: str, text: str, now: float) -> bool:
        """Count a fault. Returns True if an entry should be written now; otherwise a later entry has the count.

        If the table is full, a new fault is not counted, and False is returned.
        """
        key = (peer, fault)
        report = self._reports.get(key)
        if report is None or (not report.count and report.due <= now):
            if report is None and len(self._reports) >= MAX_REPORTS:
                return False  # the table is full of peers that do the same: one more is not news
            self._reports[key] = _Report(now + REPORT_SECONDS)
            self._reports.move_to_end(key)
            return True
        report.count += 1
        report.text = text
        return False

    def take(self, peer: PeerId) -> list[Repeated]:
        """Remove and return the delayed reports about one peer, so that they can be written now."""
        found: list[Repeated] = []
        for (who, fault), report in self._reports.items():
            if who == peer and report.count:
                found.append(Repeated(peer, fault, report.text, report.count))
                report.count = 0
        return found

    def due(self, now: float) -> list[Repeated]:
        """Remove and return the reports that were delayed for long enough."""
        found: list[Repeated] = []
        while self._reports:
            key, report = next(iter(self._reports.items()))
            if report.due > now:
                break
            del self._reports[key]
            if report.count:
                found.append(Repeated(*key, report.text, report.count))
                self._reports[key] = _Report(now + REPORT_SECONDS)
        return found

    def next_deadline(self) -> float:
        """Return the time at which `due` returns a report next; infinity if no report is delayed."""
        if not self._reports:
            return inf
        return min((r.due for r in self._reports.values() if r.count), default=inf)
