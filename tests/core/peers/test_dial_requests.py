"""Which addresses are dialled, how often, and which failures are reported."""

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.peers import dial_requests
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.core.serving.answer_outbox import STORED_SECONDS
from flux_tui.core.text.describe import describe
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import peer_name
from tests.support.script import CHUNK, HOLDER, OTHER, START, Script, up


def test_a_return_address_of_another_peer_is_never_dialled() -> None:
    script = Script(held={CHUNK: 7})
    for number, addr in enumerate((f"/ip4/9.9.9.9/tcp/9/p2p/{HOLDER}", "9.9.9.9:9", "")):
        intent = msg.Intent(
            origin=OTHER,
            nonce=b"%8d" % number,
            expires=START + 60,
            body=msg.Want(cids=(CHUNK,)),
            addrs=(addr,),
        )
        events, effects = script.give(inp.IntentCame(intent, "gossip"))
        assert effects == []
        assert [type(event) for event in events] == [ev.IntentReceived], (
            "nor does the series say that it heard yes"
        )


def test_a_return_address_without_a_peer_id_belongs_to_the_origin() -> None:
    relay = f"/ip4/9.9.9.9/tcp/9/p2p/{HOLDER}/p2p-circuit"
    for addr in ("/ip4/9.9.9.9/tcp/9", relay):
        script = Script(held={CHUNK: 7})
        intent = msg.Intent(
            origin=OTHER, nonce=bytes(8), expires=START + 60, body=msg.Want(cids=(CHUNK,)), addrs=(addr,)
        )
        events, effects = script.give(inp.IntentCame(intent, "gossip"))
        assert effects == [fx.Dial(addr=f"{addr}/p2p/{OTHER}", from_peers=True)]
        assert isinstance(events[-1], ev.AnsweredLater)


def test_an_origin_that_could_not_be_dialled_is_dialled_again_for_its_next_want() -> None:
    script = Script(held={CHUNK: 7})
    for number in range(3):
        intent = msg.Intent(
            origin=OTHER,
            nonce=b"%8d" % number,
            expires=script.now + 60,
            body=msg.Want(cids=(CHUNK,)),
            addrs=(f"/ip4/9.9.9.9/tcp/9/p2p/{OTHER}",),
        )
        _, effects = script.give(inp.IntentCame(intent, "gossip"), after=STORED_SECONDS + 1)
        assert any(isinstance(effect, fx.Dial) for effect in effects)


def test_return_addresses_of_a_thousand_origins_are_dialled_a_few_at_a_time() -> None:
    script = Script(held={CHUNK: 7})
    dials = 0
    told: list[str] = []
    for number in range(1000):
        origin = peer_name(number)
        intent = msg.Intent(
            origin=origin,
            nonce=b"%8d" % number,
            expires=START + 60,
            body=msg.Want(cids=(CHUNK,)),
            addrs=(f"/ip4/9.9.9.9/tcp/9/p2p/{origin}",),
        )
        script.now += 0.01
        entries, effects = script.machine.handle(inp.IntentCame(intent, "gossip"), script.now)
        told += [entry.event.text for entry in entries if isinstance(entry.event, ev.ErrorOccurred)]
        assert not any(isinstance(effect, fx.Serve) for effect in effects), "data is sent under a grant only"
        dials += sum(isinstance(effect, fx.Dial) for effect in effects)
    assert 0 < dials <= dial_requests.STRANGERS_BURST + 10 * dial_requests.STRANGERS_RATE + 1
    assert len(told) == 1, "that they are spent is one entry"
    assert told[0].endswith("is not dialled: intents name more addresses than are dialled for strangers")


def test_dead_addresses_are_not_remembered_for_ever() -> None:
    script = Script()
    for number in range(3000):
        script.machine.handle(inp.DialFailed(f"/ip4/9/tcp/{number}", "x"), script.now)
    assert len(script.machine.dialling._unreachable) == dial_requests.MAX_UNREACHABLE


def test_the_table_of_quiet_addresses_is_bounded() -> None:
    script = Script()
    for number in range(dial_requests.MAX_QUIET + 100):
        script.machine.handle(inp.PeerFound(f"/ip4/9.9.9.9/tcp/{number}/p2p/{OTHER}"), script.now)
    assert len(script.machine.dialling._quiet) == dial_requests.MAX_QUIET


def test_a_found_address_is_dialled_if_its_peer_is_not_connected() -> None:
    script = Script()
    addr = f"/ip4/9.9.9.9/tcp/1/p2p/{OTHER}"
    assert script.give(inp.PeerFound(addr)) == ([], [fx.Dial(addr=addr, from_peers=True)])
    assert script.give(inp.DialFailed(addr, "it does not answer")) == ([], []), "nobody asked for it"
    script.give(up(OTHER))
    assert script.give(inp.PeerFound(addr)) == ([], [])


def test_the_failure_of_a_named_address_is_reported_again_after_it_answered() -> None:
    script = Script()
    addr = up(OTHER).addr
    _, effects = script.give(inp.Commanded(cmd.Join(addr)))
    assert effects == [fx.Dial(addr=addr, keep=True)]
    failed = inp.DialFailed(addr, "it does not answer")
    assert len(script.give(failed)[0]) == 1
    assert script.give(failed) == ([], [])
    script.give(inp.PeerFound(addr))
    script.give(up(OTHER))
    assert len(script.give(failed)[0]) == 1


def test_a_node_does_not_dial_itself() -> None:
    script = Script()
    own = f"/ip4/9.9.9.9/tcp/1/p2p/{script.machine.ledger.me}"
    assert script.give(inp.Commanded(cmd.Join(own))) == ([], [])
    assert script.give(inp.PeerFound(own)) == ([], [])


# ── nobody is heard ─────────────────────────────────────────────────────────────────────────────


def test_a_node_that_hears_nobody_tells_what_it_tried() -> None:
    script = Script()
    named = f"/ip4/9.9.9.9/tcp/1/p2p/{HOLDER}"
    found = f"/ip4/192.168.1.7/tcp/1/p2p/{OTHER}"
    script.give(inp.PeerFound(addr=found))
    script.give(inp.Commanded(cmd.Join(named)))
    script.give(inp.DialFailed(addr=named, text=f"{named} cannot be reached: nothing answers there"))
    events, _ = script.give(inp.Tick(), after=10.0)
    told = (ev.TriedAddr(named, "nothing answers there"), ev.TriedAddr(found, ""))
    assert events == [ev.HeardNobody(tried=told)], "what a person named comes first"
    assert describe(events[0]) == "tried 2 addresses: nothing answers there"
    assert derive(script.series).tried == told
    script.give(up(HOLDER))
    assert derive(script.series).tried == ()
    assert script.machine.dialling.next_deadline() == float("inf")


def test_that_is_told_ever_less_often_and_with_a_few_addresses() -> None:
    script = Script()
    for number in range(100):
        script.give(inp.PeerFound(addr=f"/ip4/192.168.1.{number}/tcp/1/p2p/{peer_name(number)}"))
    told = [event for _ in range(3600) for event in script.give(inp.Tick(), after=1.0)[0]]
    assert 6 <= len(told) <= 12
    assert all(isinstance(event, ev.HeardNobody) and len(event.tried) == 8 for event in told)
    assert told[0].others == dial_requests.MAX_TRIED - 8


def test_a_node_that_tried_nothing_or_has_a_peer_has_nothing_to_tell() -> None:
    script = Script()
    assert not script.give(inp.Tick(), after=100.0)[0]
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Join(f"/ip4/9.9.9.9/tcp/1/p2p/{OTHER}")))
    assert not script.give(inp.Tick(), after=100.0)[0]
