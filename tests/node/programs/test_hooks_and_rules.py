"""A program's own NO, and rules for single objects: to the want, and to a grant without an offer."""

import os
from pathlib import Path

import trio

from flux_tui import FluxNode, Refusal, Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import ObjectRule, PolicyChange
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import Intent
from flux_tui.node.programs.hooks import ask
from flux_tui.testing import Switchboard
from tests.support.script import HOLDER, OTHER, Script, up, wanted

SECONDS = 60


async def test_a_program_refuses_with_a_reason_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(100_000))
    board, asked = Switchboard(), list[PeerId]()
    open_to = set[PeerId]()

    def should_answer(intent: Intent, peer: PeerId) -> bool | Refusal:
        asked.append(peer)
        assert intent.origin == peer
        return True if peer in open_to else Refusal("busy", 0.2, "pay first")

    a_opens = FluxNode.open(
        tmp_path / "a", Settings.local(), network=board.opening(), should_answer=should_answer
    )
    b_opens = FluxNode.open(tmp_path / "b", Settings.local(), network=board.opening())
    async with a_opens as a, b_opens as b:
        with trio.fail_after(SECONDS):
            root = (await a.outcome(cmd.Add(path))).root
            await b.outcome(cmd.Join(a.addrs[0]))
            b.push_intent(cmd.Want(root))
            async for entry in b.follow(ev.StatusNo, after=0):
                no = (
                    entry.event
                )  # a grant that came before, because of an announcement, is refused in other words
                if no.text:
                    break
            assert (no.reason, no.retry_after, no.text, no.has_it) == ("busy", 0.2, "pay first", True)
            assert set(asked) == {b.peer_id}
            open_to.add(b.peer_id)
            await b.outcome(cmd.Want(root))


def intent_of(peer: PeerId) -> inp.IntentCame:
    body = msg.Want(cids=(Cid("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"),))
    return inp.IntentCame(msg.Intent(origin=peer, nonce=b"12345678", expires=1.0, body=body), "direct")


def test_an_answer_that_is_none_is_not_a_yes() -> None:
    given = intent_of(OTHER)
    assert ask(lambda *_: True, given) is given
    silent = ask(lambda *_: False, given)
    assert isinstance(silent, inp.IntentCame)
    assert silent.silent
    for wrong in (
        None,
        "denied",
        Refusal("because"),  # type: ignore[arg-type]
        Refusal("busy", -1.0),
        Refusal("busy", 1e9),
    ):
        failed = ask(lambda *_, wrong=wrong: wrong, given)
        assert isinstance(failed, inp.Failed), wrong
    long = ask(lambda *_: Refusal("denied", None, "x" * 10_000), given)
    assert isinstance(long, inp.IntentCame)
    assert long.refusal is not None
    assert len(long.refusal.text) == msg.MAX_TEXT
    custom = msg.Intent(origin=OTHER, nonce=b"12345678", expires=1.0, body=msg.Custom(kind="a.b"))
    other = inp.IntentCame(custom, "direct")
    assert ask(lambda *_: False, other) is other, "only wants and holds are asked about"


def grant(script: Script, peer: PeerId, cid: Cid) -> list[ev.Event]:
    return script.give(inp.MessageCame(peer, msg.Grant(cids=(cid,), ttl=30.0)))[0]


def test_an_object_rule_holds_for_wants_and_grants() -> None:
    root, free = (raw_cid(text) for text in (b"secret", b"free"))
    script = Script({root: 10, free: 10})
    script.give(up(OTHER))
    script.give(up(HOLDER))
    change = PolicyChange(allow_object=(ObjectRule(root, HOLDER),), deny_object=(ObjectRule(free, HOLDER),))
    script.give(inp.Commanded(cmd.Configure(change)))

    def answer(peer: PeerId, cid: Cid) -> str:
        nonce = b"nonce-%d" % script.machine.state.seq
        event = script.give(inp.IntentCame(wanted(peer, cid, nonce=nonce), "direct"))[0][-1]
        return event.reason if isinstance(event, ev.AnsweredNo) else type(event).__name__

    assert answer(OTHER, root) == "denied"
    assert isinstance(no := grant(script, OTHER, root)[-1], ev.AnsweredNo)
    assert no.reason == "denied", "nor without having asked"
    assert isinstance(no := grant(script, OTHER, free)[-1], ev.AnsweredNo)
    assert no.reason == "busy", "it was never offered"
    assert answer(OTHER, free) == "AnsweredLater"
    assert isinstance(grant(script, OTHER, free)[-1], ev.GrantReceived)
    assert answer(HOLDER, root) == "AnsweredLater"
    assert answer(HOLDER, free) == "denied"
    script.give(inp.Commanded(cmd.Configure(PolicyChange(deny_object=(ObjectRule(root),)))))
    assert answer(HOLDER, root) == "denied", "nobody gets it"


def test_a_hook_makes_an_offer_necessary() -> None:
    cid = raw_cid(b"anything")
    script = Script({cid: 10})
    script.give(up(OTHER))
    script.give(inp.ProgramDecides())
    assert isinstance(no := grant(script, OTHER, cid)[-1], ev.AnsweredNo)
    assert no.reason == "busy"
    script.give(inp.IntentCame(wanted(OTHER, cid), "direct"))
    assert isinstance(grant(script, OTHER, cid)[-1], ev.GrantReceived)
