"""The addresses that a host tells its peers, and its listeners on IPv6."""

import socket
from typing import Any

import pytest
import trio
from libp2p.host.basic_host import BasicHost
from libp2p.identity.identify.identify import _mk_identify_protobuf
from libp2p.transport.tcp import tcp
from multiaddr import Multiaddr

from flux_tui.net.upstream.own_addresses import (
    SMALL_SEGMENT,
    AddressedHost,
    _set_reuse_flags,
    prepare_tcp,
    small_packets,
)
from tests.support.hosts import plain_host

RELAY = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"


def told_by(host: Any) -> set[str]:
    """Return the addresses that identify tells."""
    return {str(Multiaddr(addr)) for addr in _mk_identify_protobuf(host, None).listen_addrs}


async def test_an_address_through_a_relay_is_told_whole() -> None:
    network = plain_host(1).get_network()
    me = network.get_peer_id()
    relayed, direct = f"/ip4/203.0.113.7/tcp/4001/p2p/{RELAY}/p2p-circuit", "/ip4/192.168.1.7/tcp/1"
    host = AddressedHost(network, lambda: [Multiaddr(f"{addr}/p2p/{me}") for addr in (relayed, direct)])
    assert [str(addr) for addr in host.get_addrs()] == [f"{relayed}/p2p/{me}", f"{direct}/p2p/{me}"]
    assert told_by(host) == {relayed, direct}


async def test_libp2p_still_tells_that_the_host_lives_at_its_relay() -> None:
    network = plain_host(1).get_network()
    relay = "/ip4/203.0.113.7/tcp/4001"
    relayed = Multiaddr(f"{relay}/p2p/{RELAY}/p2p-circuit/p2p/{network.get_peer_id()}")
    host = BasicHost(network, addrs_factory=lambda _: [relayed], disable_identify_address_discovery=True)
    assert told_by(host) == {relay}


async def listens_on_both() -> bool:
    """Return whether a listener on `::` takes IPv4 connections, too."""
    listeners = await tcp._open_reuseport_listeners("::", 0)
    port = listeners[0].socket.getsockname()[1]
    try:
        with trio.move_on_after(5):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.aclose()
            return True
    except OSError:
        pass
    finally:
        for listener in listeners:
            await listener.aclose()
    return False


async def test_a_listener_on_ipv6_takes_no_ipv4_connections() -> None:
    prepare_tcp()
    assert not await listens_on_both()
    with trio.socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        tcp._set_reuse_flags(sock)


async def test_libp2p_still_takes_ipv4_connections_on_ipv6(monkeypatch: Any) -> None:
    monkeypatch.setattr(tcp, "_set_reuse_flags", _set_reuse_flags)
    assert await listens_on_both()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_sides_of_a_connection_that_is_dialled_with_small_packets_send_such(host: str) -> None:
    prepare_tcp()
    (listener,) = await trio.open_tcp_listeners(0, host=host)
    port = listener.socket.getsockname()[1]
    addr = Multiaddr(f"/ip{6 if ':' in host else 4}/{host}/tcp/{port}")

    async def sizes(dialled: Any) -> set[bool]:
        accepted = await listener.accept()
        ends = (dialled.stream.stream.socket, accepted.socket)
        found = {end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= SMALL_SEGMENT for end in ends}
        await accepted.aclose()
        await dialled.close()
        return found

    assert await sizes(await tcp.TCP().dial(addr)) == {False}
    with small_packets():
        assert await sizes(await tcp.TCP().dial(addr)) == {True}
    assert await sizes(await tcp.TCP().dial(addr)) == {False}
    await listener.aclose()
