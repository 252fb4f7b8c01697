"""Which addresses are of a network that this machine is in."""

from types import SimpleNamespace
from typing import Any

import ifaddr
import pytest

from flux_tui.net.addresses import own_networks
from flux_tui.net.addresses.own_networks import in_own_network


def ip(addr: str, prefix: int) -> Any:
    is_v6 = ":" in addr
    return SimpleNamespace(ip=(addr, 0, 0) if is_v6 else addr, network_prefix=prefix, is_IPv4=not is_v6)


@pytest.mark.parametrize(
    ("addr", "is_own"),
    [
        ("/ip4/192.168.1.77/tcp/1", True), ("/ip4/192.168.2.77/tcp/1", False), ("/ip6/2a0a:5::9/tcp/1", True),
        ("/ip4/172.17.0.2/tcp/1", False), ("/ip4/127.0.0.1/tcp/1", False), ("/ip4/169.254.1.1/tcp/1", False),
        ("/ip4/10.8.0.1/tcp/1", False), ("/dns4/example.org/tcp/1", False), ("", False),
    ],
)  # fmt: skip
def test_the_lan_is_an_own_network_and_containers_tunnels_and_loopback_are_none(
    monkeypatch: pytest.MonkeyPatch, addr: str, is_own: bool
) -> None:
    adapters = [
        SimpleNamespace(name="lo", ips=[ip("127.0.0.1", 8)]),
        SimpleNamespace(name="wifi", ips=[ip("192.168.1.2", 24), ip("2a0a:5::2", 64), ip("fe80::1", 64)]),
        SimpleNamespace(name="usb", ips=[ip("169.254.1.2", 16)]),
        SimpleNamespace(name="docker0", ips=[ip("172.17.0.1", 16)]),
        SimpleNamespace(name="tun0", ips=[ip("10.8.0.1", 32)]),
    ]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    monkeypatch.setattr(own_networks, "inner_bridges", lambda: {"docker0": True})
    assert in_own_network(addr, own_networks.own_networks()) is is_own
