"""This machine's IP addresses, ordered by how many hosts can reach them, and a notice when they change.

The order: addresses of the default route's interface, by its metric; of other interfaces that are up and have a
link; of bridges that lead nowhere but into this machine (Docker's, those of virtual machines) and of interfaces
without a link (an unplugged cable); link-local ones; loopback. Of one interface, IPv4 addresses come before IPv6
ones, and IPv6 addresses that last before those that expire soon.

Linux reports changes by netlink, and lists its routes in /proc/net. On other systems the addresses are polled every
few seconds. There, the default route's address is found from the source address of a connected UDP socket, which
sends nothing.
"""

import fcntl
import ipaddress
import logging
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import ifaddr
import trio

log = logging.getLogger(__name__)

Family: TypeAlias = Literal["ip4", "ip6"]

POLL_SECONDS = 5.0 if sys.platform != "linux" else 60.0
"""Seconds between two looks at the addresses without news of a change."""
SETTLE_SECONDS = 0.3
"""Seconds to wait after a change: an interface, its address and its routes change together."""
MAX_NEWS = 65_536

SIOCGIFFLAGS = 0x8913 if sys.platform == "linux" else 0xC0206911
IFF_UP, IFF_RUNNING = 0x1, 0x40
"""Flags of an interface: switched on, and with a link."""
RTF_UP, RTF_REJECT = 0x1, 0x200
"""Flags of a route: in use, and one that rejects."""
FAR: dict[Family, tuple[socket.AddressFamily, str]] = {
    "ip4": (socket.AF_INET, "198.51.100.1"),
    "ip6": (socket.AF_INET6, "2001:db8::1"),
}
"""Addresses far away from every network: they are reserved for documentation."""
RTM_NEWLINK, RTM_GETLINK, NLM_F_REQUEST, NLM_F_DUMP = 16, 18, 0x1, 0x300
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 10, 18, 1
"""Constants of netlink's messages about interfaces."""
VIRTUAL = {b"veth", b"tun"}
"""Kinds of interfaces that lead to a container or a virtual machine on this machine."""
IFA_F_TEMPORARY, IFA_F_UNUSABLE = 0x01, 0x08 | 0x20 | 0x40
"""Flags of an IPv6 address: for a while, against tracking; and one that is a duplicate, deprecated or not checked."""
ANSWER_SECONDS = 0.5
"""Seconds for the kernel's answer; it takes a millisecond."""
NEWS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""Netlink's groups: links, addresses and routes of IPv4 and IPv6."""
PROC = Path("/proc/net")


class Address(NamedTuple):
    """An IP address of this machine, and the interface that has it."""

    ip: str
    interface: str


def own_ips(family: Family) -> list[str]:
    """Return this machine's IP addresses of one family as they are now, the most reachable first."""
    return [ip for _, ip in best_first((family,))]


def default_interfaces(family: Family) -> list[str]:
    """Return the names of the interfaces that have a default route of this family, the preferred one first."""
    return _default_route(family, _addresses(family))


def best_first(families: Sequence[Family]) -> list[tuple[Family, str]]:
    """Return this machine's IP addresses of these families as they are now, the most reachable first."""
    inner = inner_bridges()
    ranked: list[tuple[tuple[int, ...], Family, str]] = []
    for family in families:
        found = _addresses(family)
        linked = {name: _is_linked(name, inner) for name in {one.interface for one in found}}
        default = _default_route(family, found)
        passing = _passing_ips() if family == "ip6" else {}
        for one in found:
            rank = (*_rank(one, linked, default, inner), family == "ip6", passing.get(one.ip, 0))
            ranked.append((rank, family, one.ip))
    ranked.sort(key=lambda one: one[0])
    return list(dict.fromkeys((family, ip) for _, family, ip in ranked))


def _rank(
    one: Address, linked: Mapping[str, bool], default: Sequence[str], inner: Mapping[str, bool]
) -> tuple[int, int]:
    ip = ipaddress.ip_address(one.ip)
    if ip.is_loopback:
        return 4, 0
    if ip.is_link_local:
        return 3, 0
    if not linked[one.interface]:
        return 2, 0
    if one.interface in default:
        return 0, default.index(one.interface)
    return (2 if one.interface in inner else 1), 0


def _addresses(family: Family) -> list[Address]:
    found: list[Address] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if family == "ip4" and ip.is_IPv4:
                found.append(Address(str(ip.ip), adapter.name))
            elif family == "ip6" and ip.is_IPv6 and not ip.ip[2]:
                found.append(Address(str(ip.ip[0]), adapter.name))
    return found


def _passing_ips() -> dict[str, int]:
    """Return the IPv6 addresses that will not last, each with its rank: a greater rank comes later.

    1: a temporary address (RFC 8981). 2: an address that is deprecated, a duplicate, or not checked yet.
    """
    found: dict[str, int] = {}
    try:
        for line in (PROC / "if_inet6").read_text().splitlines():
            digits, _, _, _, flags = line.split()[:5]
            state = 2 if int(flags, 16) & IFA_F_UNUSABLE else int(flags, 16) & IFA_F_TEMPORARY
            if state:
                found[str(ipaddress.IPv6Address(int(digits, 16)))] = state
    except (OSError, ValueError) as error:
        log.debug("the flags of IPv6 addresses: %r", error)
    return found


def _is_linked(interface: str, inner: Mapping[str, bool]) -> bool:
    """Whether an interface is switched on and has a link; True if this cannot be known.

    `inner`: the result of `inner_bridges`.
    """
    if not inner.get(interface, True):
        return False
    name = interface.encode()[:15]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, struct.pack("16s16x", name))
        except OSError:
            return True
    flags: int = struct.unpack_from("H", answer, 16)[0]
    return flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


def inner_bridges() -> dict[str, bool]:
    """Return the bridges that lead nowhere but into this machine. By name: whether the bridge has any port.

    Whether it has a port is needed, because some systems wrongly report a link for a bridge without one.
    """
    bridges: dict[int, str] = {}
    ports: dict[int, set[bytes]] = {}
    for index, attributes in _links():
        kind = dict(_attributes(attributes.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND, b"").rstrip(b"\0")
        if kind == b"bridge":
            bridges[index] = attributes.get(IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
        if (master := attributes.get(IFLA_MASTER)) is not None:
            ports.setdefault(struct.unpack("I", master)[0], set()).add(kind)
    return {name: index in ports for index, name in bridges.items() if ports.get(index, set()) <= VIRTUAL}


def _links() -> Iterator[tuple[int, dict[int, bytes]]]:
    """Yield each network interface of Linux: its number, and its netlink attributes (rtnetlink(7))."""
    if sys.platform != "linux":
        return
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(ANSWER_SECONDS)
            asked = struct.pack("=IHHII", 32, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + bytes(16)
            sock.send(asked)
            while True:
                answer = sock.recv(MAX_NEWS)
                at = 0
                while at + 16 <= len(answer):
                    size, kind = struct.unpack_from("=IH", answer, at)
                    if kind != RTM_NEWLINK or size < 32:
                        return  # the end, or an error
                    index = struct.unpack_from("=i", answer, at + 20)[0]
                    yield index, dict(_attributes(answer[at + 32 : at + size]))
                    at += (size + 3) & ~3
    except OSError as error:
        log.debug("no netlink: %s", error)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if size < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + size]
        at += (size + 3) & ~3


def _default_route(family: Family, addresses: list[Address]) -> list[str]:
    """Return the names of the interfaces that have a default route, the preferred one first.

    `addresses`: this machine's addresses, to find the interface of the route where the system lists no routes.
    """
    if sys.platform == "linux":
        try:
            return [name for _, name in sorted(_routes4() if family == "ip4" else _routes6())]
        except (OSError, ValueError, IndexError) as error:
            log.debug("the routes of this machine: %r", error)
    source = _source_address(family)
    return [one.interface for one in addresses if one.ip == source]


def _routes4() -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for line in (PROC / "route").read_text().splitlines()[1:]:
        name, target, _, flags, _, _, metric, mask = line.split()[:8]
        if int(target, 16) == int(mask, 16) == 0 and int(flags, 16) & (RTF_UP | RTF_REJECT) == RTF_UP:
            found.append((int(metric), name))
    return found


def _routes6() -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for line in (PROC / "ipv6_route").read_text().splitlines():
        target, size, _, _, _, metric, _, _, flags, name = line.split()
        if int(target, 16) == int(size, 16) == 0 and int(flags, 16) & (RTF_UP | RTF_REJECT) == RTF_UP:
            found.append((int(metric, 16), name))
    return found


def _source_address(family: Family) -> str | None:
    """Return the source address that this machine would use to reach a distant host; None: no route."""
    kind, far = FAR[family]
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.connect((far, 9))
            return str(sock.getsockname()[0])
    except OSError:  # there is no route to far hosts
        return None


async def changes() -> AsyncIterator[None]:
    """Yield whenever addresses, links or routes of this machine may have changed."""
    news = _listen_for_news()
    try:
        while True:
            with trio.move_on_after(POLL_SECONDS):
                await _some(news)
            await trio.sleep(SETTLE_SECONDS)
            _take_all(news)
            yield
    finally:
        if news is not None:
            news.close()


def _listen_for_news() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    try:
        news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        news.bind((0, NEWS))
    except OSError as error:
        log.debug("no netlink: %s", error)
        return None
    return news


async def _some(news: socket.socket | None) -> None:
    if news is None:
        await trio.sleep_forever()
    else:
        await trio.lowlevel.wait_readable(news.fileno())


def _take_all(news: socket.socket | None) -> None:
    """Discard all netlink messages that wait: only the fact of a change matters, not which one.

    `news`: the netlink socket; None: the system has no netlink, and nothing is done.
    """
    while news is not None:
        try:
            news.recv(MAX_NEWS)
        except BlockingIOError:
            return
        except OSError as error:  # the queue overflowed, so something changed
            log.debug("netlink: %s", error)
            return
