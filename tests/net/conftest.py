"""Fixtures of the network tests."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from flux_tui.testing.memory_network import Switchboard
from tests.support.machines import NETWORK, ip
from tests.support.networks import Loopback, Wire


@pytest.fixture
def rooms() -> Iterator[tuple[str, str]]:
    """Two namespaces that act as two machines. A cable connects them, and nothing else does."""
    names = (f"flux-{os.getpid()}-a", f"flux-{os.getpid()}-b")
    cables = (f"fx{os.getpid()}a", f"fx{os.getpid()}b")
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)  # its end of the cable goes with it
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), 1):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", cable)
        yield names


@pytest.fixture(params=["memory", "libp2p"])
def wire(request: pytest.FixtureRequest) -> Wire:
    return Switchboard() if request.param == "memory" else Loopback()
