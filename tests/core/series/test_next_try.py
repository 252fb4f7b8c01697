"""The panels count down to what the requester really waits for.

One rule is compared with the machine's own timers at every step of random transcripts.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import apply, derive
from flux_tui.core.series.next_try import NEWCOMER_SECONDS, NEWCOMER_WANTS, Tries, next_try
from flux_tui.core.series.peer_backoff import SNUB, VAGUE
from flux_tui.core.series.state import PeerState, Pending, State
from flux_tui.core.wire import messages as msg
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.peer_and_no_tables import no_rows
from flux_tui.ui.rows.view_and_lines import View, text_of
from tests.support.fetching import LEAF, Fetching
from tests.support.heard_fetch import HEARD, LOOSE, PEERS, HeardFetch
from tests.support.script import HOLDER, OTHER


class Watched(HeardFetch):
    """A fetch whose countdowns in the panels are compared with the machine's timers at each step."""

    def waits(self) -> dict[Cid, set[tuple[str, PeerId | None, float]]]:
        """Return what the machine will do for each want, and when, from its own tables and timers."""
        requester = self.machine.requester
        found: dict[Cid, set[tuple[str, PeerId | None, float]]] = {}
        for root, download in requester.downloads.items():
            if root in requester.want_pusher.queue:
                continue
            own: set[tuple[str, PeerId | None, float]] = {("push", None, round(download.next_push_at, 3))}
            for peer in PEERS:
                at = requester.scheduler.free_at(peer)
                if not download.missing or not self.here(peer) or at <= self.now:
                    continue
                if peer in download.holders:
                    own.add(("grant", peer, round(at, 3)))
                elif root in requester.want_pusher._tell_later.get(peer, {}):
                    own.add(("tell", peer, round(at, 3)))
            for peer, (at, _) in requester.want_pusher.wantlist._cursors.items():
                if at > self.now and requester.want_pusher._news_to(root, peer, dormant=True):
                    own.add(("ask", peer, round(at, 3)))
            found[root] = own
        return found

    def panels(self) -> dict[Cid, set[tuple[str, PeerId | None, float]]]:
        """Return the same from the series alone."""
        state = derive(self.series)
        tries = Tries(state, self.now)
        return {
            cid: {
                (one.how, None if one.how == "push" else one.peer, round(one.at, 3))
                for one in tries.all_of(pending)
                if one.how == "push" or one.at > self.now
            }
            for cid, pending in state.pending.items()
            if not pending.queued
        }


@settings(max_examples=150, deadline=None)
@given(st.lists(HEARD, max_size=25))
def test_the_panels_count_down_to_what_the_requester_waits_for(heard: list[tuple[Any, ...]]) -> None:
    watched = Watched()
    for what in heard:
        told = watched.panels()
        before = derive(watched.series)
        at = watched.now
        watched.hear(what)
        assert watched.panels() == watched.waits(), what
        _nobody_is_asked_before_its_time(watched, before, at)
        _the_next_is_the_soonest(watched)
        deadline = watched.machine.next_deadline()
        for waits in watched.panels().values():
            assert all(deadline <= time for _, _, time in waits if time > watched.now), (what, told)


def _the_next_is_the_soonest(watched: Watched) -> None:
    state = derive(watched.series)
    tries = Tries(state, watched.now)
    for pending in state.pending.values():
        coming = [one.at for one in tries.all_of(pending) if one.at > watched.now]
        one = tries.next_of(pending)
        if coming:
            assert one is not None
            assert one.at == min(coming)


def _nobody_is_asked_before_its_time(watched: Watched, before: State, since: float) -> None:
    """A peer with a countdown in the panels was granted nothing before its end, unless it sent a message."""
    left_alone = {
        peer.peer: peer.until for peer in before.peers.values() if peer.until and peer.until > since
    }
    for _, at, event in watched.series[before.seq :]:
        match event:
            case ev.DelayedYes(peer=peer) | ev.PeerConnected(peer=peer) | ev.StatusNo(peer=peer):
                left_alone.pop(peer, None)
            case ev.Granted(peer=peer) if peer in left_alone:
                assert at >= left_alone[peer] - 1e-6
            case _:
                pass


@pytest.fixture
def limited() -> Fetching:
    """A holder was granted a few chunks. It says that it will send one, and the others in 17 s."""
    fetching = Fetching(6, HOLDER)
    granted = fetching.granted[HOLDER]
    no = msg.StatusNo(cids=tuple(granted[1:]), reason="rate_limited", has_it=True, retry_after=17.0)
    fetching.give(inp.MessageCame(HOLDER, no))
    return fetching


def test_a_chunk_that_arrives_does_not_end_the_countdown(limited: Fetching) -> None:
    said = limited.now
    limited.land(HOLDER, limited.granted[HOLDER][0], after=1.0)
    limited.granted.clear()
    state = derive(limited.series)
    (line,) = [text_of(row.line) for row in no_rows(View(state, limited.now, 60, Glyphs(unicode=True)))[1:]]
    assert line.rstrip().endswith("16 s"), "it said 17 s, a second ago"
    one = next_try(state, state.pending[limited.root], limited.now)
    assert one is not None
    assert (one.how, one.peer, one.reason, one.at) == ("grant", HOLDER, "rate_limited", said + 17.0)
    limited.wait(15.9)
    assert not limited.granted, "and so long it is left alone"
    limited.wait(0.2)
    assert limited.granted[HOLDER]


def test_a_no_without_a_time_is_counted_down_too() -> None:
    fetching = Fetching(6, HOLDER)
    granted = tuple(fetching.granted.pop(HOLDER))
    no = msg.StatusNo(cids=granted, reason="busy", has_it=True, retry_after=None)
    for wait in (VAGUE.first, 2 * VAGUE.first):
        fetching.give(inp.MessageCame(HOLDER, no))
        one = next_try(derive(fetching.series), fetching.machine.state.pending[fetching.root], fetching.now)
        assert one is not None
        assert (one.how, one.peer, one.at) == ("grant", HOLDER, fetching.now + wait)
        fetching.wait(wait + 0.01)
        assert fetching.granted.pop(HOLDER), "just then it is granted something again"


def test_a_lapse_is_counted_down_too() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    fetching.give(inp.PushDropped(HOLDER, msg.Grant(cids=tuple(fetching.granted[HOLDER]), ttl=3.0)))
    peer = fetching.machine.state.peers[HOLDER]
    assert (peer.until, peer.reason) == (fetching.now + SNUB, None)


def test_a_push_due_while_chunks_are_under_way_is_postponed_in_the_series() -> None:
    fetching = Fetching(6, HOLDER)
    due = fetching.machine.state.pending[fetching.root].next_push_at
    assert due is not None
    while fetching.now < due:
        for cid in fetching.granted.pop(HOLDER, [])[:1]:
            fetching.give(inp.ChunkSkipped(OTHER, cid, 1))
        # A lease that is extended and granted again keeps it busy.
        fetching.wait(5.0)
    pending = fetching.machine.state.pending[fetching.root]
    assert pending.next_push_at is not None
    assert pending.next_push_at > fetching.now
    assert pending.next_push_at == fetching.machine.requester.downloads[fetching.root].next_push_at


def test_a_partial_yes_does_not_end_the_wait() -> None:
    peer = PeerState(peer=HOLDER)
    state = State(peers={HOLDER: peer})
    apply(state, Entry(1, 10.0, ev.StatusNo(
        peer=HOLDER, cids=(LOOSE,), reason="rate_limited", has_it=True, retry_after=17.0)))  # fmt: skip
    part = ev.DelayedYes(peer=HOLDER, cids=(LOOSE,), eta=0.0, queue_bytes=0, have=3)
    apply(state, Entry(2, 11.0, part))
    assert peer.until == 27.0
    apply(state, Entry(3, 12.0, ev.DelayedYes(peer=HOLDER, cids=(LOOSE,), eta=0.0, queue_bytes=0)))
    assert peer.until is None, "it says yes to all of it"


def test_a_failed_write_is_tried_again_when_the_countdown_ends() -> None:
    fetching = Fetching(6, HOLDER)
    fetching.machine.ledger.random = lambda: 0.9
    fetching.give(inp.LandFailed(HOLDER, fetching.granted[HOLDER][0], LEAF, "the disk is full"))
    fetching.granted.clear()
    state = derive(fetching.series)
    one = next_try(state, state.pending[fetching.root], fetching.now)
    assert one is not None
    assert (one.how, one.cause) == ("push", "unwritten")
    fetching.wait(one.at - fetching.now - 0.1)
    assert not fetching.granted
    fetching.wait(0.2)
    assert len(fetching.granted[HOLDER]) == 1, "one chunk, to see whether it is better now"


def test_a_dormant_want_is_pushed_to_a_peer_that_has_just_connected() -> None:
    watched = Watched()
    watched.wait(20.0)
    watched.hear(("up", PEERS[2]))
    state = derive(watched.series)
    assert state.pending[LOOSE].dormant
    one = next_try(state, state.pending[LOOSE], watched.now)
    assert one is not None
    assert (one.how, one.peer, one.at) == ("ask", PEERS[2], watched.now + NEWCOMER_SECONDS)
    watched.wait(NEWCOMER_SECONDS)
    pushed = [event for _, _, event in watched.series if isinstance(event, ev.PushedWant)][-1]
    assert (pushed.peers, pushed.besides) == ((PEERS[2],), True)
    state = derive(watched.series)
    one = next_try(state, state.pending[LOOSE], watched.now)
    assert one is not None
    assert one.how == "push"


def test_many_dormant_wants_are_pushed_to_a_newcomer_the_newest_first() -> None:
    wants = 2 * NEWCOMER_WANTS + 1
    state = State(peers={HOLDER: PeerState(peer=HOLDER, connected=True, connected_at=100.0)})
    for number in range(wants):
        cid = raw_cid(b"want %d" % number)
        state.pending[cid] = Pending(cid=cid, since=1.0, dormant=True, next_push_at=500.0)
    tries = Tries(state, 100.5)
    found = [tries.next_of(pending) for pending in state.pending.values()]
    waits = Counter(one.at - 100.0 for one in found if one is not None and one.how == "ask")
    assert waits == {2.0: NEWCOMER_WANTS, 4.0: NEWCOMER_WANTS, 6.0: 1}
    assert found[0] is not None
    assert found[0].at == 106.0
