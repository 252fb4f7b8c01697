"""What is asked of a router by NAT-PMP, and what it may answer. A real router is in tests/networks."""

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from flux_tui.net.nat import nat_pmp
from flux_tui.net.nat.nat_pmp import NatPmp, default_router

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
"""
Answer = Callable[[bytes], bytes | None]


@asynccontextmanager
async def routed(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[bytes]]:
    """A router on loopback. Yields the requests that it got."""
    asked: list[bytes] = []
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        monkeypatch.setattr(nat_pmp, "PORT", sock.getsockname()[1])

        async def run() -> None:
            while True:
                request, asker = await sock.recvfrom(100)
                asked.append(request)
                if (told := answer(request)) is not None:
                    await sock.sendto(told, asker)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            yield asked
            nursery.cancel_scope.cancel()


def router() -> NatPmp:
    return NatPmp(lambda: "127.0.0.1")


def address(ip: str) -> Answer:
    return lambda request: bytes((0, 128, 0, 0, 0, 0, 0, 9)) + bytes(map(int, ip.split(".")))


def mapping(outer: int | None = None, result: int = 0) -> Answer:
    """Map what is asked for; `outer`: another port instead."""

    def answer(request: bytes) -> bytes:
        _, _, _, port, wished, seconds = struct.unpack("!BBHHHI", request)
        given = (outer or wished) if seconds else 0
        return struct.pack("!BBHIHHI", 0, 130, result, 9, port, given, seconds)

    return answer


def test_the_router_is_that_of_the_default_route_with_the_least_metric(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    assert default_router(tmp_path / "route") == "192.168.1.1"
    (tmp_path / "route").write_text(ROUTES.splitlines()[0])
    assert default_router(tmp_path / "route") is None
    assert default_router(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("ip", "found"), [("45.10.0.2", "45.10.0.2"), ("192.168.0.7", None), ("100.64.0.1", None)]
)
async def test_an_outer_address_counts_if_it_is_public(
    ip: str, found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with routed(address(ip), monkeypatch) as asked:
        assert await router().find() == found
    assert asked == [b"\0\0"]


async def test_a_port_is_mapped_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with routed(mapping(), monkeypatch) as asked:
        one = router()
        assert await one.map(4001, 4001, 1200)
        assert await one.unmap(4001)
        assert not await one.unmap(4001), "it is removed already"
    assert asked == [
        struct.pack("!BBHHHI", 0, 2, 0, 4001, 4001, 1200),
        struct.pack("!BBHHHI", 0, 2, 0, 4001, 0, 0),
    ]


async def test_another_port_than_the_wished_one_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with routed(mapping(outer=9999), monkeypatch) as asked:
        assert not await router().map(4001, 4001, 1200)
    assert asked[-1] == struct.pack("!BBHHHI", 0, 2, 0, 4001, 0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        mapping(result=2),
        lambda request: b"",
        lambda request: b"\0\x82\0\0",
        lambda request: bytes((2, 130)) + bytes(14),
        lambda request: bytes((0, 130)) + bytes(8),
        lambda request: None,
    ],
    ids=["refused", "empty", "short", "version", "cut", "silent"],
)
async def test_what_is_no_good_answer_maps_nothing(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nat_pmp, "WAITS", (0.05, 0.05))
    async with routed(answer, monkeypatch):
        assert not await router().map(4001, 4001, 1200)


async def test_a_request_that_is_lost_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [None, b""]

    def answer(request: bytes) -> bytes | None:
        return lost.pop(0) if lost else address("45.10.0.2")(request)

    async with routed(answer, monkeypatch) as asked:
        assert await router().find() == "45.10.0.2"
    assert len(asked) == 3


async def test_without_a_router_nothing_is_asked() -> None:
    nobody = NatPmp(lambda: None)
    assert await nobody.find() is None
    assert not await nobody.map(4001, 4001, 1200)


async def test_a_router_without_nat_pmp_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        monkeypatch.setattr(nat_pmp, "PORT", sock.getsockname()[1])
    assert await router().find() is None
