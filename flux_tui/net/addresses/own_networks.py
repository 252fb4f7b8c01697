"""Which IP addresses belong to a network that this machine is in: its LAN, without containers and virtual machines."""

import ipaddress
from collections.abc import Iterable
from typing import TypeAlias

import ifaddr

from flux_tui.net.addresses.interfaces import inner_bridges

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


def own_networks() -> list[Network]:
    """Return the networks that this machine is in now.

    Loopback, link-local addresses, and bridges that lead only into this machine are left out. So is an address that is
    alone in its network, as of a tunnel.
    """
    inner, found = inner_bridges(), list[Network]()
    for adapter in ifaddr.get_adapters():
        for one in adapter.ips if adapter.name not in inner else ():
            network = ipaddress.ip_network(
                f"{one.ip if one.is_IPv4 else one.ip[0]}/{one.network_prefix}", strict=False
            )
            if not (network.is_loopback or network.is_link_local) and network.num_addresses > 1:
                found.append(network)
    return found


def in_own_network(addr: str, networks: Iterable[Network]) -> bool:
    """Whether a multiaddr names an IP address of one of these networks."""
    parts = addr.split("/")
    try:
        ip = ipaddress.ip_address(parts[2])
    except (IndexError, ValueError):  # it names no IP address
        return False
    return any(ip in network for network in networks)
