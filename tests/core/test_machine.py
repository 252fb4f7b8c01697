"""The machine as a transcript: an input, then exactly the events and effects that follow."""

from itertools import pairwise
from typing import Any

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.fetching.grants.leases import MAX_EXTENSIONS
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.support.script import CHUNK, HOLDER, ME, OTHER, START, Script, up, wanted


def test_want_offer_grant_chunk() -> None:
    script = Script()
    script.give(up(HOLDER))
    events, effects = script.give(inp.Commanded(cmd.Want(CHUNK, "me")))
    assert events == [
        ev.Requested(cid=CHUNK, by="me"),
        ev.PushedWant(cids=(CHUNK,), peers=(HOLDER,), gossip=True, retry=False, next_push_at=START + 60),
    ]
    assert effects == [fx.Broadcast(body=msg.Want(cids=(CHUNK,)), peers=(HOLDER,), gossip=True)]

    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0.5, queue_bytes=10)
    events, effects = script.give(inp.MessageCame(HOLDER, offer))
    assert events == [
        ev.DelayedYes(peer=HOLDER, cids=(CHUNK,), eta=0.5, queue_bytes=10),
        ev.Granted(peer=HOLDER, root=None, cids=(CHUNK,), deadline=START + 3),
    ]
    assert effects == [fx.Push(HOLDER, msg.Grant(cids=(CHUNK,), ttl=3.0))]
    assert script.machine.accepts(HOLDER, CHUNK)
    assert not script.machine.accepts(OTHER, CHUNK), "nobody else was granted it"

    events, effects = script.give(inp.ChunkLanded(HOLDER, CHUNK, 7), after=0.1)
    assert events == [ev.ChunkReceived(cid=CHUNK, size=7, peer=HOLDER)]
    assert effects == []
    assert not script.machine.state.pending


def test_a_no_is_recorded_and_sets_the_timer() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    no = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=2.0, text="16 peers")
    events, effects = script.give(inp.MessageCame(HOLDER, no))
    assert events == [
        ev.StatusNo(peer=HOLDER, cids=(CHUNK,), reason="busy", has_it=True, retry_after=2.0, text="16 peers"),
        ev.RetrySet(cids=(CHUNK,), next_push_at=START + 2, cause="retry_after", peer=HOLDER),
    ]
    assert effects == []
    assert script.machine.next_deadline() == START + 2
    events, effects = script.give(inp.Tick(), after=2.0)
    assert [type(event) for event in events] == [ev.PushedWant]
    assert events[0].retry
    assert effects[0].body == msg.Want(cids=(CHUNK,), retry=True)


def test_a_retry_after_is_capped_at_ten_minutes() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    no = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=1e8)
    events, _ = script.give(inp.MessageCame(HOLDER, no))
    assert events[0].retry_after == 600.0


def test_silence_is_answered_with_backoff() -> None:
    script = Script()
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    pushed = [script.now]
    while len(pushed) < 9:
        events, _ = script.give(inp.Tick(), after=script.machine.next_deadline() - script.now)
        pushed += [script.now for event in events if isinstance(event, ev.PushedWant)]
    assert [after - before for before, after in pairwise(pushed)] == [
        60,
        120,
        240,
        480,
        960,
        1920,
        3600,
        3600,
    ]


def test_a_late_lease_of_a_sole_holder_is_extended_then_lapses() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0)))
    kinds: list[type] = []
    while ev.LeaseLapsed not in kinds:
        events, effects = script.give(inp.Tick(), after=script.machine.next_deadline() - script.now)
        kinds += [type(event) for event in events]
    leases = [kind for kind in kinds if kind in (ev.LeaseExtended, ev.LeaseLapsed)]
    assert leases == [ev.LeaseExtended] * MAX_EXTENSIONS + [ev.LeaseLapsed]
    assert ev.PushedWant in kinds, "the others are asked meanwhile"
    assert fx.Push(HOLDER, msg.Cancel(cids=(CHUNK,))) in effects
    assert script.machine.accepts(HOLDER, CHUNK), "what comes late is still taken"
    events, _ = script.give(inp.ChunkLanded(HOLDER, CHUNK, 7))
    assert isinstance(events[0], ev.ChunkReceived)


def test_a_late_lease_goes_to_another_holder_at_once() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0)
    script.give(inp.MessageCame(HOLDER, offer))
    script.give(inp.MessageCame(OTHER, offer))
    events, effects = script.give(inp.Tick(), after=3.0)
    assert events[0] == ev.LeaseLapsed(peer=HOLDER, cids=(CHUNK,), cause="deadline")
    assert effects == [
        fx.Push(HOLDER, msg.Cancel(cids=(CHUNK,))),
        fx.Push(OTHER, msg.Grant(cids=(CHUNK,), ttl=3.0)),
    ]


def test_above_max_pending_wants_wait_in_the_series() -> None:
    script = Script(max_pending=2)
    cids = tuple(raw_cid(b"%d" % number) for number in range(5))
    events, _ = script.give(inp.Commanded(cmd.WantMany(cids)))
    assert [type(event) for event in events] == [ev.Requested] * 5 + [ev.PushedWant]
    assert events[-1].cids == cids[:2]
    assert (script.machine.state.pushed, len(script.machine.state.pending)) == (2, 5)
    events, _ = script.give(inp.Commanded(cmd.Cancel(cids[:1])))
    assert events[-1].cids == cids[2:3], "one went, one enters"


def test_a_holder_offers_then_serves_what_was_granted() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    events, effects = script.give(inp.IntentCame(wanted(OTHER, CHUNK), "direct"))
    assert events == [
        ev.IntentReceived(peer=OTHER, cids=(CHUNK,), via="direct"),
        ev.AnsweredLater(peer=OTHER, cids=(CHUNK,), eta=0.0, queue_bytes=0),
    ]
    assert effects == [fx.Push(OTHER, msg.StatusYesButLater(cids=(CHUNK,), eta=0.0, queue_bytes=0))]
    events, effects = script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    assert events == [ev.GrantReceived(peer=OTHER, cids=(CHUNK,), size=7)]
    assert script.sendable(effects) == [CHUNK]
    events, _ = script.give(inp.ChunksWritten(OTHER, (CHUNK,), 7))
    assert events == [ev.ChunksSent(peer=OTHER, cids=(CHUNK,), size=7)]


def test_an_intent_is_answered_once() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    assert script.give(inp.IntentCame(wanted(OTHER, CHUNK), "direct"))[1]
    assert script.give(inp.IntentCame(wanted(OTHER, CHUNK), "gossip")) == ([], [])
    assert script.give(inp.IntentCame(wanted(ME, CHUNK, nonce=b"another1"), "gossip")) == ([], [])


def test_not_held_is_sent_only_to_a_peer_that_asked_directly() -> None:
    script = Script()
    script.give(up(OTHER))
    events, _ = script.give(inp.IntentCame(wanted(OTHER, CHUNK), "direct"))
    assert events == [
        ev.AnsweredNo(peer=OTHER, cids=(CHUNK,), reason="not_held", has_it=False, retry_after=None)
    ]
    assert script.give(inp.IntentCame(wanted(OTHER, CHUNK, nonce=b"another0"), "gossip")) == ([], [])


def test_busy_has_a_retry_after() -> None:
    script = Script(held={CHUNK: 1 << 20}, max_uploads=1)
    script.give(up(OTHER))
    script.give(up(HOLDER))
    script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    events, effects = script.give(inp.IntentCame(wanted(HOLDER, CHUNK), "direct"))
    assert events[0].reason == "busy"
    assert events[0].has_it
    assert 0 < events[0].retry_after <= 30
    assert effects[0].message.reason == "busy"
    script.give(inp.ChunksWritten(OTHER, (CHUNK,), 1 << 20))
    events, _ = script.give(inp.IntentCame(wanted(HOLDER, CHUNK, nonce=b"another0"), "direct"))
    assert isinstance(events[-1], ev.AnsweredLater), "the place is free"


def test_a_cancel_counts_only_from_the_peer_that_granted() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    assert script.give(inp.MessageCame(HOLDER, msg.Cancel(cids=(CHUNK,)))) == ([], [])
    events, effects = script.give(inp.MessageCame(OTHER, msg.Cancel(cids=(CHUNK,))))
    assert events == [ev.CancelReceived(peer=OTHER, cids=(CHUNK,))]
    assert effects == []
    assert not script.machine.is_granted(OTHER, CHUNK)


def test_a_cancel_is_confirmed_only_for_what_has_not_begun_to_leave() -> None:
    script = Script(held={CHUNK: 7, (later := raw_cid(b"later")): 7})
    script.give(up(OTHER))
    script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK, later), ttl=3)))
    script.give(inp.ChunksLeaving(OTHER, (CHUNK,)))
    cancel = inp.MessageCame(OTHER, msg.Cancel(cids=(CHUNK, later), confirm=True))
    events, effects = script.give(cancel)
    assert events == [ev.CancelReceived(peer=OTHER, cids=(later,))]
    assert effects == [fx.Push(OTHER, msg.Cancelled(cids=(later,)))]
    assert script.give(cancel) == ([], []), "nothing more was cancelled"


def test_an_unrequested_chunk_is_a_fault() -> None:
    script = Script()
    script.give(up(OTHER))
    assert not script.machine.accepts(OTHER, CHUNK)
    events, _ = script.give(inp.ChunkSkipped(OTHER, CHUNK, 99))
    assert [type(event) for event in events] == [ev.ChunkWasted, ev.PeerFaulted]
    assert events[0].cause == "unasked"


def test_a_chunk_granted_before_a_restart_is_late_and_no_fault() -> None:
    """A frozen holder sends the chunk when it wakes up, to a node that was killed and restarted meanwhile."""
    script = Script()
    others = [raw_cid(b"%d" % number) for number in range(2)]
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.WantMany((CHUNK, *others))))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK, *others), eta=0.0, queue_bytes=0)))
    script.give(inp.ChunkLanded(HOLDER, CHUNK, 7), after=0.1)
    script.give(inp.PeerDown(HOLDER, "gone"))
    script.restart()
    script.give(up(HOLDER), after=600.0)
    for cid in others:
        events, _ = script.give(inp.ChunkSkipped(HOLDER, cid, 99))
        assert events == [ev.ChunkWasted(cid=cid, size=99, peer=HOLDER, cause="late")]
    for peer in (HOLDER, OTHER):
        events, _ = script.give(inp.ChunkSkipped(peer, others[0], 99))
        assert [type(event) for event in events] == [ev.ChunkWasted, ev.PeerFaulted], (
            "no more than was granted"
        )


def test_wrong_bytes_twice_cost_the_connection() -> None:
    script = Script()
    script.give(up(HOLDER))
    assert not any(isinstance(e, fx.Disconnect) for e in script.give(inp.ChunkCorrupt(HOLDER, CHUNK, 5))[1])
    _, effects = script.give(inp.ChunkCorrupt(HOLDER, CHUNK, 5))
    assert effects == [fx.Disconnect(HOLDER, "it sent wrong bytes again", 60.0)]


def test_lost_chunks_are_announced_to_every_peer_concerned() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    events, effects = script.give(inp.ChunksGone("/f", (CHUNK,), 7, "/f was changed", OTHER))
    assert [type(event) for event in events] == [ev.ErrorOccurred, ev.ChunksLost, ev.AnsweredNo]
    assert events[0].path == "/f"
    assert [type(effect.message) for effect in effects] == [msg.Error, msg.StatusNo]


def test_an_answer_to_an_unconnected_peer_waits_until_it_is_connected() -> None:
    script = Script(held={CHUNK: 7})
    intent = msg.Intent(
        origin=OTHER,
        nonce=b"nonce-00",
        expires=START + 60,
        body=msg.Want(cids=(CHUNK,)),
        addrs=(f"/ip4/9/p2p/{OTHER}",),
    )
    _, effects = script.give(inp.IntentCame(intent, "gossip"))
    assert effects == [fx.Dial(f"/ip4/9/p2p/{OTHER}", from_peers=True)]
    _, effects = script.give(up(OTHER))
    assert isinstance(effects[0], fx.Push)
    assert isinstance(effects[0].message, msg.StatusYesButLater)


def test_cancelling_something_not_pending_is_explained() -> None:
    events, _ = Script().give(inp.Commanded(cmd.Cancel((CHUNK,), "me")))
    assert events[0].by == "me"
    assert "not pending" in events[0].text


def test_a_dead_address_is_reported_once() -> None:
    script = Script()
    assert len(script.give(inp.DialFailed("/x", "/x does not answer"))[0]) == 1
    assert script.give(inp.DialFailed("/x", "/x does not answer"))[0] == []
    script.give(inp.Commanded(cmd.Join("/x")))
    assert len(script.give(inp.DialFailed("/x", "/x does not answer"))[0]) == 1, "who asks again hears again"


def test_time_never_runs_backwards_in_a_series() -> None:
    script = Script()
    script.give(inp.Failed("one"))
    script.give(inp.Failed("two"), after=-500)
    assert [entry.at for entry in script.series] == sorted(entry.at for entry in script.series)


@pytest.mark.parametrize("count", [1, 256, 257, 600])
def test_loose_chunks_travel_in_batches(count: int) -> None:
    script = Script()
    script.give(up(HOLDER))
    cids = tuple(raw_cid(b"%d" % number) for number in range(count))
    events, _ = script.give(inp.Commanded(cmd.WantMany(cids)))
    pushes = [event for event in events if isinstance(event, ev.PushedWant)]
    assert [len(push.cids) for push in pushes] == [256] * (count // 256) + (
        [count % 256] if count % 256 else []
    )


FULL = "the disk is full: /x cannot be written; free some space, nothing is lost"


def fetching(script: Script, count: int = 40) -> list[Cid]:
    """Return a file whose first grant was just made, and its chunks."""
    builder = FileBuilder()
    leaves = [raw_cid(b"%d" % number) for number in range(count)]
    for leaf in leaves:
        builder.add_leaf(leaf, 1 << 20)
    root = builder.finish()
    ((cid, data),) = root.blocks
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Get(cid, "/x", "x", count << 20, by="me")))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(cid,), eta=0, queue_bytes=0)))
    script.give(inp.ChunkLanded(HOLDER, cid, len(data), data))
    script.give(inp.Placed(cid, (), tuple(leaves)))
    return [cid, *leaves]


def grants(effects: list[Any]) -> list[tuple[Cid, ...]]:
    return [e.message.cids for e in effects if isinstance(e, fx.Push) and isinstance(e.message, msg.Grant)]


def test_a_full_disk_stops_pushes_and_is_reported_once() -> None:
    script = Script()
    root, *_ = fetching(script)
    granted = list(script.machine.state.leases)
    assert len(granted) > 4
    first, *others = granted
    events, effects = script.give(inp.LandFailed(HOLDER, first, 1 << 20, FULL))
    assert events == [
        ev.ChunkWasted(cid=first, size=1 << 20, peer=HOLDER, cause="unwritten", roots=(root,)),
        ev.LeaseLapsed(peer=HOLDER, cids=(first,), cause="unwritten", roots=(root,)),
        ev.ErrorOccurred(text=FULL, cid=root, path="/x", code="cannot_write"),
        ev.LeaseLapsed(peer=HOLDER, cids=tuple(others), cause="unwritten", roots=(root,)),
        ev.RetrySet(cids=(root,), next_push_at=script.now + 10, cause="unwritten"),
    ]
    assert effects == [fx.Push(HOLDER, msg.Cancel(cids=tuple(others)))], "what is on its way is stopped"
    assert not script.machine.state.leases
    pending = script.machine.state.pending[root]
    assert (pending.trouble, pending.cause) == (FULL, "unwritten")

    for cid in others[:3]:  # these had left already
        events, effects = script.give(inp.LandFailed(HOLDER, cid, 1 << 20, FULL), after=0.1)
        assert events == [
            ev.ChunkWasted(cid=cid, size=1 << 20, peer=HOLDER, cause="unwritten", roots=(root,))
        ]
        assert effects == []
    assert script.machine.state.wasted_bytes == {"unwritten": 4 << 20}


def test_a_full_disk_is_probed_with_one_chunk_ever_more_rarely() -> None:
    script = Script()
    root, *_ = fetching(script)
    waits: list[float] = []
    (first, *_) = script.machine.state.leases
    script.give(inp.LandFailed(HOLDER, first, 1 << 20, FULL))
    began = script.now
    for _ in range(4):
        granted: list[tuple[Cid, ...]] = []
        while not granted:
            _, effects = script.give(inp.Tick(), after=script.machine.next_deadline() - script.now)
            granted = grants(effects)
        assert [len(cids) for cids in granted] == [1]
        waits.append(script.now - began)
        began = script.now
        events, _ = script.give(inp.LandFailed(HOLDER, granted[0][0], 1 << 20, FULL))
        assert not any(isinstance(event, ev.ErrorOccurred) for event in events), "it was told"
        assert any(isinstance(event, ev.RetrySet) for event in events)
    assert waits == [10, 20, 40, 60]

    granted = []
    while not granted:
        _, effects = script.give(inp.Tick(), after=script.machine.next_deadline() - script.now)
        granted = grants(effects)
    events, effects = script.give(inp.ChunkLanded(HOLDER, granted[0][0], 1 << 20))
    assert len(grants(effects)[0]) > 1, "and then all goes on as before"
    assert script.machine.state.pending[root].trouble is None
    (first, *_) = script.machine.state.leases
    events, _ = script.give(inp.LandFailed(HOLDER, first, 1 << 20, FULL))
    assert any(isinstance(event, ev.ErrorOccurred) for event in events), "and if it comes back, it is news"


@pytest.mark.parametrize("how", ["retry", "retry all", "get"])
def test_a_retry_after_making_room_need_not_wait(how: str) -> None:
    script = Script()
    root, *_ = fetching(script)
    (first, *_) = script.machine.state.leases
    script.give(inp.LandFailed(HOLDER, first, 1 << 20, FULL))
    again: dict[str, cmd.Command] = {
        "retry": cmd.Retry((root,)),
        "retry all": cmd.Retry(),
        "get": cmd.Get(root, "/x", "x", 1, by="me"),
    }
    _, effects = script.give(inp.Commanded(again[how]), after=1)
    assert [len(cids) for cids in grants(effects)] == [1]
    _, effects = script.give(inp.Commanded(again[how]))
    assert grants(effects) == [], "it is being tried"


def test_an_unwritable_object_does_not_stop_others() -> None:
    script = Script()
    fetching(script)
    (first, *_) = script.machine.state.leases
    script.give(inp.LandFailed(HOLDER, first, 1 << 20, FULL))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    _, effects = script.give(
        inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0))
    )
    assert grants(effects) == [(CHUNK,)]


def test_loose_chunks_that_cannot_be_written_are_paused_together() -> None:
    script = Script()
    script.give(up(HOLDER))
    cids = tuple(raw_cid(b"%d" % number) for number in range(300))
    script.give(inp.Commanded(cmd.WantMany(cids)))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=cids, eta=0, queue_bytes=0)))
    failed = list(script.machine.state.leases)
    told = 0
    for cid in failed:
        events, effects = script.give(inp.LandFailed(HOLDER, cid, 1024, FULL))
        told += sum(isinstance(event, ev.ErrorOccurred) for event in events)
        assert grants(effects) == []
    assert told == 1
    assert not script.machine.state.leases
    _, effects = script.give(inp.Tick(), after=11)
    assert [len(found) for found in grants(effects)] == [1]
    events, effects = script.give(inp.ChunkLanded(HOLDER, grants(effects)[0][0], 1024))
    assert sum(len(found) for found in grants(effects)) > 1


def test_what_a_peer_calls_itself_is_told_once() -> None:
    script = Script()
    assert script.give(inp.NameSuggested(HOLDER, "ada"))[0] == [], "it is not connected"
    script.give(up(HOLDER))
    assert script.give(inp.NameSuggested(HOLDER, ""))[0] == [], "nothing new"
    events, effects = script.give(inp.NameSuggested(HOLDER, "ada"))
    assert events == [ev.NameSuggested(peer=HOLDER, suggested="ada")]
    assert effects == []
    assert script.give(inp.NameSuggested(HOLDER, "ada"))[0] == []
    script.restart()
    script.give(up(HOLDER))
    assert script.give(inp.NameSuggested(HOLDER, "ada"))[0] == [], "the series knows it"
    assert script.machine.state.peers[HOLDER].suggested == "ada"
    assert script.give(inp.NameSuggested(HOLDER, ""))[0] == [ev.NameSuggested(peer=HOLDER, suggested="")]
    assert script.machine.state.peers[HOLDER].suggested == ""


def test_a_peer_pays_for_the_names_that_it_tells() -> None:
    script = Script()
    script.give(up(HOLDER))
    told = 0
    while script.machine.admits(HOLDER, script.now):
        entries, _ = script.machine.handle(inp.NameSuggested(HOLDER, f"name {told}"), script.now)
        script.series += entries  # `give` would derive the state anew each time
        told += len(entries)
        assert told < 20_000, "it is never too much"
    events, _ = script.give(inp.NameSuggested(HOLDER, "one more"))
    assert not any(isinstance(event, ev.NameSuggested) for event in events)
