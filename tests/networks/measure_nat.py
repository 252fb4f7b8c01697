"""Routers: how soon a link is direct, how a relay with limits is used, and what a new public address costs."""

import time
from collections.abc import Callable
from functools import partial

from flux_tui.core.series import events as ev
from tests.support.behind_routers import Behind, behind_firewalls, shared, way
from tests.support.network_lab import Lab, LabNode, Nat, Shape, until

MIB = 1024 * 1024
LINK = Shape(delay=0.01, rate=4_000_000)


def direct(lab: Lab) -> str:
    """Both behind routers that keep ports, a relay named"""
    behind = Behind(lab, ("cone", "cone"), LINK)
    ticket, data = shared(behind.holder, lab.folder, 32 * MIB)
    behind.getter.get(ticket, lab.folder / "copy")
    until(lambda: behind.ways() == {"punched"}, 30)
    until((lab.folder / "copy").exists, 60)
    assert (lab.folder / "copy").read_bytes() == data
    up, moved = (_at(behind.getter, kind) for kind in (ev.PeerConnected, ev.PeerMoved))
    factor = behind.getter.state()["duplicate_factor"]
    return f"direct {moved - up:.1f} s after the relayed link was up; 32 MiB, duplicate factor {factor:.2f}"


def direct_ipv6(lab: Lab) -> str:
    """Both have public IPv6 addresses only, behind routers that let no connection in, a relay named"""
    holder, getter = behind_firewalls(lab, LINK)
    ticket, data = shared(holder, lab.folder, 32 * MIB)
    getter.get(ticket, lab.folder / "copy")
    until(lambda: {way(holder, getter), way(getter, holder)} == {"punched"}, 60)
    until((lab.folder / "copy").exists, 60)
    assert (lab.folder / "copy").read_bytes() == data
    up = _at(getter, ev.PeerConnected, holder)
    punched = next(
        entry.at
        for entry in getter.entries()
        if isinstance(entry.event, ev.PeerMoved | ev.PeerConnected) and entry.event.way == "punched"
    )
    factor = getter.state()["duplicate_factor"]
    return f"direct {punched - up:.1f} s after the relayed link was up; 32 MiB, duplicate factor {factor:.2f}"


def relayed(lab: Lab, nats: tuple[Nat, Nat]) -> str:
    """One router takes random ports, a relay named"""
    behind = Behind(lab, nats, LINK)
    ticket, data = shared(behind.holder, lab.folder, 32 * MIB)
    began = time.monotonic()
    behind.getter.get(ticket, lab.folder / "copy")
    until((lab.folder / "copy").exists, 60)
    assert (lab.folder / "copy").read_bytes() == data
    took = time.monotonic() - began
    return f"32 MiB in {took:.1f} s, the way is {' and '.join(map(str, behind.ways()))}"


def limited(lab: Lab) -> str:
    """A relay of somebody else, 10 MiB and 120 s for a circuit"""
    behind = Behind(lab, ("random", "random"), LINK, caps=(10 * MIB, 120))
    ticket, data = shared(behind.holder, lab.folder, 40 * MIB)
    began = time.monotonic()
    behind.getter.get(ticket, lab.folder / "copy")
    until((lab.folder / "copy").exists, 120)
    assert (lab.folder / "copy").read_bytes() == data
    took = time.monotonic() - began
    ends = sum(isinstance(entry.event, ev.PeerDisconnected) for entry in behind.getter.entries())
    factor = behind.getter.state()["duplicate_factor"]
    return f"40 MiB in {took:.1f} s, {ends} circuits ended, duplicate factor {factor:.2f}"


def new_address(lab: Lab, nat: Nat, whose: int) -> str:
    """A router gets a new public address in a transfer"""
    behind = Behind(lab, (nat, nat), Shape(rate=1_500_000))
    ticket, _ = shared(behind.holder, lab.folder, 64 * MIB)
    behind.getter.get(ticket, lab.folder / "copy")
    if nat == "cone":
        until(lambda: behind.ways() == {"punched"}, 30)
    until(lambda: behind.getter.have() > 4 * MIB, 30)
    before = behind.way(behind.getter, behind.holder)
    behind.routers[whose].outside.readdress("45.10.77.7/16")
    time.sleep(0.5)
    had = behind.getter.have()
    began = time.monotonic()
    seconds = until(lambda: behind.getter.have() > had + MIB, 60)
    told = f"{before}: the next MiB came {seconds + 0.5:.1f} s later"
    if before != "punched":
        return told
    until(lambda: behind.ways() == {"punched"}, 90)
    return f"{told}, and the link was direct again after {time.monotonic() - began + 0.5:.1f} s"


def _at(node: LabNode, kind: type[ev.Event], peer: LabNode | None = None) -> float:
    """Return when the first entry of this kind was made. `peer`: of those about this peer."""
    return next(
        entry.at
        for entry in node.entries()
        if isinstance(entry.event, kind)
        and (peer is None or getattr(entry.event, "peer", "") == peer.peer_id)
    )


def _named(measure: Callable[[Lab], str], situation: str) -> Callable[[Lab], str]:
    measure.__doc__ = situation
    return measure


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "punched": direct,
    "punched-ipv6": direct_ipv6,
    "random-ports-holder": _named(
        partial(relayed, nats=("random", "cone")), "The holder's router takes random ports"
    ),
    "random-ports-getter": _named(
        partial(relayed, nats=("cone", "random")), "The getter's router takes random ports"
    ),
    "limited-relay": limited,
    "new-address-holder": _named(
        partial(new_address, nat="random", whose=0), "The holder's router gets a new address"
    ),
    "new-address-getter": _named(
        partial(new_address, nat="random", whose=1), "The getter's router gets a new address"
    ),
    "new-address-punched": _named(
        partial(new_address, nat="cone", whose=0),
        "The holder's router gets a new address, and the link was direct",
    ),
    "new-address-getter-punched": _named(
        partial(new_address, nat="cone", whose=1),
        "The getter's router gets a new address, and the link was direct",
    ),
}
