"""Routing of intents: to which peers, by which means, what is forwarded, and which peers are remembered."""

import random
from typing import Any

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.peers import router
from flux_tui.core.peers.router import MAX_DIRECT, MAX_ROUTED, SMALL_SWARM, RoutingPlan, choose
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.core.text.describe import describe
from flux_tui.core.wire import messages as msg
from tests.support.routes import SEALED, routed
from tests.support.script import CHUNK, HOLDER, ME, OTHER, START, Script, up

MANY = [PeerId(f"peer-{number}") for number in range(40)]
ROOTS = [raw_cid(b"root %d" % number) for number in range(20)]
LARGE = SMALL_SWARM + 1


def plan(
    *, proven: int = 0, answered: int = 0, others: int = 0, known: int = 0, untold: bool = True, retry: bool = False,
    unanswered: int = 0,
) -> RoutingPlan:  # fmt: skip
    return choose(
        ROOTS[:1],
        MANY[:proven],
        MANY[10 : 10 + answered],
        MANY[20 : 20 + others],
        known=known,
        untold=untold,
        retry=retry,
        unanswered=unanswered,
    )


# ── ours ────────────────────────────────────────────────────────────────────────────────────────


def test_holders_are_asked_first_then_peers_that_answered_then_others() -> None:
    assert plan(proven=2, answered=3, others=1).peers == (*MANY[:2], *MANY[10:13], MANY[20])
    assert plan(proven=10, answered=10, others=10).peers == (*MANY[:10], *MANY[10:16])
    assert len(plan(others=20).peers) == MAX_DIRECT


@pytest.mark.parametrize(
    ("case", "routed", "gossip"),
    [
        # Peers that said yes in this session are asked alone at first.
        ({"proven": 1, "known": LARGE}, False, False),
        ({"proven": 1, "known": 5}, False, False),
        ({"proven": 1}, False, False),
        # No peer said yes: route by DHT, and in a small swarm by gossip as well.
        ({"answered": 3, "others": 3, "known": LARGE}, True, False),
        ({"known": LARGE}, True, False),
        ({"known": SMALL_SWARM}, True, True),
        # The DHT knows a node that is not told directly, or it does not.
        ({"others": 3, "known": 3}, True, True),
        ({"others": 3, "known": 3, "untold": False}, False, True),
        ({"others": 3, "known": 3, "untold": False, "retry": True}, True, True),
        ({"others": 40, "known": 3, "retry": True, "unanswered": 1}, True, True),
        # The DHT knows no node: only gossip is left.
        ({"others": 3}, False, True),
        ({}, False, True),
        # Those peers did not help.
        ({"proven": 1, "known": LARGE, "retry": True, "unanswered": 1}, True, False),
        ({"proven": 1, "known": 5, "retry": True, "unanswered": 1}, True, True),
        # Nothing helped.
        ({"proven": 1, "known": LARGE, "retry": True, "unanswered": 3}, True, True),
    ],
)
def test_each_step_is_taken_only_where_the_one_before_is_not_enough(
    case: dict[str, Any], routed: bool, gossip: bool
) -> None:
    found = plan(**case)
    assert (bool(found.routes), found.gossip) == (routed, gossip)


def test_few_roots_are_routed() -> None:
    found = choose(ROOTS, [], [], [], known=LARGE, untold=True, retry=False, unanswered=0)
    assert found.routes == tuple(ROOTS[:MAX_ROUTED])


def routes(script: Script) -> bool:
    """Return whether a first push is routed."""
    root = raw_cid(b"%d" % len(script.series))
    _, effects = script.give(inp.Commanded(cmd.Want(root)))
    (sent,) = [effect for effect in effects if isinstance(effect, fx.Broadcast)]
    return bool(sent.routes)


def test_a_first_push_is_routed_if_the_dht_knows_a_node_that_is_not_told() -> None:
    """It matters which nodes the DHT knows, not how many."""
    script = Script()
    assert not routes(script), "it knows nobody"
    for peer in MANY[:3]:
        script.give(inp.PeerUp(peer=peer, addr=addr(peer)))
    script.give(inp.RoutingChanged(came=tuple(MANY[:2])))
    assert not routes(script), "those are told"
    script.give(inp.RoutingChanged(came=(MANY[3],), went=(MANY[1],)))
    assert routes(script), "two of them, and three neighbours; yet one is another"
    script.give(inp.PeerUp(peer=MANY[3], addr=addr(MANY[3])))
    assert not routes(script)
    script.give(inp.PeerDown(peer=MANY[0], why="gone"))
    assert routes(script), "it is in the table still"
    script.give(inp.RoutingChanged(went=(MANY[0], MANY[1])))
    assert not routes(script)


def test_a_neighbour_that_is_not_told_directly_counts_as_not_told() -> None:
    script = Script()
    for peer in MANY[: MAX_DIRECT + 1]:
        script.give(inp.PeerUp(peer=peer, addr=addr(peer)))
    script.give(inp.RoutingChanged(came=tuple(MANY[:MAX_DIRECT])))
    assert not routes(script)
    script.give(inp.RoutingChanged(came=(MANY[MAX_DIRECT],), went=tuple(MANY[:MAX_DIRECT])))
    assert routes(script)


@pytest.mark.parametrize("seed", range(20))
def test_nodes_that_are_not_neighbours_count_in_any_order(seed: int) -> None:
    chance = random.Random(seed)
    script = Script()
    router = script.machine.router
    for _ in range(200):
        peer = chance.choice(MANY[:8])
        match chance.randrange(4):
            case 0:
                router.connected.add(peer)
                router.peer_up(peer)
            case 1:
                router.connected.remove(peer)
                router.peer_down(peer)
            case 2:
                router.table_changed((peer, peer), ())
            case _:
                router.table_changed((), (peer,))
        assert router._unlinked == router._table - set(router.connected)
        assert router.leads_on == bool(router._unlinked)


def test_the_series_and_the_effect_name_the_way_of_routing() -> None:
    script = Script()
    script.give(inp.RoutingChanged(came=tuple(MANY[:LARGE])))
    events, effects = script.give(inp.Commanded(cmd.Want(CHUNK)))
    assert events[1] == ev.PushedWant(
        cids=(CHUNK,), peers=(), gossip=False, retry=False, next_push_at=START + 60, routed=True
    )
    assert effects == [fx.Broadcast(body=msg.Want(cids=(CHUNK,)), peers=(), gossip=False, routes=(CHUNK,))]
    assert describe(events[1]).endswith(" by DHT")


@pytest.mark.parametrize(
    ("peers", "routed", "gossip", "words"),
    [
        ((), False, True, "to nobody yet and the swarm"),
        ((), True, False, "by DHT"),
        ((), True, True, "by DHT and the swarm"),
        (("p", "q"), True, True, "to 2 peers, by DHT and the swarm"),
        (("p", "q"), False, False, "to 2 peers"),
    ],
)
def test_the_way_of_routing_in_words(
    peers: tuple[PeerId, ...], routed: bool, gossip: bool, words: str
) -> None:
    pushed = ev.PushedWant(
        cids=(CHUNK,), peers=peers, gossip=gossip, retry=True, next_push_at=0.0, routed=routed
    )
    assert describe(pushed).partition(" ")[2] == f"{words}, again"


def test_added_and_whole_objects_are_provided_also_after_a_restart() -> None:
    script = Script(held={CHUNK: 7})
    added = inp.Added(
        root=CHUNK, name="f", size=7, chunks=1, path="/f", stored=7, stored_chunks=1, by=None
    )  # fmt: skip
    _, effects = script.give(added)
    assert fx.Provide(roots=(CHUNK,)) in effects
    again = Machine(ME, derive(script.series), script, lambda: 0.0)
    _, effects = again.handle(inp.NodeStarting((), "test", START), START)
    assert fx.Provide(roots=(CHUNK,)) in effects
    assert Machine(ME, derive([]), script, lambda: 0.0).handle(inp.NodeStarting((), "t", 1.0), 1.0)[1] == []


# ── others' ─────────────────────────────────────────────────────────────────────────────────────


def test_an_intent_with_hops_left_is_forwarded_once() -> None:
    script = Script()
    events, effects = routed(script, hops=2)
    assert (events, effects) == ([], [fx.Forward(roots=(CHUNK,), intent=SEALED, hops=1)])
    assert routed(script, hops=2) == ([], [])
    assert routed(script, by=OTHER) == ([], [])


def test_intents_that_are_not_forwarded() -> None:
    script = Script()
    assert routed(script, hops=0) == ([], [])
    assert not routed(script, number=1, expires=START - router.MAX_SKEW - 1)[1]
    assert not routed(script, number=2, expires=START + 1e6)[1]
    assert routed(script, number=3, origin=ME) == ([], [])
    have = msg.Intent(origin=OTHER, nonce=b"nonce-99", expires=START + 60, body=msg.Have(root=CHUNK, size=1))
    assert script.give(inp.RouteCame(HOLDER, have, SEALED, 1)) == ([], [])


def test_a_holder_answers_the_origin_and_forwards_the_intent() -> None:
    script = Script(held={CHUNK: 7})
    script.give(up(OTHER))
    events, effects = routed(script)
    assert events[0] == ev.IntentReceived(peer=OTHER, cids=(CHUNK,), via="routed")
    assert describe(events[0]).endswith(", by DHT")
    assert effects[0] == fx.Forward(roots=(CHUNK,), intent=SEALED, hops=0)
    assert isinstance(effects[1], fx.Push)
    assert effects[1].peer == OTHER


def test_a_node_without_the_object_is_silent() -> None:
    script = Script()
    script.give(up(OTHER))
    assert routed(script, hops=0) == ([], [])


def test_a_node_cannot_be_used_as_an_amplifier() -> None:
    script = Script()
    for number in range(200):
        routed(script, number=number)
    sent = [routed(script, number=1000 + number)[1] for number in range(10)]
    assert sent == [[]] * 10, "its budget is spent"
    assert routed(script, by=OTHER, number=2000)[1], "another's is not"
    script.now += 5.0
    passed = sum(
        bool(routed(script, number=3000 + number, expires=script.now + 60)[1]) for number in range(200)
    )
    assert passed == 5 * router.FORWARD_RATE


def test_memory_of_other_peers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(router, "MAX_SEEN", 10)
    monkeypatch.setattr(router, "MAX_BUDGETS", 10)
    script = Script()
    for number in range(50):
        routed(script, by=MANY[number % 40], number=number)
    assert len(script.machine.router._forwarded) == 10
    assert len(script.machine.router._budgets) == 10


# ── those that are remembered ───────────────────────────────────────────────────────────────────


def addr(peer: PeerId) -> str:
    return f"/ip4/127.0.0.1/tcp/2/p2p/{peer}"


def reborn(script: Script) -> tuple[Machine, list[Any], list[Any]]:
    machine = Machine(ME, derive(script.series), script, lambda: 0.0)
    entries, effects = machine.handle(inp.NodeStarting((), "test", script.now), script.now)
    return machine, [entry.event for entry in entries], effects


def test_peers_of_an_earlier_run_are_dialled_the_givers_first() -> None:
    script = Script()
    script.give(up(OTHER))
    for peer in MANY[:20]:
        script.give(inp.PeerUp(peer=peer, addr=addr(peer)), after=1.0)
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    offer = msg.StatusYesButLater(cids=(CHUNK,), eta=0.0, queue_bytes=0)
    script.give(inp.MessageCame(OTHER, offer))
    _, _, effects = reborn(script)
    dials = [effect for effect in effects if isinstance(effect, fx.Dial)]
    assert dials[0] == fx.Dial(addr=addr(OTHER)), "not kept at: it may be gone for good"
    assert [dial.addr for dial in dials[1:]] == [addr(peer) for peer in reversed(MANY[13:20])]


def test_a_missing_known_peer_is_an_error_only_if_a_person_named_it() -> None:
    script = Script()
    script.give(up(HOLDER))
    machine, _, _ = reborn(script)
    failed = inp.DialFailed(addr=addr(HOLDER), text="it does not answer")
    assert machine.handle(failed, script.now)[0] == []
    machine.handle(inp.Commanded(cmd.Join(addr(HOLDER))), script.now)
    ((_, _, event),) = machine.handle(failed, script.now)[0]
    assert event == ev.ErrorOccurred(text="it does not answer", addr=addr(HOLDER), code="not_reached")


def test_a_node_that_is_alone_tries_again_ever_more_rarely() -> None:
    script = Script()
    script.give(up(HOLDER))
    machine, _, _ = reborn(script)
    tries = []
    for _ in range(8):
        now = machine.router.next_deadline()
        tries.append(now - script.now)
        script.now = now
        assert machine.handle(inp.Tick(), now)[1] == [fx.Dial(addr=addr(HOLDER))]
    assert tries == [15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 600.0, 600.0]
    machine.handle(up(OTHER), script.now)
    assert machine.next_deadline() == float("inf"), "it is not alone any more"


def test_peers_that_answered_before_are_looked_up_when_no_peer_answers() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Want(CHUNK)))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0.0, queue_bytes=0)))
    script.give(inp.PeerDown(peer=HOLDER, why="gone"))
    script.give(up(OTHER))
    dialled = []
    for _ in range(4):
        _, effects = script.give(inp.Tick(), after=max(script.machine.next_deadline() - script.now, 0.0))
        dialled += [effect for effect in effects if isinstance(effect, fx.Dial)]
    assert dialled
    assert set(dialled) == {fx.Dial(addr=addr(HOLDER))}


def test_a_missing_looked_up_peer_is_an_error_only_if_a_person_named_it() -> None:
    script = Script()
    failed = inp.DialFailed(addr=addr(HOLDER), text="it does not answer")
    script.give(inp.PeerFound(addr=addr(HOLDER)))
    assert script.give(failed)[0] == []
    script.give(inp.Commanded(cmd.Join(addr(HOLDER))))
    script.give(inp.PeerFound(addr=addr(HOLDER)))
    error = ev.ErrorOccurred(text="it does not answer", addr=addr(HOLDER), code="not_reached")
    assert script.give(failed)[0] == [error]


def test_a_want_pushed_before_any_route_is_routed_as_soon_as_there_is_one() -> None:
    """A node that has just joined knows no other node. Its first want does not wait for a minute of silence."""
    script = Script()
    hub, far = MANY[:2]
    root = dag_cid(b"a folder")
    script.give(inp.PeerUp(peer=hub, addr=addr(hub)))
    script.give(inp.Commanded(cmd.Get(root, "/tmp/film.mkv", by="me")))
    script.give(inp.Commanded(cmd.Want(raw_cid(b"a chunk is in no DHT"))))
    script.give(inp.MessageCame(hub, msg.StatusNo(cids=(root,), reason="not_held", has_it=False)))
    _, effects = script.give(inp.RoutingChanged(came=(hub,)), after=0.5)
    assert effects == [], "who is told already leads nowhere"
    events, effects = script.give(inp.RoutingChanged(came=(far,)))
    (sent,) = [effect for effect in effects if isinstance(effect, fx.Broadcast)]
    assert sent.routes == (root,)
    assert [event.retry for event in events if isinstance(event, ev.PushedWant)] == [True]
    _, effects = script.give(inp.RoutingChanged(came=(MANY[2],)))
    assert effects == [], "once"
