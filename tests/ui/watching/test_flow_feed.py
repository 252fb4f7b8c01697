"""The window of the Flow panel: which stretch it shows, and which entries are read for it."""

import pytest
from typing_extensions import override

from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.rows.flow import frame
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.flow_marks import FlowWindow
from flux_tui.ui.watching import flow_period
from flux_tui.ui.watching.flow_feed import QUIET_SECONDS, FlowFeed
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode
from tests.sim.swarm import peer_name
from tests.support.rows import ADA, BOB

FILM = dag_cid(b"a film")
BEGIN = 1_000.0
WIDTH = 100


class Counted(MemorySeries):
    """A series that counts the entries that are read."""

    count = 0

    @override
    def read(self, after: int, limit: int) -> list[Entry]:
        found = super().read(after, limit)
        self.count += len(found)
        return found


class Watched:
    """A node that started at BEGIN, and the feed of its Flow panel."""

    def __init__(self) -> None:
        self.series = Counted()
        self.source = Source(lambda: self.series)
        self.feed = FlowFeed(Nodes(WatchedNode(title="n", source=self.source, push=lambda _: None)))
        self.add(BEGIN, ev.NodeStarted(peer_id=peer_name(1), addrs=(), version="", max_pending=9))

    def add(self, at: float, *events: Event) -> None:
        self.series.append(
            [Entry(self.series.last_seq() + n, at, event) for n, event in enumerate(events, 1)]
        )
        while self.source.poll():
            pass

    def window(self, now: float | None = None) -> FlowWindow:
        at = self.source.state.at if now is None else now
        return self.feed.window(View(self.source.state, at, WIDTH, Glyphs(unicode=True)))


def sent(number: int) -> ev.ChunkReceived:
    return ev.ChunkReceived(cid=raw_cid(b"%d" % number), size=9, peer=ADA, roots=(FILM,), fills=9)


def no(root: Cid = FILM) -> ev.StatusNo:
    return ev.StatusNo(peer=BOB, cids=(root,), reason="busy", has_it=True, retry_after=None)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_each_entry_is_read_once_while_time_goes_on(watched: Watched) -> None:
    watched.add(BEGIN + 1, ev.Requested(cid=FILM, name="film"), *(sent(number) for number in range(50)))
    watched.window()
    read = watched.series.count
    for number in range(50, 60):
        watched.add(BEGIN + 1, sent(number))
        before = watched.series.count  # the cursor has read it to fold it
        found = watched.window()
        assert watched.series.count == before + 1
    assert read
    assert found.lanes[ADA].chunks == 60


def test_many_entries_are_read_in_slices(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow_period, "SLICE", 20)
    watched.add(BEGIN + 1, ev.Requested(cid=FILM, name="film"), *(sent(number) for number in range(50)))
    looks = 0
    while not looks or watched.feed.looking:
        found, looks = watched.window(), looks + 1
    assert looks == 3
    assert found.lanes[ADA].chunks == 50


def test_a_cursor_that_goes_back_shows_nothing_of_what_comes_after(watched: Watched) -> None:
    watched.add(BEGIN + 1, ev.Requested(cid=FILM, name="film"), sent(1))
    watched.add(BEGIN + 2, no(), sent(2))
    assert set(watched.window().lanes) == {ADA, BOB}
    watched.source.go_to(3)
    assert set(watched.window().lanes) == {ADA}
    watched.source.live()
    assert set(watched.window().lanes) == {ADA, BOB}


def test_marks_before_and_after_the_cursor_are_found(watched: Watched) -> None:
    watched.add(BEGIN + 1, ev.Requested(cid=FILM, name="film"), sent(1))
    watched.add(BEGIN + 20, no())
    watched.add(BEGIN + 40, sent(2))
    watched.window()
    assert (watched.feed.entry_of(ADA), watched.feed.mark_before(ADA)) == (5, 3)
    watched.source.go_to(3)
    watched.window()
    assert watched.feed.mark_after(ADA) == 5
    assert watched.feed.mark_after(BOB) == 4
    assert watched.feed.mark_before(ADA) is None


def test_the_stretch_begins_with_the_object_the_newest_want_or_the_start(watched: Watched) -> None:
    def shown(now: float) -> float:
        """Return how many seconds the window shows, at least."""
        window = watched.window(now)
        return frame(WIDTH, now, window.step).columns * window.step

    start = shown(BEGIN + 10)
    assert 10 <= start < 40, "the node started ten seconds ago, and wants nothing"
    assert QUIET_SECONDS <= shown(BEGIN + 10_000) < 3 * QUIET_SECONDS, "nothing was wanted for long"
    watched.add(BEGIN + 100, ev.Requested(cid=FILM, name="film"))
    watched.add(BEGIN + 190, ev.Requested(cid=raw_cid(b"loose")))
    assert 10 <= shown(BEGIN + 200) < 40, "the newest want"
    watched.feed.show_object(FILM)
    assert 100 <= shown(BEGIN + 200) < 400, "the object"
    watched.feed.zoom(-1)
    assert shown(BEGIN + 200) < 100, "what the person chose"


def test_loose_chunks_of_a_demo_that_is_over_stay_in_sight(watched: Watched) -> None:
    cid = raw_cid(b"loose")
    watched.add(BEGIN + 10, ev.Requested(cid=cid), no(), ev.Cancelled(cids=(cid,)))
    for from_start in (False, True):
        watched.feed.show_object(None, from_start=from_start)
        window = watched.window(BEGIN + 1_000)
        assert any(lane.cells for lane in window.lanes.values()) is from_start
