"""What a peer does wrong is counted and written down, and a peer that goes on loses its link."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.peers import misbehaviour
from flux_tui.core.peers.fault_reports import REPORT_SECONDS
from flux_tui.core.series import events as ev
from tests.sim.swarm import peer_name
from tests.support.script import CHUNK, HOLDER, OTHER, Script, up


def unasked_chunks(script: Script, number: int) -> inp.Input:
    return inp.ChunkSkipped(peer=OTHER, cid=CHUNK, size=1024)


def test_unrequested_chunks_end_the_link_soon() -> None:
    script = Script()
    script.give(up(OTHER))
    for number in range(misbehaviour.MAX_UNASKED):
        _, effects = script.give(unasked_chunks(script, number))
        assert bool(effects) == (number == misbehaviour.MAX_UNASKED - 1)
    assert isinstance(effects[0], fx.Disconnect)
    assert effects[0].seconds == 60.0
    for number in range(misbehaviour.MAX_UNASKED):
        _, effects = script.give(unasked_chunks(script, number), after=70.0)
    assert isinstance(effects[0], fx.Disconnect)
    assert effects[0].seconds == 120.0, "longer each time"
    told = [e.event for e in script.series if isinstance(e.event, ev.PeerFaulted)]
    assert sum(fault.count for fault in told) == 2 * misbehaviour.MAX_UNASKED, "every one is counted"


def test_wrong_bytes_twice_ban_a_peer_and_the_next_ban_is_longer() -> None:
    script = Script()
    seconds: list[float] = []
    for number in range(6):
        cid = Cid(raw_cid(b"%d" % number))
        _, effects = script.give(inp.ChunkCorrupt(PeerId(OTHER), cid, 7), after=100.0)
        seconds += [effect.seconds for effect in effects if isinstance(effect, fx.Disconnect)]
    assert seconds == [60.0, 120.0, 240.0, 480.0, 960.0]


def garbage(peer: PeerId) -> inp.PeerFault:
    return inp.PeerFault(peer, "garbage", "it is not a message")


def test_a_useful_chunk_clears_the_counts() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    for _ in range(3):
        for _ in range(misbehaviour.MAX_UNASKED - 1):
            _, effects = script.give(unasked_chunks(script, 0))
            assert effects == []
        script.give(inp.ChunksWritten(OTHER, (CHUNK,), 7))


def test_faults_are_written_before_the_link_is_closed() -> None:
    script = Script()
    script.give(up(OTHER))
    for _ in range(misbehaviour.MAX_NOT_ADMITTED):
        events, effects = script.give(garbage(OTHER))
    assert [event.count for event in events] == [misbehaviour.MAX_NOT_ADMITTED - 1]
    (closed,) = effects
    assert isinstance(closed, fx.Disconnect)
    assert (closed.peer, closed.seconds) == (OTHER, 60.0)


def test_the_ban_of_one_peer_does_not_depend_on_others() -> None:
    script = Script()
    for peer in (OTHER, HOLDER):
        script.give(up(peer))
        for number in range(misbehaviour.MAX_UNASKED):
            _, effects = script.give(inp.ChunkSkipped(peer=peer, cid=raw_cid(b"%d" % number), size=1))
        assert [effect.seconds for effect in effects] == [60.0]


def test_messages_of_unknown_kinds_are_counted_and_no_fault() -> None:
    script = Script()
    script.give(up(OTHER))
    events: list[object] = []
    for _ in range(5):
        events += script.give(inp.UnknownCame(OTHER, "new"))[0]
    events += script.give(inp.Tick(), after=REPORT_SECONDS)[0]
    assert events == [
        ev.MessagePassedOver(peer=OTHER, kind="new", count=1),
        ev.MessagePassedOver(peer=OTHER, kind="new", count=4),
    ]
    assert script.machine.state.peers[OTHER].faults == 0


def test_the_table_of_counts_is_bounded() -> None:
    script = Script()
    for number in range(misbehaviour.MAX_COUNTED + 100):
        script.machine.handle(garbage(peer_name(number)), script.now)
    assert len(script.machine.misbehaviour) == misbehaviour.MAX_COUNTED
