"""Upload limits: rate, fairness, and the answer to a peer that would have to wait."""

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.policy import BURST_SECONDS, POLICY, Policy, PolicyChange, rate_limit
from flux_tui.core.series.setting import Kind, Spec, table
from flux_tui.core.serving.upload_queue import MAX_QUEUED, MAX_WAIT_SECONDS, UploadQueues
from flux_tui.core.text.phrases import policy_words
from flux_tui.core.wire import messages as msg
from tests.support.script import HOLDER, ME, OTHER, Script, up, wanted

MIB = 1 << 20
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(64)]
HELD = dict.fromkeys(CHUNKS, MIB)
PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]


def grant(script: Script, peer: PeerId, *cids: Cid) -> tuple[list[ev.Event], list[fx.Effect]]:
    return script.give(inp.MessageCame(peer, msg.Grant(cids=cids, ttl=9)))


# ── the bucket ──────────────────────────────────────────────────────────────────────────────────


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(1, 4 * MIB), st.floats(0, 0.01)), min_size=1, max_size=50),
)
def test_uploads_stay_within_the_rate_and_one_burst(rate: int, spent: list[tuple[int, float]]) -> None:
    bucket, now, total = rate_limit(rate, 0.0), 0.0, 0
    for amount, late in spent:
        now += bucket.wait(now) + late
        assert total <= rate * (now + BURST_SECONDS) + 1e-3 * rate, "what left before"
        bucket.take(amount, now)
        total += amount


def test_no_rate_is_no_limit() -> None:
    bucket = rate_limit(0, 5.0)
    bucket.take(1e9, 6.0)
    assert (bucket.wait(7.0), bucket.wait(7.0, 1e12)) == (0.0, 0.0)


# ── the queues ──────────────────────────────────────────────────────────────────────────────────


def released(uploads: UploadQueues, now: float) -> dict[PeerId, list[Cid]]:
    """Release what the limits allow now. Return all released chunks of these peers."""
    found = {}
    for peer, number in uploads.release(now).items():
        chunks = uploads.next_chunks(peer, after=0, through=number, max_bytes=1 << 40, max_chunks=1 << 20)
        found[peer] = [chunk.cid for chunk in chunks]
    return found


def drained(uploads: UploadQueues, now: float, until: float) -> list[tuple[float, PeerId, Cid]]:
    """Return all that leaves in this time, if writing takes no time."""
    left = []
    while now <= until:
        for peer, cids in released(uploads, now).items():
            left += [(now, peer, cid) for cid in cids]
            uploads.remove(peer, cids)
        now = max(uploads.next_deadline(now), now + 1e-6)
    return left


def test_without_limits_all_leaves_at_once() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    taken, refused = uploads.add(PEERS[0], HELD, 0.0)
    assert (taken, refused) == (CHUNKS, [])
    assert released(uploads, 0.0) == {PEERS[0]: CHUNKS}
    assert uploads.size == 64 * MIB
    uploads.remove(PEERS[0], CHUNKS)
    assert (uploads.size, uploads.peers) == (0, ())


def test_a_limit_is_kept_and_shared_evenly() -> None:
    uploads = UploadQueues(Policy(upload_limit=4 * MIB), 0.0)
    for index, peer in enumerate(PEERS):
        taken, _ = uploads.add(peer, dict.fromkeys(CHUNKS[index * 3 : index * 3 + 3], MIB), 0.0)
        assert len(taken) == 3
    left = drained(uploads, 0.0, 10.0)
    assert len(left) == 9
    assert [peer for _, peer, _ in left[:3]] == PEERS, "in turn"
    assert 1.7 <= left[-1][0] <= 2.0, "nine MiB at four a second, less the burst and the last chunk"


def test_chunks_that_would_wait_too_long_are_refused_but_never_the_first() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    taken, refused = uploads.add(PEERS[0], HELD, 0.0)
    assert 2 <= len(taken) <= 4
    assert taken + refused == CHUNKS
    assert uploads.wait(PEERS[0], 0.0) > MAX_WAIT_SECONDS
    assert uploads.wait(PEERS[1], 0.0) == 0, "another peer has a limit of its own"
    slow = UploadQueues(Policy(upload_limit=1), 0.0)
    assert slow.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0) == ([CHUNKS[0]], [])


def test_an_empty_queue_keeps_its_debt() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    uploads.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0)
    uploads.release(0.0)
    uploads.remove(PEERS[0], [CHUNKS[0]])
    assert not uploads
    uploads.add(PEERS[0], {CHUNKS[1]: MIB}, 0.1)
    assert uploads.release(0.1) == {}
    assert 0.7 <= uploads.next_deadline(0.1) <= 1.0


def test_chunks_a_second_have_their_own_limit() -> None:
    uploads = UploadQueues(Policy(upload_chunks=10), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:20], 1), 0.0)
    left = drained(uploads, 0.0, 5.0)
    assert len(left) == 20
    assert 1.5 <= left[-1][0] <= 2.0


def test_a_queue_is_bounded() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    many = {raw_cid(b"%d" % number): 1 for number in range(MAX_QUEUED + 5)}
    taken, refused = uploads.add(PEERS[0], many, 0.0)
    assert (len(taken), len(refused)) == (MAX_QUEUED, 5)


@given(st.data())
def test_the_counts_of_a_queue_always_add_up(data: st.DataObject) -> None:
    limits = data.draw(st.sampled_from([Policy(), Policy(upload_limit=MIB), Policy(per_peer_limit=MIB // 2)]))
    uploads, now = UploadQueues(limits, 0.0), 0.0
    for _ in range(data.draw(st.integers(1, 30))):
        peer = data.draw(st.sampled_from(PEERS))
        match data.draw(st.sampled_from(["add", "due", "remove", "forget", "change"])):
            case "add":
                some = data.draw(st.lists(st.sampled_from(CHUNKS), unique=True, max_size=5))
                uploads.add(peer, {cid: MIB // 4 for cid in some if not uploads.has(peer, cid)}, now)
            case "due":
                uploads.release(now)
            case "remove":
                uploads.remove(peer, data.draw(st.lists(st.sampled_from(CHUNKS), max_size=5)))
            case "forget":
                uploads.clear(peer)
            case "change":
                uploads.change(Policy(upload_limit=data.draw(st.sampled_from([0, 1, MIB]))), now)
        now += data.draw(st.floats(0, 1))
        queues = uploads._queues.values()
        assert uploads.size == sum(queue.size for queue in queues)
        assert uploads._delayed_size == sum(queue.delayed_size for queue in queues)
        assert uploads._delayed_chunks == sum(queue.delayed for queue in queues)
        for queue in queues:
            assert len(queue) > 0
            assert queue.delayed_size == sum(queue._delayed.values())
            assert queue.size == MIB // 4 * len(queue)
            numbers = [chunk.number for chunk in queue._released.values()]
            assert numbers == sorted(numbers)
    uploads.release(now + 1e9)
    assert uploads.next_deadline(now + 1e9) > now


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


def test_a_changed_policy_is_written_to_the_series() -> None:
    script = Script(HELD, upload_limit=5)
    assert script.machine.state.policy == Policy(upload_limit=5)
    assert script.machine.ledger.me == ME
    assert not any(isinstance(e.event, ev.PolicyChanged) for e in Script(HELD).series)


# ── the table of limits ─────────────────────────────────────────────────────────────────────────


def other_value(name: str) -> Any:
    value = getattr(Policy(), name)
    return (OTHER,) if isinstance(value, tuple) else value + 3


@pytest.mark.parametrize("name", POLICY)
def test_every_limit_can_change(name: str) -> None:
    value = other_value(name)
    change = PolicyChange(**{name: value})
    assert change.given() == {name: value}
    assert change.applied(Policy()) == Policy(**{name: value})
    assert msgspec.json.decode(msgspec.json.encode(change)) == {name: [OTHER] if value == (OTHER,) else value}
    encoded = cmd.encode_command(cmd.Configure(change))
    assert cmd.decode_command(encoded) == cmd.Configure(change)


@pytest.mark.parametrize("name", POLICY)
def test_every_limit_is_said(name: str) -> None:
    said = policy_words(Policy(**{name: other_value(name)}))
    assert said != policy_words(Policy())
    assert "{" not in said


def test_a_limit_below_its_least_is_refused() -> None:
    for name, setting in POLICY.items():
        if not setting.kind.is_list:
            too_small: dict[str, Any] = {name: setting.kind.least - 1}
            with pytest.raises(cmd.BadCommandError, match=f"^{name} cannot be"):
                cmd.check_command(cmd.Configure(PolicyChange(**too_small)))
            least: dict[str, Any] = {name: setting.kind.least}
            cmd.check_command(cmd.Configure(PolicyChange(**least)))


def test_a_field_without_a_spec_is_named() -> None:
    class Wrong(msgspec.Struct):
        number: int = 0

    with pytest.raises(TypeError, match=r"^Wrong\.number has no Spec in its annotation$"):
        table(Wrong)


def test_a_setting_that_is_on_has_an_option_that_turns_it_off() -> None:
    class Some(msgspec.Struct):
        lights: Annotated[bool, Spec(Kind.SWITCH, "Light.")] = True
        dim_them: Annotated[bool, Spec(Kind.SWITCH, "Dim.")] = False
        names: Annotated[tuple[str, ...], Spec(Kind.ADDRS, "Name.", option=None)] = ()

    found = table(Some)
    assert [setting.option for setting in found.values()] == ["--no-lights", "--dim-them", None]
    assert [setting.option_help for setting in found.values()] == ["Light.", "Dim.", "Name. Repeatable."]
    assert found["dim_them"].words == "dim them {}"
