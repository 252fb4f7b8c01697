"""Port mapping by UPnP: what the router is asked for."""

import threading
from typing import Any

import pytest
import trio
from libp2p.discovery.upnp.upnp import UpnpManager

from flux_tui.net.upstream.upnp import NAME, LeasedUpnp


class Gateway:
    """The part of miniupnpc that is used. `refuses`: the errors of the next mappings."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = list(refuses)
        self.asked: list[tuple[Any, ...]] = []
        self.lanaddr = "192.168.1.2"
        self.outer = "45.10.0.2"
        self.found = 1

    def discover(self) -> int:
        return self.found

    def selectigd(self) -> str:
        return "a router"

    def externalipaddress(self) -> str:
        return self.outer

    def connectiontype(self) -> str:
        return "IP_Routed"

    def addportmapping(self, *asked: Any) -> bool:
        self.asked.append(asked)
        if self.refuses:
            raise Exception(self.refuses.pop(0))
        return True

    def deleteportmapping(self, *asked: Any) -> bool:
        self.asked.append(asked)
        return True


def router(gateway: Gateway) -> LeasedUpnp:
    made = LeasedUpnp()
    made._gateway = gateway
    return made


async def test_a_port_is_mapped_for_a_time_and_taken_back() -> None:
    gateway = Gateway()
    one = router(gateway)
    assert await one.find() == "45.10.0.2"
    assert await one.map(4001, 30_000, 1200)
    assert await one.unmap(30_000)
    assert gateway.asked == [
        (30_000, "TCP", "192.168.1.2", 4001, NAME, "", 1200),
        (30_000, "TCP"),
    ]


async def test_a_router_without_leases_maps_without_an_end() -> None:
    gateway = Gateway("OnlyPermanentLeasesSupported")
    one = router(gateway)
    await one.find()
    assert await one.map(4001, 4001, 1200)
    assert [asked[-1] for asked in gateway.asked] == [1200, 0]


async def test_a_refusal_is_told() -> None:
    one = router(Gateway("ConflictInMappingEntry"))
    await one.find()
    assert not await one.map(4001, 4001, 1200)


@pytest.mark.parametrize(("found", "outer"), [(0, "45.10.0.2"), (1, "10.0.0.2"), (1, "")])
async def test_without_a_public_outer_address_there_is_no_router(found: int, outer: str) -> None:
    gateway = Gateway()
    gateway.found, gateway.outer = found, outer
    assert await router(gateway).find() is None


async def test_a_router_that_does_not_answer_keeps_nobody() -> None:
    gateway, may_end = Gateway(), threading.Event()
    gateway.discover = may_end.wait  # type: ignore[method-assign]
    try:
        with trio.move_on_after(0.05) as waiting:
            await router(gateway).find()
        assert waiting.cancelled_caught
    finally:
        may_end.set()


async def test_libp2p_still_maps_without_an_end() -> None:
    """If this fails, `upstream/upnp.py` may not be needed any more."""
    gateway = Gateway()
    plain = UpnpManager()
    plain._gateway = gateway
    assert await plain.discover()
    assert await plain.add_port_mapping(4001)
    assert gateway.asked == [(4001, "TCP", "192.168.1.2", 4001, "py-libp2p", "")], "no lease is the seventh"
