"""Pushes that are not admitted are answered, counted, and never acted on."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.peers import push_admission as adm
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.support.script import CHUNK, OTHER, Script, up, wanted


def refusals(effects: list[object]) -> list[msg.StatusNo]:
    pushed = [effect.message for effect in effects if isinstance(effect, fx.Push)]
    return [message for message in pushed if isinstance(message, msg.StatusNo)]


def left_out(number: int, *, forwarded: bool = False) -> inp.NotAdmitted:
    intent = wanted(OTHER, CHUNK, nonce=b"%8d" % number)
    return inp.NotAdmitted(peer=OTHER, forwarded=forwarded, intent=intent)


def test_a_want_that_the_node_left_out_is_answered_with_a_time() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    events, effects = script.give(left_out(1))
    assert [type(event) for event in events] == [ev.PeerFaulted, ev.AnsweredNo]
    (no,) = refusals(effects)
    assert (no.reason, no.cids, no.has_it) == ("rate_limited", (CHUNK,), True)
    assert no.retry_after is not None
    assert no.retry_after >= 1.0


def test_a_peer_that_forwards_a_flood_is_not_answered() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    _, effects = script.give(left_out(1, forwarded=True))
    assert effects == []


def test_a_peer_that_is_not_connected_is_not_answered() -> None:
    _, effects = Script(held={CHUNK: 7}).give(left_out(1))
    assert effects == []


def test_the_number_of_answers_is_limited() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    answers = [no for number in range(500) for no in refusals(script.give(left_out(number))[1])]
    assert len(answers) == adm.NO_BURST


def test_a_grant_that_is_not_admitted_is_not_acted_on() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    error = inp.MessageCame(OTHER, msg.Error(text="x" * 500, cids=(CHUNK,)))
    while script.machine.admits(OTHER, script.now):
        script.give(error)
    events, effects = script.give(inp.MessageCame(OTHER, msg.Grant(cids=(CHUNK,), ttl=3.0)))
    assert not any(isinstance(event, ev.GrantReceived) for event in events)
    assert [no.reason for no in refusals(effects)] == ["rate_limited"]
