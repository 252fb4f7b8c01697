"""Why a want is not here: told from the series alone, as the machine itself sees it."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive, restore, snapshot
from flux_tui.core.series.state import MAX_ANSWERS, State
from flux_tui.core.series.want_explanation import NotPendingError, PeerLine, Why, why
from tests.sim.swarm import peer_name
from tests.support.heard_fetch import HEARD, LOOSE, PEERS, HeardFetch

FILM = dag_cid(b"a film")
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(24)]
CHANGED, LIMITED, SLOWER, DENIES, GONE = (peer_name(number) for number in range(1, 6))


def told(series: list[tuple[float, Event]], at: float) -> Why:
    """Return the explanation of the film at a time, from the entries until then."""
    return why(state_at(series, at), FILM, at)


def state_at(series: list[tuple[float, Event]], at: float) -> State:
    return derive(Entry(seq, when, event) for seq, (when, event) in enumerate(series, 1) if when <= at)


def line(told: Why, peer: PeerId) -> PeerLine:
    (found,) = [one for one in told.lines if one.peer == peer]
    return found


def yes(peer: PeerId, have: int | None = None) -> ev.DelayedYes:
    return ev.DelayedYes(peer=peer, cids=(FILM,), eta=0.0, queue_bytes=0, size=24 << 20, have=have)


def no(peer: PeerId, *cids: Any, reason: Any, after: float | None = None, roots: Any = ()) -> ev.StatusNo:
    has = reason != "not_held"
    return ev.StatusNo(peer=peer, cids=cids, reason=reason, has_it=has, retry_after=after, roots=roots)


def asked(peer: PeerId) -> ev.PushedWant:
    return ev.PushedWant(
        cids=(FILM,), peers=(peer,), gossip=False, retry=True, next_push_at=61.0, besides=True
    )


def grant(peer: PeerId, *cids: Any, deadline: float) -> ev.Granted:
    return ev.Granted(peer=peer, root=FILM, cids=cids, deadline=deadline)


def lapse(peer: PeerId, *cids: Any) -> ev.LeaseLapsed:
    return ev.LeaseLapsed(peer=peer, cids=cids, cause="refused")


@pytest.fixture
def stuck() -> list[tuple[float, Event]]:
    """A film with five holders: one whose copy changed, two that limit their rate, one that denies, one that leaves."""
    series: list[tuple[float, Event]] = [
        (0.0, ev.NodeStarted(peer_id=peer_name(9), addrs=(), version="", max_pending=1000)),
        *((0.0, ev.PeerConnected(peer=peer_name(number), addr="")) for number in range(1, 6)),
        (1.0, ev.Requested(cid=FILM, name="film.mkv", size=24 << 20, path="/there/film.mkv")),
        (1.0, ev.PushedWant(
            cids=(FILM,), peers=tuple(peer_name(n) for n in range(1, 6)), gossip=False, retry=False, next_push_at=61.0,
        )),
        *((1.1, yes(peer)) for peer in (CHANGED, LIMITED, SLOWER, GONE)),
        (1.1, no(DENIES, FILM, reason="denied")),
        (1.2, ev.ObjectMapped(root=FILM, size=24 << 20, chunks=25, have=1, have_bytes=0)),
        (1.2, grant(LIMITED, *CHUNKS[:4], deadline=4.0)),
        (1.2, grant(CHANGED, *CHUNKS[4:8], deadline=4.0)),
        (1.2, grant(SLOWER, *CHUNKS[8:10], deadline=4.0)),
        (1.3, ev.ChunkReceived(cid=CHUNKS[0], size=1 << 20, peer=LIMITED, roots=(FILM,), fills=1 << 20)),
        (1.3, no(LIMITED, *CHUNKS[1:4], reason="rate_limited", after=17.0)),
        (1.3, lapse(LIMITED, *CHUNKS[1:4])),
        (1.3, no(SLOWER, *CHUNKS[8:10], reason="rate_limited", after=30.0)),
        (1.3, lapse(SLOWER, *CHUNKS[8:10])),
    ]  # fmt: skip
    for chunk in CHUNKS[4:8]:
        series += [
            (1.4, ev.ErrorReceived(peer=CHANGED, text="the file was changed", cids=(chunk,))),
            (1.4, no(CHANGED, chunk, reason="not_held")),
            (1.4, lapse(CHANGED, chunk)),
        ]
    series.append((5.0, ev.PeerDisconnected(peer=GONE, why="the connection was closed")))
    return series  # fmt: skip


def test_a_stuck_object_is_explained_by_all_of_its_holders(stuck: list[tuple[float, Event]]) -> None:
    found = told(stuck, 10.0)
    assert [(one.peer, one.standing) for one in found.lines] == [
        (LIMITED, "waits"), (SLOWER, "waits"), (CHANGED, "lacks"), (GONE, "gone"), (DENIES, "denies"),
    ]  # fmt: skip
    assert found.next is not None
    assert (found.next.how, found.next.peer, found.next.at) == ("grant", LIMITED, 1.3 + 17.0)
    assert (found.on_way, found.quiet_since) == (0, 1.3)
    limited = line(found, LIMITED)
    assert (limited.has, limited.reason, limited.until) == ("all", "rate_limited", 1.3 + 17.0)
    assert (limited.granted, limited.came, limited.bytes_in) == (4, 1, 1 << 20)
    changed = line(found, CHANGED)
    assert (changed.has, changed.lacks, changed.text) == ("all", 4, "the file was changed")
    assert line(found, GONE).seen_at == 5.0
    assert line(found, DENIES).has == "some"


def test_a_holder_that_sends_is_told_with_its_lease(stuck: list[tuple[float, Event]]) -> None:
    stuck.append((20.0, grant(LIMITED, *CHUNKS[1:4], deadline=23.0)))
    found = told(stuck, 21.0)
    first = found.lines[0]
    assert (first.peer, first.standing, first.on_way, first.deadline) == (LIMITED, "sends", 3, 23.0)
    assert found.on_way == 3


def test_a_new_yes_takes_back_what_was_lacking(stuck: list[tuple[float, Event]]) -> None:
    stuck.append((6.0, yes(CHANGED, have=20)))
    changed = line(told(stuck, 7.0), CHANGED)
    assert (changed.standing, changed.has, changed.blocks, changed.lacks) == ("ready", "part", 20, 0)
    assert changed.text == ""


def test_a_peer_without_an_answer_was_asked_or_not(stuck: list[tuple[float, Event]]) -> None:
    late, told_peer = peer_name(6), peer_name(7)
    stuck += [(6.0, ev.PeerConnected(peer=peer, addr="")) for peer in (late, told_peer)]
    stuck.append((6.0, asked(told_peer)))
    found = told(stuck, 7.0)
    assert (line(found, late).standing, line(found, late).asked_at) == ("unasked", None)
    assert (line(found, told_peer).standing, line(found, told_peer).asked_at) == ("silent", 6.0)


def test_of_a_loose_chunk_nothing_is_said_about_peers_that_the_state_does_not_know(
    stuck: list[tuple[float, Event]],
) -> None:
    """Of the answers about a loose chunk, the state keeps who has it, and the last NO."""
    loose = raw_cid(b"a loose chunk")
    series: list[tuple[float, Event]] = [
        (1.0, ev.PeerConnected(peer=CHANGED, addr="a")),
        (1.0, ev.PeerConnected(peer=LIMITED, addr="b")),
        (2.0, ev.Requested(cid=loose)),
    ]
    before = why(state_at(series, 9.0), loose, 9.0)
    assert {one.standing for one in before.lines} == {"unasked"}
    series += [
        (3.0, ev.PushedWant(cids=(loose,), peers=(), gossip=True, retry=False, next_push_at=60.0)),
        (3.1, no(CHANGED, loose, reason="not_held")),
        (3.2, no(LIMITED, loose, reason="not_held")),
    ]
    after = why(state_at(series, 9.0), loose, 9.0)
    assert {one.peer: one.standing for one in after.lines} == {CHANGED: "no_yes", LIMITED: "has_none"}


def test_a_peer_that_has_nothing_of_it_says_so(stuck: list[tuple[float, Event]]) -> None:
    stuck.append((6.0, no(CHANGED, FILM, reason="not_held")))
    changed = line(told(stuck, 7.0), CHANGED)
    assert (changed.standing, changed.has, changed.lacks) == ("has_none", "none", 0)


@pytest.mark.parametrize("named", [True, False])
def test_a_peer_that_is_gone_tells_why_it_was_not_reached(
    stuck: list[tuple[float, Event]], named: bool
) -> None:
    addr = f"/ip4/192.0.2.7/tcp/4001/p2p/{GONE}"
    failed = ev.ErrorOccurred(
        text=f"{addr} cannot be reached: nobody listens there", addr=addr if named else None
    )
    series = [*stuck, (40.0, failed)]
    assert line(told(series, 41.0), GONE).unreached == "nobody listens there"
    series.append((42.0, ev.PeerConnected(peer=GONE, addr=addr)))
    assert not line(told(series, 43.0), GONE).unreached


def test_what_is_said_about_others_is_not_why_a_peer_was_not_reached(
    stuck: list[tuple[float, Event]],
) -> None:
    series = [*stuck, (40.0, ev.ErrorOccurred(text=f"a sentence about /p2p/{GONE}"))]
    assert not line(told(series, 41.0), GONE).unreached


def test_what_is_not_pending_has_no_explanation(stuck: list[tuple[float, Event]]) -> None:
    stuck.append((6.0, ev.Cancelled(cids=(FILM,))))
    with pytest.raises(NotPendingError):
        told(stuck, 7.0)


def test_a_crowd_does_not_push_out_a_holder(stuck: list[tuple[float, Event]]) -> None:
    stuck += [(6.0, asked(peer_name(number))) for number in range(100, 100 + 2 * MAX_ANSWERS)]
    found = told(stuck, 7.0)
    assert len(found.pending.answers) == MAX_ANSWERS
    assert {LIMITED, SLOWER, CHANGED, GONE, DENIES} <= set(found.pending.answers)


def test_a_set_clock_moves_the_times_of_answers(stuck: list[tuple[float, Event]]) -> None:
    before = told(stuck, 10.0)
    stuck.append((3610.0, ev.ClockStepped(seconds=3600.0)))
    after = told(stuck, 3610.0)
    for one in before.lines:
        moved = line(after, one.peer)
        assert (moved.standing, moved.said_at) == (one.standing, (one.said_at or 0.0) + 3600.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(HEARD, max_size=25))
def test_each_line_is_what_the_machine_knows(heard: list[tuple[Any, ...]]) -> None:
    fetch = HeardFetch()
    for what in heard:
        fetch.hear(what)
        state = derive(fetch.series)
        assert restore(snapshot(state)) == state
        for cid in (fetch.root, LOOSE):
            if cid in state.pending:
                _is_right(fetch, why(state, cid, fetch.now))


def _is_right(fetch: HeardFetch, found: Why) -> None:
    scheduler = fetch.machine.requester.scheduler
    lines = {one.peer: one for one in found.lines}
    assert {peer for peer in PEERS if fetch.here(peer)} <= set(lines)
    for peer, one in lines.items():
        granted = [cid for cid, lease in fetch.leases(peer) if found.cid in (cid, lease.root)]
        assert one.on_way == len(granted)
        assert (one.standing == "sends") == bool(granted)
        if not granted:
            assert (one.standing == "gone") == (not fetch.here(peer))
        match one.standing:
            case "waits" | "late":
                assert one.until is not None
                assert scheduler.free_at(peer) == pytest.approx(one.until)
            case "ready" | "lacks":
                assert scheduler.free_at(peer) <= fetch.now
            case _:
                pass
