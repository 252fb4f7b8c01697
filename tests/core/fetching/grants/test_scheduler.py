"""Which holder is granted which chunks: late holders, hedges, probes; as transcripts."""

from typing import Any

import pytest

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.commands import Cancel, Get
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.fetching.grants.withdrawals import SETTLE_UNKNOWN
from flux_tui.core.fetching.holders import LEASE_MIN, MAX_HOLDERS
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import peer_name
from tests.support.fetching import LEAF, Fetching
from tests.support.script import HOLDER, OTHER, up, wanted

THIRD = peer_name(3)


def cancels(effects: list[Any]) -> dict[PeerId, tuple[Cid, ...]]:
    return {
        effect.peer: effect.message.cids
        for effect in effects
        if isinstance(effect, fx.Push) and isinstance(effect.message, msg.Cancel)
    }


def test_grants_are_disjoint_and_cover_what_is_missing() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    sets = [set(cids) for cids in fetching.granted.values()]
    assert len(sets) == 2
    assert sets[0].isdisjoint(sets[1])
    assert sets[0] | sets[1] == set(fetching.leaves)


def test_overdue_chunks_at_the_end_are_hedged_once_and_the_loser_is_cancelled() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    late = fetching.granted.pop(OTHER)
    for cid in fetching.granted.pop(HOLDER):
        fetching.land(HOLDER, cid, 0.01)
    assert not fetching.granted, "nothing is overdue yet: the other may be about to send"
    events = fetching.wait(2.0)
    hedges = [event for event in events if isinstance(event, ev.Granted)]
    assert [(event.peer, event.hedge) for event in hedges] == [(HOLDER, True)]
    assert set(fetching.granted[HOLDER]) <= set(late)
    first = fetching.granted.pop(HOLDER)[0]
    assert fetching.machine.state.leases[first].peer == OTHER, "the lease is still the late one's"
    events, effects = fetching.land(HOLDER, first)
    assert cancels(effects) == {OTHER: (first,)}
    assert fetching.machine.accepts(OTHER, first) is False, "it is here: nobody reads it again"
    events, _ = fetching.give(inp.ChunkSkipped(OTHER, first, LEAF))
    assert [event.cause for event in events] == ["hedged"]
    assert fetching.machine.state.wasted_bytes == {"hedged": LEAF}
    fetching.wait(0.5)
    assert first not in fetching.granted.get(HOLDER, [])


def test_the_hedge_is_cancelled_if_the_late_holder_wins() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    late = fetching.granted.pop(OTHER)
    for cid in fetching.granted.pop(HOLDER):
        fetching.land(HOLDER, cid, 0.01)
    fetching.wait(2.0)
    hedged = fetching.granted.pop(HOLDER)
    _, effects = fetching.land(OTHER, hedged[0])
    assert cancels(effects) == {HOLDER: (hedged[0],)}
    assert set(late) - {hedged[0]} == set(fetching.machine.state.leases)


def test_a_hedge_becomes_the_lease_when_its_first_holder_is_gone() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    for cid in fetching.granted.pop(HOLDER):
        fetching.land(HOLDER, cid, 0.01)
    fetching.wait(2.0)
    hedged = fetching.granted.pop(HOLDER)
    events, _ = fetching.give(inp.PeerDown(OTHER, "gone"))
    assert isinstance(events[1], ev.LeaseLapsed)
    assert not set(hedged) & set(fetching.granted.get(HOLDER, [])), "it is on its way from there already"
    for cid in (*hedged, *fetching.granted.get(HOLDER, [])):
        _, effects = fetching.land(HOLDER, cid)
    assert isinstance(effects[-1], fx.FinishTree)
    assert fetching.machine.state.duplicate_factor == 1.0


def test_a_hedge_that_is_refused_leaves_the_lease_where_it_is() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    for cid in fetching.granted.pop(HOLDER):
        fetching.land(HOLDER, cid, 0.01)
    fetching.wait(2.0)
    hedged = fetching.granted.pop(HOLDER)
    no = msg.StatusNo(cids=tuple(hedged), reason="busy", has_it=True, retry_after=1)
    fetching.give(inp.MessageCame(HOLDER, no))
    assert all(fetching.machine.state.leases[cid].peer == OTHER for cid in hedged)
    assert not fetching.granted.get(HOLDER)
    fetching.land(OTHER, hedged[0])


def test_cancel_ends_a_lease_and_its_hedge() -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    for cid in fetching.granted.pop(HOLDER):
        fetching.land(HOLDER, cid, 0.01)
    fetching.wait(2.0)
    hedged = fetching.granted.pop(HOLDER)
    _, effects = fetching.give(inp.Commanded(Cancel((fetching.root,))))
    told = cancels(effects)
    assert set(told[HOLDER]) == set(hedged)
    assert set(hedged) <= set(told[OTHER])
    events, _ = fetching.give(inp.ChunkSkipped(OTHER, hedged[0], LEAF))
    assert [event.cause for event in events] == ["cancelled"]


def test_a_holder_that_let_a_lease_lapse_is_probed_with_one_chunk() -> None:
    fetching = Fetching(40, HOLDER, OTHER)
    fetching.granted.pop(OTHER)
    for _ in range(12):  # one goes on sending; the other is silent until its lease lapses
        for cid in fetching.granted.pop(HOLDER, []):
            fetching.land(HOLDER, cid, 0.15)
        if OTHER in fetching.granted:
            break
        fetching.wait(0.3)
    lapsed = [e.event for e in fetching.series if isinstance(e.event, ev.LeaseLapsed)]
    assert [event.peer for event in lapsed] == [OTHER]
    assert len(fetching.granted[OTHER]) == 1
    (probe,) = fetching.granted.pop(OTHER)
    fetching.land(OTHER, probe, 0.01)
    assert len(fetching.granted.get(OTHER, [])) > 1, "it sends again, so it is granted as before"


def test_denied_and_shutting_down_apply_to_all_objects_of_a_node() -> None:
    for reason in ("denied", "shutting_down"):
        fetching = Fetching(12, HOLDER, OTHER)
        lost = fetching.granted.pop(OTHER)
        fetching.granted.clear()
        no = msg.StatusNo(cids=tuple(lost[:1]), reason=reason, has_it=True, retry_after=None)
        events, _ = fetching.give(inp.MessageCame(OTHER, no))
        freed = {cid for event in events if isinstance(event, ev.LeaseLapsed) for cid in event.cids}
        assert freed == set(lost)
        fetching.wait(30)
        assert OTHER not in fetching.granted
        fetching.offer(OTHER)
        assert fetching.granted.get(OTHER) or not fetching.machine.requester.downloads[fetching.root].missing


def busy(root: Cid, seconds: float) -> inp.MessageCame:
    return inp.MessageCame(OTHER, msg.StatusNo(cids=(root,), reason="busy", has_it=True, retry_after=seconds))


def told(events: list[Any]) -> list[tuple[PeerId, ...]]:
    return [event.peers for event in events if isinstance(event, ev.PushedWant)]


def test_a_busy_holder_is_told_again_at_its_retry_after_although_another_sends() -> None:
    """Seen with three peers and two slow holders: each peer was served by one holder for minutes, and never
    returned to the other.
    """
    fetching = Fetching(400, HOLDER)
    fetching.give(up(OTHER))
    fetching.give(busy(fetching.root, 2.0))
    # Meanwhile another peer that fetches the same object is told of this want.
    fetching.give(up(THIRD))
    events, _ = fetching.give(inp.IntentCame(wanted(THIRD, fetching.root), "direct"))
    assert told(events) == [(THIRD,)]
    assert told(fetching.wait(1.9)) == []
    events, last = [], fetching.now
    for cid in list(fetching.granted[HOLDER]):  # it goes on sending
        events += fetching.land(HOLDER, cid, after=0.1)[0]
    assert fetching.now - last < 2.0
    assert told(events) == [(OTHER,)]
    assert all(event.retry for event in events if isinstance(event, ev.PushedWant))
    fetching.granted.clear()
    fetching.offer(OTHER)
    assert fetching.granted[OTHER], "it has said yes"
    assert told(fetching.wait(5.0)) == []


def test_a_busy_holder_is_not_told_twice() -> None:
    """If no other holder sends, all holders are told at that time, this one included."""
    fetching = Fetching(4, HOLDER)
    fetching.give(up(OTHER))
    fetching.give(inp.PeerDown(HOLDER, "gone"))
    fetching.give(busy(fetching.root, 2.0))
    assert told(fetching.wait(4.0)) == [(OTHER,)]


def test_a_no_to_a_half_fetched_object_sets_the_timer() -> None:
    fetching = Fetching(4, HOLDER)
    fetching.give(up(OTHER))
    fetching.give(inp.PeerDown(HOLDER, "gone"))
    assert told(fetching.wait(4.0)) == [(OTHER,)], "nobody is left to send it"
    events, _ = fetching.give(busy(fetching.root, 5.0))
    (retry,) = [event for event in events if isinstance(event, ev.RetrySet)]
    assert (retry.peer, retry.next_push_at) == (OTHER, fetching.now + 5.0)
    assert told(fetching.wait(6.0)) == [(OTHER,)]


def test_peers_that_come_and_go_are_not_remembered_for_ever() -> None:
    fetching = Fetching(6, HOLDER)
    for number in range(3 * MAX_HOLDERS):
        fetching.machine.handle(up(peer_name(number + 10)), fetching.now)
        fetching.machine.handle(inp.PeerDown(peer_name(number + 10), "gone"), fetching.now)
    known = fetching.machine.requester.holders.by_peer
    assert len(known) <= MAX_HOLDERS
    assert known[HOLDER].outstanding, "what is granted is not forgotten"


@pytest.mark.parametrize("extended", [False, True])
def test_a_restart_waits_for_live_leases_and_blames_no_peer(extended: bool) -> None:
    """The queue of a holder ends with its stream, so chunks granted before a restart never come.

    That is not a fault.
    """
    fetching = Fetching(100, HOLDER)
    if extended:  # a lease that lasts longer than a new one would
        fetching.wait(LEASE_MIN + 0.1)
    live = fetching.machine.state.leases
    assert live
    ends = min(max(lease.deadline for lease in live.values()), fetching.now + LEASE_MIN)
    fetching.granted.clear()
    fetching.restart_with_what_is_here()
    fetching.give(up(HOLDER))
    fetching.offer(HOLDER)
    while granted := fetching.granted.pop(HOLDER, []):
        assert not set(granted) & set(live), "a restart granted what is live"
        for cid in granted:
            fetching.land(HOLDER, cid, 0.001)
    assert set(fetching.leaves) - set(fetching.held) == set(live), "everything else came meanwhile"
    events = fetching.wait(ends - fetching.now + 0.001)
    lapsed = [event for event in events if isinstance(event, ev.LeaseLapsed)]
    assert [event.cause for event in lapsed] == ["restarted"], "what was granted together ends together"
    assert set(lapsed[0].cids) == set(live)
    assert not any(isinstance(event, ev.RetrySet) for event in events)
    assert fetching.machine.state.peers[HOLDER].delivered_share == 1.0
    assert len(fetching.granted[HOLDER]) > 1, "granted to it again at once, and as much as before"
    while granted := fetching.granted.pop(HOLDER, []):
        for cid in granted:
            fetching.land(HOLDER, cid, 0.001)
    assert set(fetching.leaves) <= set(fetching.held)


def faults(fetching: Fetching) -> list[str]:
    return [e.event.fault for e in fetching.series if isinstance(e.event, ev.PeerFaulted)]


def test_copies_that_crossed_a_lapse_are_late_and_no_fault() -> None:
    """A rate-limited holder is slow: its lease lapses, the chunk is granted to it again, and both copies come."""
    fetching = Fetching(6, HOLDER, OTHER)
    slow = fetching.granted.pop(HOLDER)[0]
    for cid in fetching.granted.pop(OTHER):
        fetching.land(OTHER, cid)
    fetching.give(inp.PeerDown(OTHER, "gone"))
    while slow not in fetching.granted.get(HOLDER, ()):
        fetching.wait(1.0)
        assert fetching.now < 1_004_000.0
    events, _ = fetching.land(HOLDER, slow)
    assert any(isinstance(event, ev.ChunkReceived) for event in events)
    events, _ = fetching.give(inp.ChunkSkipped(HOLDER, slow, LEAF))
    assert [event.cause for event in events if isinstance(event, ev.ChunkWasted)] == ["late"]
    assert not faults(fetching), "it sent what it was granted, twice"


@pytest.mark.parametrize("cause", ["refused", "denied", "disconnected", "slow"])
def test_a_granted_chunk_is_not_a_fault_however_its_lease_ended(cause: str) -> None:
    fetching = Fetching(6, HOLDER, OTHER)
    granted = tuple(fetching.granted[HOLDER])
    if cause == "disconnected":
        fetching.give(inp.PeerDown(HOLDER, "gone"))
        fetching.give(up(HOLDER))
    elif cause == "slow":
        fetching.give(inp.PushDropped(HOLDER, msg.Grant(cids=granted, ttl=3.0)))
    else:
        reason: Any = "rate_limited" if cause == "refused" else cause
        no = msg.StatusNo(cids=granted, reason=reason, has_it=True, retry_after=30.0)
        fetching.give(inp.MessageCame(HOLDER, no))
    fetching.wait(0.1)
    for cid in dict.fromkeys(cid for cids in fetching.granted.values() for cid in cids):
        if cid in fetching.machine.state.leases:
            fetching.land(OTHER, cid)
    copies = fetching.granted[HOLDER]
    for cid in copies:
        fetching.give(inp.ChunkSkipped(HOLDER, cid, LEAF))
    assert not faults(fetching)
    for cid in copies[:1]:
        fetching.give(inp.ChunkSkipped(HOLDER, cid, LEAF))
    assert faults(fetching) == ["unasked_chunk"], "one more than it was ever granted"


def other_of_the_same(script: Fetching) -> tuple[Cid, bytes]:
    """Return another object made of the same chunks."""
    builder = FileBuilder()
    for cid in reversed(script.leaves):
        builder.add_leaf(cid, LEAF)
    root = builder.finish()
    return root.cid, root.blocks[-1].data


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_chunk_of_an_object_without_holders_is_granted_for_another_object(when: str) -> None:
    script = Fetching(4, HOLDER)
    other, block = other_of_the_same(script)
    gone = msg.StatusNo(cids=(script.root, *script.leaves), reason="not_held", has_it=False)
    if when == "before":
        script.give(inp.MessageCame(HOLDER, gone))
    script.granted.clear()
    script.give(inp.Commanded(Get(other, "/elsewhere", size=4 * LEAF)))
    script.give(up(OTHER))
    yes = msg.StatusYesButLater(cids=(other,), eta=0, queue_bytes=0)
    script.give(inp.MessageCame(OTHER, yes))
    assert script.granted == {OTHER: [other]}
    script.granted.clear()
    script.held[other] = len(block)
    script.give(inp.ChunkLanded(OTHER, other, len(block), block))
    script.give(inp.Placed(other, (), tuple(script.leaves)))
    if when == "after":
        script.give(inp.MessageCame(HOLDER, gone))
    assert set(script.granted.get(OTHER, ())) == set(script.leaves)


def test_a_first_holder_is_granted_chunks_that_waited_for_another_object() -> None:
    script = Fetching(4, HOLDER)
    other, block = other_of_the_same(script)
    script.held[other] = len(block)  # an old grant
    script.give(inp.Commanded(Get(other, "/elsewhere", size=4 * LEAF)))
    script.give(inp.NodeRead(other, other, block))
    script.give(inp.Placed(other, (), tuple(script.leaves)))
    gone = msg.StatusNo(cids=(script.root, *script.leaves), reason="not_held", has_it=False)
    script.give(inp.MessageCame(HOLDER, gone))
    script.granted.clear()
    script.give(up(OTHER))
    script.give(inp.MessageCame(OTHER, msg.StatusYesButLater(cids=(other,), eta=0, queue_bytes=0)))
    assert set(script.granted[OTHER]) == set(script.leaves)


def coming(fetching: Fetching, peer: PeerId, cid: Cid, received: int, seconds: float) -> list[Any]:
    """A part of a chunk arrives, half a second after the part before it."""
    return fetching.give(inp.ChunkComing(peer, cid, received, seconds), 0.5)[0]


def test_a_holder_that_sends_slowly_keeps_its_chunks() -> None:
    """Each chunk takes half a minute, and another holder could send it too."""
    fetching = Fetching(6, HOLDER, OTHER)
    first = fetching.granted[HOLDER][0]
    events: list[Any] = []
    for part in range(1, 64):
        events += coming(fetching, HOLDER, first, 16_000 * part, 0.5 * part)
    ended = [event for event in events if isinstance(event, ev.LeaseLapsed) and event.peer == HOLDER]
    assert all(event.cause == "moved" for event in ended)
    assert not any(first in event.cids for event in ended), "it is on its way"
    assert first in fetching.machine.state.leases
    assert not fetching.machine.requester.holders.get(HOLDER).snubbed
    assert any(isinstance(event, ev.LeaseExtended) and first in event.cids for event in events)


def test_a_grant_that_was_passed_over_is_not_extended() -> None:
    """A holder sends what was granted later: what was granted before it has been lost."""
    fetching = Fetching(40, HOLDER)
    first, *others = fetching.granted.pop(HOLDER)
    for cid in others:
        fetching.land(HOLDER, cid, 0.2)
    later = fetching.granted.pop(HOLDER)
    events: list[Any] = []
    for part in range(1, 900):
        events += coming(fetching, HOLDER, later[0], 1000 * part, 0.5 * part)
    lapsed = [event.cids for event in events if isinstance(event, ev.LeaseLapsed)]
    assert (first,) in lapsed
    assert all(later[0] not in cids for cids in lapsed)


def test_only_what_another_holder_has_is_taken_from_a_late_one() -> None:
    fetching = Fetching(6, HOLDER)
    had = sorted([fetching.root, *fetching.leaves[:2]])
    everything = sorted([fetching.root, *fetching.leaves])
    bits = sum(1 << place for place, cid in enumerate(everything) if cid in had)
    part = msg.StatusYesButLater(
        cids=(fetching.root,), eta=0, queue_bytes=0, have=len(had), part=bits.to_bytes(1, "little")
    )
    fetching.give(up(OTHER))
    fetching.give(inp.MessageCame(OTHER, part))
    fetching.wait(3.5)
    assert set(fetching.granted.get(OTHER, ())) == set(fetching.leaves[:2])
    leases = fetching.machine.state.leases
    assert all(leases[cid].peer == HOLDER for cid in fetching.leaves[2:])


@pytest.mark.parametrize("begun", [True, False])
def test_what_a_slow_holder_may_have_begun_to_send_is_not_moved_at_once(*, begun: bool) -> None:
    """Its chunks have waited for long. Then another peer has them: it was sent them just now."""
    fetching = Fetching(2, HOLDER)
    first = fetching.granted[HOLDER][0]
    fetching.wait(40.0)
    fetching.give(up(OTHER))
    fetching.offer(OTHER)
    fetching.wait(2.0)
    assert not fetching.granted.get(OTHER), "the first bytes may be on their way"
    if begun:
        coming(fetching, HOLDER, first, 16_000, 0.5)
    fetching.wait(SETTLE_UNKNOWN)
    moved = fetching.granted.get(OTHER, [])
    assert first not in moved if begun else set(moved) == set(fetching.leaves)
