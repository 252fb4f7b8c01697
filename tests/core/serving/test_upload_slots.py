"""Upload slots: who is served, who is refused and until when, as the machine answers it."""

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import Policy, PolicyChange
from flux_tui.core.serving.upload_queue import UploadQueues
from flux_tui.core.serving.upload_slots import BUSY_MAX, BUSY_MIN, FIRST_RATE, UplinkRate, UploadSlots
from flux_tui.core.serving.waiting_line import WaitingLine
from flux_tui.core.vocabulary import Refusal
from flux_tui.core.wire import messages as msg
from tests.support.script import HOLDER, OTHER, Script, up, wanted

MIB = 1 << 20
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(64)]
HELD = dict.fromkeys(CHUNKS, MIB)
PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]


def grant(script: Script, peer: PeerId, *cids: Cid) -> tuple[list[ev.Event], list[fx.Effect]]:
    return script.give(inp.MessageCame(peer, msg.Grant(cids=cids, ttl=9)))


def slots(policy: Policy) -> tuple[UploadSlots, UploadQueues, WaitingLine, UplinkRate]:
    uploads, line, uplink = UploadQueues(policy, 0.0), WaitingLine(), UplinkRate()
    return UploadSlots(policy, uploads, line, uplink), uploads, line, uplink


def test_the_rate_of_the_uplink_is_measured_while_it_sends() -> None:
    uplink = UplinkRate()
    uplink.sent(MIB, 1.0)
    assert uplink.rate == FIRST_RATE, "nobody said when that began"
    for second in range(40):
        uplink.begin(float(second))
        uplink.sent(MIB // 2, second + 0.25)
        uplink.sent(MIB // 2, second + 0.5)
    assert 2 * MIB <= uplink.rate < 2.1 * MIB


def test_a_peer_without_a_slot_is_busy_until_the_shortest_queue_is_sent() -> None:
    found, uploads, _, uplink = slots(Policy(max_uploads=2))
    uplink.begin(0.0)
    uplink.rate = float(MIB)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:8], MIB), 0.0)
    assert found.refusal(PEERS[1], 0.0) is None, "there is a second slot"
    uploads.add(PEERS[1], dict.fromkeys(CHUNKS[8:12], MIB), 0.0)
    no = found.refusal(PEERS[2], 0.0)
    assert no == Refusal("busy", 8.0), "4 MiB at half of the uplink"
    assert found.refusal(PEERS[1], 0.0) is None, "who is served goes on"
    assert found.eta(None, 0.0) == 12.0


def test_a_time_to_come_back_has_bounds() -> None:
    found, uploads, _, uplink = slots(Policy(max_uploads=1))
    uploads.add(PEERS[0], {CHUNKS[0]: 1}, 0.0)
    assert found.refusal(PEERS[1], 0.0) == Refusal("busy", BUSY_MIN)
    uplink.rate = 1.0
    uploads.add(PEERS[0], {CHUNKS[1]: MIB}, 0.0)
    assert found.refusal(PEERS[1], 0.0) == Refusal("busy", BUSY_MAX)


def test_a_peer_that_was_told_to_come_back_may_wait_longer() -> None:
    found, _, line, _ = slots(Policy())
    before = found.max_wait(PEERS[0], 5.0)
    line.expect(PEERS[0], 5.0, 0.0)
    assert found.max_wait(PEERS[0], 5.0) > before


def test_another_policy_counts_at_once() -> None:
    found, _, _, _ = slots(Policy())
    assert found.refusal(PEERS[0], 0.0) is None
    found.change(Policy(deny=(PEERS[0],)))
    assert found.refusal(PEERS[0], 0.0) == Refusal("denied", None)


# ── what is said ────────────────────────────────────────────────────────────────────────────────


def test_rate_limited_names_a_time_and_accepted_chunks_are_sent() -> None:
    script = Script(HELD, upload_limit=MIB)
    script.give(up(OTHER))
    events, effects = grant(script, OTHER, *CHUNKS[:16])
    taken = next(event for event in events if isinstance(event, ev.GrantReceived))
    no = next(event for event in events if isinstance(event, ev.AnsweredNo))
    assert (*taken.cids, *no.cids) == tuple(CHUNKS[:16])
    assert (no.reason, no.has_it) == ("rate_limited", True)
    assert no.retry_after is not None
    assert 0.5 <= no.retry_after <= 4
    served = script.sendable(effects)
    while len(served) < len(taken.cids):
        script.give(inp.ChunksWritten(OTHER, tuple(served), MIB))
        wait = script.machine.next_deadline() - script.now
        assert 0 < wait <= 1.1, "it says itself when the next one may leave"
        _, effects = script.give(inp.Tick(), wait)
        served += script.sendable(effects)
    assert tuple(served) == taken.cids


def test_a_want_while_the_limit_is_used_up_is_answered_rate_limited_at_once() -> None:
    script = Script(HELD, upload_limit=MIB)
    script.give(up(OTHER))
    script.give(up(HOLDER))
    grant(script, OTHER, *CHUNKS[:16])
    events, effects = script.give(inp.IntentCame(wanted(HOLDER, CHUNKS[20]), "direct"))
    assert isinstance(events[0], ev.AnsweredNo)
    assert events[0].reason == "rate_limited"
    assert isinstance(effects[0], fx.Push)
    assert script.machine.state.peers[HOLDER].said == {"rate_limited": 1}


def test_denied_and_not_allowed_peers_are_refused() -> None:
    for limits in ({"deny": (OTHER,)}, {"allow": (HOLDER,)}):
        script = Script(HELD, **limits)
        script.give(up(OTHER))
        script.give(up(HOLDER))
        (no, *_), _ = script.give(inp.IntentCame(wanted(OTHER, CHUNKS[0]), "direct"))
        assert isinstance(no, ev.AnsweredNo)
        assert (no.reason, no.retry_after) == ("denied", None)
        (no, *_), effects = grant(script, OTHER, CHUNKS[0])
        assert isinstance(no, ev.AnsweredNo)
        assert no.reason == "denied"
        assert not any(isinstance(effect, fx.Serve) for effect in effects)
        events, _ = script.give(inp.IntentCame(wanted(HOLDER, CHUNKS[0]), "direct"))
        assert isinstance(events[-1], ev.AnsweredLater)


def test_denying_a_peer_at_run_time_withdraws_its_offers() -> None:
    script = Script(HELD, upload_limit=MIB)
    script.give(up(OTHER))
    grant(script, OTHER, *CHUNKS[:2])
    change = cmd.Configure(PolicyChange(deny=(OTHER,)), "mark")
    events, _ = script.give(inp.Commanded(change))
    assert isinstance(events[0], ev.PolicyChanged)
    assert (events[0].by, events[0].policy.upload_limit, events[0].policy.deny) == ("mark", MIB, (OTHER,))
    assert isinstance(events[1], ev.AnsweredNo)
    assert (events[1].reason, set(events[1].cids)) == ("denied", set(CHUNKS[:2]))
    assert not script.machine.responder.uploads, "its stream finds nothing more to send"
    assert script.machine.state.policy == events[0].policy


def test_lifting_a_limit_sends_everything() -> None:
    script = Script(HELD, upload_limit=1)
    script.give(up(OTHER))
    grant(script, OTHER, CHUNKS[0])
    _, effects = grant(script, OTHER, CHUNKS[1])
    assert not any(isinstance(effect, fx.Serve) for effect in effects)
    script.give(inp.ChunksWritten(OTHER, (CHUNKS[0],), MIB))
    _, effects = script.give(inp.Commanded(cmd.Configure(PolicyChange(upload_limit=0))))
    _, more = grant(script, OTHER, CHUNKS[2])
    served = script.sendable([*effects, *more])
    assert CHUNKS[2] in served


def test_a_stopping_node_tells_all_peers_that_rely_on_it() -> None:
    script = Script(HELD, upload_limit=MIB)
    script.give(up(OTHER))
    script.give(up(HOLDER))
    grant(script, OTHER, *CHUNKS[:2])
    script.give(inp.IntentCame(wanted(HOLDER, CHUNKS[5]), "direct"))
    events, effects = script._take(script.machine.handle(inp.NodeStopping("stopped"), script.now))
    noes = [event for event in events if isinstance(event, ev.AnsweredNo)]
    assert {(no.peer, no.reason) for no in noes} == {(OTHER, "shutting_down"), (HOLDER, "shutting_down")}
    assert all(no.retry_after and no.has_it for no in noes)
    pushed = [effect.peer for effect in effects if isinstance(effect, fx.Push)]
    assert set(pushed) == {OTHER, HOLDER}
    assert isinstance(events[-1], ev.NodeStopped)
    assert script.machine.handle(inp.IntentCame(wanted(OTHER, CHUNKS[7]), "direct"), script.now) == ([], [])
