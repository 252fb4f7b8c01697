"""Checks the `Host` header of HTTP requests, for the gateway and the endpoint of metrics.

A page in a browser can give a name of its own to an address of this machine (DNS rebinding). Then it could read what
is served here. The header of its request holds that name, so only names of this machine are answered.
"""

from collections.abc import Collection
from ipaddress import ip_address


def is_named(header: str, names: Collection[str]) -> bool:
    """Whether a `Host` header names this machine: by an IP address, or by one of these names in lower case."""
    host = header.lower()
    if not host.endswith("]"):  # otherwise an IPv6 address without a port
        name, colon, port = host.rpartition(":")
        if colon:
            host = name if port.isdigit() else ""
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return host.removesuffix(".") in names
    return True
