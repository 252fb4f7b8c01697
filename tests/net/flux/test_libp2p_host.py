"""What libp2p's host does when it ends, and to peers that it has heard of; `open_host` does neither."""

import inspect
from typing import Any

import pytest
import trio
from libp2p import new_host, new_swarm
from libp2p.network.auto_connector import AutoConnector
from multiaddr import Multiaddr

from flux_tui.net.flux.libp2p_host import NoAutoConnector
from tests.support.hosts import host_of, plain_host, two_plain_hosts
from tests.support.networks import BOUND, Loopback, connect, node

ANYWHERE = Multiaddr("/ip4/127.0.0.1/tcp/0")


async def accepts(port: int) -> bool:
    """Whether somebody listens on this port."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True


async def test_libp2p_still_leaves_its_port_open() -> None:
    """If this fails, libp2p closes its listeners: `open_host` need not."""
    host = plain_host(1)
    async with host.run(listen_addrs=[ANYWHERE]):
        (listener,) = host.get_network().listeners.values()
        port = int(listener.get_addrs()[0].value_for_protocol("tcp"))
    assert await accepts(port)
    await listener.close()
    assert not await accepts(port)


async def test_a_node_that_ends_closes_its_port() -> None:
    async with node(Loopback(), 1) as one:
        assert await accepts(one.port)
    assert not await accepts(one.port)


async def test_libp2p_still_keeps_the_slot_of_a_connection_that_has_ended() -> None:
    """If this fails, libp2p gives slots back: `_give_back_slots` is not needed."""
    async with two_plain_hosts() as (one, other):
        swarm = other.get_network()
        await one.disconnect(other.get_id())
        with trio.fail_after(BOUND):
            while swarm.get_connections():  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert swarm._inbound_limiter.borrowed_tokens == 1


async def test_a_node_gives_the_slot_back() -> None:
    async with node(Loopback(), 1) as one:
        swarm = host_of(one).get_network()
        async with node(Loopback(), 2) as other:
            await connect(other, one)
            assert swarm._inbound_limiter.borrowed_tokens == 1
        with trio.fail_after(BOUND):
            while swarm._inbound_limiter.borrowed_tokens:  # noqa: ASYNC110
                await trio.sleep(0.01)


@pytest.mark.parametrize(("kind", "dials"), [(AutoConnector, True), (NoAutoConnector, False)])
async def test_libp2p_still_dials_whom_it_has_heard_of_and_a_node_does_not(
    kind: type[AutoConnector], dials: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails for libp2p's own class, see whether ours is still needed."""
    asked: list[object] = []

    async def candidates(self: AutoConnector) -> list[Any]:
        asked.append(self)
        return []

    monkeypatch.setattr(AutoConnector, "_get_candidate_peers", candidates)
    connector = kind(plain_host(1).get_network())
    await connector.start()
    await connector.maybe_connect()
    assert bool(asked) == dials
    connector.record_disconnect(plain_host(2).get_id())
    assert bool(connector._recent_disconnects) == dials


def test_only_new_swarm_takes_a_retry_config() -> None:
    """If `new_host` takes it as well, `open_host` can call that."""
    assert "retry_config" in inspect.signature(new_swarm).parameters
    assert "retry_config" not in inspect.signature(new_host).parameters
