"""What one peer may cost: every kind of flood against the machine, and its bounded cost."""

from collections.abc import Callable

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.fetching.holders import WINDOW_CHUNKS
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.peers import push_admission as adm
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.fault_reports import REPORT_SECONDS
from flux_tui.core.peers.misbehaviour import MAX_NOT_ADMITTED
from flux_tui.core.peers.push_admission import Admission
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, encode_event
from flux_tui.core.serving.upload_queue import MAX_QUEUED
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import peer_name
from tests.support.script import CHUNK, HOLDER, OTHER, START, Script, up, wanted

HELD = {raw_cid(b"%d" % number): 1024 for number in range(1024)}
SECONDS = 30
A_SECOND = 1000
"""Pushes a second: as fast as the paced reader lets them through, and twice that."""


def bytes_of(script: Script, mark: int) -> int:
    return sum(len(encode_event(entry.event)) for entry in script.series[mark:])


def a_want(script: Script, number: int) -> inp.Input:
    return inp.IntentCame(wanted(OTHER, CHUNK, nonce=b"%8d" % number, expires=script.now + 60), "direct")


def wants_of_256(script: Script, number: int) -> inp.Input:
    cids = tuple(HELD)[:256]
    return inp.IntentCame(wanted(OTHER, *cids, nonce=b"%8d" % number, expires=script.now + 60), "direct")


def wants_of_what_is_not_here(script: Script, number: int) -> inp.Input:
    cids = tuple(raw_cid(b"not held %d" % n) for n in range(5))
    return inp.IntentCame(wanted(OTHER, *cids, nonce=b"%8d" % number, expires=script.now + 60), "direct")


def gossip_by_ever_new_names(script: Script, number: int) -> inp.Input:
    intent = wanted(peer_name(number % 100_000), CHUNK, nonce=b"%8d" % number, expires=script.now + 60)
    return inp.IntentCame(intent, "gossip")


def grants_and_cancels(script: Script, number: int) -> inp.Input:
    cids = tuple(HELD)[:512]
    return inp.MessageCame(OTHER, msg.Cancel(cids=cids) if number % 2 else msg.Grant(cids=cids, ttl=3.0))


def grants_of_who_took_something(script: Script, number: int) -> inp.Input:
    if not number:
        return inp.ChunksWritten(OTHER, tuple(HELD)[:1], 1024)
    return grants_and_cancels(script, number * 2)


def grants_of_what_is_not_here(script: Script, number: int) -> inp.Input:
    return inp.MessageCame(OTHER, msg.Grant(cids=(raw_cid(b"%d not held" % (number % 100)),), ttl=3.0))


def errors(script: Script, number: int) -> inp.Input:
    return inp.MessageCame(OTHER, msg.Error(text="x" * 512, cids=(CHUNK,)))


def offers(script: Script, number: int) -> inp.Input:
    return inp.MessageCame(OTHER, msg.StatusYesButLater(cids=(WANTED,), eta=number % 9, queue_bytes=number))


def noes_without_a_time(script: Script, number: int) -> inp.Input:
    if number % 2:
        return offers(script, number)
    return inp.MessageCame(OTHER, msg.StatusNo(cids=(WANTED,), reason="busy", has_it=True))


def faults(script: Script, number: int) -> inp.Input:
    return inp.PeerFault(peer=OTHER, fault="garbage", text="what it sent is nothing " * 20)


def unasked_chunks(script: Script, number: int) -> inp.Input:
    return inp.ChunkSkipped(peer=OTHER, cid=CHUNK, size=1024)


def left_out_before(script: Script, number: int) -> inp.Input:
    return inp.NotAdmitted(peer=OTHER, forwarded=False)


WANTED = raw_cid(b"wanted here")

FLOODS: list[Callable[[Script, int], inp.Input]] = [
    a_want, wants_of_256, wants_of_what_is_not_here, gossip_by_ever_new_names, grants_and_cancels,
    grants_of_who_took_something, grants_of_what_is_not_here, errors, offers, noes_without_a_time, faults,
    left_out_before,
]  # fmt: skip


@pytest.mark.parametrize("flood", FLOODS)
def test_thirty_seconds_of_a_flood_cost_less_than_2_mib_of_series(
    flood: Callable[[Script, int], inp.Input],
) -> None:
    """The peer goes on although it is disconnected, as if it reconnected at once every time."""
    script = Script(held={CHUNK: 1024, **HELD})
    script.give(up(HOLDER))
    script.give(up(OTHER))
    script.give(inp.Commanded(cmd.Want(WANTED)))
    mark = len(script.series)
    handle = script.machine.handle
    for number in range(SECONDS * A_SECOND // 4):
        script.now += 4 / A_SECOND
        turn = handle(flood(script, number), script.now)
        if script.machine.next_deadline() <= script.now:
            tick = handle(inp.Tick(), script.now)
            turn = turn[0] + tick[0], turn[1] + tick[1]
        script._take(turn)
    assert bytes_of(script, mark) < 2 * 2**20


@pytest.mark.parametrize("flood", [faults, left_out_before, wants_of_256])
def test_a_peer_that_keeps_flooding_loses_its_link(flood: Callable[[Script, int], inp.Input]) -> None:
    script = Script(held=HELD)
    script.give(up(OTHER))
    for number in range(MAX_NOT_ADMITTED + 100):
        _, effects = script.give(flood(script, number), after=0.002)
        if any(isinstance(effect, fx.Disconnect) for effect in effects):
            return
    raise AssertionError("it still has its link")


def test_a_flood_is_one_entry_with_a_count_and_one_refusal() -> None:
    script = Script(held=HELD)
    script.give(up(OTHER))
    for number in range(400):
        script.give(wants_of_256(script, number), after=0.001)
    noes = [e.event for e in script.series if isinstance(e.event, ev.AnsweredNo)]
    assert [(no.reason, no.has_it) for no in noes] == [("rate_limited", True)]
    assert noes[0].retry_after is not None
    assert noes[0].retry_after >= 1.0
    floods = [e.event for e in script.series if isinstance(e.event, ev.PeerFaulted)]
    assert [(f.fault, f.count) for f in floods] == [("flood", 1)]
    events, _ = script.give(inp.Tick(), after=REPORT_SECONDS)
    assert [(f.fault, f.count) for f in events] == [("flood", 400 - 1 - script_admitted(script))]
    assert script.machine.state.peers[OTHER].faults == 400 - script_admitted(script)


def script_admitted(script: Script) -> int:
    return sum(isinstance(e.event, ev.IntentReceived) for e in script.series)


def test_all_of_ten_thousand_small_wants_of_an_honest_peer_are_admitted() -> None:
    """A requester pushes 250 wants at a time, as others arrive."""
    script = Script(held=HELD, max_uploads=4)
    script.give(up(OTHER))
    cids = list(HELD)[:256]
    for number in range(40):
        events, _ = script.give(wants_of_256(script, number), after=0.02)
        assert [type(e) for e in events] == [ev.IntentReceived, ev.AnsweredLater]
        script.give(inp.MessageCame(OTHER, msg.Grant(cids=tuple(cids), ttl=3.0)))
        script.give(inp.ChunksWritten(OTHER, tuple(cids), 7 * 256), after=0.01)
    assert not any(isinstance(e.event, ev.PeerFaulted) for e in script.series)


def test_a_new_peer_that_wants_too_much_is_served_and_refused_for_each_of_the_rest() -> None:
    """The grant used to be dropped as well, without an answer: nothing came for a minute."""
    script = Script(held=HELD, max_uploads=4)
    script.give(up(OTHER))
    effects: list[object] = []
    for number in range(40):
        effects += script.give(wants_of_256(script, number), after=0.001)[1]
    heard = [effect.message for effect in effects if isinstance(effect, fx.Push)]
    noes = [message for message in heard if isinstance(message, msg.StatusNo)]
    assert len(noes) == 40 - script_admitted(script) > 0, "each of its wants has an answer"
    assert {(no.reason, no.has_it, len(no.cids)) for no in noes} == {("rate_limited", True, 256)}
    assert all(no.retry_after and no.retry_after <= 3 for no in noes)
    assert sum(isinstance(entry.event, ev.AnsweredNo) for entry in script.series) == 1
    cids = tuple(HELD)[:256]
    events, effects = script.give(inp.MessageCame(OTHER, msg.Grant(cids=cids, ttl=3.0)))
    assert [type(e) for e in events] == [ev.GrantReceived]
    script.give(inp.ChunksWritten(OTHER, cids, 7 * 256), after=0.01)
    events, _ = script.give(wants_of_256(script, 99))
    assert [type(e) for e in events] == [ev.IntentReceived, ev.AnsweredLater], "by that it is known"


def test_grants_are_admitted_after_wants_have_emptied_the_bucket() -> None:
    """Other holders were granted most of the offered chunks.

    Seen with four holders of 10,000 chunks: a dropped grant lasted until its lease lapsed, three seconds.
    """
    script = Script(held=HELD, max_uploads=4)
    script.give(up(OTHER))
    cids = tuple(HELD)[:256]
    script.give(wants_of_256(script, 0))
    script.give(inp.ChunksWritten(OTHER, cids[:1], 1024))
    number = 0
    while not any(isinstance(e.event, ev.PeerFaulted) for e in script.series):
        number += 1
        assert number < 30, "all of it is admitted"
        script.give(wants_of_256(script, number), after=0.01)
    events, effects = script.give(inp.MessageCame(OTHER, msg.Grant(cids=cids, ttl=3.0)))
    assert [type(e) for e in events] == [ev.GrantReceived]
    assert [type(e) for e in effects] == [fx.Serve]


def test_many_strangers_do_not_crowd_out_an_honest_new_peer() -> None:
    script = Script(held=HELD)
    cids = tuple(HELD)[:256]
    for number in range(2000):
        intent = wanted(peer_name(number), *cids, nonce=b"%8d" % number, expires=script.now + 60)
        script.now += 0.001
        script._take(script.machine.handle(inp.IntentCame(intent, "gossip"), script.now))
    assert any(isinstance(e.event, ev.PeerFaulted) for e in script.series), "the crowd was admitted"
    script.give(up(OTHER))
    events, _ = script.give(
        inp.IntentCame(wanted(OTHER, cids[0], nonce=b"newcomer", expires=script.now + 60), "direct")
    )
    assert [type(e) for e in events] == [ev.IntentReceived, ev.AnsweredLater]
    events, effects = script.give(inp.MessageCame(OTHER, msg.Grant(cids=cids[:1], ttl=3.0)))
    assert [type(e) for e in events] == [ev.GrantReceived]
    assert [type(e) for e in effects] == [fx.Serve]


def test_what_strangers_cause_in_a_day_is_bounded_and_an_entry_says_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A crowd that pushes as much as a second allows, for more than an hour."""
    monkeypatch.setattr(adm, "DAY_BYTES", 4 * 1024 * 1024)
    script = Script(held=HELD)
    mark = len(script.series)
    cids = tuple(HELD)[:256]
    for number in range(1_500):
        script.now += 3.0
        intent = wanted(peer_name(number), *cids, nonce=b"%8d" % number, expires=script.now + 60)
        script._take(script.machine.handle(inp.IntentCame(intent, "gossip"), script.now))
    assert bytes_of(script, mark) < 1.3 * adm.DAY_BYTES, "a second would allow 25 times as much"
    told = [(e.at, e.event.code) for e in script.series if isinstance(e.event, ev.ErrorOccurred)]
    assert [code for _, code in told] == ["strangers_limited"] * 2
    assert told[1][0] - told[0][0] >= adm.NEWS_SECONDS
    script.give(up(OTHER))
    events, _ = script.give(
        inp.IntentCame(wanted(OTHER, cids[0], nonce=b"newcomer", expires=script.now + 60), "direct")
    )
    assert [type(e) for e in events] == [ev.IntentReceived, ev.AnsweredLater], "newcomers are answered still"


def test_a_cooperating_peer_is_admitted_while_strangers_flood() -> None:
    script = Script(held=HELD)
    script.give(up(HOLDER))
    script.give(inp.ChunksWritten(HOLDER, tuple(HELD)[:1], 1024))
    for number in range(3000):
        script.give(gossip_by_ever_new_names(Script(), number), after=0.001)
    events, _ = script.give(
        inp.IntentCame(
            wanted(HOLDER, *list(HELD)[:200], nonce=b"proven--", expires=script.now + 60), "direct"
        )
    )
    assert [type(e) for e in events] == [ev.IntentReceived, ev.AnsweredLater]


def test_a_replayed_intent_is_not_answered_again() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    intent = wanted(OTHER, CHUNK)
    assert len(script.give(inp.IntentCame(intent, "direct"))[0]) == 2
    for via in ("direct", "gossip"):
        assert script.give(inp.IntentCame(intent, via), after=1.0) == ([], [])
    assert script.give(inp.IntentCame(intent, "direct"), after=500.0) == ([], []), "expired long ago"


def test_only_the_peer_that_granted_can_cancel() -> None:
    script = Script(held=HELD, upload_limit=1000)
    cids = tuple(HELD)[:4]
    script.give(up(HOLDER))
    script.give(up(OTHER))
    script.give(inp.MessageCame(HOLDER, msg.Grant(cids=cids, ttl=3.0)))
    queued = len(script.machine.responder.uploads.of(HOLDER))
    assert queued
    assert script.give(inp.MessageCame(OTHER, msg.Cancel(cids=cids))) == ([], [])
    assert len(script.machine.responder.uploads.of(HOLDER)) == queued


def test_a_queue_has_room_for_the_grants_of_a_requester() -> None:
    assert WINDOW_CHUNKS <= MAX_QUEUED <= 1024


# ── the gate alone ──────────────────────────────────────────────────────────────────────────────


def gate(*connected: PeerId) -> Admission:
    """Return a gate of a node that wants nothing and has offered nothing."""
    table = ConnectedPeers()
    for peer in connected:
        table.add(peer)
    return Admission(table, (), lambda peer: False, START)


def caused(peer: PeerId, admission: Admission, size: int, now: float = START) -> None:
    """A push of this peer caused an entry of about this size."""
    entry = Entry(1, now, ev.ErrorReceived(peer=peer, text="x" * size))
    admission.settle(inp.MessageCame(peer, msg.Error(text="x")), [entry], now)


def took(peer: PeerId, admission: Admission, now: float = START) -> None:
    """This peer took a chunk of 1 KiB."""
    sent = ev.ChunksSent(peer=peer, cids=(CHUNK,), size=1024)
    admission.settle(inp.ChunksWritten(peer, (CHUNK,), 1024), [Entry(1, now, sent)], now)


def test_asking_the_gate_changes_nothing() -> None:
    admission = gate()
    for number in range(10_000):
        assert admission.admits_peer(peer_name(number), START + number)
    assert len(admission) == 0


def test_a_peer_that_spent_its_bytes_is_admitted_again_after_a_while() -> None:
    admission = gate()
    took(OTHER, admission)
    caused(OTHER, admission, adm.PEER_BYTES)
    assert not admission.admits_peer(OTHER, START)
    assert admission.admits_peer(HOLDER, START), "another peer is admitted"
    refusal = admission.refusal(OTHER, START)
    assert refusal is not None
    assert refusal.news
    assert not admission.admits_peer(OTHER, START + refusal.retry_after / 1000)
    assert admission.admits_peer(OTHER, START + refusal.retry_after)


def test_an_answer_is_admitted_on_credit() -> None:
    admission = gate()
    took(OTHER, admission)
    caused(OTHER, admission, adm.PEER_BYTES + adm.CREDIT_BYTES // 2)
    assert not admission.admits_peer(OTHER, START)
    assert admission.admits_peer(OTHER, START, answer=True)
    caused(OTHER, admission, adm.CREDIT_BYTES)
    assert not admission.admits_peer(OTHER, START, answer=True)


def test_chunks_repay_what_a_peer_spent() -> None:
    admission = gate()
    took(OTHER, admission)
    caused(OTHER, admission, adm.PEER_BYTES)
    assert not admission.admits_peer(OTHER, START)
    took(OTHER, admission)
    assert admission.admits_peer(OTHER, START)


def test_the_number_of_buckets_is_limited() -> None:
    admission = gate()
    for number in range(3 * adm.MAX_BUCKETS):
        caused(peer_name(number), admission, 1)
    assert len(admission) == adm.MAX_BUCKETS


def test_buckets_of_connected_and_proven_peers_are_not_forgotten_for_strangers() -> None:
    admission = gate(HOLDER)
    caused(HOLDER, admission, 1)
    took(OTHER, admission)
    for number in range(2 * adm.MAX_BUCKETS):
        caused(peer_name(number), admission, 1)
    assert HOLDER in admission._peers
    assert admission._peers[OTHER].proven
