"""The totals of a state: counts that only grow, whichever peers are forgotten."""

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import copy, derive, extend
from flux_tui.core.series.state import MAX_PEERS
from flux_tui.core.series.totals import Totals

PEER, CID = PeerId("12D3KooWone"), raw_cid(b"one")


def series(*events: Event) -> list[Entry]:
    return [Entry(number, 1000.0 + number, event) for number, event in enumerate(events, 1)]


def test_each_is_counted() -> None:
    state = derive(
        series(
            ev.PeerConnected(peer=PEER, addr=""),
            ev.PushedWant(cids=(CID,), peers=(PEER,), gossip=False, retry=False, next_push_at=9.0),
            ev.PushedWant(cids=(CID,), peers=(PEER,), gossip=False, retry=True, next_push_at=9.0),
            ev.StatusNo(peer=PEER, cids=(CID,), reason="busy", has_it=True, retry_after=1.0),
            ev.DelayedYes(peer=PEER, cids=(CID,), eta=0.1, queue_bytes=0),
            ev.Granted(peer=PEER, root=None, cids=(CID, raw_cid(b"two")), deadline=2000.0),
            ev.ChunkReceived(cid=CID, size=10, peer=PEER),
            ev.LeaseLapsed(peer=PEER, cids=(raw_cid(b"two"),), cause="deadline"),
            ev.ChunkWasted(cid=CID, size=10, peer=PEER, cause="late"),
            ev.AnsweredNo(peer=PEER, cids=(CID,), reason="denied", has_it=True, retry_after=None),
            ev.AnsweredLater(peer=PEER, cids=(CID,), eta=0.0, queue_bytes=0),
            ev.ChunksSent(peer=PEER, cids=(CID, CID), size=20),
            ev.PeerFaulted(peer=PEER, fault="garbage", text="", count=3),
        )
    )
    assert state.totals == Totals(
        chunks_in=1, chunks_wasted=1, chunks_out=2, noes_in={"busy": 1}, noes_out={"denied": 1}, yes_in=1,
        yes_out=1, pushes=2, retries=1, granted=2, lapsed={"deadline": 1}, connects=1, faults=3,
    )  # fmt: skip
    assert copy(state).totals == state.totals


def test_they_stay_when_peers_are_forgotten() -> None:
    many = MAX_PEERS + 200
    noes = (
        ev.StatusNo(peer=PeerId(f"p{number}"), cids=(CID,), reason="busy", has_it=True, retry_after=None)
        for number in range(many)
    )
    state = derive(series(*noes))
    assert len(state.peers) <= MAX_PEERS
    assert state.totals.noes_in == {"busy": many}


def test_how_far_the_clock_of_a_peer_is_ahead() -> None:
    ahead = ev.ClockDiffers(peer=PEER, seconds=3600.0, via="gossip")
    state = derive(series(ahead))
    assert (state.peers[PEER].clock_ahead, state.peers[PEER].clock_seen_at) == (3600.0, 1001.0)
    extend(state, [Entry(2, 4602.0, ev.ClockStepped(seconds=3600.0))])
    assert state.peers[PEER].clock_ahead is None, "the clock was set: nobody knows any more"
