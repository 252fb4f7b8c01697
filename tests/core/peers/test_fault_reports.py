"""One entry at once, then one with a count."""

from flux_tui.core.ids import PeerId
from flux_tui.core.peers.fault_reports import MAX_REPORTS, REPORT_SECONDS, FaultReports, Repeated

PEER, OTHER = PeerId("peer"), PeerId("other")


def test_the_first_is_due_at_once_and_the_others_together() -> None:
    reports = FaultReports()
    assert reports.add(PEER, "flood", "first", 0.0)
    assert reports.next_deadline() == float("inf")
    for number in range(3):
        assert not reports.add(PEER, "flood", f"number {number}", 1.0)
    assert reports.next_deadline() == REPORT_SECONDS
    assert reports.due(REPORT_SECONDS - 0.1) == []
    assert reports.due(REPORT_SECONDS) == [Repeated(PEER, "flood", "number 2", 3)]
    assert reports.due(2 * REPORT_SECONDS) == []
    assert reports.add(PEER, "flood", "later", 3 * REPORT_SECONDS), "it was quiet in between"


def test_faults_and_peers_are_apart() -> None:
    reports = FaultReports()
    assert reports.add(PEER, "flood", "", 0.0)
    assert reports.add(PEER, "garbage", "", 0.0)
    assert reports.add(OTHER, "flood", "", 0.0)
    for fault in ("flood", "garbage"):
        reports.add(PEER, fault, "again", 1.0)
    reports.add(OTHER, "flood", "again", 1.0)
    assert reports.take(PEER) == [Repeated(PEER, "flood", "again", 1), Repeated(PEER, "garbage", "again", 1)]
    assert reports.take(PEER) == []
    assert reports.due(REPORT_SECONDS) == [Repeated(OTHER, "flood", "again", 1)]


def test_the_table_is_bounded() -> None:
    reports = FaultReports()
    due = [reports.add(PeerId(str(number)), "flood", "", 0.0) for number in range(3 * MAX_REPORTS)]
    assert sum(due) == MAX_REPORTS
    for number in range(3 * MAX_REPORTS):
        reports.add(PeerId(str(number)), "flood", "", 0.0)
    assert len(reports.due(REPORT_SECONDS)) == MAX_REPORTS
