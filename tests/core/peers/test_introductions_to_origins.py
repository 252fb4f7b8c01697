"""Introductions: the way back to an origin that cannot be dialled."""

from typing import Any

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.peers.introductions_to_origins import PASS_BURST
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.exchange import OpenedRecord
from tests.support.script import CHUNK, HOLDER, ME, OTHER, Script, up, wanted

RELAYED = f"/ip4/9.9.9.9/tcp/1/p2p/{OTHER}/p2p-circuit/p2p/{HOLDER}"


def introduction(
    to: PeerId, *, by: PeerId = OTHER, steps: int = 3, addr: str = RELAYED
) -> inp.IntroductionCame:
    return inp.IntroductionCame(by, to, OpenedRecord(HOLDER, (addr,), 1, b"sealed"), steps, Reach.PUBLIC)


def of(kind: type[Any], effects: list[Any]) -> list[Any]:
    return [effect for effect in effects if isinstance(effect, kind)]


def test_an_answer_to_an_origin_that_cannot_be_dialled_is_introduced_by_the_way_of_its_want() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(HOLDER))
    _, effects = script.give(inp.IntentCame(wanted(OTHER, CHUNK), "gossip", by=HOLDER))
    assert of(fx.Introduce, effects) == [fx.Introduce(via=HOLDER, to=OTHER)]
    assert not of(fx.Push, effects)
    again = inp.IntentCame(wanted(OTHER, CHUNK, nonce=b"nonce-01"), "gossip", by=HOLDER)
    assert not of(fx.Introduce, script.give(again)[1]), "once in a while"
    _, effects = script.give(up(OTHER), after=5.0)
    assert of(fx.Push, effects), "the answers were stored"


def test_a_node_that_does_not_have_it_is_not_introduced() -> None:
    script = Script()
    _, effects = script.give(inp.IntentCame(wanted(OTHER, CHUNK), "gossip", by=HOLDER))
    assert not of(fx.Introduce, effects)


def test_the_one_that_wants_something_dials_the_one_that_is_introduced() -> None:
    script = Script()
    script.give(up(OTHER))
    assert not of(fx.Dial, script.give(introduction(ME))[1]), "nothing is wanted"
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    _, effects = script.give(introduction(ME))
    assert of(fx.Dial, effects) == [fx.Dial(addr=RELAYED, from_peers=True)]
    near = introduction(ME, addr=f"/ip4/192.168.1.1/tcp/80/p2p/{HOLDER}")
    assert not of(fx.Dial, script.give(near)[1]), "no peer names addresses nearer than itself"


def test_an_introduction_is_passed_on_to_a_neighbour() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    came = introduction(HOLDER)
    _, effects = script.give(came)
    assert of(fx.Introduce, effects) == [fx.Introduce(via=HOLDER, to=HOLDER, record=b"sealed", steps=2)]
    stranger = PeerId(f"12D3KooW{'S' * 44}")
    assert not of(fx.Introduce, script.give(introduction(stranger))[1]), "there is no way"
    assert not of(fx.Introduce, script.give(introduction(HOLDER, steps=0))[1])
    assert not of(fx.Introduce, script.give(introduction(OTHER, by=OTHER))[1]), "not back"


def test_a_way_is_forgotten() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    stranger = PeerId(f"12D3KooW{'S' * 44}")
    script.give(inp.IntentCame(wanted(stranger, CHUNK), "gossip", by=HOLDER))
    assert of(fx.Introduce, script.give(introduction(stranger))[1])
    assert not of(fx.Introduce, script.give(introduction(stranger), after=121.0)[1])


def test_introductions_of_one_neighbour_have_a_budget() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    effects = [effect for _ in range(100) for effect in script.give(introduction(HOLDER))[1]]
    assert len(of(fx.Introduce, effects)) == PASS_BURST


def test_a_stored_answer_is_an_answer() -> None:
    """A want that came by others, from an origin without an address, is answered all the same."""
    script = Script(held={CHUNK: 7})
    script.give(up(HOLDER))
    intent = wanted(OTHER, CHUNK)
    assert intent.addrs == ()
    script.give(inp.IntentCame(intent, "gossip", by=HOLDER))
    _, effects = script.give(up(OTHER), after=1.0)
    assert any(isinstance(push.message, msg.StatusYesButLater) for push in of(fx.Push, effects))
