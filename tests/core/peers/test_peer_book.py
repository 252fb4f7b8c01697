"""The peer book: what is told of peers, what is believed and written, and who is dialled."""

from collections.abc import Iterable
from math import inf
from typing import Any

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.peers.peer_book import SAMPLE, SPREAD
from flux_tui.core.series import events as ev
from flux_tui.core.series.address_book import MAX_BOOK, MAX_HEARSAY, ToldAddrs
from flux_tui.core.series.fold import derive
from flux_tui.core.text.describe import describe
from flux_tui.core.wire.exchange import OpenedRecord
from tests.support.script import HOLDER, ME, OTHER, Script, up

MANY = [PeerId(f"12D3KooW{'n' * 40}{number:04d}".replace("0", "z")) for number in range(1, 400)]


def public(peer: PeerId, number: int = 1) -> str:
    return f"/ip4/9.9.{number >> 8}.{number & 255}/tcp/4001/p2p/{peer}"


def record(peer: PeerId, *addrs: str, seq: int = 1) -> OpenedRecord:
    return OpenedRecord(peer, addrs or (public(peer),), seq, f"{peer} {seq}".encode())


def told(script: Script, teller: PeerId, *records: OpenedRecord, reach: Reach = Reach.PUBLIC) -> list[Any]:
    """Return the entries about it."""
    events, _ = script.give(inp.RecordsCame(teller, records, reach))
    return [event for event in events if isinstance(event, ev.AddrsTold)]


def tells(effects: Iterable[Any]) -> list[fx.TellRecords]:
    return [effect for effect in effects if isinstance(effect, fx.TellRecords)]


def dialled(effects: Iterable[Any]) -> list[fx.Dial]:
    return [effect for effect in effects if isinstance(effect, fx.Dial)]


def wanting(script: Script, min_peers: int = 3) -> Script:
    """Start the script's node again, as one that wants neighbours."""
    script.machine = Machine(ME, derive(script.series), script, lambda: 0.0)
    start = inp.NodeStarting((), "test", script.now, min_peers)
    script._take(script.machine.handle(start, script.now))
    return script


# ── what is told ────────────────────────────────────────────────────────────────────────────────


def test_a_new_neighbour_is_told_of_this_node_and_of_some_others() -> None:
    script = Script()
    _, effects = script.give(up(HOLDER))
    assert tells(effects) == [fx.TellRecords(peers=(HOLDER,))]
    for peer in MANY[:20]:
        script.give(up(peer))
        told(script, peer, record(peer))
    _, effects = script.give(up(OTHER))
    (tell,) = tells(effects)
    assert len(tell.records) == SAMPLE
    assert tell.own


def test_a_few_neighbours_are_told_of_a_new_one_once() -> None:
    script = Script()
    for peer in MANY[:10]:
        script.give(up(peer))
    script.give(up(HOLDER))
    _, effects = script.give(inp.RecordsCame(HOLDER, (record(HOLDER),), Reach.PUBLIC))
    (tell,) = tells(effects)
    assert len(tell.peers) == SPREAD
    assert HOLDER not in tell.peers
    assert (tell.records, tell.own) == ((record(HOLDER).sealed,), False)
    _, effects = script.give(inp.RecordsCame(HOLDER, (record(HOLDER, seq=2),), Reach.PUBLIC))
    assert not tells(effects), "it has not moved"
    _, effects = script.give(
        inp.RecordsCame(HOLDER, (record(HOLDER, public(HOLDER, 2), seq=3),), Reach.PUBLIC)
    )
    assert len(tells(effects)) == 1


def test_a_neighbour_that_always_moves_is_told_of_a_bounded_number_of_times() -> None:
    script = Script()
    for peer in (HOLDER, OTHER):
        script.give(up(peer))
    count = 0
    for number in range(200):
        moved = record(HOLDER, public(HOLDER, number), seq=number)
        _, effects = script.give(inp.RecordsCame(HOLDER, (moved,), Reach.PUBLIC))
        count += len(tells(effects))
    assert count == 32


def test_neighbours_are_told_when_this_node_moves() -> None:
    script = Script()
    script.give(up(HOLDER))
    _, effects = script.give(inp.AddrsChanged((public(ME),)))
    assert tells(effects) == [fx.TellRecords(peers=(HOLDER,))]


# ── what is believed ────────────────────────────────────────────────────────────────────────────


def test_what_is_told_is_written_once() -> None:
    script = Script()
    script.give(up(HOLDER))
    first = told(script, HOLDER, record(HOLDER), record(OTHER))
    assert first == [
        ev.AddrsTold(
            peer=HOLDER,
            told=(ToldAddrs(HOLDER, (public(HOLDER),), 1), ToldAddrs(OTHER, (public(OTHER),), 1)),
            reach=3,
        )
    ]
    assert describe(first[0]) == "told where 2 peers can be dialled"
    assert told(script, HOLDER, record(HOLDER), record(OTHER)) == []
    assert told(script, HOLDER, record(OTHER, seq=9)) == [], "the same addresses"
    assert list(script.machine.state.book) == [HOLDER, OTHER]


def test_no_peer_may_name_addresses_nearer_than_itself() -> None:
    script = Script()
    script.give(up(HOLDER))
    near = [f"/ip4/192.168.1.2/tcp/1/p2p/{OTHER}", f"/ip4/127.0.0.1/tcp/1/p2p/{OTHER}"]
    evil = [f"/ip4/224.0.0.1/tcp/1/p2p/{OTHER}", f"/dns4/x.example/tcp/1/p2p/{OTHER}", public(HOLDER)]
    assert told(script, HOLDER, record(OTHER, *near, *evil)) == []
    (event,) = told(script, HOLDER, record(OTHER, *near, *evil), reach=Reach.NEAR)
    assert event.told[0].addrs == (near[0],)


def test_of_hearsay_only_a_higher_number_counts_and_of_its_own_word_every_one() -> None:
    script = Script()
    script.give(up(HOLDER))
    told(script, HOLDER, record(OTHER, seq=5))
    assert told(script, HOLDER, record(OTHER, public(OTHER, 2), seq=4)) == []
    assert told(script, HOLDER, record(OTHER, public(OTHER, 2), seq=6))
    script.give(up(OTHER))
    assert told(script, OTHER, record(OTHER, public(OTHER, 3), seq=1)), "its clock was set back"
    assert told(script, HOLDER, record(OTHER, public(OTHER, 4), seq=99)) == [], (
        "a neighbour speaks for itself"
    )
    assert told(script, HOLDER, record(ME, public(ME, 4), seq=99)) == []


def test_one_teller_fills_a_bounded_part_of_the_book() -> None:
    script = Script()
    script.give(up(HOLDER))
    told(script, HOLDER, record(HOLDER))
    script.give(up(OTHER))
    told(script, OTHER, record(OTHER), record(MANY[-1]))
    for start in range(0, 390, 10):
        told(script, HOLDER, *(record(peer) for peer in MANY[start : start + 10]))
    book = script.machine.state.book
    assert len(book) == MAX_HEARSAY + 3
    assert {HOLDER, OTHER, MANY[-1]} <= book.keys()


def test_the_book_is_bounded_and_neighbours_stay_in_it() -> None:
    script = Script()
    for number, peer in enumerate(MANY[:300]):
        script.give(up(peer))
        told(script, peer, record(peer), record(MANY[399 - 300 + number] if number < 90 else HOLDER))
        script.give(inp.PeerDown(peer=peer, why="gone"))
    assert len(script.machine.state.book) == MAX_BOOK
    assert MANY[299] in script.machine.state.book


# ── who is dialled ──────────────────────────────────────────────────────────────────────────────


def test_a_node_with_few_neighbours_dials_peers_of_the_book_after_a_restart() -> None:
    script = Script()
    script.give(up(HOLDER))
    told(script, HOLDER, *(record(peer) for peer in MANY[:6]))
    wanting(script)
    _, effects = script.give(inp.Tick(), after=1.0)
    dials = dialled(effects)
    assert len(dials) == 4, "one more than are lacking"
    assert all(dial.from_peers and dial.teller == HOLDER and dial.reach == 3 for dial in dials)
    assert not dialled(script.give(inp.Tick(), after=1.0)[1])
    _, effects = script.give(inp.Tick(), after=5.0)
    assert {dial.addr for dial in dialled(effects)} == {public(peer) for peer in MANY[4:6]}, (
        "the others first"
    )


def test_a_node_with_enough_neighbours_dials_nobody() -> None:
    script = wanting(Script())
    for peer in (HOLDER, OTHER, MANY[0]):
        script.give(inp.PeerUp(peer, public(peer)))
        told(script, peer, record(peer))
    told(script, HOLDER, *(record(peer) for peer in MANY[1:6]))
    effects = [effect for _ in range(5) for effect in script.give(inp.Tick(), after=10.0)[1]]
    assert not dialled(effects)
    script.give(inp.PeerDown(HOLDER, "gone"))
    assert dialled(script.give(inp.Tick(), after=1.0)[1])


def test_a_node_with_more_neighbours_than_it_needs_waits_for_nothing() -> None:
    script = wanting(Script())
    for peer in MANY[:6]:
        script.give(inp.PeerUp(peer, public(peer)))
        told(script, peer, record(peer), record(MANY[20]))
    assert not dialled(script.give(inp.Tick(), after=10.0)[1])
    assert script.machine.peer_book.next_deadline() == inf


def test_strangers_that_dial_this_node_do_not_keep_it_from_dialling() -> None:
    script = wanting(Script())
    script.give(inp.PeerUp(HOLDER, public(HOLDER)))
    told(script, HOLDER, record(HOLDER), *(record(peer) for peer in MANY[:6]))
    for peer in MANY[100:110]:
        script.give(inp.PeerUp(peer, f"/ip4/9.9.9.9/tcp/50000/p2p/{peer}"))
        told(script, peer, record(peer))
    assert dialled(script.give(inp.Tick(), after=1.0)[1])


def test_a_dead_book_is_dialled_ever_less_often() -> None:
    script = Script()
    script.give(up(HOLDER))
    told(script, HOLDER, record(HOLDER), record(OTHER))
    wanting(script)
    count = sum(len(dialled(script.give(inp.Tick(), after=1.0)[1])) for _ in range(3600))
    assert 10 <= count <= 40
    assert not [event for event in script.series if isinstance(event.event, ev.ErrorOccurred)]
