"""Custom intents arrive, or the receiver refuses them and the sender pushes them again by itself."""

from collections import Counter

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.custom import outbox as ob
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import SimNode, Swarm
from tests.support.script import HOLDER, ME, OTHER, START, Script, up

KIND = "app.word"


def push(script: Script, payload: bytes) -> tuple[list[ev.Event], list[fx.Effect]]:
    return script.give(inp.Commanded(cmd.Custom(KIND, payload)))


def heard(node: SimNode) -> Counter[bytes]:
    return Counter(entry.event.payload for entry in node.series if isinstance(entry.event, ev.CustomReceived))


def no(custom: msg.Custom, wait: float = 3.0) -> msg.StatusNo:
    return msg.StatusNo(cids=(ob.name_of(custom),), reason="rate_limited", has_it=False, retry_after=wait)


def test_a_custom_is_named_by_its_kind_and_payload() -> None:
    assert ob.name_of(msg.Custom(kind="a.b", payload=b"\x00c")) == raw_cid(b"a.b\x00\x00c")


def test_the_entry_of_a_pushed_custom_has_its_payload() -> None:
    events, effects = push(Script(), b"hello")
    assert events == [ev.PushedCustom(kind=KIND, size=5, payload=b"hello")]
    assert [effect.body for effect in effects if isinstance(effect, fx.Broadcast)] == [
        msg.Custom(kind=KIND, payload=b"hello")
    ]


@pytest.mark.parametrize(("count", "size", "every"), [(300, 60, 0.02), (2000, 60, 0.0), (40, 30_000, 0.0)])
def test_all_arrive_once(count: int, size: int, every: float) -> None:
    swarm = Swarm(seed=1)
    ada, bob, eve = swarm.node(), swarm.node(), swarm.node()
    swarm.mesh([ada, bob, eve])
    for node in (bob, eve):
        node.feed(inp.ListenerAdded(KIND))
    words = [b"%d" % number + bytes(size) for number in range(count)]
    for number, word in enumerate(words):
        swarm.after(every * number, lambda word=word: ada.push(cmd.Custom(KIND, word)))  # type: ignore[misc]
    swarm.run(lambda: len(heard(bob)) == len(heard(eve)) == count, seconds=300)
    assert heard(bob) == heard(eve) == Counter(words), "each once"


def test_a_peer_that_refused_is_told_again_alone_at_its_retry_after() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    _, effects = push(script, b"one")
    (first,) = [effect for effect in effects if isinstance(effect, fx.Broadcast)]
    assert set(first.peers) == {HOLDER, OTHER}
    events, _ = script.give(inp.MessageCame(OTHER, no(first.body)))  # type: ignore[arg-type]
    (said,) = events
    assert isinstance(said, ev.StatusNo)
    assert (said.about, said.reason, said.retry_after) == ("custom", "rate_limited", 3.0)
    _, effects = push(script, b"two")
    (second,) = [effect for effect in effects if isinstance(effect, fx.Broadcast)]
    assert second.peers == (HOLDER,), "the other one is left alone meanwhile"
    assert script.give(inp.Tick(), after=2.9)[1] == []
    _, effects = script.give(inp.Tick(), after=0.2)
    assert effects == [
        fx.Broadcast(body=first.body, peers=(OTHER,), gossip=False, nonce=first.nonce),
        fx.Broadcast(body=second.body, peers=(OTHER,), gossip=False, nonce=second.nonce),
    ]
    assert first.nonce != second.nonce
    assert 8 <= len(first.nonce) <= 16


def test_a_no_to_something_never_pushed_is_ignored() -> None:
    script = Script()
    script.give(up(OTHER))
    assert script.give(inp.MessageCame(OTHER, no(msg.Custom(kind=KIND)))) == ([], [])


def test_an_answer_to_one_peer_is_pushed_again_too() -> None:
    script = Script()
    script.give(up(OTHER))
    custom = msg.Custom(kind=KIND, payload=b"for you")
    _, effects = script.give(inp.Commanded(cmd.Custom(KIND, b"for you", to=OTHER)))
    assert effects == [fx.Push(OTHER, custom)]
    script.give(inp.MessageCame(OTHER, no(custom, 1.0)))
    _, effects = script.give(inp.Tick(), after=1.1)
    assert effects == [fx.Push(OTHER, custom)]


def test_a_full_queue_is_a_no() -> None:
    script = Script()
    script.give(up(OTHER))
    _, (first,) = push(script, b"one")
    assert isinstance(first, fx.Broadcast)
    intent = msg.Intent(origin=ME, nonce=first.nonce, expires=START + 60, body=first.body)
    sealed = msg.SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))
    script.give(inp.PushDropped(OTHER, sealed))
    _, effects = script.give(inp.Tick(), after=ob.FULL_SECONDS + 0.1)
    assert effects == [fx.Broadcast(body=first.body, peers=(OTHER,), gossip=False, nonce=first.nonce)]


def test_customs_that_a_gone_peer_did_not_take_are_reported() -> None:
    script = Script()
    script.give(up(OTHER))
    _, (first,) = push(script, b"one")
    assert isinstance(first, fx.Broadcast)
    script.give(inp.MessageCame(OTHER, no(first.body)))  # type: ignore[arg-type]
    events, _ = script.give(inp.PeerDown(OTHER, "gone"))
    (error,) = [event for event in events if isinstance(event, ev.ErrorOccurred)]
    assert KIND in error.text
    assert "did not reach" in error.text


def test_a_peer_that_always_refuses_is_given_up() -> None:
    script = Script()
    script.give(up(OTHER))
    _, (first,) = push(script, b"one")
    assert isinstance(first, fx.Broadcast)
    errors: list[ev.Event] = []
    pushes = 0
    for _ in range(40):
        script.give(inp.MessageCame(OTHER, no(first.body, 10.0)))  # type: ignore[arg-type]
        events, effects = script.give(inp.Tick(), after=10.1)
        errors += [event for event in events if isinstance(event, ev.ErrorOccurred)]
        pushes += sum(isinstance(effect, fx.Broadcast) for effect in effects)
    assert 10 <= pushes <= 14
    assert errors


def test_the_program_is_told_when_too_many_customs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ob, "MAX_WAITING", 5)
    script = Script()
    script.give(up(OTHER))
    for number in range(int(ob.PUSH_BURST) + 5):
        push(script, b"%d" % number)
    (error,), effects = script.give(inp.Commanded(cmd.Custom(KIND, b"too much", by="me")))
    assert isinstance(error, ev.ErrorOccurred)
    assert error.by == "me"
    assert effects == []


def test_a_node_refuses_customs_above_its_rate() -> None:
    """The refusal has a form that older nodes ignore: a `status_no` to a want, for a CID that they never
    asked for.
    """
    script = Script()
    script.give(inp.ListenerAdded(KIND))
    script.give(up(OTHER))
    said: list[msg.StatusNo] = []
    for number in range(60):
        body = msg.Custom(kind=KIND, payload=b"%d" % number + bytes(30_000))
        intent = msg.Intent(origin=OTHER, nonce=b"nonce%04d" % number, expires=START + 60, body=body)
        _, effects = script.give(inp.IntentCame(intent, "direct"))
        said += [e.message for e in effects if isinstance(e, fx.Push) and isinstance(e.message, msg.StatusNo)]
        if said:
            break
    (answer,) = said
    assert answer.cids == (ob.name_of(body),)
    assert (answer.reason, answer.has_it, answer.about) == ("rate_limited", False, "want")
    assert answer.retry_after is not None
    assert answer.retry_after >= 1.0
    assert codec.decode_header(codec.encode_frame(answer)[8:]) == answer
    # The same custom is accepted when it is pushed again at its `retry_after`.
    events, _ = script.give(inp.IntentCame(intent, "direct"), after=answer.retry_after)
    assert any(isinstance(event, ev.CustomReceived) for event in events)


def test_a_custom_whose_origin_is_over_its_rate_is_refused_before_its_signature_is_checked() -> None:
    script = Script()
    script.give(up(OTHER))
    body = msg.Custom(kind=KIND, payload=b"too much")
    intent = msg.Intent(origin=OTHER, nonce=b"too-many", expires=START + 60, body=body)
    _, effects = script.give(inp.NotAdmitted(peer=OTHER, forwarded=False, intent=intent))
    (answer,) = [effect.message for effect in effects if isinstance(effect, fx.Push)]
    assert isinstance(answer, msg.StatusNo)
    assert answer.cids == (ob.name_of(body),)
