"""When a port is mapped, renewed and taken back."""

from typing import Any

import pytest
import trio
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.nat import port_mapping
from flux_tui.net.nat.port_mapping import (
    AGAIN,
    AGAIN_SECONDS,
    LEASE_SECONDS,
    OTHER_PORTS,
    RENEW_SECONDS,
    PortMapping,
)

ME = PeerId("12D3KooWD1kRAPHRi1sbUbSktjh5Wcc2w975CpUJ8GwHicxea2em")
INNER = f"/ip4/192.168.1.2/tcp/4001/p2p/{ME}"


async def silence(outer: int) -> None:
    await trio.sleep_forever()


class NoRouter:
    """A way to ask a router that none answers."""

    async def find(self) -> str | None:
        await trio.lowlevel.checkpoint()
        return None

    async def map(self, port: int, outer: int, seconds: int) -> bool:
        raise AssertionError("there is no router")

    async def unmap(self, outer: int) -> bool:
        raise AssertionError("there is no router")


class House:
    """A node with a router. It is also what looks for the router, and what hears of claims."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *addrs: str) -> None:
        self.ip: str | None = "45.10.0.2"
        self.taken: set[int] = set()
        self.mapped: dict[int, tuple[int, int]] = {}
        self.asked = 0
        self.claims: tuple[str, ...] = ()
        self.own = OwnAddrs(ME, [])
        self.own.listens_on([Multiaddr("/ip4/0.0.0.0/tcp/4001")])
        self.direct = addrs or (INNER,)
        monkeypatch.setattr(OwnAddrs, "direct", property(lambda _: self.direct))
        self.mapping = PortMapping(self.own, self, [NoRouter, lambda: self])  # type: ignore[arg-type]

    def claim(self, who: str, addrs: Any) -> None:
        self.claims = tuple(addrs)

    async def find(self) -> str | None:
        self.asked += 1
        await trio.lowlevel.checkpoint()
        return self.ip

    async def map(self, port: int, outer: int, seconds: int) -> bool:
        if outer in self.taken:
            return False
        self.mapped[outer] = port, seconds
        return True

    async def unmap(self, outer: int) -> bool:
        del self.mapped[outer]
        return True

    def moves(self, *addrs: str) -> None:
        self.direct = addrs
        self.own.changed.set()
        self.own.changed = trio.Event()


async def test_a_port_is_mapped_renewed_and_taken_back(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.mapping.run)
        await trio.sleep(1)
        assert house.mapped == {4001: (4001, LEASE_SECONDS)}
        assert house.claims == ("/ip4/45.10.0.2/tcp/4001",)
        house.ip = "45.10.7.7"
        await trio.sleep(RENEW_SECONDS)
        assert house.asked == 2, "well before the lease ends"
        assert house.claims == ("/ip4/45.10.7.7/tcp/4001",), "the router has another address meanwhile"
        nursery.cancel_scope.cancel()
    assert house.mapped == {}


async def test_another_port_is_mapped_if_that_of_the_node_is_taken(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    house.taken = {4001}
    nursery.start_soon(house.mapping.run)
    await trio.sleep(1)
    (outer,) = house.mapped
    assert outer in OTHER_PORTS
    assert house.claims == (f"/ip4/45.10.0.2/tcp/{outer}",)
    await trio.sleep(RENEW_SECONDS)
    assert list(house.mapped) == [outer], "the same one again"


async def test_without_a_router_it_is_looked_for_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    house.ip = None
    nursery.start_soon(house.mapping.run)
    await trio.sleep(4 * AGAIN.most)
    assert 5 <= house.asked <= 10
    assert house.claims == ()


async def test_in_another_network_the_router_is_looked_for_at_once(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    house.ip = None
    nursery.start_soon(house.mapping.run)
    await trio.sleep(AGAIN.first / 2)
    house.ip = "45.10.0.2"
    house.moves(INNER)
    await trio.sleep(1)
    assert house.asked == 1, "the same addresses"
    house.moves(INNER.replace("192.168.1.2", "10.0.0.2"))
    await trio.sleep(1)
    assert house.claims == ("/ip4/45.10.0.2/tcp/4001",)


async def test_a_router_that_has_forgotten_the_mapping_is_asked_again_soon_and_not_all_the_time(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    nursery.start_soon(house.mapping.run)
    await trio.sleep(AGAIN_SECONDS + 1)
    house.mapped.clear()
    house.ip = "45.10.7.7"
    house.mapping.look_again()
    await trio.sleep(1)
    assert house.mapped == {4001: (4001, LEASE_SECONDS)}
    assert house.claims == ("/ip4/45.10.7.7/tcp/4001",)
    for _ in range(100):
        house.mapping.look_again()
        await trio.sleep(AGAIN_SECONDS / 10)
    assert 10 <= house.asked <= 12


@pytest.mark.parametrize("kept", [True, False], ids=["mapped", "not mapped"])
async def test_a_router_that_changes_while_it_is_asked_is_asked_once_more(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock, kept: bool
) -> None:
    house = House(monkeypatch)

    async def slow() -> str | None:
        house.asked += 1
        await trio.sleep(5)
        return "45.10.0.2" if kept else None

    monkeypatch.setattr(house, "find", slow)
    nursery.start_soon(house.mapping.run)
    await trio.sleep(2)
    house.mapping.look_again()
    await trio.sleep(AGAIN_SECONDS)
    assert house.asked == 2


@pytest.mark.parametrize(
    "addrs",
    [("/ip4/127.0.0.1/tcp/4001",), ("/ip4/45.10.0.7/tcp/4001", INNER), ("/ip6/2001:db8::1/tcp/4001",)],
)
async def test_nothing_is_mapped_where_it_is_of_no_use(
    monkeypatch: pytest.MonkeyPatch, nursery: trio.Nursery, autojump_clock: MockClock, addrs: tuple[str, ...]
) -> None:
    house = House(monkeypatch, *addrs)
    nursery.start_soon(house.mapping.run)
    await trio.sleep(10)
    assert (house.asked, house.mapped) == (0, {})


async def test_a_router_that_does_not_answer_does_not_keep_the_node(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    house = House(monkeypatch)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.mapping.run)
        await trio.sleep(1)

        monkeypatch.setattr(house, "unmap", silence)
        began = trio.current_time()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - began <= port_mapping.LEAVE_SECONDS
