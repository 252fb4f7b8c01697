"""Which root is provided next, and to which nodes with which others: without a network."""

import random

import pytest
import trio
import trio.testing
from libp2p.peer.id import ID

from flux_tui.core.ids import Cid, dag_cid
from flux_tui.core.wire.provide import MAX_KEYS
from flux_tui.net.flux.dht import provide_schedule
from flux_tui.net.flux.dht.provide_schedule import OLD_TURNS, Schedule, place_of
from flux_tui.net.flux.dht.providing import Providing, region
from flux_tui.net.port import CLOSEST, WIDTH
from flux_tui.net.upstream.kad import key_of
from tests.support.provided_nodes import PEERS, FewNodes, closest_to, provided

A, B, C, D = (dag_cid(bytes([number])) for number in range(4))


def test_the_newest_root_comes_first_and_each_comes_once() -> None:
    schedule = Schedule()
    schedule.add([A, B])
    schedule.add([C, A])
    assert [schedule.take(0.0) for _ in range(4)] == [A, C, B, None]


def test_a_provided_root_is_due_again_at_its_time() -> None:
    schedule = Schedule()
    assert schedule.next_at() == float("inf")
    schedule.provided(A, 20.0)
    schedule.provided(B, 10.0)
    schedule.add([A, B])
    assert schedule.take(9.0) is None, "they are in the schedule already"
    assert schedule.next_at() == 10.0
    assert schedule.take(30.0) == B
    schedule.provided(B, 50.0)
    assert schedule.take(30.0) == A


def test_a_removed_root_is_not_due_again() -> None:
    schedule = Schedule()
    schedule.add([A])
    schedule.provided(B, 10.0)
    schedule.remove([A, B, C])
    assert schedule.take(30.0) is None
    assert len(schedule) == 0
    schedule.provided(B, 40.0)
    assert schedule.take(30.0) is None, "its first time is out of date"
    assert schedule.take(40.0) == B


def test_all_provided_roots_can_be_made_due() -> None:
    schedule = Schedule()
    schedule.provided(A, 100.0)
    schedule.provided(B, 200.0)
    schedule.make_all_due()
    assert {schedule.take(1.0), schedule.take(1.0)} == {A, B}
    assert schedule.take(300.0) is None, "nothing is due twice"


def test_the_oldest_roots_are_left_out_of_a_full_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provide_schedule, "MAX_PROVIDED", 2)
    schedule = Schedule()
    schedule.provided(A, 10.0)
    schedule.add([B, C])
    assert schedule.kept == frozenset()
    schedule.add([D])
    assert [schedule.take(0.0) for _ in range(3)] == [D, C, None]


def many(count: int) -> list[Cid]:
    return [dag_cid(b"root %d" % number) for number in range(count)]


def test_what_a_peer_wanted_comes_before_the_newest() -> None:
    schedule = Schedule()
    schedule.add([A, B])
    schedule.add([C], wanted=True)
    schedule.add([A], wanted=True)
    schedule.add([D, C])
    assert [schedule.take(0.0) for _ in range(3)] == [C, A, D]


def test_each_fourth_turn_takes_the_oldest_and_what_is_due_before_them() -> None:
    roots = many(20)
    schedule = Schedule()
    schedule.add(roots)
    schedule.provided(A, 10.0)
    taken = [schedule.take(20.0) for _ in range(2 * OLD_TURNS)]
    newest = roots[::-1]
    assert taken == [*newest[: OLD_TURNS - 1], A, *newest[OLD_TURNS - 1 : 2 * OLD_TURNS - 2], roots[0]]


def test_further_roots_of_a_turn_are_in_its_order() -> None:
    roots = many(40)
    schedule = Schedule()
    schedule.add(roots)
    for turn in range(1, OLD_TURNS + 1):
        first = schedule.take(0.0)
        assert first is not None
        like = schedule.take_like(first, 0, 3, 0.0)
        expected = (roots if turn == OLD_TURNS else roots[::-1])[:4]
        assert [first, *like] == expected
        roots = [root for root in roots if root not in expected]
    assert schedule.left(0.0) == len(roots)


def test_roots_near_to_one_in_the_dht_are_taken_with_it() -> None:
    roots = many(200)
    schedule = Schedule()
    schedule.add(roots[:100])
    for root in roots[100:]:
        schedule.provided(root, 5.0)
    first = schedule.take(10.0)
    assert first == roots[99]
    like = set(schedule.take_like(first, 3, 1000, 10.0))

    def first_bits(root: Cid) -> int:
        return place_of(key_of(root)) >> 253

    assert like == {root for root in roots if first_bits(root) == first_bits(first)} - {first}
    assert schedule.left(10.0) == 199 - len(like)


@pytest.mark.parametrize("nodes", [30, 100, 300])
def test_the_nodes_of_a_region_are_those_to_which_an_intent_is_routed(nodes: int) -> None:
    """The records of all roots of a region go to the nodes closest to one of them: nobody looks elsewhere first."""
    peers = PEERS[:nodes]
    roots = many(400)
    shared = 0
    for root in roots[:20]:
        closest = closest_to(key_of(root), peers)
        bits = region(key_of(root), closest)
        if bits is None:
            continue
        place = place_of(key_of(root)) >> (256 - bits)
        for other in roots:
            if other != root and place_of(key_of(other)) >> (256 - bits) == place:
                shared += 1
                assert set(closest_to(key_of(other), peers)[:WIDTH]) <= set(closest)
    assert shared > 100


def test_a_swarm_of_a_few_nodes_is_one_region() -> None:
    assert region(key_of(A), PEERS[: CLOSEST - 1]) == 0


async def test_a_hundred_thousand_roots_are_provided_in_minutes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    nodes = FewNodes(PEERS[:3])
    roots = many(100_000)
    seconds = await provided(nodes, roots)
    assert seconds < 500
    assert nodes.lookups <= 100_000 / MAX_KEYS + 2
    assert all(len(told) == len(set(told)) == 100_000 for told in nodes.told.values()), (
        "each root is told once"
    )
    first, left, until = nodes.reports[0]
    assert (first, left) == (MAX_KEYS, 100_000 - MAX_KEYS)
    assert 300 < until < 600, "how long the round takes is known soon"
    assert len(nodes.reports) < 12, "an entry a minute"
    assert nodes.reports[-1][1:] == (0, 0.0)
    assert sum(told for told, _, _ in nodes.reports) == 100_000


async def test_roots_that_come_one_by_one_share_passes(autojump_clock: trio.testing.MockClock) -> None:
    nodes = FewNodes(PEERS[:3])
    nodes.lookup_seconds = 0.01
    providing = Providing(ID(b"me"), nodes.find, nodes.send, nodes.report)
    providing.note_known(3)
    roots = many(1_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(providing.run)
        for root in roots:
            providing.provide([root])
            await trio.sleep(0.02)
        await trio.sleep(5.0)
        nursery.cancel_scope.cancel()
    assert providing.schedule.kept == set(roots)
    assert nodes.lookups <= 16 + 20 + 5


async def test_few_lookups_serve_many_roots_in_a_large_swarm(autojump_clock: trio.testing.MockClock) -> None:
    nodes = FewNodes(PEERS)
    roots = many(3_000)
    await provided(nodes, roots)
    assert nodes.lookups < 150, "about one for each twenty nodes or so, not one for each root"
    holders: dict[bytes, set[ID]] = {}
    for peer, keys in nodes.told.items():
        for key in keys:
            holders.setdefault(key, set()).add(peer)
    for root in random.Random(1).sample(roots, 100):
        assert set(closest_to(key_of(root), PEERS)[:WIDTH]) <= holders[key_of(root)]
