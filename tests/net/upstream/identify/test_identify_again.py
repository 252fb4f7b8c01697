"""A peer is identified on each new connection."""

from typing import Any

from libp2p.peer.peerinfo import PeerInfo

from flux_tui.net.upstream.identify.agent_version import exchange_agent_versions
from flux_tui.net.upstream.identify.identify_again import identify_again
from tests.support.hosts import two_plain_hosts
from tests.support.nodes_here import until


async def come_back(one: Any, other: Any) -> None:
    """Close the connection of a host to another, and open a new one."""
    (listener,) = other.get_network().listeners.values()
    await one.disconnect(other.get_id())
    await until(lambda: not one.get_network().get_connections(other.get_id()))
    await until(lambda: not other.get_network().get_connections(one.get_id()))
    await one.connect(PeerInfo(other.get_id(), list(listener.get_addrs())))


async def test_a_peer_that_comes_back_is_identified_again() -> None:
    async with two_plain_hosts() as (one, other):
        heard: list[str] = []
        identify_again(one)
        exchange_agent_versions(one, "", lambda peer, told: heard.append(told))
        await until(lambda: other.get_id() in one._identified_peers)
        for name in ("ada", "bob"):
            exchange_agent_versions(other, f"flux-tui/0.2.0 ({name})", lambda *told: None)
            await come_back(one, other)
            await until(lambda: heard and heard[-1] == f"flux-tui/0.2.0 ({name})")  # noqa: B023


async def test_a_peer_with_another_connection_is_identified_by_that_one() -> None:
    """The router got a new address: the new connection is there before libp2p tells the end of the old one."""
    async with two_plain_hosts() as (one, other):
        heard: list[str] = []
        identify_again(one)
        exchange_agent_versions(one, "", lambda peer, told: heard.append(told))
        await until(lambda: other.get_id() in one._identified_peers)
        (old,) = one.get_network().get_connections(other.get_id())
        exchange_agent_versions(other, "flux-tui/0.2.0 (cid)", lambda *told: None)
        (listener,) = other.get_network().listeners.values()
        await one.get_network().dial_addr(listener.get_addrs()[0], other.get_id())
        await until(lambda: len(one.get_network().get_connections(other.get_id())) == 2)
        assert "flux-tui/0.2.0 (cid)" not in heard
        await old.close()
        await until(lambda: heard and heard[-1] == "flux-tui/0.2.0 (cid)")
        assert other.get_id() in one._identified_peers


async def test_libp2p_still_does_not_identify_a_peer_that_comes_back() -> None:
    async with two_plain_hosts() as (one, other):
        await until(lambda: other.get_id() in one._identified_peers)
        await come_back(one, other)
        await until(lambda: one.get_id() in other._network.connections)
        assert one._has_cached_protocols(other.get_id())
        assert other.get_id() not in one._identified_peers
