"""Tells relayed addresses without cutting them, listens on IPv6 and IPv4 apart, and dials with small packets.

Replaces `BasicHost.get_addrs` (in `AddressedHost`), and `_set_reuse_flags` and `dial` of the TCP transport
(`prepare_tcp`). For libp2p 0.8.x.

What libp2p 0.8.1 does:

- `get_addrs` cuts each address at its first /p2p/, and appends the host's own peer id. Of an address through a relay,
  /RELAY/p2p/ID-OF-RELAY/p2p-circuit/p2p/ID, there remains /RELAY/p2p/ID. So identify, the DHT and signed records tell
  everybody that this host lives at the relay's address: peers dial the relay, and another peer answers there.
- Its IPv6 listener on `::` also takes IPv4 connections, so that it shares the port with an IPv4 listener, and the
  remote address of such a connection reads ::ffff:192.0.2.7.
- It sends packets as large as this machine's interface allows. Some routers drop large packets and report nothing (for
  a tunnel, PPPoE). Then a connection can be opened, but no data passes. Inside `small_packets`, each side of a new
  connection sends packets of the size that every IPv6 network must pass.

Upstream: no issue is known. Test: tests/net/upstream/test_own_addresses.py; those of its tests that begin with
`test_libp2p_still` show what libp2p does, and fail when upstream changes.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import trio
from libp2p.abc import IRawConnection
from libp2p.host.basic_host import BasicHost
from libp2p.transport.tcp import tcp
from multiaddr import Multiaddr
from typing_extensions import override

SMALL_SEGMENT = 1200
"""Bytes of TCP in one packet: with its headers and options it fits into 1,280 bytes, IPv6's least MTU."""


class AddressedHost(BasicHost):
    """A host that tells peers its addresses as they are, also relayed ones.

    `told`: returns the addresses, each with /p2p/ and the host's own peer id at its end.
    """

    def __init__(self, network: Any, told: Callable[[], Sequence[Multiaddr]]) -> None:
        self._told = told  # `BasicHost` asks for the addresses already when it is made
        super().__init__(network)

    @override
    def get_addrs(self) -> list[Multiaddr]:
        return list(self._told())


def prepare_tcp() -> None:
    """Change libp2p's TCP transport: listeners on IPv6 take IPv6 connections only, and `small_packets` limits dials."""
    tcp._set_reuse_flags = _set_flags
    transport: Any = tcp.TCP  # the class: the transport is made inside libp2p
    transport.dial = _dial


@contextmanager
def small_packets() -> Iterator[None]:
    """While this context lasts, both sides of each new connection of this task send small packets.

    Such a packet has at most SMALL_SEGMENT bytes of TCP data.
    """
    before = _small.set(True)
    try:
        yield
    finally:
        _small.reset(before)


_small: ContextVar[bool] = ContextVar("_small", default=False)
_set_reuse_flags, _dial_large = tcp._set_reuse_flags, tcp.TCP.dial


async def _dial(transport: tcp.TCP, maddr: Multiaddr) -> IRawConnection:
    if not _small.get():
        return await _dial_large(transport, maddr)
    anywhere = "::" if str(maddr).startswith("/ip6/") else "0.0.0.0"  # noqa: S104 - nobody listens there
    return await transport.dial_with_source(maddr, (anywhere, 0))


def _set_flags(sock: trio.socket.SocketType) -> None:
    _set_reuse_flags(sock)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if _small.get():
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALL_SEGMENT)
