"""When the clock is set, timers go on, and new entries have times of the new clock."""

import typing
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.peers.router import MAX_SKEW
from flux_tui.core.series import events as ev
from flux_tui.core.series.clock_steps import shift
from flux_tui.core.series.events import EVENT_TYPES, MOMENTS, Entry, moved
from flux_tui.core.series.fold import derive
from flux_tui.core.series.next_try import next_try
from flux_tui.core.series.state import State
from flux_tui.core.text.describe import describe
from flux_tui.core.turn import STEP_SECONDS
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from tests.core.samples import sample
from tests.support.routes import SEALED
from tests.support.script import CHUNK, HOLDER, ME, OTHER, START, Script, up, wanted

HOUR = 3600.0
ROOT = dag_cid(b"a root")
YEARS = 4 * 365 * 24 * HOUR
STEPS = (HOUR, -HOUR, YEARS, -YEARS)


def life(script: Script, step: float) -> list[list[Any]]:
    """Run everything that has a timer, with the clock set in the middle. Return the effects of each turn."""
    turns = []

    def give(given: inp.Input, after: float = 0.0) -> None:
        turns.append(script.give(given, after)[1])

    give(up(HOLDER))
    give(up(OTHER))
    give(inp.Commanded(cmd.Want(CHUNK)))
    give(inp.Commanded(cmd.Want(ROOT)))
    give(inp.Commanded(cmd.Hold(ROOT, 2)))
    give(inp.MessageCame(HOLDER, msg.CanHold(root=ROOT)))
    no = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=30.0)
    give(inp.MessageCame(OTHER, no))
    give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(ROOT,), eta=0.1, queue_bytes=0)))
    if step:
        script.give(inp.ClockStepped(seconds=step), 0.5)
    else:
        script.give(inp.Tick(), 0.5)
    for _ in range(200):
        give(inp.Tick(), 1.0)
    give(inp.PeerDown(HOLDER, "gone"))
    give(up(HOLDER))
    for _ in range(100):
        give(inp.Tick(), 7.0)
    return turns


def rounded(event: ev.Event) -> ev.Event:
    """Round points in time to the millisecond: adding and subtracting a step leaves a small error."""
    name = MOMENTS.get(type(event))
    return msgspec.structs.replace(event, **{name: round(getattr(event, name), 3)}) if name else event


@pytest.mark.parametrize("step", STEPS)
def test_a_node_does_the_same_with_any_clock(step: float) -> None:
    plain, stepped = Script(), Script()
    assert life(plain, 0.0) == life(stepped, step)
    told = [entry for entry in stepped.series if not isinstance(entry.event, ev.ClockStepped)]
    assert len(stepped.series) == len(told) + 1
    assert len(told) == len(plain.series)
    when = next(entry.seq for entry in stepped.series if isinstance(entry.event, ev.ClockStepped))
    for one, other in zip(plain.series, told, strict=True):
        by = step if other.seq > when else 0.0
        assert other.at == pytest.approx(one.at + by, abs=1e-3)
        assert rounded(moved(one.event, by)) == rounded(other.event)


@pytest.mark.parametrize("step", STEPS)
def test_countdowns_go_on(step: float) -> None:
    """A countdown is a time in the state minus the wall clock."""
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    script.give(
        inp.MessageCame(HOLDER, msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=30.0))
    )
    before = derive(script.series)
    script.give(inp.ClockStepped(seconds=step), 1.0)
    state = derive(script.series)
    assert state.at == pytest.approx(before.at + 1.0 + step)
    one, first = (next_try(at, at.pending[CHUNK], at.at) for at in (state, before))
    assert one is not None
    assert first is not None
    assert (one.peer, one.reason) == (HOLDER, "busy")
    for found, was in (
        (one.at, first.at),
        (state.peers[HOLDER].until, before.peers[HOLDER].until),
    ):
        assert found is not None
        assert was is not None
        assert found - state.at == pytest.approx(was - before.at - 1.0)
    assert sum(second.noes for second in state.recent if second.t >= int(state.at) - 10) == 1


@pytest.mark.parametrize("wall", [START + 200, START - HOUR, START - YEARS, START + YEARS])
def test_the_next_run_starts_with_any_clock(wall: float) -> None:
    """The wall clock was set while no node ran. Forward counts as time that passed, back as none."""
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    script.give(
        inp.MessageCame(HOLDER, msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=300.0))
    )
    script.give(inp.Commanded(cmd.Hold(ROOT, 1)))
    state = derive(script.series)
    now = max(wall, state.at)
    script.machine = Machine(ME, state, script, lambda: 0.0)
    script.now = now
    events, _ = script._take(script.machine.handle(inp.NodeStarting((), "test", wall), now))
    back = wall < START
    assert isinstance(events[0], ev.ClockStepped) == back
    assert script.series[-1].at == pytest.approx(wall)
    _, effects = script.give(up(HOLDER), after=1.0)
    assert fx.Broadcast in {type(effect) for effect in effects}, "a connected peer is told at once"
    reply = wanted(HOLDER, CHUNK, expires=wall + 61)
    events, _ = script.give(inp.IntentCame(reply, "gossip"), after=1.0)
    assert not any(isinstance(event, ev.ClockDiffers) for event in events)
    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0.1, queue_bytes=0)
    events, _ = script.give(inp.MessageCame(HOLDER, offer), after=1.0)
    grant = next(event for event in events if isinstance(event, ev.Granted))
    assert 0 < grant.deadline - script.series[-1].at < 60
    events, _ = script.give(inp.Tick(), after=grant.deadline - script.series[-1].at + 0.1)
    assert any(isinstance(event, ev.LeaseLapsed | ev.LeaseExtended) for event in events)


def test_a_lease_of_the_last_run_ends_although_the_clock_went_back() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0.1, queue_bytes=0)))
    state = derive(script.series)
    assert state.leases
    script.machine = Machine(ME, state, script, lambda: 0.0)
    script._take(script.machine.handle(inp.NodeStarting((), "test", state.at - YEARS), state.at))
    assert script.machine.next_deadline() < script.now + 10
    script.give(inp.Tick(), after=10.0)
    assert not script.machine.state.leases


def test_a_tiny_difference_is_not_a_clock_step() -> None:
    script = Script()
    assert script.give(inp.ClockStepped(seconds=STEP_SECONDS / 2)) == ([], [])
    assert (
        script.machine.handle(inp.NodeStarting((), "test", script.now - STEP_SECONDS / 2), script.now)[0][
            0
        ].at
        == script.now
    )


# ── other clocks ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ahead", [*STEPS, MAX_SKEW + 60, -MAX_SKEW - 61])
def test_an_intent_from_its_origin_is_accepted_with_any_clock(ahead: float) -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    ways: list[Callable[[msg.Intent], inp.Input]] = [
        lambda intent: inp.IntentCame(intent, "direct"),
        lambda intent: inp.IntentCame(intent, "gossip", fresh=True),
        lambda intent: inp.RouteCame(OTHER, intent, SEALED, 1),
    ]
    for number, given in enumerate(ways):
        intent = wanted(OTHER, CHUNK, nonce=b"nonce-%02d" % number, expires=START + 60 + ahead)
        events, effects = script.give(given(intent))
        assert isinstance(events[0], ev.IntentReceived)
        assert fx.Push in {type(effect) for effect in effects}
        assert script.give(given(intent)) == ([], []), "once"


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        (HOUR, "its clock is 1:00:00 ahead of this one"),
        (-HOUR, "its clock is 1:00:00 behind this one"),
        (YEARS, "its clock is 1,460 days ahead of this one"),
    ],
)
def test_a_forwarded_intent_is_refused_with_a_message_about_clocks(ahead: float, words: str) -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    old = wanted(OTHER, CHUNK, expires=START + 60 + ahead)
    events, effects = script.give(inp.IntentCame(old, "gossip"))
    assert events == [ev.ClockDiffers(peer=OTHER, seconds=ahead, via="gossip")]
    (push,) = effects
    assert words in push.message.text
    assert "clocks of both machines" in push.message.text
    # It is reported at intervals, not for each intent.
    other = wanted(OTHER, CHUNK, nonce=b"nonce-01", expires=START + 60 + ahead)
    assert script.give(inp.RouteCame(HOLDER, other, SEALED, 1)) == ([], [])
    # The same intent from its origin itself is accepted.
    events, _ = script.give(inp.IntentCame(old, "direct"))
    assert isinstance(events[0], ev.IntentReceived)


@pytest.mark.parametrize("expires", [float("nan"), float("inf"), float("-inf"), -1.0, 1e300])
def test_an_intent_with_an_invalid_time_is_refused(expires: float) -> None:
    """Such a time could not be shown in words or as JSON."""
    odd = wanted(OTHER, CHUNK, expires=expires)
    with pytest.raises(codec.BadFrameError):
        codec.decode_intent(codec.encode_intent(odd))
    last = wanted(OTHER, CHUNK, expires=msg.MAX_TIME)
    assert codec.decode_intent(codec.encode_intent(last)) == last


@pytest.mark.parametrize("seconds", [0.0, 59.4, -301.0, msg.MAX_TIME, -msg.MAX_TIME])
def test_any_difference_of_clocks_can_be_described(seconds: float) -> None:
    event = ev.ClockDiffers(peer=OTHER, seconds=seconds, via="routed")
    line = describe(event)
    assert "its clock is" in line
    assert len(line) < 100


def test_an_origin_refused_for_its_clock_is_dialled_at_intervals_if_useful() -> None:
    """Once it is connected, it pushes its want itself."""
    addr = f"/ip4/192.0.2.1/tcp/1/p2p/{OTHER}"
    script = Script(held={CHUNK: 7})

    def forwarded(number: int, cid: Any = CHUNK) -> list[Any]:
        intent = msg.Intent(
            origin=OTHER, nonce=b"nonce-%02d" % number, expires=START - HOUR, body=msg.Want(cids=(cid,)),
            addrs=(addr,),
        )  # fmt: skip
        return script.give(inp.IntentCame(intent, "gossip"))[1]

    assert forwarded(0, raw_cid(b"nobody has it")) == []
    assert forwarded(1) == [fx.Dial(addr=addr, from_peers=True)]
    dialled = sum(bool(forwarded(2 + number)) for number in range(50))
    assert dialled <= 5, "whoever keeps old intents must not make this node dial for ever"


# ── nothing is forgotten ────────────────────────────────────────────────────────────────────────


def test_every_event_with_a_point_in_time_is_known_to_the_clock_step() -> None:
    for kind in EVENT_TYPES:
        fields = {field.name for field in msgspec.structs.fields(kind) if field.type is float}
        points = {name for name in fields if name == "deadline" or name.endswith("_at")}
        assert points == ({MOMENTS[kind]} if kind in MOMENTS else set()), kind
        event = sample(kind)
        if kind in MOMENTS:
            assert getattr(moved(event, 5.0), MOMENTS[kind]) == getattr(event, MOMENTS[kind]) + 5.0


SPANS = {"retry_after", "eta", "blame", "clock_ahead", "upload_limit", "per_peer_limit"}
"""Floats in a state that are no points in time."""


def _times(value: Any, name: str = "") -> typing.Iterator[tuple[str, float]]:
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _times(getattr(value, field), f"{name}.{field}")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _times(one, f"{name}[{key}]")
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _times(one, f"{name}[{number}]")
    elif isinstance(value, float):
        yield name, value


def test_every_time_of_a_state_is_moved() -> None:
    state: State = sample(State)
    before = dict(_times(state))
    shift(state, 100.0)
    after = dict(_times(state))
    still = {name for name in before if before[name] == after[name]}
    assert {name.rpartition(".")[2] for name in still} <= SPANS | {"at"}
    assert [name for name in still if name.endswith(".at")] == [".at"], "that is the last entry's"
    assert state.recent[0].t == sample(State).recent[0].t + 100
    assert all(after[name] == before[name] + 100.0 for name in before.keys() - still)


def test_a_series_may_have_earlier_times_later_on() -> None:
    step = ev.ClockStepped(seconds=-50.0)
    entries: list[Entry] = [Entry(1, 100.0, ev.ErrorOccurred(text="one")), Entry(2, 50.0, step)]
    assert derive(entries).at == 50.0
