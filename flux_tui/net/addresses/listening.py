"""Listens on addresses, and says why an address cannot be listened on."""

import errno
import logging
import socket

from libp2p.abc import IHost
from multiaddr import Multiaddr

from flux_tui.net.addresses.own_addrs import is_wildcard
from flux_tui.net.dial_errors import SYSTEM_ERRORS, sentence_of
from flux_tui.net.port import NetworkError

log = logging.getLogger(__name__)

NOT_OURS = SYSTEM_ERRORS[errno.EADDRNOTAVAIL]
"""What is said of an address that this machine does not have."""


def listen_error(addr: str) -> OSError | None:
    """Return why this node cannot listen on this multiaddr; None: it can. Raises NetworkError if it is not valid.

    Without this check, libp2p would share the port with another program (SO_REUSEPORT). Two nodes would then take
    each other's connections.
    """
    parsed = listen_addr(addr)
    family = "ip6" if str(parsed).startswith("/ip6/") else "ip4"
    kind = socket.AF_INET6 if family == "ip6" else socket.AF_INET
    try:
        made = socket.socket(kind, socket.SOCK_STREAM)
    except OSError:  # a system without IPv6
        return OSError(errno.EADDRNOTAVAIL, NOT_OURS)
    with made as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((parsed.value_for_protocol(family), int(parsed.value_for_protocol("tcp") or 0)))
        except OSError as error:
            return error
    return None


def _listening(host: IHost) -> list[Multiaddr]:
    """Return the addresses on which a host listens now."""
    return [addr for listener in host.get_network().listeners.values() for addr in listener.get_addrs()]


async def listen_on(host: IHost, addr: Multiaddr) -> list[Multiaddr] | None:
    """Listen on one more address. Returns all addresses on which the host then listens.

    None: this machine does not have the address now. Raises NetworkError for failures that are unlikely to pass.
    """
    error: Exception | None = listen_error(str(addr))
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return None
    if error is None:
        try:
            if await host.get_network().listen(addr):
                return _listening(host)
        except Exception as failure:  # libp2p wraps the operating system's errors in its own
            error = failure
    why = "the port is in use, or the address is not this machine's" if error is None else sentence_of(error)
    raise NetworkError(f"cannot listen on {addr}: {why}")


async def listen_beside(host: IHost, addr: Multiaddr) -> list[Multiaddr] | None:
    """Listen on one more address, as `listen_on` does.

    If `addr` is a wildcard with port 0 and the host listens on a wildcard already, the port of that one is tried first.
    So a node has the same port for IPv4 and IPv6, if the port is free in both.
    """
    text = str(addr)
    for other in _listening(host):
        if is_wildcard(text) and text.endswith("/tcp/0") and is_wildcard(other):
            try:
                return await listen_on(
                    host, Multiaddr(text[: -len("0")] + str(other.value_for_protocol("tcp")))
                )
            except NetworkError as error:
                log.debug("not at the same port: %s", error)
    return await listen_on(host, addr)


def announced_addr(addr: str, peer: str) -> str:
    """Check an address that a person announces for this node, and return it without a peer id.

    `peer`: this node's peer id, which the address may end with. Raises NetworkError if the rest is not a multiaddr of
    an IP address and a TCP port above 0.
    """
    transport = addr.removesuffix(f"/p2p/{peer}")
    parts = transport.split("/")
    known = len(parts) == 5 and not parts[0] and parts[1] in ("ip4", "ip6") and parts[3] == "tcp"
    try:
        if not known or not int(parts[4]):
            raise ValueError
        return str(Multiaddr(transport))
    except Exception:  # the library raises kinds of its own
        raise NetworkError(
            f"cannot announce {addr}: expected the router's own address, like /ip4/203.0.113.5/tcp/4001"
        ) from None


def listen_addr(addr: str) -> Multiaddr:
    """Parse a multiaddr to listen on. Raises NetworkError if it is not valid."""
    try:
        parsed = Multiaddr(addr)
        parsed.value_for_protocol("ip6" if addr.startswith("/ip6/") else "ip4")
        parsed.value_for_protocol("tcp")
    except Exception:  # the library raises kinds of its own
        raise NetworkError(
            f"cannot listen on {addr}: expected a multiaddr like /ip4/127.0.0.1/tcp/0"
        ) from None
    return parsed
