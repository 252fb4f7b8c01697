"""A real router with UPnP and NAT-PMP: Debian's miniupnpd."""

import shutil
import time
from pathlib import Path

import pytest

from tests.support.network_lab import INSIDE, OUTSIDE, Lab, LabNode, Router, until

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("miniupnpd") is None, reason="no miniupnpd is installed"),
]
CHAINS = """
table inet filter {
  chain forward { type filter hook forward priority 10; policy accept; jump miniupnpd; }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -101; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 101; jump postrouting_miniupnpd; }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}"""
"""What Debian's `nft_init.sh` makes."""


def with_upnp(lab: Lab, router: Router, home: str, *, nat_pmp: bool) -> None:
    """Start miniupnpd on a router: with UPnP, or with NAT-PMP."""
    upnp, pmp = ("no", "yes") if nat_pmp else ("yes", "no")
    router.run("nft", CHAINS)
    place = lab.folder / "miniupnpd.conf"
    place.write_text(
        f"""ext_ifname={OUTSIDE}
listening_ip={INSIDE}
enable_natpmp={pmp}
enable_upnp={upnp}
secure_mode=yes
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 {home} 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""
    )
    router.start("miniupnpd", "-d", "-f", str(place), "-P", str(lab.folder / "miniupnpd.pid"))


def mapped(router: Router) -> str:
    return router.run("nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd")


class Home:
    """A node behind a router with UPnP, or with NAT-PMP, and a peer on the internet."""

    def __init__(self, lab: Lab, *, nat_pmp: bool = False) -> None:
        internet, self.lan = lab.lan("45.10.0.0/16", gateway=False), lab.lan("192.168.1.0/24")
        self.router = lab.router(internet, self.lan)
        self.inside, self.outside = lab.host("inside"), lab.host("outside")
        self.inside.plug(self.lan)
        self.outside.plug(internet)
        with_upnp(lab, self.router, "192.168.1.0/24", nat_pmp=nat_pmp)
        self.peer = self.outside.node("--no-mdns")
        self.join = next(addr for addr in self.peer.addrs if "45.10" in addr)

    def node(self, *flags: str) -> LabNode:
        return self.inside.node("--no-mdns", "--listen", "/ip4/0.0.0.0/tcp/4001", "--join", self.join, *flags)


@pytest.mark.parametrize("nat_pmp", [False, True])
def test_a_port_is_mapped_proved_told_used_and_taken_back(lab: Lab, tmp_path: Path, nat_pmp: bool) -> None:
    home = Home(lab, nat_pmp=nat_pmp)
    node = home.node()
    outer = f"/ip4/45.10.0.2/tcp/4001/p2p/{node.peer_id}"
    until(lambda: outer in node.state()["addrs"], 15)
    assert "dport 4001 dnat ip to 192.168.1.2:4001" in mapped(home.router)
    (tmp_path / "film").write_bytes(bytes(300_000))
    ticket = node.add(tmp_path / "film")
    other = home.outside.node("--no-mdns", home="other")
    other.flux("get", ticket, "-o", str(tmp_path / "copy"), timeout=20)
    assert (tmp_path / "copy").read_bytes() == bytes(300_000)
    node.stop()
    assert "4001" not in mapped(home.router)


def test_a_second_machine_gets_another_port(lab: Lab) -> None:
    home = Home(lab)
    home.node()
    until(lambda: "to 192.168.1.2:4001" in mapped(home.router), 15)
    second = lab.host("second")
    second.plug(home.lan)
    node = second.node("--no-mdns", "--listen", "/ip4/0.0.0.0/tcp/4001", "--join", home.join)
    until(lambda: any("/ip4/45.10." in addr for addr in node.state()["addrs"]), 15)
    (outer,) = (addr for addr in node.state()["addrs"] if "/ip4/45.10." in addr)
    assert outer.split("/")[4] != "4001"
    assert "to 192.168.1.3:4001" in mapped(home.router)


def test_a_setting_turns_it_off(lab: Lab) -> None:
    home = Home(lab)
    node = home.node("--no-port-mapping")
    until(node.connected, 10)
    time.sleep(4)  # it takes about one second otherwise
    assert "dnat" not in mapped(home.router)
