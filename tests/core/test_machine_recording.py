"""A recorded list of inputs makes the same series again, entry for entry."""

import random
from collections.abc import Callable
from functools import partial

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.machine_recording import Recorder, Recording, ReplayError, replay
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import State
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import Content, SimNode, Swarm, peer_name
from tests.support.script import CHUNK, HOLDER, ME, START, up, wanted

PUSHES = 2200
"""More than a peer may push in vain before its link is closed."""


FLOODER = peer_name(10)


def flood(swarm: Swarm, victim: SimNode, kind: Callable[[SimNode, int], inp.Input]) -> None:
    """Have a peer push far more than is admitted, 500 a second."""
    for number in range(PUSHES):
        swarm.after(number / 500, partial(feed, victim, kind, number))


def feed(victim: SimNode, kind: Callable[[SimNode, int], inp.Input], number: int) -> None:
    victim.feed(kind(victim, number))


def many_wants(victim: SimNode, number: int) -> inp.Input:
    """Return a want of 256 chunks, some of which the victim has."""
    held = tuple(victim.blocks)[:40]
    cids = (*held, *(raw_cid(b"%d" % each) for each in range(40)))
    expires = victim.swarm.now + 60
    return inp.IntentCame(
        wanted(FLOODER, *cids, nonce=b"%8d" % number, expires=expires),
        "direct" if number % 2 else "gossip",
    )


def garbage(victim: SimNode, number: int) -> inp.Input:
    """Return what breaks the protocol."""
    return inp.PeerFault(peer=FLOODER, fault="garbage", text=f"it is not a message {number}")


def busy_swarm(recorder: Recorder) -> list[SimNode]:
    """Run ten nodes through floods, refusals, wrong bytes, losses, partitions and restarts."""
    swarm = Swarm(7, latency=(0.002, 0.08), loss=0.02, dht=True, recorder=recorder)
    nodes = [swarm.node(rate=3e5, max_uploads=2, upload_limit=200_000) for _ in range(8)]
    nodes += [swarm.node(rate=3e5, quota=10**6) for _ in range(2)]
    content = Content(random.Random(1).randbytes(120_000), 1024, links=16)
    loose = [b"%d" % number for number in range(100)]
    for holder in nodes[:3]:
        holder.hold(content)
        holder.blocks.update({raw_cid(data): data for data in loose})
    nodes[2].corrupts = True
    swarm.mesh(nodes)
    asking = nodes[3:8]
    for index, node in enumerate(asking):
        swarm.after(0.05 * index, partial(node.push, cmd.Get(content.root, "/there")))
        swarm.after(0.07 * index, partial(node.push, cmd.WantMany(tuple(raw_cid(data) for data in loose))))
    swarm.after(0.1, partial(nodes[0].feed, inp.ListenerAdded("hello")))
    swarm.after(0.2, partial(nodes[4].push, cmd.Custom("hello", b"world")))
    swarm.after(0.3, partial(nodes[0].push, cmd.Hold(content.root, replicas=2)))
    swarm.after(0.4, lambda: swarm.partition(nodes[:2], 3.0))
    swarm.after(0.5, nodes[5].kill)
    swarm.after(2.0, nodes[5].start)
    swarm.after(2.1, lambda: swarm.mesh(nodes))
    swarm.after(1.0, partial(nodes[6].feed, inp.ClockStepped(seconds=-120.0)))
    flood(swarm, nodes[0], many_wants)
    flood(swarm, nodes[1], garbage)
    end = swarm.now + PUSHES / 500 + 20
    swarm.after(end - swarm.now, lambda: None)
    swarm.run(lambda: swarm.now >= end and all(node.finished for node in asking))
    for node in nodes:
        node.feed(inp.NodeStopping("stopped"))
    return nodes


def test_a_busy_swarm_replays_entry_for_entry() -> None:
    recorder = Recorder()
    nodes = busy_swarm(recorder)
    assert len(recorder.recordings) == len(nodes) + 1, "one node was restarted"
    seen: set[type[object]] = set()
    faults: set[str] = set()
    for node in nodes:
        recordings = [recording for recording in recorder.recordings if recording.me == node.peer]
        again: list[Entry] = []
        for recording in recordings:
            again += replay(recording)
        assert again == node.series
        assert [entry.seq for entry in again] == list(range(1, len(again) + 1))
        seen |= {type(entry.event) for entry in again}
        faults |= {entry.event.fault for entry in again if isinstance(entry.event, ev.PeerFaulted)}
    wanted_kinds = {
        ev.AnsweredNo, ev.StatusNo, ev.PeerFaulted, ev.PeerDisconnected, ev.ChunkWasted, ev.LeaseLapsed,
        ev.ClockStepped, ev.CustomReceived, ev.OfferedHold, ev.NodeStopped, ev.ObjectCompleted, ev.RetrySet,
    }  # fmt: skip
    assert wanted_kinds <= seen, "the run was busy enough to prove something"
    assert {"flood", "garbage", "wrong_bytes"} <= faults


class Holdings:
    """A store that has one chunk."""

    def size_of(self, cid: Cid) -> int | None:
        return 7 if cid == CHUNK else None


def recorded() -> tuple[Recording, list[Entry]]:
    """Return a short recorded run, and its series."""
    recorder = Recorder()
    machine = recorder.machine(ME, State(), Holdings(), random.Random(3).random)
    series: list[Entry] = []
    inputs: list[inp.Input] = [
        inp.NodeStarting((), "test", START),
        up(HOLDER),
        inp.IntentCame(wanted(HOLDER, CHUNK), "direct"),
        inp.Commanded(cmd.Want(raw_cid(b"another"))),
        inp.Tick(),
        inp.MessageCame(HOLDER, msg.Error(text="no")),
    ]
    for number, given in enumerate(inputs):
        series += machine.handle(given, START + number)[0]
    return recorder.recordings[0], series


def test_a_recording_has_all_that_the_machine_was_given() -> None:
    recording, series = recorded()
    assert [turn.now - START for turn in recording.turns] == list(range(6))
    assert (CHUNK, 7) in recording.turns[2].sizes
    assert any(turn.chances for turn in recording.turns)
    assert replay(recording) == series


def test_questions_are_not_inputs() -> None:
    """What may be asked of a machine between two turns changes nothing, so it is not recorded."""
    recorder = Recorder()
    machine = recorder.machine(ME, State(), Holdings(), random.Random(3).random)
    series: list[Entry] = []
    for turn in recorded()[0].turns:
        series += machine.handle(turn.given, turn.now)[0]
        for seconds in (0.1, 0.2, 0.4):
            machine.next_deadline()
            machine.accepts(HOLDER, CHUNK)
            machine.admits(HOLDER, turn.now + seconds)
            machine.has_seen(wanted(HOLDER, CHUNK))
    assert series == recorded()[1]
    assert recorder.recordings[0].turns == recorded()[0].turns


@pytest.mark.parametrize("what", ["sizes", "chances"])
def test_a_recording_that_does_not_fit_is_refused(what: str) -> None:
    recording, _ = recorded()
    for turn in recording.turns:
        getattr(turn, what).clear()
    with pytest.raises(ReplayError, match="during"):
        replay(recording)


def test_a_state_of_another_version_is_refused() -> None:
    recording, _ = recorded()
    with pytest.raises(ReplayError, match="another version"):
        replay(recording._replace(state=b"nothing"))
