"""Nodes behind routers: a relay first, then a direct connection where the routers allow it."""

import sys
import time
from pathlib import Path

import pytest

from flux_tui.core.series import events as ev
from tests.support.network_lab import Lab, LabNode, Nat, Shape, until

pytestmark = pytest.mark.netns

DIRECT_SECONDS = 10.0
"""Seconds after which a link through two routers is direct."""


class Behind:
    """A relay on the internet, and a holder and a getter, each behind a router of its own."""

    def __init__(
        self, lab: Lab, nats: tuple[Nat, Nat], shape: Shape | None = None, caps: tuple[int, int] | None = None
    ) -> None:
        """`caps`: bytes and seconds of a circuit through somebody else's relay, instead of a node's own."""
        internet = lab.lan("45.10.0.0/16", gateway=False)
        middle = lab.host("relay")
        middle.plug(internet, "45.10.9.9/16")
        if caps is None:
            node = middle.node("--no-mdns", "--serve-relay", "--listen", "/ip4/0.0.0.0/tcp/4001")
            self.relay_addr = next(addr for addr in node.addrs if "45.10" in addr)
        else:
            module, where = "tests.support.capped_relay", "/ip4/45.10.9.9/tcp/4001"
            process = middle.start(sys.executable, "-m", module, where, *map(str, caps))
            assert process.stdout is not None
            self.relay_addr = process.stdout.readline().strip()
        self.hosts, self.routers = [], []
        for number, (name, nat) in enumerate(zip(("holder", "getter"), nats, strict=True)):
            home = lab.lan(f"192.168.{number + 1}.0/24")
            self.routers.append(lab.router(internet, home, nat=nat))
            host = lab.host(name)
            host.plug(home, shape=shape)
            self.hosts.append(host)
        self.holder, self.getter = (host.node("--no-mdns", "--relay", self.relay_addr) for host in self.hosts)

    def way(self, one: LabNode, other: LabNode) -> str | None:
        return next((p["way"] for p in one.state()["peers"] if p["peer_id"] == other.peer_id), None)

    def ways(self) -> set[str | None]:
        return {self.way(self.holder, self.getter), self.way(self.getter, self.holder)}


def shared(holder: LabNode, folder: Path, size: int) -> tuple[str, bytes]:
    """Share a file of so many bytes. Return its ticket and its bytes."""
    data = (b"%016d" * (size // 16))[:size] % tuple(range(size // 16))
    (folder / "film").write_bytes(data)
    return holder.add(folder / "film"), data


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
        assert all("is not dialled" in text for text in errors), "it ends quietly"


def test_a_relay_with_limits_is_used_again_and_again(lab: Lab, tmp_path: Path) -> None:
    """A circuit passes on 10 MiB. With routers that take random ports there is no other way."""
    behind = Behind(lab, ("random", "random"), caps=(10 * 1024 * 1024, 120))
    ticket, data = shared(behind.holder, tmp_path, 24 * 1024 * 1024)
    assert behind.getter.get(ticket, tmp_path / "copy").wait(25) == 0
    assert (tmp_path / "copy").read_bytes() == data
    assert behind.getter.state()["duplicate_factor"] <= 1.02
    whys = [e.event.why for e in behind.getter.entries() if isinstance(e.event, ev.PeerDisconnected)]
    assert "the relay passes on no more than 10.0 MiB and 2:00 in one circuit, and ended it" in whys


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
