"""Meeting: how nodes find a way to each other by the nodes that both know, and without the one that all joined."""

import time
from collections.abc import Callable

from flux_tui.core.peers.ticket_addrs import ticket_addrs
from tests.networks.measure_liveness import a_file
from tests.support.behind_routers import way
from tests.support.network_lab import Host, Lab, LabNode, Lan, until

MIB = 1 << 20
NEIGHBOURS = 3
QUIET = ("--no-mdns", "--listen", "/ip4/0.0.0.0/tcp/4001")


def inside(lab: Lab, internet: Lan, name: str, subnet: str) -> Host:
    """Return a host behind a router of its own."""
    home = lab.lan(subnet)
    lab.router(internet, home)
    host = lab.host(name)
    host.plug(home)
    return host


def outside(lab: Lab, internet: Lan, name: str, *flags: str) -> LabNode:
    """Return a node that anybody can dial."""
    host = lab.host(name)
    host.plug(internet)
    return host.node(*QUIET, *flags)


def with_neighbours(nodes: list[LabNode]) -> bool:
    """Return whether each of these has enough neighbours."""
    return all(len(node.connected()) >= NEIGHBOURS for node in nodes)


def star(lab: Lab, size: int) -> str:
    """Return how long a star takes to be a mesh, and to be one again when its middle is gone and all restarted."""
    lan = lab.lan("45.9.0.0/16", gateway=False)
    middle = outside(lab, lan, "middle")
    hosts = [lab.host(f"node{number}") for number in range(size - 1)]
    for host in hosts:
        host.plug(lan)
    others = [host.node(*QUIET, "--join", middle.addrs[0]) for host in hosts]
    met = until(lambda: with_neighbours(others), 60)
    middle.kill()
    for node in others:
        node.kill()
    for node in others:
        node.start()
    healed = until(lambda: with_neighbours(others), 60)
    ticket = others[0].add(a_file(lab, MIB))
    root = others[0].state()["objects"][0]["root"]
    began = time.monotonic()
    assert ticket
    others[-1].get(root, lab.folder / "copy")
    until((lab.folder / "copy").exists, 60)
    return (
        f"each had {NEIGHBOURS} neighbours {met:.1f} s after the last had started; with the middle gone and all"
        f" restarted {healed:.1f} s after the last; a bare CID fetched in {time.monotonic() - began:.1f} s"
    )


def star_of_twelve(lab: Lab) -> str:
    """A star of twelve; the middle dies, and all others restart at once."""
    return star(lab, 12)


def fetched(lab: Lab, getter: LabNode, what: str) -> str:
    """Return how long a fetch takes, in words, and which way it goes."""
    began = time.monotonic()
    getter.get(what, lab.folder / "copy")
    until((lab.folder / "copy").exists, 60)
    took = time.monotonic() - began
    ways = {peer["way"] for peer in getter.state()["peers"] if peer["bytes_in"]}
    return f"whole after {took:.1f} s with the start of the command, {', '.join(sorted(ways))}"


def ticket_from_behind_a_nat(lab: Lab) -> str:
    """A behind a NAT shares and has joined S; B is public, joined nobody and has A's ticket."""
    internet = lab.lan("45.9.0.0/16", gateway=False)
    shared = outside(lab, internet, "shared")
    holder = inside(lab, internet, "holder", "192.168.7.0/24").node(*QUIET, "--join", shared.addrs[0])
    getter = outside(lab, internet, "getter")
    until(lambda: len(ticket_addrs(holder.derived())) > 1, 20)
    return fetched(lab, getter, holder.add(a_file(lab, MIB)))


def bare_cid_by_a_relay(lab: Lab) -> str:
    """A has --relay S, B has --join S, both behind NATs; B has the bare CID."""
    internet = lab.lan("45.9.0.0/16", gateway=False)
    shared = outside(lab, internet, "shared", "--serve-relay")
    holder = inside(lab, internet, "holder", "192.168.7.0/24").node(*QUIET, "--relay", shared.addrs[0])
    getter = inside(lab, internet, "getter", "192.168.8.0/24").node(*QUIET, "--join", shared.addrs[0])
    until(lambda: holder.connected() and getter.connected(), 20)
    holder.add(a_file(lab, MIB))
    return fetched(lab, getter, holder.state()["objects"][0]["root"])


def forwarded_by_hand(lab: Lab) -> str:
    """A behind a NAT has a port forwarded by hand, under another number, and announces it; B has A's ticket."""
    internet, home = lab.lan("45.9.0.0/16", gateway=False), lab.lan("192.168.7.0/24")
    router, one = lab.router(internet, home), lab.host("holder")
    one.plug(home)
    router.forward(9000, "192.168.7.2:4001")
    outer = "/ip4/45.9.0.2/tcp"
    holder = one.node(
        *QUIET, "--no-port-mapping", "--announce", f"{outer}/9000", "--announce", f"{outer}/9001"
    )
    ticket = holder.add(a_file(lab, MIB))
    getter = outside(lab, internet, "getter")
    words = fetched(lab, getter, ticket)
    found = until(lambda: "9001 is announced, and no peer" in (holder.state()["last_error"] or ""), 60)
    assert not any("/9001/" in addr for addr in holder.state()["addrs"])
    assert any("/9000/" in addr for addr in holder.state()["addrs"])
    return f"{words}; a wrong address was found {found:.1f} s later, and is not told any more"


def both_behind_nats(lab: Lab) -> str:
    """Both behind NATs, and both have only joined S; B has A's ticket."""
    internet = lab.lan("45.9.0.0/16", gateway=False)
    shared = outside(lab, internet, "shared")
    holder = inside(lab, internet, "holder", "192.168.7.0/24").node(*QUIET, "--join", shared.addrs[0])
    getter = inside(lab, internet, "getter", "192.168.8.0/24").node(*QUIET)
    until(lambda: any("p2p-circuit" in addr for addr in holder.state()["addrs"]), 30)
    return fetched(lab, getter, holder.add(a_file(lab, MIB)))


def behind_one_router(lab: Lab) -> str:
    """Both behind one router, and both have only joined S; they met by a relay, and B has A's ticket of 8 MiB."""
    internet, home = lab.lan("45.9.0.0/16", gateway=False), lab.lan("192.168.7.0/24")
    shared = outside(lab, internet, "shared")
    lab.router(internet, home)
    hosts = [lab.host(name) for name in ("holder", "getter")]
    for host in hosts:
        host.plug(home)
    holder, getter = (host.node(*QUIET, "--join", shared.addrs[0]) for host in hosts)
    until(lambda: holder.peer_id in getter.connected(), 40)
    assert way(getter, holder) == "relayed"
    words = fetched(lab, getter, holder.add(a_file(lab, 8 * MIB)))
    assert way(getter, holder) != "relayed"
    return words


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "star-of-twelve": star_of_twelve,
    "ticket-from-behind-a-nat": ticket_from_behind_a_nat,
    "bare-cid-by-a-relay": bare_cid_by_a_relay,
    "forwarded-by-hand": forwarded_by_hand,
    "both-behind-nats": both_behind_nats,
    "behind-one-router": behind_one_router,
}
