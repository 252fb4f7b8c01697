"""The laws of the fold: any split gives the same state, a checkpoint loses nothing, and nothing makes it raise."""

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.address_book import ToldAddrs
from flux_tui.core.series.events import EVENT_TYPES, Entry, Event, Unknown
from flux_tui.core.series.fold import apply, copy, derive, extend, restore, snapshot
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.next_try import next_try
from flux_tui.core.series.state import MAX_PEERS, RECENT_SECONDS, PeerState, State

CIDS = [raw_cid(b"%d" % number) for number in range(4)] + [dag_cid(b"%d" % number) for number in range(3)]
PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]


def _strategy(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        kind,
        **{
            name: strategy
            for name, strategy in {
                "cid": st.sampled_from(CIDS),
                "root": st.sampled_from(CIDS),
                "cids": st.lists(st.sampled_from(CIDS), min_size=1, max_size=3, unique=True).map(tuple),
                "roots": st.lists(st.sampled_from(CIDS), max_size=2, unique=True).map(tuple),
                "peer": st.sampled_from(PEERS),
                "peer_id": st.sampled_from(PEERS),
                "policy": st.builds(
                    Policy, upload_limit=st.integers(0, 1 << 40), quota=st.integers(0, 1 << 40)
                ),
                "size": st.integers(0, 1 << 20),
                "told": st.lists(
                    st.builds(
                        ToldAddrs,
                        peer=st.sampled_from(PEERS),
                        addrs=st.just(("/a",)),
                        seq=st.integers(0, 1 << 62),
                    ),
                    max_size=3,
                ).map(tuple),
                "retry_after": st.none() | st.floats(0, 60),
                **{
                    name: st.integers(0, 1 << 40)
                    for name, annotation in kind.__annotations__.items()
                    if annotation is int and name != "size"
                },
                # Every time and duration is a finite number: the codec refuses anything else.
                **{
                    name: st.floats(0, 1e9)
                    for name, annotation in kind.__annotations__.items()
                    if annotation is float
                },
            }.items()
            if name in kind.__annotations__
        },
    )


events: st.SearchStrategy[Event] = st.one_of([_strategy(kind) for kind in EVENT_TYPES])
series = st.lists(st.tuples(events, st.floats(0, 5)), max_size=40).map(
    lambda items: [
        Entry(n, 100.0 + sum(step for _, step in items[:n]), e) for n, (e, _) in enumerate(items, 1)
    ]
)


@given(series, st.data())
def test_any_split_gives_the_same(entries: list[Entry], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(entries)))
    whole = derive(entries)
    assert extend(derive(entries[:at]), entries[at:]) == whole
    checkpoint = restore(snapshot(derive(entries[:at])))
    assert checkpoint is not None
    assert extend(checkpoint, entries[at:]) == whole


@given(series)
def test_a_checkpoint_loses_nothing(entries: list[Entry]) -> None:
    state = derive(entries)
    again = copy(state)
    assert again == state
    assert again is not state
    assert state.pushed == sum(1 for pending in state.pending.values() if pending.in_network)
    assert all(cid in state.pending for cid in state.pending)
    assert len(state.recent) <= RECENT_SECONDS


def test_a_checkpoint_of_another_version_is_not_used() -> None:
    assert restore(b"") is None
    assert restore(b"\x92\x63" + snapshot(State())[2:]) is None


def entry(seq: int, event: Event, at: float | None = None) -> Entry:
    return Entry(seq, 1000.0 + seq if at is None else at, event)


def test_a_want_is_pushed_refused_and_arrives() -> None:
    """Pushed, refused with a reason, arrived: what `derive` returns after each."""
    want, peer = CIDS[0], PEERS[0]
    state = derive([entry(1, ev.Requested(cid=want))])
    assert list(state.pending) == [want]
    assert state.pushed == 0
    extend(
        state,
        [entry(2, ev.PushedWant(cids=(want,), peers=(peer,), gossip=False, retry=False, next_push_at=9))],
    )
    assert (state.pushed, state.pending[want].pushes) == (1, 1)
    no = ev.StatusNo(peer=peer, cids=(want,), reason="rate_limited", has_it=True, retry_after=2.5)
    extend(state, [entry(3, no)])
    said = state.status[peer]
    assert (said.has_it, said.reason, said.until, said.counts) == (
        True,
        "rate_limited",
        1005.5,
        {"rate_limited": 1},
    )
    assert state.pending[want].last_no is not None
    extend(state, [entry(4, ev.ChunkReceived(cid=want, size=10, peer=peer))])
    assert not state.pending
    assert (state.chunk_count, state.chunk_bytes, state.pushed) == (1, 10, 0)
    assert state.status[peer].until == 1005.5, "a chunk that comes in between changes nothing of what it said"
    extend(state, [entry(6, ev.ChunkReceived(cid=raw_cid(b"another"), size=10, peer=peer))])
    assert state.status[peer].reason is None, "its time is over, and it gave what it was asked for"
    assert state.status[peer].counts == {"rate_limited": 1}


def test_a_no_without_a_time_does_not_replace_one_with_a_time() -> None:
    """Seen live: a holder was busy for a second with one object, and then said `not_held` for another."""
    want, peer = CIDS[0], PEERS[0]
    busy = ev.StatusNo(peer=peer, cids=(want,), reason="busy", has_it=True, retry_after=2.0)
    lacks = ev.StatusNo(peer=peer, cids=(CIDS[1],), reason="not_held", has_it=False, retry_after=None)
    state = derive([entry(1, ev.Requested(cid=want)), entry(2, busy), entry(3, lacks)])
    assert (state.peers[peer].reason, state.peers[peer].until) == ("busy", 1004.0)
    extend(state, [entry(5, lacks)])
    assert (state.peers[peer].reason, state.peers[peer].until) == ("not_held", None), "the time is over"


def test_the_next_try_names_the_no_that_it_waits_for() -> None:
    want, (peer, other, _) = CIDS[0], PEERS
    pushed = ev.PushedWant(cids=(want,), peers=(peer,), gossip=False, retry=False, next_push_at=1060)
    busy = ev.StatusNo(peer=peer, cids=(want,), reason="busy", has_it=True, retry_after=9.0)
    then = ev.RetrySet(cids=(want,), next_push_at=1012.0, cause="retry_after", peer=peer)
    lacks = ev.StatusNo(peer=other, cids=(want,), reason="not_held", has_it=False, retry_after=None)
    heard: list[Event] = [ev.Requested(cid=want), pushed, busy, then, lacks]
    state = derive([entry(n, e) for n, e in enumerate(heard, 1)])
    pending = state.pending[want]
    assert pending.last_no is not None
    assert pending.last_no.reason == "not_held"
    state.peers[peer].connected = True
    one = next_try(state, pending, 1006.0)
    assert one is not None
    assert (one.at, one.how, one.peer, one.reason) == (1012.0, "tell", peer, "busy")
    extend(state, [entry(6, ev.RetrySet(cids=(want,), next_push_at=1030.0, cause="lapsed"))])
    one = next_try(state, pending, 1006.0)
    assert one is not None
    assert (one.at, one.how, one.peer, one.reason, one.since) == (1012.0, "tell", peer, "busy", 1003.0)
    one = next_try(state, pending, 1015.0)
    assert one is not None
    assert (one.at, one.how, one.cause, one.peer) == (1030.0, "push", "lapsed", None)


def test_a_holder_that_said_yes_is_counted_once() -> None:
    want = CIDS[0]
    heard: list[Event] = [ev.Requested(cid=want)]
    heard += [
        ev.DelayedYes(peer=peer, cids=(want,), eta=0.1, queue_bytes=0) for peer in (*PEERS, *PEERS, PEERS[0])
    ]
    state = derive([entry(n, e) for n, e in enumerate(heard, 1)])
    assert state.pending[want].holders == len(PEERS)


def test_waste_is_counted_by_cause() -> None:
    state = derive(
        [
            entry(1, ev.ChunkReceived(cid=CIDS[0], size=100, peer=PEERS[0])),
            entry(2, ev.ChunkWasted(cid=CIDS[0], size=50, peer=PEERS[1], cause="late")),
        ]
    )
    assert state.duplicate_factor == 1.5
    assert state.wasted_bytes == {"late": 50}
    assert state.peers[PEERS[1]].wasted == 50


def test_a_timely_no_is_not_a_broken_promise() -> None:
    peer = PEERS[0]
    state = derive([entry(1, ev.Granted(peer=peer, root=None, cids=tuple(CIDS[:4]), deadline=2000.0))])
    assert (state.peers[peer].delivered_share, PeerState(PEERS[1]).delivered_share) == (1, None)
    busy = ev.StatusNo(peer=peer, cids=(CIDS[0],), reason="busy", has_it=True, retry_after=1.0)
    refused = ev.LeaseLapsed(peer=peer, cids=(CIDS[0],), cause="refused")
    unwritten = ev.LeaseLapsed(peer=peer, cids=(CIDS[1],), cause="unwritten")
    extend(state, [entry(2, busy), entry(3, refused), entry(4, unwritten)])
    assert (state.peers[peer].lapsed, state.peers[peer].broken, state.peers[peer].delivered_share) == (
        2,
        0,
        1,
    )
    extend(state, [entry(5, ev.LeaseLapsed(peer=peer, cids=(CIDS[2],), cause="deadline"))])
    assert (state.peers[peer].lapsed, state.peers[peer].broken, state.peers[peer].delivered_share) == (
        3,
        1,
        0.75,
    )
    assert list(state.leases) == [CIDS[3]]


def test_a_restart_forgets_streams_not_wants() -> None:
    want: Cid = CIDS[0]
    state = derive(
        [
            entry(1, ev.Requested(cid=want)),
            entry(2, ev.PushedWant(cids=(want,), peers=(), gossip=True, retry=False, next_push_at=60)),
            entry(3, ev.PeerConnected(peer=PEERS[0], addr="/x")),
            entry(4, ev.NodeStarted(peer_id=PEERS[1], addrs=(), version="1", max_pending=7)),
        ]
    )
    assert (state.connected, state.pushed, list(state.pending)) == (0, 0, [want])
    assert state.pending[want].pushes == 1


def test_strangers_cannot_fill_a_state() -> None:
    state = State()
    known = PEERS[0]
    apply(state, entry(1, ev.ChunksSent(peer=known, cids=(CIDS[0],), size=5)))
    for number in range(2 * MAX_PEERS):
        stranger = PeerId(f"12D3KooW{number:044}")
        apply(state, entry(2 + number, ev.PeerFaulted(peer=stranger, fault="garbage", text="")))
    assert len(state.peers) <= MAX_PEERS
    assert known in state.peers, "who took something is remembered longer than who only knocked"


def test_the_size_of_a_state_depends_on_open_wants_not_on_history() -> None:
    state = State()
    chance = random.Random(1)
    for number in range(1, 5001):
        cid = raw_cid(chance.randbytes(4))
        apply(state, entry(number, ev.ChunkReceived(cid=cid, size=1, peer=PEERS[0]), at=1000 + number / 1000))
    assert state.chunk_count == 5000
    assert len(snapshot(state)) < 2000


def test_unknown_entries_move_the_cursor_only() -> None:
    state = derive([entry(1, Unknown(kind="x", body=b""))])
    assert (state.seq, state.pending, state.peers) == (1, {}, {})


def test_what_a_peer_calls_itself_is_what_it_told_last() -> None:
    state = State()
    for seq, name in enumerate(("ada", "bob", ""), 1):
        apply(state, Entry(seq, 1.0, ev.NameSuggested(peer=PEERS[0], suggested=name)))
        assert state.peers[PEERS[0]].suggested == name
        assert not state.peers[PEERS[0]].connected
