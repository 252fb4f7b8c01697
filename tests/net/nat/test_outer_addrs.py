"""Which outer addresses a node tells, and when."""

from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.connection_types import ConnectionType
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.nat import outer_addrs
from flux_tui.net.nat.dial_back import ASK_SECONDS
from flux_tui.net.nat.outer_addrs import FRESH_SECONDS, MOVED_SECONDS, PROBERS, PROVE_SECONDS, OuterAddrs

ME = PeerId("12D3KooWD1kRAPHRi1sbUbSktjh5Wcc2w975CpUJ8GwHicxea2em")
GUESS = "/ip4/45.10.0.1/tcp/4001"


class Swarm:
    """A host with peers that observe it, and that dial back."""

    def __init__(self, peers: int = 1) -> None:
        self.observed = [Multiaddr("/ip4/45.10.0.1/tcp/43006")]
        self.reached = {GUESS}
        self.asked: list[tuple[int, str]] = []
        self.silent: set[int] = set()
        """Peers that never answer."""
        self.connections = {number: [self.connection(number)] for number in range(peers)}
        self._observed_addr_manager = SimpleNamespace(addrs=lambda min_observers: self.observed)
        self.own = OwnAddrs(ME, [])
        self.own.listens_on([Multiaddr("/ip4/127.0.0.1/tcp/4001")])
        self.outer = OuterAddrs(self, self.own, self)  # type: ignore[arg-type]
        self.moves: list[float] = []
        """When the outer IP address was another one."""

    @staticmethod
    def connection(number: int, kind: ConnectionType = ConnectionType.DIRECT) -> Any:
        return SimpleNamespace(muxed_conn=SimpleNamespace(number=number, get_connection_type=lambda: kind))

    def get_network(self) -> Any:
        return self

    async def ask(self, connection: Any, addr: str) -> bool | None:
        self.asked.append((connection.number, addr))
        await trio.lowlevel.checkpoint()
        if connection.number in self.silent:
            await trio.sleep(ASK_SECONDS)
            return None
        return addr in self.reached

    def moved(self) -> None:
        self.moves.append(trio.current_time())

    def told(self) -> list[str]:
        return [addr.rpartition("/p2p/")[0] for addr in self.own.all if "127.0.0.1" not in addr]


@pytest.fixture
async def swarm(nursery: trio.Nursery) -> Swarm:
    made = Swarm(peers=5)
    nursery.start_soon(made.outer.run)
    nursery.start_soon(made.outer.watch, made.moved)
    return made


async def test_the_observed_address_with_the_port_of_the_listener_is_told_when_a_peer_reached_it(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    assert swarm.told() == []
    await trio.sleep(0.1)
    assert swarm.told() == [GUESS]
    assert swarm.asked == [(0, GUESS)], "one peer that reaches it is enough"
    assert swarm.own.all[0] == f"{GUESS}/p2p/{ME}", "before those of this machine"


async def test_an_address_that_nobody_reaches_is_not_told_and_is_tried_again_later(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    swarm.reached.clear()
    await trio.sleep(5)
    assert swarm.told() == []
    assert len(swarm.asked) == PROBERS
    swarm.reached.add(GUESS)
    await trio.sleep(outer_addrs.AGAIN.first)
    assert swarm.told() == [GUESS]


async def test_an_address_that_is_not_reached_any_more_is_taken_back(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    await trio.sleep(1)
    swarm.reached.clear()
    await trio.sleep(FRESH_SECONDS - 10)
    assert swarm.told() == [GUESS]
    await trio.sleep(20)
    assert swarm.told() == []


async def test_another_outer_address_takes_the_place_of_the_first(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    await trio.sleep(1)
    swarm.observed = [Multiaddr("/ip4/45.10.0.9/tcp/1000")]
    swarm.reached = {"/ip4/45.10.0.9/tcp/4001"}
    await trio.sleep(2)
    assert swarm.told() == ["/ip4/45.10.0.9/tcp/4001"]
    swarm.observed = []
    await trio.sleep(5)
    assert swarm.told() == ["/ip4/45.10.0.9/tcp/4001"], "peers that are gone change nothing"


async def test_a_new_outer_ip_address_is_told_because_connections_are_dead_then(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    await trio.sleep(5)
    assert swarm.moves == [], "the first one is no change"
    swarm.observed = [Multiaddr("/ip4/45.10.0.9/tcp/1000")]
    await trio.sleep(5)
    assert len(swarm.moves) == 1
    swarm.observed = [Multiaddr("/ip4/45.10.0.9/tcp/2000")]
    await trio.sleep(60)
    assert len(swarm.moves) == 1, "only the port is another one"


async def test_peers_that_claim_ever_new_outer_ip_addresses_are_heard_rarely(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    for number in range(50):
        swarm.observed = [Multiaddr(f"/ip4/45.11.0.{number}/tcp/1000")]
        await trio.sleep(1.5)
    assert 1 <= len(swarm.moves) <= 75 / MOVED_SECONDS + 1


async def test_what_the_router_says_is_proved_as_well(swarm: Swarm, autojump_clock: MockClock) -> None:
    mapped = "/ip4/45.10.0.1/tcp/60000"
    swarm.outer.claim("router", [mapped])
    await trio.sleep(2)
    assert swarm.told() == [GUESS]
    swarm.reached.add(mapped)
    await trio.sleep(20)
    assert sorted(swarm.told()) == [GUESS, mapped]
    swarm.outer.claim("router", [])
    await trio.sleep(2)
    assert swarm.told() == [GUESS]


async def test_any_number_of_peers_that_do_not_answer_keeps_no_address_from_being_proved(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    swarm = Swarm(peers=100)
    swarm.silent = set(range(99))
    other = "/ip4/45.10.0.1/tcp/60000"
    swarm.reached = {other}
    swarm.outer.claim("router", ["/ip4/45.10.0.9/tcp/4001", other])
    nursery.start_soon(swarm.outer.run)
    swarm.silent -= {2}
    await trio.sleep(2 * PROVE_SECONDS)
    assert swarm.told() == [other], "the peer that answers is asked first about the second address"


async def test_a_relayed_peer_is_not_asked(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It sees the relay's address."""
    swarm = Swarm()
    swarm.connections = {7: [swarm.connection(7, ConnectionType.RELAYED)]}
    nursery.start_soon(swarm.outer.run)
    await trio.sleep(30)
    assert swarm.asked == []


async def test_a_change_of_this_machines_addresses_tries_again_at_once(
    swarm: Swarm, autojump_clock: MockClock
) -> None:
    await trio.sleep(5)
    assert len(swarm.asked) == 1
    swarm.own.changed.set()
    swarm.own.changed = trio.Event()
    await trio.sleep(2)
    assert len(swarm.asked) == 2


async def test_an_announced_address_is_told_at_once_and_reported_when_it_leads_nowhere(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    good, bad = "/ip4/45.10.0.1/tcp/9000", "/ip4/45.10.0.1/tcp/9001"
    swarm, said = Swarm(peers=0), list[str]()
    swarm.observed.clear()
    swarm.reached = {good}
    swarm.outer.announce([good, bad], said.append)
    assert swarm.told() == [good, bad], "the first peers need it"
    nursery.start_soon(swarm.outer.run)
    await trio.sleep(100)
    assert (swarm.told(), said) == ([good, bad], []), "nobody could try it"
    swarm.connections = {1: [swarm.connection(1)]}
    await trio.sleep(20)
    assert swarm.told() == [good]
    assert said == [
        f"{bad} is announced, and no peer reaches this node there: check the port that the router forwards"
    ]
    swarm.reached.add(bad)
    await trio.sleep(100)
    assert set(swarm.told()) == {good, bad}, "the router was set right"
    assert len(said) == 1
