"""Addresses: laptops with many of them, hosts with IPv6 only, and packets that are too large for the way."""

import json
import subprocess
import sys
import time
from collections.abc import Callable

from tests.networks.measure_liveness import a_file
from tests.support.network_lab import Host, Lab, Shape, until


def laptop(host: Host) -> None:
    """Give a host what a developer's laptop has: Docker's bridges, a VPN, link-local addresses, a dead network."""
    for number in range(3):
        host.ip("link", "add", f"docker{number}", "type", "bridge")
        host.ip("addr", "add", f"172.{17 + number}.0.1/16", "dev", f"docker{number}")
        host.ip("link", "add", f"veth{number}", "type", "veth", "peer", "name", f"inner{number}")
        host.ip("link", "set", f"veth{number}", "master", f"docker{number}", "up")
        host.ip("link", "set", f"inner{number}", "up")
        host.ip("link", "set", f"docker{number}", "up")
    for name, addr in (("tun0", "10.8.0.2/24"), ("tun1", "100.64.3.4/32"), ("tun2", "10.9.0.2/24")):
        host.ip("link", "add", name, "type", "veth", "peer", "name", f"far-{name}")
        host.ip("addr", "add", addr, "dev", name)
        host.ip("link", "set", f"far-{name}", "up")
        host.ip("link", "set", name, "up")
    host.ip("addr", "add", "169.254.9.9/16", "dev", "eth0")


def many_addresses(lab: Lab, *flags: str) -> str:
    """A laptop with Docker's bridges, VPNs and link-local addresses shares; the getter has its ticket."""
    internet, home = lab.lan("45.9.0.0/16", gateway=False), lab.lan("192.168.7.0/24")
    lab.router(internet, home)
    one, other = lab.host("holder"), lab.host("getter")
    for name in ("eth0", "eth0"):
        (one if not one.cables else other).plug(home, interface=name)
    laptop(one)
    holder, getter = one.node("--no-mdns", *flags), other.node("--no-mdns", *flags)
    ticket = holder.add(a_file(lab, 8 << 20))
    addrs = [addr.split("/")[2] for addr in holder.state()["addrs"]]
    getter.get(ticket, lab.folder / "copy")
    until(lambda: any(type(entry.event).__name__ == "Requested" for entry in getter.entries()), 20)
    began = next(entry.at for entry in getter.entries() if type(entry.event).__name__ == "Requested")
    until(lambda: getter.have() > 0, 60)
    first = next(entry.at for entry in getter.entries() if "Chunk" in type(entry.event).__name__)
    return f"first byte after {first - began:.2f} s; addresses {' '.join(addrs)}"


def only_black_holes(lab: Lab) -> str:
    """The ticket of a laptop with many addresses, the right one last in it."""
    from flux_tui.core.content.ticket import format_ticket, parse_ticket

    internet, home = lab.lan("45.9.0.0/16", gateway=False), lab.lan("192.168.7.0/24")
    lab.router(internet, home)
    one, other = lab.host("holder"), lab.host("getter")
    one.plug(home)
    other.plug(home)
    holder, getter = one.node("--no-mdns"), other.node("--no-mdns")
    ticket = parse_ticket(holder.add(a_file(lab, 8 << 20)))
    right = ticket.addrs[0]
    ip = right.split("/")[2]
    dead = ["172.17.0.1", "172.18.0.1", "10.8.0.2", "100.64.3.4", "10.9.0.2", "172.19.0.1"]
    ticket = ticket._replace(addrs=(*(right.replace(ip, one) for one in dead), right))
    getter.get(format_ticket(ticket), lab.folder / "copy")
    until(lambda: getter.have() > 0, 60)
    entries = getter.entries()
    began = next(entry.at for entry in entries if type(entry.event).__name__ == "Requested")
    first = next(entry.at for entry in entries if "Chunk" in type(entry.event).__name__)
    return f"first byte after {first - began:.2f} s; the seventh address is the right one"


def ipv6_only(lab: Lab) -> str:
    """Two hosts with IPv6 addresses only, started without any flag."""
    lan = lab.lan("2a01:db9:7::/64")
    one, other = lab.host("holder"), lab.host("getter")
    one.plug(lan)
    other.plug(lan)
    holder, getter = one.node(), other.node()
    began = time.monotonic()
    until(lambda: holder.peer_id in getter.connected(), 30)
    found = time.monotonic() - began
    getter.flux("get", holder.add(a_file(lab, 8 << 20)), "-o", str(lab.folder / "copy"))
    return (
        f"found by mDNS after {found:.1f} s; addresses {' '.join(a.split('/p2p/')[0] for a in holder.addrs)}"
    )


def path_mtu(lab: Lab) -> str:
    """Packets above 1,400 bytes are lost without a word, beside curl on the same way."""
    lan = lab.lan("10.1.0.0/24")
    one, other = lab.host("holder"), lab.host("getter")
    one.plug(lan)
    other.plug(lan, shape=Shape(delay=0.01, biggest=1400))
    film = a_file(lab, 8 << 20)
    one.start("python3", "-m", "http.server", "-d", str(lab.folder), "8000")
    time.sleep(1)
    began = time.monotonic()
    try:
        other.run("curl", "-s", "-m", "45", "-o", "/dev/null", "http://10.1.0.2:8000/film")
        curl = f"curl {time.monotonic() - began:.1f} s"
    except AssertionError:
        curl = "curl nothing within 45 s"
    holder, getter = one.node("--no-mdns"), other.node("--no-mdns")
    getter.get(holder.add(film), lab.folder / "copy")
    began = time.monotonic()
    try:
        until(lambda: getter.state()["chunks"]["bytes"] >= 8 << 20, 90)
        flux = f"flux {time.monotonic() - began:.1f} s"
    except AssertionError:
        flux = f"flux {getter.have():,} bytes within 90 s"
    command = [
        sys.executable,
        "-m",
        "flux_tui",
        "doctor",
        "--only",
        "peers",
        "--json",
        "--home",
        str(getter.home),
    ]
    told = subprocess.run([*other.prefix, *command], capture_output=True, text=True, check=False).stdout
    return f"{curl}; {flux}; the doctor says: {json.loads(told)['text']}"


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "many-addresses": many_addresses,
    "black-holes": only_black_holes,
    "ipv6-only": ipv6_only,
    "pmtu": path_mtu,
}
