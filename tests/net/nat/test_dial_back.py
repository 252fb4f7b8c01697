"""Dial back over real libp2p on loopback: what is dialled, for whom, and what is answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from libp2p.host.autonat.autonat import AutoNATService
from multiaddr import Multiaddr

from flux_tui.net.addresses.dial_guard import DialGuard
from flux_tui.net.nat import dial_back
from flux_tui.net.nat.dial_back import DIAL_BACK, DialBack
from tests.support.hosts import silent_port, two_plain_hosts


@asynccontextmanager
async def asker_and_prober() -> AsyncIterator[tuple[DialBack, Any, Any]]:
    """Two connected hosts. Yield the asker's dial back, its host, and its connection to the prober."""
    async with two_plain_hosts() as (prober, asker):
        for host in (prober, asker):
            made = DialBack(host, DialGuard(host.get_network().get_connections, refused))
        (connection,) = asker.get_network().connections[prober.get_id()]
        yield made, asker, connection.muxed_conn


def refused(addr: str, why: str) -> None:
    raise AssertionError(why)


def addr_of(host: Any) -> str:
    (listener,) = host.get_network().listeners.values()
    return str(listener.get_addrs()[0])


async def test_an_address_that_leads_here_is_reached() -> None:
    async with asker_and_prober() as (asking, host, connection):
        assert await asking.ask(connection, addr_of(host)) is True


async def test_a_port_where_nobody_listens_is_not_reached() -> None:
    async with asker_and_prober() as (asking, _, connection):
        assert await asking.ask(connection, "/ip4/127.0.0.1/tcp/1") is False


async def test_a_port_where_somebody_else_answers_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial_back, "DIAL_SECONDS", 0.3)
    async with silent_port() as port, asker_and_prober() as (asking, _, connection):
        assert await asking.ask(connection, f"/ip4/127.0.0.1/tcp/{port}") is False


@pytest.mark.parametrize(
    "addr",
    [
        "/ip4/127.0.0.2/tcp/4001",
        "/ip4/192.0.2.7/tcp/4001",
        "/dns4/localhost/tcp/4001",
        "/ip4/127.0.0.1/udp/4001",
        "/ip4/127.0.0.1/tcp/x",
        "/",
        "",
    ],
)
async def test_nobody_is_dialled_elsewhere_for_a_peer(addr: str) -> None:
    """Else a peer could make this node dial a third party."""
    async with asker_and_prober() as (asking, _, connection):
        assert await asking.ask(connection, addr) is None


async def test_one_peer_has_a_budget() -> None:
    async with asker_and_prober() as (asking, host, connection):
        answers = [await asking.ask(connection, addr_of(host)) for _ in range(int(dial_back.BURST) + 2)]
        assert answers == [True] * int(dial_back.BURST) + [None, None]


async def test_a_peer_that_does_not_know_the_protocol_gives_no_verdict() -> None:
    async with two_plain_hosts() as (other, host):
        asking = DialBack(host, DialGuard(lambda peer: [], refused))
        (connection,) = host.get_network().connections[other.get_id()]
        assert await asking.ask(connection.muxed_conn, addr_of(host)) is None


async def test_a_request_that_is_cut_off_ends_quietly() -> None:
    async with asker_and_prober() as (asking, host, connection):
        stream = await host.new_stream(connection.peer_id, [DIAL_BACK])
        await stream.write(b"\x20/ip4")
        await stream.close()
        assert await asking.ask(connection, addr_of(host)) is True


async def test_libp2p_still_says_reachable_of_an_address_that_is_not() -> None:
    """If this fails, compare again: AutoNAT may take the place of `dial_back.py`."""
    async with two_plain_hosts() as (server, client):
        nobody = Multiaddr("/ip4/127.0.0.1/tcp/1").to_bytes()
        assert await AutoNATService(server)._try_dial(client.get_id(), [nobody]) == nobody
