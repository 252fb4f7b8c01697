"""The last minute of each peer."""

import pytest

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.trends import SECONDS, Trends

ADA, BOB = (PeerId(f"12D3KooW{name * 44}") for name in "AB")
ROOT, CHUNK = dag_cid(b"root"), raw_cid(b"chunk")


def entries(*told: tuple[float, Event]) -> list[Entry]:
    return [Entry(n, at, event) for n, (at, event) in enumerate(told, 1)]


GOT = ev.ChunkReceived(cid=CHUNK, size=300, peer=ADA, roots=(ROOT,), fills=300)
SENT = ev.ChunksSent(peer=BOB, cids=(CHUNK,), size=90)


def test_rates_are_of_whole_seconds() -> None:
    trends = Trends()
    trends.extend(entries((100.0, GOT), (101.5, GOT), (102.0, SENT), (103.2, GOT)))
    assert trends.of(ADA).rate(103.5) == (200.0, 0.0)
    assert trends.of(BOB).rate(103.5) == (0.0, 90.0), "from the first second in which there was any"
    assert trends.of(ADA).series(103.5, 4) == [0.0, 300.0, 300.0, 0.0]
    assert trends.object_rate(ROOT, 103.5) > 0
    assert trends.object_rate(CHUNK, 103.5) == 0


def test_a_steady_stream_of_large_chunks_has_a_steady_rate() -> None:
    """One chunk a second gives the same rate at the start and at the end of a second."""
    trends = Trends()
    trends.extend(entries(*((100.3 + n, GOT) for n in range(20))))
    assert {trends.of(ADA).rate(115 + tenth / 10)[0] for tenth in range(10)} == {300.0}
    assert {trends.object_rate(ROOT, 115 + tenth / 10, 15) for tenth in range(10)} == {300.0}
    assert trends.of(ADA).rate(126.0) == (0.0, 0.0), "and it ends"
    early = Trends()
    early.extend(entries((100.0, GOT)))
    assert early.of(ADA).rate(100.75) == (400.0, 0.0), "there is nothing but the current second"


def test_an_answer_is_timed_from_the_want_that_it_answers() -> None:
    want = ev.PushedWant(cids=(ROOT,), peers=(ADA,), gossip=True, retry=False, next_push_at=200.0)
    yes = ev.DelayedYes(peer=ADA, cids=(ROOT,), eta=0.0, queue_bytes=0)
    other = ev.StatusNo(peer=BOB, cids=(CHUNK,), reason="busy", has_it=True, retry_after=1.0)
    trends = Trends()
    trends.extend(entries((100.0, want), (100.25, yes), (100.5, other)))
    assert trends.of(ADA).answer == 0.25
    assert trends.of(BOB).answer is None, "nobody asked it for that"


@pytest.mark.parametrize("step", [3600.0, -3600.0, 1e8, -1e8])
def test_rates_and_answers_go_on_when_the_clock_is_set(step: float) -> None:
    want = ev.PushedWant(cids=(ROOT,), peers=(BOB,), gossip=True, retry=False, next_push_at=200.0)
    yes = ev.DelayedYes(peer=BOB, cids=(ROOT,), eta=0.0, queue_bytes=0)
    set_ = ev.ClockStepped(seconds=step)
    trends = Trends()
    trends.extend(
        entries(
            *((1e9 + n, GOT) for n in range(10)), (1e9 + 9.5, want), (1e9 + 9.75 + step, set_),
            (1e9 + 10 + step, yes), *((1e9 + n + step, GOT) for n in range(10, 15)),
        )
    )  # fmt: skip
    for now in (10.5, 12.5, 14.5):
        assert trends.of(ADA).rate(1e9 + now + step)[0] == 300.0
        assert trends.object_rate(ROOT, 1e9 + now + step) == 300.0
    assert trends.of(BOB).answer == pytest.approx(0.5)
    trends.extend([Entry(100, 1e9 + 500 + step, GOT)])
    assert len(trends.of(ADA).bytes_in) == 1


def test_rates_older_than_a_minute_are_forgotten() -> None:
    trends = Trends()
    trends.extend(entries(*((100.0 + n, GOT) for n in range(500))))
    assert len(trends.of(ADA).bytes_in) <= SECONDS + 2


def test_trends_cover_the_minute_before_any_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    told = entries(*((100.0 + n / 10, GOT) for n in range(2_000)))
    monkeypatch.setattr("flux_tui.ui.series.cursor.WINDOW", 700)
    source = Source(lambda: MemorySeries(told))
    source.poll()
    for seq in (2_000, 1_000, 1_001, 1_500, 20):
        source.go_to(seq)
        fresh = Trends()
        fresh.extend(told[max(0, seq - 600) : seq])
        now = told[seq - 1].at
        assert source.trends().of(ADA).series(now, 55) == fresh.of(ADA).series(now, 55)
