"""Tells a host's relayed addresses without cutting them, and listens on IPv6 and IPv4 apart. For libp2p 0.8.x.

Replaces `BasicHost.get_addrs` (in `AddressedHost`) and `_set_reuse_flags` of the TCP transport (`listen_apart`).

What libp2p 0.8.1 does:

- `get_addrs` cuts each address at its first /p2p/, and appends the host's own peer id. Of an address through a relay,
  /RELAY/p2p/ID-OF-RELAY/p2p-circuit/p2p/ID, there remains /RELAY/p2p/ID. So identify, the DHT and signed records tell
  everybody that this host lives at the relay's address: peers dial the relay, and another peer answers there.
- Its IPv6 listener on `::` also takes IPv4 connections, so that it shares the port with an IPv4 listener, and the
  remote address of such a connection reads ::ffff:192.0.2.7.

Upstream: no issue is known. Test: tests/net/upstream/test_own_addresses.py; those of its tests that begin with
`test_libp2p_still` show what libp2p does, and fail when upstream changes.
"""

import socket
from collections.abc import Callable, Sequence
from typing import Any

import trio
from libp2p.host.basic_host import BasicHost
from libp2p.transport.tcp import tcp
from multiaddr import Multiaddr
from typing_extensions import override


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


def listen_apart() -> None:
    """Let libp2p's TCP listeners on IPv6 addresses take IPv6 connections only."""
    tcp._set_reuse_flags = _set_flags


_set_reuse_flags = tcp._set_reuse_flags


def _set_flags(sock: trio.socket.SocketType) -> None:
    _set_reuse_flags(sock)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
