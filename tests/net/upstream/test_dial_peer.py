"""Dialling over real libp2p on loopback: a peer has many addresses, and not all of them lead to it."""

from ipaddress import ip_network
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.network.config import RetryConfig
from libp2p.network.exceptions import SwarmException
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.net.addresses.dial_guard import told_by_person
from flux_tui.net.dial_errors import WRONG_PEER, SilentError, sentence_of
from flux_tui.net.upstream import dial_peer
from tests.support.hosts import host_of, id_of, plain_host, silent_port
from tests.support.networks import BOUND, Loopback, Node, node

REFUSED = Multiaddr("/ip4/127.0.0.1/tcp/1")


def at(port: int) -> Multiaddr:
    return Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")


async def dial(one: Node, other: Node, *addrs: Multiaddr) -> None:
    with trio.fail_after(BOUND), told_by_person():
        await host_of(one).connect(PeerInfo(id_of(other), list(addrs)))


async def test_libp2p_still_tries_one_address_of_each_kind_and_no_relayed_one() -> None:
    """If this fails, libp2p tries all addresses: see whether `Dialler` is still needed."""
    one, other = plain_host(1), plain_host(2)
    one.get_network().retry_config = RetryConfig(max_retries=0)
    tried: list[str] = []
    single = one.get_network()._dial_addr_single_attempt

    async def noting(addr: Multiaddr, *args: Any) -> Any:
        tried.append(str(addr))
        return await single(addr, *args)

    one.get_network()._dial_addr_single_attempt = noting
    relayed = Multiaddr(f"{REFUSED}/p2p/{one.get_id()}/p2p-circuit")
    async with one.run(listen_addrs=[]), other.run(listen_addrs=[at(0)]):
        (listener,) = other.get_network().listeners.values()
        addrs = [relayed, REFUSED, *listener.get_addrs()]
        with trio.fail_after(BOUND), pytest.raises(SwarmException):
            await one.connect(PeerInfo(other.get_id(), addrs))
    assert tried == [str(REFUSED)]


@pytest.mark.parametrize("silent", [0, 1, 2])
async def test_the_next_address_is_tried_if_one_fails(silent: int) -> None:
    async with (
        node(Loopback(), 1) as a,
        node(Loopback(), 2) as b,
        node(Loopback(), 3) as other,
        silent_port() as one,
        silent_port() as two,
    ):
        wrong = [at(port) for port in (one, two)[:silent]]
        await dial(a, b, REFUSED, at(other.port), *wrong, at(b.port))
        (connection,) = host_of(a).get_network().connections[id_of(b)]
        assert connection.muxed_conn.get_remote_address()[1] == b.port


async def test_all_addresses_are_reported_if_none_works() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, node(Loopback(), 3) as other:
        with pytest.raises(SwarmException, match=f"{b.id} does not answer at any of 2 addresses") as told:
            await dial(a, b, REFUSED, at(other.port))
        assert isinstance(told.value.__cause__, ExceptionGroup)
        assert len(told.value.__cause__.exceptions) == 2
        assert sentence_of(told.value) == WRONG_PEER
        with pytest.raises(SwarmException, match="could not be reached just now"):
            await dial(a, b)


async def test_dead_addresses_are_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_peer, "DIAL_SECONDS", 0.2)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, silent_port() as port:
        with pytest.raises(SwarmException) as told:
            await dial(a, b, at(port))
        (error,) = told.value.__cause__.exceptions  # type: ignore[union-attr]
        assert isinstance(error, SilentError)


async def test_only_some_of_many_addresses_are_tried() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        wrong = [at(number) for number in range(1, 30)]
        with pytest.raises(SwarmException, match=f"any of {dial_peer.MAX_TRIED} addresses"):
            await dial(a, b, *wrong)


async def test_the_seventh_address_is_started_after_a_second_at_most(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Six before it are silent: the race begins as RFC 8305 recommends, and gets faster."""
    started: list[float] = []

    async def attempt(*_: Any) -> None:
        started.append(trio.current_time())
        await trio.sleep_forever()

    dialler = object.__new__(dial_peer.Dialler)
    dialler._guard = SimpleNamespace(spend=lambda peer, addr: None)  # type: ignore[assignment]
    dialler._try = attempt  # type: ignore[assignment, method-assign]
    dial = dial_peer._Dial()
    dial.add([at(port) for port in range(1, 9)])
    with trio.move_on_after(5):
        async with trio.open_nursery() as nursery:
            await dialler._try_all(plain_host(1).get_id(), dial, dial_peer._Attempts(), nursery)
    gaps = [after - before for before, after in pairwise(started)]
    assert gaps == pytest.approx([0.25] * 3 + [0.1] * 4)
    assert started[6] - started[0] < 1.1


async def test_loopback_is_not_tried_if_there_is_another_address() -> None:
    """It would be the address of another peer on this machine."""
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        with pytest.raises(SwarmException, match="any of 1 addresses"):
            await dial(a, b, Multiaddr("/ip4/0.0.0.1/tcp/1"), at(b.port))


async def test_addresses_of_an_own_network_come_before_relayed_ones_and_those_before_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two laptops behind one router were relayed, although the ticket named an address of their own network."""
    peer, relay = plain_host(1).get_id(), plain_host(2).get_id()
    circuit = f"/ip4/45.10.0.9/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}"
    far = "/ip4/45.10.0.3/tcp/1"
    near = [f"/ip4/192.168.1.{number}/tcp/1" for number in (2, 3, 4)]
    dialler = object.__new__(dial_peer.Dialler)
    dialler._swarm = SimpleNamespace(
        connection_gate=SimpleNamespace(is_allowed=yes),
        transport_manager=SimpleNamespace(transport_for_dialing=lambda addr: addr),
    )

    async def order(*addrs: str) -> list[str]:
        with dial_peer.dialled_at([Multiaddr(addr) for addr in addrs]):
            return [str(addr) for addr in await dialler._addrs_of(peer)]

    monkeypatch.setattr(dial_peer, "own_networks", lambda: [ip_network("192.168.1.0/24")])
    assert await order(circuit, far, *near) == [*near[:2], circuit, far, near[2]]
    assert await order(far, near[0]) == [far, near[0]], "without a relay, the order of the ticket"
    monkeypatch.setattr(dial_peer, "own_networks", lambda: [ip_network("192.168.2.0/24")])
    assert await order(far, near[0], circuit) == [circuit, far, near[0]]


async def yes(_: Multiaddr) -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def test_two_dials_at_once_make_one_connection() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(dial, a, b, REFUSED, at(b.port))
        assert len(host_of(a).get_network().connections[id_of(b)]) == 1


async def test_an_address_of_an_undialable_form_is_refused() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        with pytest.raises(SwarmException, match=r"no address of .* is known that can be dialled"):
            await dial(a, b, Multiaddr("/ip4/127.0.0.1/udp/1"))


async def test_names_of_other_peers_that_lead_nowhere_do_not_keep_a_persons_dial_waiting() -> None:
    """Dials on the word of other peers have taken all the places that libp2p has."""
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        places: trio.CapacityLimiter = host_of(a).get_network()._global_dial_limiter
        while places.available_tokens:
            places.acquire_on_behalf_of_nowait(object())
        await dial(a, b, at(b.port))
        assert host_of(a).get_network().connections[id_of(b)]


async def test_a_crowd_of_strangers_does_not_keep_out_who_is_dialled() -> None:
    """Strangers have come faster than they are let in. The next one has to wait; a person's wish has not."""
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, node(Loopback(), 3) as stranger:
        links = a.network._links  # type: ignore[attr-defined]
        links.table._strangers.take(10_000, trio.current_time())
        a.network.dial(b.addr)
        await a.seen.until(lambda: a.seen.links or a.seen.failed)
        assert a.seen.links == [("up", b.id)]
        assert not links.allowed(stranger.id)
