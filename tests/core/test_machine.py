"""The machine as a transcript: an input, then exactly the events and effects that follow."""

from typing import Any

import pytest

from flux_tui.core import commands as cmd
from flux_tui.core import effects as fx
from flux_tui.core import events as ev
from flux_tui.core import messages as msg
from flux_tui.core.derive import derive
from flux_tui.core.events import Entry
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.policy import Policy
from flux_tui.core.state import State

ME, HOLDER, OTHER = (PeerId(f"12D3KooW{name * 44}") for name in "MHX")
CHUNK = raw_cid(b"a chunk")
START = 1_000_000.0


class Script:
    """A machine under test, with everything that it did."""

    def __init__(self, held: dict[Cid, int] | None = None, **policy: Any) -> None:
        self.held = held or {}
        self.machine = Machine(
            ME,
            State(),
            self,
            lambda: 0.0,
            max_pending=policy.pop("max_pending", 1000),
            policy=Policy(**policy),
        )
        self.now = START
        self.series: list[Entry] = []
        self._take(self.machine.start(("/ip4/127.0.0.1/tcp/1",), "test", self.now))

    def size_of(self, cid: Cid) -> int | None:
        return self.held.get(cid)

    def give(self, given: fx.Input, after: float = 0.0) -> tuple[list[Any], list[Any]]:
        """An input: the events and effects of it, and of the tick that the machine then asks for."""
        self.now += after
        events, effects = self._take(self.machine.handle(given, self.now))
        if self.machine.next_deadline() <= self.now:
            more = self._take(self.machine.handle(fx.Tick(), self.now))
            events, effects = events + more[0], effects + more[1]
        assert self.machine.state == derive(self.series)
        return events, effects

    def _take(self, turn: tuple[list[Entry], list[Any]]) -> tuple[list[Any], list[Any]]:
        self.series += turn[0]
        return [entry.event for entry in turn[0]], turn[1]


def up(peer: PeerId) -> fx.PeerUp:
    return fx.PeerUp(peer=peer, addr=f"/ip4/127.0.0.1/tcp/2/p2p/{peer}")


def wanted(origin: PeerId, *cids: Cid, nonce: bytes = b"nonce-00", expires: float = START + 60) -> msg.Intent:
    return msg.Intent(origin=origin, nonce=nonce, expires=expires, body=msg.Want(cids=cids))


def test_want_offer_grant_chunk() -> None:
    script = Script()
    script.give(up(HOLDER))
    events, effects = script.give(fx.Commanded(cmd.Want(CHUNK, "me")))
    assert events == [
        ev.Requested(cid=CHUNK, by="me"),
        ev.PushedWant(cids=(CHUNK,), peers=(HOLDER,), gossip=True, retry=False, next_push_at=START + 60),
    ]
    assert effects == [fx.Broadcast(body=msg.Want(cids=(CHUNK,)), peers=(HOLDER,), gossip=True)]

    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0.5, queue_bytes=10)
    events, effects = script.give(fx.MessageCame(HOLDER, offer))
    assert events == [
        ev.DelayedYes(peer=HOLDER, cids=(CHUNK,), eta=0.5, queue_bytes=10),
        ev.Granted(peer=HOLDER, root=None, cids=(CHUNK,), deadline=START + 3),
    ]
    assert effects == [fx.Push(HOLDER, msg.Grant(cids=(CHUNK,), ttl=3.0))]
    assert script.machine.accepts(HOLDER, CHUNK)
    assert not script.machine.accepts(OTHER, CHUNK), "nobody else was granted it"

    events, effects = script.give(fx.ChunkLanded(HOLDER, CHUNK, 7), after=0.1)
    assert events == [ev.ChunkReceived(cid=CHUNK, size=7, peer=HOLDER)]
    assert effects == []
    assert not script.machine.state.pending


def test_a_no_is_data_and_sets_the_timer() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    no = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=2.0, text="16 peers")
    events, effects = script.give(fx.MessageCame(HOLDER, no))
    assert events == [
        ev.StatusNo(peer=HOLDER, cids=(CHUNK,), reason="busy", has_it=True, retry_after=2.0, text="16 peers"),
        ev.RetrySet(cids=(CHUNK,), next_push_at=START + 2, cause="retry_after", peer=HOLDER),
    ]
    assert effects == []
    assert script.machine.next_deadline() == START + 2
    events, effects = script.give(fx.Tick(), after=2.0)
    assert [type(event) for event in events] == [ev.PushedWant]
    assert events[0].retry
    assert effects[0].body == msg.Want(cids=(CHUNK,), retry=True)


def test_nobody_is_parked_for_longer_than_ten_minutes() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    no = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=1e8)
    events, _ = script.give(fx.MessageCame(HOLDER, no))
    assert events[0].retry_after == 600.0


def test_silence_is_answered_with_patience() -> None:
    script = Script()
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    waits = []
    for _ in range(5):
        deadline = script.machine.next_deadline()
        waits.append(deadline - script.now)
        script.give(fx.Tick(), after=deadline - script.now)
    assert waits == [60, 120, 240, 480, 600]


def test_a_late_lease_of_a_sole_holder_is_extended_then_lapses() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    script.give(fx.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0)))
    kinds: list[type] = []
    while ev.LeaseLapsed not in kinds:
        events, effects = script.give(fx.Tick(), after=script.machine.next_deadline() - script.now)
        kinds += [type(event) for event in events]
    assert kinds[:3] == [ev.LeaseExtended] * 3
    assert fx.Push(HOLDER, msg.Cancel(cids=(CHUNK,))) in effects
    assert script.machine.accepts(HOLDER, CHUNK), "what comes late is still taken"
    events, _ = script.give(fx.ChunkLanded(HOLDER, CHUNK, 7))
    assert isinstance(events[0], ev.ChunkReceived)


def test_a_late_lease_goes_to_another_holder_at_once() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0)
    script.give(fx.MessageCame(HOLDER, offer))
    script.give(fx.MessageCame(OTHER, offer))
    events, effects = script.give(fx.Tick(), after=3.0)
    assert events[0] == ev.LeaseLapsed(peer=HOLDER, cids=(CHUNK,), cause="deadline")
    assert effects == [
        fx.Push(HOLDER, msg.Cancel(cids=(CHUNK,))),
        fx.Push(OTHER, msg.Grant(cids=(CHUNK,), ttl=3.0)),
    ]


def test_above_max_pending_wants_wait_in_the_series() -> None:
    script = Script(max_pending=2)
    cids = tuple(raw_cid(b"%d" % number) for number in range(5))
    events, _ = script.give(fx.Commanded(cmd.WantMany(cids)))
    assert [type(event) for event in events] == [ev.Requested] * 5 + [ev.PushedWant]
    assert events[-1].cids == cids[:2]
    assert (script.machine.state.pushed, len(script.machine.state.pending)) == (2, 5)
    events, _ = script.give(fx.Commanded(cmd.Cancel(cids[:1])))
    assert events[-1].cids == cids[2:3], "one went, one enters"


def test_a_holder_offers_then_serves_what_was_granted() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    events, effects = script.give(fx.IntentCame(wanted(OTHER, CHUNK), "direct"))
    assert events == [
        ev.IntentReceived(peer=OTHER, cids=(CHUNK,), via="direct"),
        ev.AnsweredLater(peer=OTHER, cids=(CHUNK,), eta=0.0, queue_bytes=0),
    ]
    assert effects == [fx.Push(OTHER, msg.StatusYesButLater(cids=(CHUNK,), eta=0.0, queue_bytes=0))]
    events, effects = script.give(fx.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    assert events == [ev.GrantReceived(peer=OTHER, cids=(CHUNK,), size=7)]
    assert effects == [fx.Serve(OTHER, (CHUNK,))]
    events, _ = script.give(fx.ChunksWritten(OTHER, (CHUNK,), 7))
    assert events == [ev.ChunksSent(peer=OTHER, cids=(CHUNK,), size=7)]


def test_an_intent_is_answered_once_and_never_an_expired_one() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    assert script.give(fx.IntentCame(wanted(OTHER, CHUNK), "direct"))[1]
    assert script.give(fx.IntentCame(wanted(OTHER, CHUNK), "gossip")) == ([], [])
    assert script.give(
        fx.IntentCame(wanted(OTHER, CHUNK, nonce=b"another0", expires=START - 400), "direct")
    ) == ([], [])
    assert script.give(fx.IntentCame(wanted(ME, CHUNK, nonce=b"another1"), "gossip")) == ([], [])


def test_not_held_is_said_to_who_asked_directly_only() -> None:
    script = Script()
    script.give(up(OTHER))
    events, _ = script.give(fx.IntentCame(wanted(OTHER, CHUNK), "direct"))
    assert events == [
        ev.AnsweredNo(peer=OTHER, cids=(CHUNK,), reason="not_held", has_it=False, retry_after=None)
    ]
    assert script.give(fx.IntentCame(wanted(OTHER, CHUNK, nonce=b"another0"), "gossip")) == ([], [])


def test_busy_says_when_to_come_back() -> None:
    script = Script(held={CHUNK: 1 << 20}, max_uploads=1)
    script.give(up(OTHER))
    script.give(up(HOLDER))
    script.give(fx.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    events, effects = script.give(fx.IntentCame(wanted(HOLDER, CHUNK), "direct"))
    assert events[0].reason == "busy"
    assert events[0].has_it
    assert 0 < events[0].retry_after <= 30
    assert effects[0].message.reason == "busy"
    script.give(fx.ChunksWritten(OTHER, (CHUNK,), 1 << 20))
    events, _ = script.give(fx.IntentCame(wanted(HOLDER, CHUNK, nonce=b"another0"), "direct"))
    assert isinstance(events[-1], ev.AnsweredLater), "the place is free"


def test_a_cancel_counts_only_from_who_granted() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    script.give(fx.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    assert script.give(fx.MessageCame(HOLDER, msg.Cancel(cids=(CHUNK,)))) == ([], [])
    events, effects = script.give(fx.MessageCame(OTHER, msg.Cancel(cids=(CHUNK,))))
    assert events == [ev.CancelReceived(peer=OTHER, cids=(CHUNK,))]
    assert effects == [fx.Unserve(OTHER, (CHUNK,))]


def test_an_unasked_chunk_is_a_fault() -> None:
    script = Script()
    script.give(up(OTHER))
    assert not script.machine.accepts(OTHER, CHUNK)
    events, _ = script.give(fx.ChunkSkipped(OTHER, CHUNK, 99))
    assert [type(event) for event in events] == [ev.ChunkWasted, ev.PeerFaulted]
    assert events[0].cause == "unasked"


def test_wrong_bytes_twice_cost_the_connection() -> None:
    script = Script()
    script.give(up(HOLDER))
    assert not any(isinstance(e, fx.Disconnect) for e in script.give(fx.ChunkCorrupt(HOLDER, CHUNK, 5))[1])
    _, effects = script.give(fx.ChunkCorrupt(HOLDER, CHUNK, 5))
    assert effects == [fx.Disconnect(HOLDER, "it sent wrong bytes again")]


def test_chunks_that_are_gone_are_told_to_everybody_concerned() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    script.give(fx.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3)))
    events, effects = script.give(fx.ChunksGone("/f", (CHUNK,), 7, "/f was changed", OTHER))
    assert [type(event) for event in events] == [ev.ErrorOccurred, ev.ChunksLost, ev.AnsweredNo]
    assert events[0].path == "/f"
    assert [type(effect.message) for effect in effects] == [msg.Error, msg.StatusNo]


def test_an_answer_to_a_stranger_is_kept_until_it_is_reached() -> None:
    script = Script(held={CHUNK: 7})
    intent = msg.Intent(
        origin=OTHER,
        nonce=b"nonce-00",
        expires=START + 60,
        body=msg.Want(cids=(CHUNK,)),
        addrs=("/ip4/9/p2p/x",),
    )
    _, effects = script.give(fx.IntentCame(intent, "gossip"))
    assert effects == [fx.Dial("/ip4/9/p2p/x")]
    _, effects = script.give(up(OTHER))
    assert isinstance(effects[0], fx.Push)
    assert isinstance(effects[0].message, msg.StatusYesButLater)


def test_cancelling_what_is_not_pending_is_explained() -> None:
    events, _ = Script().give(fx.Commanded(cmd.Cancel((CHUNK,), "me")))
    assert events[0].by == "me"
    assert "not pending" in events[0].text


def test_a_dead_address_is_reported_once() -> None:
    script = Script()
    assert len(script.give(fx.DialFailed("/x", "/x does not answer"))[0]) == 1
    assert script.give(fx.DialFailed("/x", "/x does not answer"))[0] == []
    script.give(fx.Commanded(cmd.Join("/x")))
    assert len(script.give(fx.DialFailed("/x", "/x does not answer"))[0]) == 1, "who asks again hears again"


def test_time_never_runs_backwards_in_a_series() -> None:
    script = Script()
    script.give(fx.Failed("one"))
    script.give(fx.Failed("two"), after=-500)
    assert [entry.at for entry in script.series] == sorted(entry.at for entry in script.series)


@pytest.mark.parametrize("count", [1, 256, 257, 600])
def test_loose_chunks_travel_in_batches(count: int) -> None:
    script = Script()
    script.give(up(HOLDER))
    cids = tuple(raw_cid(b"%d" % number) for number in range(count))
    events, _ = script.give(fx.Commanded(cmd.WantMany(cids)))
    pushes = [event for event in events if isinstance(event, ev.PushedWant)]
    assert [len(push.cids) for push in pushes] == [256] * (count // 256) + (
        [count % 256] if count % 256 else []
    )


def test_a_full_disk_leaves_the_swarm_in_peace_for_a_while() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(fx.Commanded(cmd.Want(CHUNK)))
    script.give(fx.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0, queue_bytes=0)))
    events, effects = script.give(fx.LandFailed(HOLDER, CHUNK, "the disk is full"))
    assert events[0] == ev.ErrorOccurred(text="the disk is full", cid=CHUNK)
    assert not any(
        isinstance(effect, fx.Push) and isinstance(effect.message, msg.Grant) for effect in effects
    )
    _, effects = script.give(fx.Tick(), after=11)
    assert any(isinstance(effect, fx.Push) and isinstance(effect.message, msg.Grant) for effect in effects)
