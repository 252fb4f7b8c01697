"""Connections that die without a sign, and hosts that move: how long until bytes arrive again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from flux_tui.core.content.ticket import parse_ticket
from tests.support.network_lab import Cable, Lab, LabNode, Shape, until

RATE = 3_000_000.0
"""Bytes a second of the getter's link."""
FILE_BYTES = 64 << 20
FIRST_BYTES = 4 << 20
"""Bytes after which the network changes."""
MORE_BYTES = 24 << 20
"""Bytes that have to arrive after that. What is under way already (up to 16 MiB through a relay) is not enough."""
PATIENCE = 240.0


class Transfer:
    """A transfer over a slow link that has begun. The bytes that the getter has are its progress."""

    def __init__(self, lab: Lab, getter: LabNode, ticket: str) -> None:
        self.getter = getter
        getter.get(ticket, lab.folder / "copy")
        until(lambda: getter.have() >= FIRST_BYTES, 60)

    def pause(self, seconds: float = PATIENCE, *, more: int = MORE_BYTES) -> float:
        """Return the longest time from now on in which nothing arrives, while `more` bytes arrive."""
        began = last = time.monotonic()
        have, enough, longest = self.getter.have(), self.getter.have() + more, 0.0
        while have < enough:
            time.sleep(0.1)
            now = time.monotonic()
            assert now - began < seconds, f"{have:,} bytes of {enough:,} within {seconds} s"
            if have != (have := self.getter.have()):
                longest, last = max(longest, now - last), now
        return longest


def a_file(lab: Lab, size: int = FILE_BYTES) -> Path:
    """Make a file of random bytes."""
    path = lab.folder / "film"
    path.write_bytes(os.urandom(size))
    return path


def two_hosts(lab: Lab, *flags: str) -> tuple[LabNode, LabNode, Cable, Cable]:
    """Return a holder and a getter on one network, and their cables; the getter's is slow."""
    lan = lab.lan("10.1.0.0/24")
    one, other = lab.host("holder"), lab.host("getter")
    cable, slow = one.plug(lan), other.plug(lan, shape=Shape(rate=RATE, delay=0.01))
    return one.node(*flags), other.node(*flags), cable, slow


def moves_in_a_transfer(lab: Lab) -> str:
    """The address of the holder changes in a transfer."""
    holder, getter, cable, _ = two_hosts(lab)
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.pause():.1f} s without bytes"


def moves_in_a_transfer_without_mdns(lab: Lab) -> str:
    """The address of the holder changes in a transfer, without mDNS."""
    holder, getter, cable, _ = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.pause():.1f} s without bytes"


def getter_moves(lab: Lab) -> str:
    """The address of the getter changes in a transfer, without mDNS."""
    holder, getter, _, cable = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.pause():.1f} s without bytes"


def _away(
    lab: Lab, seconds: float, leave: Callable[[Cable], None], back: Callable[[Cable], None], who: int
) -> str:
    holder, getter, *cables = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    leave(cables[who])
    time.sleep(seconds)
    back(cables[who])
    return f"{transfer.pause():.1f} s after the return without bytes"


def cable_out(lab: Lab) -> str:
    """The getter's cable is out for 90 s, without a sign of it."""
    return _away(lab, 90, Cable.cut, Cable.mend, 1)


def holder_unplugged(lab: Lab) -> str:
    """The holder's cable is pulled for 90 s."""
    return _away(lab, 90, Cable.unplug, Cable.mend, 0)


def holder_sleeps(lab: Lab) -> str:
    """The holder sleeps for 100 s."""
    return _away(lab, 100, lambda cable: cable.host.sleep(), lambda cable: cable.host.wake(), 0)


def getter_sleeps(lab: Lab) -> str:
    """The getter sleeps for 100 s."""
    return _away(lab, 100, lambda cable: cable.host.sleep(), lambda cable: cable.host.wake(), 1)


def holder_that_moves(lab: Lab, size: int) -> tuple[LabNode, LabNode, str, float]:
    """Let a holder move while it is idle, which has one peer in common with the getter. No mDNS.

    Returns the holder, the getter, a ticket from before, and the seconds until the holder knew its new address.
    """
    lan = lab.lan("10.1.0.0/24")
    hosts = [lab.host(name) for name in ("third", "holder", "getter")]
    cables = [host.plug(lan) for host in hosts]
    third = hosts[0].node("--no-mdns")
    join = ("--no-mdns", "--join", third.addrs[0])
    holder, getter = hosts[1].node(*join), hosts[2].node(*join)
    old = holder.add(a_file(lab, size))
    until(lambda: len(third.connected()) == 2, 20)
    cables[1].readdress("10.1.0.77/24")
    fresh = until(lambda: any("/10.1.0.77/" in addr for addr in holder.state()["addrs"]), 20)
    return holder, getter, old, fresh


def moved_while_idle(lab: Lab) -> str:
    """The holder moved while idle; the getter has an old ticket, and one peer in common with the holder. No mDNS."""
    holder, getter, old, fresh = holder_that_moves(lab, 4 << 20)
    time.sleep(2)
    getter.get(old, lab.folder / "copy")
    began = time.monotonic()
    until(lambda: (lab.folder / "copy").exists(), 60)
    found = time.monotonic() - began
    named = parse_ticket(holder.add(lab.folder / "film")).addrs
    return (
        f"whole after {found:.1f} s; its own addresses new after {fresh:.1f} s; a new ticket names {named[0]}"
    )


def router_moves(lab: Lab) -> str:
    """Both are behind routers that take random ports; the holder's gets a new public address in a relayed transfer."""
    return _router_moves(lab, 0)


def getters_router_moves(lab: Lab) -> str:
    """Both are behind routers that take random ports; the getter's gets a new public address in a relayed transfer."""
    return _router_moves(lab, 1)


def _router_moves(lab: Lab, who: int) -> str:
    internet = lab.lan("45.9.0.0/16", gateway=False)
    relay = lab.host("relay")
    relay.plug(internet)
    middle = relay.node("--no-mdns", "--serve-relay")
    routers, hosts = [], []
    for number, name in enumerate(("holder", "getter")):
        home = lab.lan(f"192.168.{7 + number}.0/24")
        routers.append(lab.router(internet, home, nat="random"))
        hosts.append(lab.host(name))
        hosts[-1].plug(home, shape=Shape(rate=RATE, delay=0.01) if number else None)
    through = next(addr for addr in middle.addrs if "/45.9." in addr)
    holder, getter = (
        hosts[0].node("--no-mdns", "--relay", through),
        hosts[1].node("--no-mdns", "--join", through),
    )
    until(lambda: holder.peer_id in middle.connected(), 30)
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    routers[who].run(
        "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0"
    )  # what is under way is lost silently
    routers[who].run("nft", "insert rule inet guard forward ct state invalid drop")
    routers[who].outside.readdress(f"45.9.1.{7 + who}/16")
    return f"{transfer.pause():.1f} s without bytes"


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "router-moves": router_moves,
    "getters-router-moves": getters_router_moves,
    "moved-idle": moved_while_idle,
    "moves": moves_in_a_transfer,
    "moves-no-mdns": moves_in_a_transfer_without_mdns,
    "getter-moves": getter_moves,
    "cable-out": cable_out,
    "unplugged": holder_unplugged,
    "holder-sleeps": holder_sleeps,
    "getter-sleeps": getter_sleeps,
}
