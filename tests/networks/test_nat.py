"""Nodes behind routers: a relay first, then a direct connection where the routers allow it."""

import time
from pathlib import Path

import pytest

from flux_tui.core.series import events as ev
from tests.support.behind_routers import Behind, shared
from tests.support.network_lab import Lab, Nat, Shape, until

pytestmark = pytest.mark.netns

DIRECT_SECONDS = 10.0
"""Seconds after which a link through two routers is direct."""
NEW_ADDRESS_SECONDS = 30.0
"""Seconds after which a transfer goes on when a router got a new public address."""


def test_two_nodes_behind_routers_that_keep_ports_meet_directly(lab: Lab, tmp_path: Path) -> None:
    """The link begins at the relay, and moves in the middle of a transfer. Nothing comes twice."""
    behind = Behind(lab, ("cone", "cone"), Shape(delay=0.01, rate=4_000_000))
    ticket, data = shared(behind.holder, tmp_path, 16 * 1024 * 1024)
    began = time.monotonic()
    getting = behind.getter.get(ticket, tmp_path / "copy")
    until(lambda: behind.ways() == {"punched"}, DIRECT_SECONDS)
    assert time.monotonic() - began < DIRECT_SECONDS
    assert getting.wait(25) == 0
    assert (tmp_path / "copy").read_bytes() == data
    state = behind.getter.state()
    assert state["duplicate_factor"] == 1.0
    for node in (behind.getter, behind.holder):
        events = [entry.event for entry in node.entries()]
        moved = next(at for at, event in enumerate(events) if isinstance(event, ev.PeerMoved))
        assert not any(isinstance(event, ev.PeerDisconnected) for event in events[moved:])


@pytest.mark.parametrize("nats", [("random", "cone"), ("cone", "random")])
def test_with_a_router_that_takes_random_ports_the_link_stays_at_the_relay(
    lab: Lab, tmp_path: Path, nats: tuple[Nat, Nat]
) -> None:
    behind = Behind(lab, nats)
    ticket, data = shared(behind.holder, tmp_path, 1024 * 1024)
    assert behind.getter.get(ticket, tmp_path / "copy").wait(20) == 0
    assert (tmp_path / "copy").read_bytes() == data
    time.sleep(5)  # the first attempt
    assert behind.ways() == {"relayed"}
    for node in (behind.holder, behind.getter):
        errors = [entry.event.text for entry in node.entries() if isinstance(entry.event, ev.ErrorOccurred)]
        assert not any("45.10.0." in text for text in errors), "nothing is said of the routers' addresses"


def test_a_relay_with_limits_is_used_again_and_again(lab: Lab, tmp_path: Path) -> None:
    """A circuit passes on 4 MiB. With routers that take random ports there is no other way."""
    behind = Behind(lab, ("random", "random"), caps=(4 * 1024 * 1024, 120))
    ticket, data = shared(behind.holder, tmp_path, 10 * 1024 * 1024)
    assert behind.getter.get(ticket, tmp_path / "copy").wait(60) == 0
    assert (tmp_path / "copy").read_bytes() == data
    assert behind.getter.state()["duplicate_factor"] <= 1.02
    whys = [e.event.why for e in behind.getter.entries() if isinstance(e.event, ev.PeerDisconnected)]
    assert "the relay passes on no more than 4.0 MiB and 2:00 in one circuit, and ended it" in whys


def test_a_relayed_transfer_goes_on_when_a_router_gets_a_new_address(lab: Lab, tmp_path: Path) -> None:
    behind = Behind(lab, ("random", "random"), Shape(rate=1_500_000))
    ticket, _ = shared(behind.holder, tmp_path, 64 * 1024 * 1024)
    behind.getter.get(ticket, tmp_path / "copy")
    until(lambda: behind.getter.have() > 1024 * 1024, 10)
    behind.routers[0].outside.readdress("45.10.77.7/16")
    time.sleep(0.5)  # for what is on its way
    had = behind.getter.have()
    until(lambda: behind.getter.have() > had + 1024 * 1024, NEW_ADDRESS_SECONDS)


def test_a_forwarded_port_is_proved_and_told(lab: Lab, tmp_path: Path) -> None:
    """Nobody named it. A peer saw the router's address, and dialled it back."""
    internet, home = lab.lan("45.10.0.0/16", gateway=False), lab.lan("192.168.1.0/24")
    router = lab.router(internet, home)
    inside, outside = lab.host("inside"), lab.host("outside")
    inside.plug(home)
    outside.plug(internet)
    peer = outside.node("--no-mdns")
    node = inside.node(
        "--no-mdns",
        "--listen",
        "/ip4/0.0.0.0/tcp/4001",
        "--join",
        next(a for a in peer.addrs if "45.10" in a),
    )
    outer = f"/ip4/45.10.0.2/tcp/4001/p2p/{node.peer_id}"
    until(node.connected, 10)
    time.sleep(3)
    assert outer not in node.state()["addrs"], "nobody reaches it yet"
    router.forward(4001, "192.168.1.2:4001")
    until(lambda: node.state()["addrs"][0] == outer, 20)
