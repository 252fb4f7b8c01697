"""The marks of the Flow panel, folded from entries."""

from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.series.flow_marks import MAX_LANES, MAX_MESSAGES, FlowWindow, WaitPeriod
from tests.sim.swarm import peer_name
from tests.support.rows import ADA, BOB

FILM, OTHER = dag_cid(b"a film"), dag_cid(b"another")
CHUNKS = tuple(raw_cid(b"%d" % number) for number in range(4))
STUCK = Path(__file__).parents[1] / "stuck.flux"


def entries(*told: tuple[float, Event]) -> list[Entry]:
    return [Entry(n, at, event) for n, (at, event) in enumerate(told, 1)]


def window(*told: tuple[float, Event], step: float = 1.0, root: Cid | None = FILM) -> FlowWindow:
    found = FlowWindow(step, root)
    found.extend(entries(*told))
    return found


def want(*peers: PeerId, retry: bool = False, root: Cid = FILM) -> ev.PushedWant:
    return ev.PushedWant(cids=(root,), peers=peers, gossip=False, retry=retry, next_push_at=99.0)


def yes(peer: PeerId) -> ev.DelayedYes:
    return ev.DelayedYes(peer=peer, cids=(FILM,), eta=0.0, queue_bytes=0)


def no(peer: PeerId, *cids: Cid, after: float | None = 5.0) -> ev.StatusNo:
    return ev.StatusNo(peer=peer, cids=cids or (FILM,), reason="busy", has_it=True, retry_after=after)


def grant(peer: PeerId, *cids: Cid, root: Cid | None = FILM) -> ev.Granted:
    return ev.Granted(peer=peer, root=root, cids=cids, deadline=99.0)


def chunk(peer: PeerId, cid: Cid, *, roots: tuple[Cid, ...] = (FILM,)) -> ev.ChunkReceived:
    return ev.ChunkReceived(cid=cid, size=100, peer=peer, roots=roots, fills=100)


def lapsed(peer: PeerId, *cids: Cid) -> ev.LeaseLapsed:
    return ev.LeaseLapsed(peer=peer, cids=cids, cause="deadline", roots=(FILM,))


def kinds(found: FlowWindow, peer: PeerId) -> dict[int, str]:
    return {number: cell.kind for number, cell in found.lanes[peer].cells.items()}


def test_a_want_reaches_many_lanes_and_each_answer_is_in_its_own() -> None:
    found = window((1.0, want(ADA, BOB)), (2.5, yes(ADA)), (3.5, no(BOB)), (9.0, want(BOB, retry=True)))
    assert {number: cell.kind for number, cell in found.own.cells.items()} == {1: "want", 9: "again"}
    assert kinds(found, ADA) == {1: "told", 2: "yes"}
    assert kinds(found, BOB) == {1: "told", 3: "no", 9: "told"}
    assert found.lanes[BOB].cells[3].reason == "busy"
    assert (found.lanes[ADA].answered, found.lanes[BOB].answered) == (2.5, 3.5)


def test_a_no_has_a_bar_until_the_peer_says_something_else() -> None:
    found = window((1.0, no(ADA, after=5.0)), (1.0, no(BOB, after=None)), (3.0, yes(ADA)))
    assert found.lanes[ADA].waits == [WaitPeriod(1.0, 3.0, "busy")]
    assert (found.lanes[ADA].wait_at(2.0), found.lanes[ADA].wait_at(3.5)) == (
        WaitPeriod(1.0, 3.0, "busy"),
        None,
    )
    assert found.lanes[BOB].waits == []


def test_a_lease_lasts_from_its_grant_to_its_last_chunk() -> None:
    found = window(
        (1.0, grant(ADA, *CHUNKS[:3])), (2.0, chunk(ADA, CHUNKS[0])), (3.0, chunk(ADA, CHUNKS[1])),
        (5.0, ev.LeaseLapsed(peer=ADA, cids=(CHUNKS[2],), cause="deadline")),
    )  # fmt: skip
    lane = found.lanes[ADA]
    assert lane.owed == {1: 3, 2: 2, 3: 1, 5: 0}
    assert (lane.owes, lane.chunks, lane.bytes_in) == (0, 2, 200)
    assert kinds(found, ADA) == {1: "grant", 2: "chunks", 3: "chunks", 5: "lapsed"}


def test_a_hedge_that_came_ends_what_its_first_holder_owes() -> None:
    hedge = ev.Granted(peer=BOB, root=FILM, cids=CHUNKS[:1], deadline=99.0, hedge=True)
    begun = ((1.0, grant(ADA, CHUNKS[0])), (1.0, grant(BOB, CHUNKS[1])), (2.0, hedge))
    found = window(*begun, (3.0, chunk(BOB, CHUNKS[0])))
    assert (found.lanes[ADA].owes, found.lanes[BOB].owes) == (0, 1)
    found = window(*begun, (3.0, lapsed(BOB, CHUNKS[0])))
    assert (found.lanes[ADA].owes, found.lanes[BOB].owes) == (1, 1)


def test_the_strongest_mark_of_a_bin_is_shown_with_its_newest_entry() -> None:
    found = window(
        (1.0, yes(ADA)), (1.1, grant(ADA, *CHUNKS)), (1.2, no(ADA, CHUNKS[1])), (1.3, no(ADA, CHUNKS[2]))
    )
    cell = found.lanes[ADA].cells[1]
    assert (cell.kind, cell.seq, cell.count) == ("no", 4, 4)


def test_a_window_of_one_object_leaves_out_all_others() -> None:
    told: list[tuple[float, Event]] = [
        (1.0, want(ADA, root=OTHER)), (2.0, grant(ADA, CHUNKS[0], root=OTHER)), (2.1, no(ADA, CHUNKS[0])),
        (3.0, chunk(ADA, CHUNKS[1], roots=(OTHER,))), (4.0, grant(BOB, CHUNKS[2])), (4.1, no(BOB, CHUNKS[2])),
    ]  # fmt: skip
    found = window(*told)
    assert set(found.lanes) == {BOB}
    assert kinds(found, BOB) == {4: "no"}, "the grant tells what the chunk is of"
    assert set(window(*told, root=None).lanes) == {ADA, BOB}


def test_what_peers_want_from_this_node_is_in_their_lanes() -> None:
    found = window(
        (1.0, ev.IntentReceived(peer=ADA, cids=(FILM,), via="direct")),
        (2.0, ev.AnsweredNo(peer=ADA, cids=(FILM,), reason="denied", has_it=True, retry_after=None)),
        (3.0, ev.IntentReceived(peer=BOB, cids=(FILM,), via="direct")),
        (4.0, ev.AnsweredLater(peer=BOB, cids=(FILM,), eta=0.0, queue_bytes=0)),
        (5.0, ev.ChunksSent(peer=BOB, cids=(FILM, CHUNKS[0]), size=70)),
    )
    assert kinds(found, ADA) == {1: "asked", 2: "refused"}
    assert kinds(found, BOB) == {3: "asked", 4: "offered", 5: "sent"}
    assert (found.lanes[BOB].chunks, found.lanes[BOB].bytes_out) == (2, 70)


def test_chunks_that_were_sent_are_of_the_object_that_the_peer_asked_for_last() -> None:
    asks = [ev.IntentReceived(peer=ADA, cids=(root,), via="direct") for root in (FILM, OTHER)]
    sent = [ev.ChunksSent(peer=ADA, cids=(cid,), size=70) for cid in CHUNKS]
    found = window(
        (1.0, asks[0]), (2.0, sent[0]), (3.0, asks[1]), (4.0, sent[1]), (5.0, asks[0]), (6.0, sent[2])
    )
    assert kinds(found, ADA) == {1: "asked", 2: "sent", 5: "asked", 6: "sent"}
    ahead = found.after()
    ahead.extend([Entry(7, 7.0, sent[3])])
    assert ahead.lane_of(ADA).first_mark() == 7


def test_a_peer_that_leaves_ends_its_lane_and_a_restart_ends_all() -> None:
    gone = ev.PeerDisconnected(peer=ADA, why="")
    found = window((0.0, ev.PeerConnected(peer=ADA, addr="")), (1.0, no(ADA)), (2.0, gone))
    assert found.lanes[ADA].here == {0: True, 2: False}
    assert found.lanes[ADA].waits == [WaitPeriod(1.0, 2.0, "busy")]
    started = ev.NodeStarted(peer_id=peer_name(9), addrs=(), version="", max_pending=1)
    found = window((1.0, grant(BOB, *CHUNKS)), (1.0, no(ADA)), (3.0, started))
    assert (found.lanes[BOB].owes, found.lanes[BOB].owed[3], found.lanes[ADA].waits[0].until) == (0, 0, 3.0)


def test_what_is_not_shown_any_more_is_forgotten() -> None:
    found = window((1.0, grant(ADA, *CHUNKS)), (2.0, chunk(ADA, CHUNKS[0])), (50.0, chunk(ADA, CHUNKS[1])))
    found.forget_before(40.0)
    lane = found.lanes[ADA]
    assert set(lane.cells) == {50}
    assert lane.owed == {2: 3, 50: 2}, "the last step before tells how the window begins"
    assert (lane.chunks, lane.bytes_in) == (1, 100)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_when_the_clock_is_set_the_lanes_begin_again(seconds: float) -> None:
    found = window(
        (100.0, want(ADA)), (100.0 + seconds, ev.ClockStepped(seconds=seconds)), (101.0 + seconds, yes(BOB))
    )
    assert set(found.lanes) == {BOB}
    assert found.own.cells == {}


def test_a_crowd_and_a_long_time_are_bounded() -> None:
    crowd = [peer_name(number) for number in range(MAX_LANES + 50)]
    found = FlowWindow(1.0)
    found.extend(entries(*((float(n), yes(peer)) for n, peer in enumerate(crowd * 5))))
    assert len(found.lanes) == MAX_LANES
    assert len(found.messages) < 2 * MAX_MESSAGES


def test_a_window_is_the_same_however_the_entries_are_cut() -> None:
    series = SeriesReader.open(STUCK).read(0, 1000)
    whole, slices = FlowWindow(0.5), FlowWindow(0.5)
    whole.extend(series)
    for start in range(0, len(series), 7):
        slices.extend(series[start : start + 7])
    for peer, lane in whole.lanes.items():
        other = slices.lanes[peer]
        assert (lane.owed, lane.waits, lane.here) == (other.owed, other.waits, other.here)
        assert {n: (c.kind, c.seq, c.bytes_in) for n, c in lane.cells.items()} == {
            n: (c.kind, c.seq, c.bytes_in) for n, c in other.cells.items()
        }
