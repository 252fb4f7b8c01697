"""Nodes behind routers, with a relay between them."""

import sys
from pathlib import Path

from tests.support.network_lab import Lab, LabNode, Nat, Shape


def behind_firewalls(lab: Lab, shape: Shape | None = None) -> tuple[LabNode, LabNode]:
    """Return a holder and a getter with public IPv6 addresses only, behind routers that let no connection in.

    A relay stands between them.
    """
    internet = lab.lan("2a0a:9::/64", gateway=False)
    middle = lab.host("relay")
    middle.plug(internet, "2a0a:9::99/64")
    relay = middle.node("--no-mdns", "--serve-relay", "--listen", "/ip6/::/tcp/4001")
    relay_addr = next(addr for addr in relay.addrs if "2a0a" in addr)
    homes = [lab.lan(f"2a0a:{number}::/64") for number in (1, 2)]
    routers = [lab.router(internet, home) for home in homes]
    for number, home in enumerate(homes):
        for other in (middle, routers[1 - number]):  # the internet's routes
            other.ip("-6", "route", "add", str(home.subnets[0]), "via", f"2a0a:9::{2 + number}")
    hosts = [lab.host(name) for name in ("holder", "getter")]
    for host, home in zip(hosts, homes, strict=True):
        host.plug(home, shape=shape)
    holder, getter = (host.node("--no-mdns", "--relay", relay_addr) for host in hosts)
    return holder, getter


def way(one: LabNode, other: LabNode) -> str | None:
    """Return which way one node's link to another goes; None: it has none."""
    return next((p["way"] for p in one.state()["peers"] if p["peer_id"] == other.peer_id), None)


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
        return way(one, other)

    def ways(self) -> set[str | None]:
        return {self.way(self.holder, self.getter), self.way(self.getter, self.holder)}


def shared(holder: LabNode, folder: Path, size: int) -> tuple[str, bytes]:
    """Share a file of so many bytes. Return its ticket and its bytes."""
    data = (b"%016d" * (size // 16))[:size] % tuple(range(size // 16))
    (folder / "film").write_bytes(data)
    return holder.add(folder / "film"), data
