"""Listening: on which addresses, and why an address cannot be listened on."""

import socket

from libp2p.abc import IHost
from multiaddr import Multiaddr

from flux_tui.net.port import NetworkError
from flux_tui.net.reasons import NOT_OURS, reason


def can_listen(addr: str) -> str | None:
    """Return why this multiaddr cannot be listened on; None: it can.

    libp2p shares ports (SO_REUSEPORT), so two nodes would silently take each other's connections.
    """
    parsed = listen_addr(addr)
    family = "ip6" if str(parsed).startswith("/ip6/") else "ip4"
    kind = socket.AF_INET6 if family == "ip6" else socket.AF_INET
    with socket.socket(kind, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((parsed.value_for_protocol(family), int(parsed.value_for_protocol("tcp") or 0)))
        except OSError as error:
            return reason(error)
    return None


def listening(host: IHost) -> list[Multiaddr]:
    """Return the addresses that a host listens on now."""
    return [addr for listener in host.get_network().listeners.values() for addr in listener.get_addrs()]


async def listen_on(host: IHost, addr: Multiaddr) -> str | None:
    """Listen on an address.

    Returns why it cannot be listened on yet: this machine does not have the address now. Raises NetworkError
    for reasons that are unlikely to change.
    """
    if (why := can_listen(str(addr))) == NOT_OURS:
        return why
    if why is not None:
        raise NetworkError(f"cannot listen on {addr}: {why}")
    try:
        if await host.get_network().listen(addr):
            return None
        why = "the port is in use, or the address is not this machine's"
    except Exception as error:  # libp2p wraps the operating system's errors in its own
        why = reason(error)
    raise NetworkError(f"cannot listen on {addr}: {why}")


def listen_addr(addr: str) -> Multiaddr:
    """Parse an address to listen on. Raises NetworkError if it is none."""
    try:
        parsed = Multiaddr(addr)
        parsed.value_for_protocol("ip6" if addr.startswith("/ip6/") else "ip4")
        parsed.value_for_protocol("tcp")
    except Exception:  # the library raises kinds of its own
        raise NetworkError(
            f"cannot listen on {addr}: expected a multiaddr like /ip4/127.0.0.1/tcp/0"
        ) from None
    return parsed
