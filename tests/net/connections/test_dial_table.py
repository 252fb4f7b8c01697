"""The table of dials: what is kept is never refused, and no kind of dial starves another."""

import pytest
import trio
import trio.testing

from flux_tui.core.limits import Backoff
from flux_tui.net.addresses import peer_multiaddrs
from flux_tui.net.addresses.dial_guard import is_told_by_person
from flux_tui.net.addresses.peer_multiaddrs import Unreached
from flux_tui.net.connections import dial_table
from flux_tui.net.connections.dial_table import Dials
from flux_tui.net.flux import peer_dials
from tests.support.networks import Loopback, node


def an_addr(number: int) -> str:
    return f"/ip4/127.0.0.1/tcp/{number + 1}/p2p/peer-{number}"


async def test_addresses_from_peers_take_no_place_of_this_nodes_own() -> None:
    table = Dials()
    for number in range(dial_table.MAX_FROM_PEERS):
        assert table.add(an_addr(number), keep=False, from_peers=True)
    assert table.add(an_addr(1000), keep=False, from_peers=True) is None
    assert table.add(an_addr(1001), keep=False, from_peers=False)
    assert table.add(an_addr(1002), keep=True, from_peers=False)


async def test_any_number_of_kept_dials_leaves_room_for_one_more() -> None:
    table = Dials()
    kept = [table.add(an_addr(number), keep=True, from_peers=False) for number in range(dial_table.MAX_KEPT)]
    assert all(kept)
    worst = kept[7]
    assert worst is not None
    worst.failures = 5
    assert table.add(an_addr(5000), keep=True, from_peers=False)
    assert [one for one in kept if one is not None and one.scope.cancel_called] == [worst]
    assert table.add(an_addr(5001), keep=False, from_peers=False), (
        "a kept dial takes no place of another kind"
    )


async def test_many_dead_addresses_are_tried_the_more_rarely() -> None:
    table = Dials()
    for number in range(400):
        dial = table.add(an_addr(number), keep=True, from_peers=False)
        assert dial is not None
        dial.failures = 20
    waits = [table.wait(an_addr(number), one) for number in range(400) if (one := table.get(an_addr(number)))]
    assert len(waits) == 400
    assert sum(1 / wait for wait in waits) < 3, "dials a second, of all together"


async def test_dead_tickets_by_the_hundred_leave_a_live_one_its_dial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each try of a dead one hangs, as where packets are dropped."""
    hanging = 0
    connect = peer_multiaddrs.connect_any

    async def hang(connecting: object, peer: str, addrs: list[tuple[str, object]]) -> list[Unreached]:
        nonlocal hanging
        if "/tcp/1/" not in addrs[0][0]:
            return await connect(connecting, peer, addrs)  # type: ignore[arg-type]
        hanging += 1
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(peer_dials, "connect_any", hang)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        for number in range(3 * dial_table.MAX_DIALS):
            a.network.dial(f"/ip4/127.0.0.1/tcp/1/p2p/{b.id[:-3]}{number:03}", keep=True)
        await a.seen.until(lambda: hanging or a.seen.failed)
        a.network.dial(b.addr, keep=True)
        await a.seen.up(b.id)


async def test_a_name_that_a_person_names_as_well_is_dialled_on_the_persons_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rules for what other peers name end there."""
    words: list[bool] = []
    failing = trio.Event()

    async def fail(*_: object) -> list[Unreached]:
        words.append(is_told_by_person())
        await failing.wait()
        return [Unreached("nobody listens there")]

    monkeypatch.setattr(peer_dials, "connect_any", fail)
    monkeypatch.setattr(dial_table, "REDIAL", Backoff(0.001, 30.0))
    async with node(Loopback(), 1) as a:
        addr = f"/ip4/127.0.0.1/tcp/1/p2p/{a.id[:-3]}abc"
        a.network.dial(addr, from_peers=True)
        await trio.testing.wait_all_tasks_blocked()
        a.network.dial(addr, keep=True)
        failing.set()
        await a.seen.until(lambda: len(a.seen.failed) > 1)
    assert words[:2] == [False, True]


async def test_addresses_of_a_peer_that_were_not_tried_yet_are_known_in_their_order() -> None:
    dials = Dials()
    addrs = [f"/ip4/192.0.2.{number}/tcp/1/p2p/A" for number in (9, 1, 5)]
    for addr in (addrs[0], "/ip4/192.0.2.2/tcp/1/p2p/B", addrs[1]):
        dials.add(addr, keep=True, from_peers=False)
    dials.add(addrs[2], keep=False, from_peers=True)
    assert dials.new_ones(addrs[1]) == addrs[:2]
    assert dials.new_ones(addrs[2]) == addrs[2:], "a peer named it"
    first = dials.get(addrs[0])
    assert first is not None
    first.failures = 1
    assert dials.new_ones(addrs[0]) == addrs[:1]
    assert dials.new_ones(addrs[1]) == addrs[1:2]
