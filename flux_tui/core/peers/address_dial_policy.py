"""Dial policy: which addresses this node dials, which peers may name them, and how often. Pure.

Addresses come from many sources: a person's ticket, a peer's intent, the DHT, mDNS. An address that a person
names is always dialled. An address that a peer names could belong to a third party. Or only this machine could
reach it, such as a service on loopback or a router's web page. So there are three rules.

- A peer may name addresses that are as near as itself or farther. A peer connected over loopback may name
  loopback addresses; a peer on a private network, those of private networks; a peer on the internet, public
  ones.
- No peer may name multicast, unspecified or reserved addresses, nor host names, because a resolver could turn a
  host name into any address.
- Dials of addresses that peers named have a budget: for each peer that names addresses, for all of them together,
  and for each address and port.

The time is an argument. Every table is bounded.
"""

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from flux_tui.core.limits import BoundedTable, TokenBucket

TELLER_BURST, TELLER_RATE = 32.0, 0.5
"""Dials on one peer's word, at once and per second: one DHT lookup brings 20 names."""
ALL_BURST, ALL_RATE = 256.0, 8.0
"""Dials of addresses that peers named, at once and per second, for all peers together. A node that is new in a
swarm of hundreds connects to all of them within a minute."""
DOOR_BURST, DOOR_RATE = 4.0, 1 / 15
"""Dials of one address and port, whatever peer id it is named with."""
HOST_BURST, HOST_RATE = 16.0, 0.5
"""Dials of all ports of one IP address, if it is not loopback."""
CIRCUIT = "/p2p-circuit"
"""In the addresses that lead through a relay."""
MAX_BUCKETS = 2048
"""Peers and addresses whose budget is remembered."""
MAX_HEARD = 4096
"""Addresses for which the node remembers the peer that named them."""


class Reach(IntEnum):
    """How near an address or a peer is. Smaller is nearer."""

    LOOPBACK = 1
    """Loopback addresses: only this machine reaches them."""
    NEAR = 2
    """A private network, or one link."""
    PUBLIC = 3
    """Public addresses: any machine may reach them."""


def reach_of_ip(ip: str) -> Reach | None:
    """Return the reach of an IPv4 or IPv6 address. None: it must not be dialled, or is not an address."""
    number = _ip4(ip)
    if number is not None:
        return _reach4(number)
    groups = _ip6(ip.partition("%")[0])
    return None if groups is None else _reach6(groups)


def reach_of(addr: str) -> Reach | None:
    """Return the reach of a multiaddr; of a relayed multiaddr, the reach of the relay.

    None: no peer may name this address.
    """
    parts = addr.split("/")
    if len(parts) < 5 or parts[0] or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
        return None
    return reach_of_ip(parts[2])


def is_public(addr: str) -> bool:
    """Whether a multiaddr is on the internet, and does not lead through a relay."""
    return CIRCUIT not in addr and reach_of(addr) == Reach.PUBLIC


def has_public_ip4(addrs: Iterable[str]) -> bool:
    """Whether one of these multiaddrs is a public IPv4 address, not through a relay."""
    return any(addr.startswith("/ip4/") and is_public(addr) for addr in addrs)


def may_name(teller: Reach, addr: str) -> bool:
    """Whether a peer with reach `teller` may name this address to be dialled: it is as near as the peer, or farther."""
    reach = reach_of(addr)
    return reach is not None and reach >= teller


def transport_of(addr: str) -> str:
    """Return a multiaddr without the peer id at its end."""
    base, separator, peer = addr.rpartition("/p2p/")
    return base if separator and "/" not in peer else addr


def ip_and_port(addr: str) -> tuple[str, str]:
    """Return the IP address and the port of a multiaddr that `reach_of` accepts."""
    parts = addr.split("/")
    return parts[2], parts[4]


class NamedAddrs:
    """For each address, the peer that named it. If several peers did, the nearest of them."""

    def __init__(self) -> None:
        self._heard: BoundedTable[str, tuple[Reach, str]] = BoundedTable(MAX_HEARD, refresh=True)

    def __len__(self) -> int:
        return len(self._heard)

    def heard(self, teller: str, reach: Reach, addrs: Iterable[str]) -> None:
        """Record that the peer `teller`, with this reach, named these addresses."""
        for addr in map(transport_of, addrs):
            before = self._heard.get(addr)
            named = reach, teller
            self._heard[addr] = named if before is None or reach < before[0] else before

    def teller(self, addr: str) -> tuple[Reach, str]:
        """Return the reach and the id of the peer that named an address.

        If no peer is known to have named it, the farthest reach and an empty id are returned.
        """
        return self._heard.get(transport_of(addr), (Reach.PUBLIC, ""))


class DialRefusal(NamedTuple):
    """The reason why an address is not dialled."""

    text: str
    news: bool
    """Whether this is the first refusal of its kind in a while, so that an entry is due."""


class DialBudget:
    """Limits how often this node dials addresses that peers named."""

    def __init__(self, now: float) -> None:
        self._all = TokenBucket(ALL_BURST, ALL_RATE, now)
        self._tellers: BoundedTable[str, TokenBucket] = BoundedTable(MAX_BUCKETS, refresh=True)
        self._doors: BoundedTable[str, TokenBucket] = BoundedTable(MAX_BUCKETS, refresh=True)
        self._told: BoundedTable[str, float] = BoundedTable(MAX_BUCKETS, refresh=True)

    def spend(self, teller: str, addr: str, now: float) -> DialRefusal | None:
        """Take a token for one dial of an address that `teller` named. Returns None: the address may be dialled now.

        If a limit does not allow the dial, takes no token, and returns the reason.
        """
        ip, port = ip_and_port(addr)
        buckets = [
            (self._all, "this node dials no more addresses that peers named for now"),
            (
                _of(self._tellers, teller, TELLER_BURST, TELLER_RATE, now),
                f"{teller or 'unknown peers'} named more addresses than are dialled for one peer",
            ),
            (
                _of(self._doors, f"{ip} {port}", DOOR_BURST, DOOR_RATE, now),
                f"{ip} port {port} was dialled too often because peers named it",
            ),
        ]
        if reach_of_ip(ip) != Reach.LOOPBACK:
            bucket = _of(self._doors, ip, HOST_BURST, HOST_RATE, now)
            buckets.append((bucket, f"{ip} was dialled too often because peers named it"))
        for bucket, why in buckets:
            if bucket.wait(now, 1) > 0:
                return DialRefusal(f"{addr} is not dialled: {why}", self.is_news(why, now))
        for bucket, _ in buckets:
            bucket.take(1, now)
        return None

    def is_news(self, why: str, now: float, seconds: float = 60.0) -> bool:
        """Whether the reason `why` was not reported within the last `seconds`. If so, counts it as reported now."""
        if self._told.get(why, float("-inf")) > now - seconds:
            return False
        self._told[why] = now
        return True


def _of(
    table: BoundedTable[str, TokenBucket], key: str, burst: float, rate: float, now: float
) -> TokenBucket:
    return table.setdefault(key, TokenBucket(burst, rate, now))


# ── addresses ───────────────────────────────────────────────────────────────────────────────────

_NONE4 = [
    (0x00000000, 8), (0xC0000000, 24), (0xC6120000, 15), (0xE0000000, 4), (0xF0000000, 4),
]  # fmt: skip
"""Networks that are never dialled: unspecified and "this network", protocol assignments, benchmarks,
multicast, reserved and broadcast."""
_NEAR4 = [(0x0A000000, 8), (0xAC100000, 12), (0xC0A80000, 16), (0xA9FE0000, 16), (0x64400000, 10)]
"""Private networks, link-local ones, and those of carriers."""


def _in4(number: int, networks: list[tuple[int, int]]) -> bool:
    return any(number >> (32 - bits) == network >> (32 - bits) for network, bits in networks)


def _reach4(number: int) -> Reach | None:
    if _in4(number, _NONE4):
        return None
    if number >> 24 == 127:
        return Reach.LOOPBACK
    return Reach.NEAR if _in4(number, _NEAR4) else Reach.PUBLIC


def _reach6(groups: list[int]) -> Reach | None:
    first = groups[0]
    low = groups[6] << 16 | groups[7]
    if groups[:5] == [0] * 5 and groups[5] in (0, 0xFFFF):
        if groups[5] == 0 and low <= 1:
            return Reach.LOOPBACK if low else None
        return _reach4(low)  # an IPv4 address, mapped or compatible
    if groups[:6] == [0x64, 0xFF9B, 0, 0, 0, 0]:
        return _reach4(low)  # the same through NAT64
    if first == 0x2002:
        return _reach4(groups[1] << 16 | groups[2])  # and by 6to4
    if first >> 8 == 0xFF:
        return None
    if first >> 9 == 0xFC00 >> 9 or 0xFE80 <= first <= 0xFEFF:
        return Reach.NEAR
    return Reach.PUBLIC if first >> 13 == 1 else None


def _ip4(ip: str) -> int | None:
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}", ip, re.ASCII):
        return None
    parts = [int(part) for part in ip.split(".")]
    if max(parts) > 255:
        return None
    return parts[0] << 24 | parts[1] << 16 | parts[2] << 8 | parts[3]


def _ip6(ip: str) -> list[int] | None:
    head, colon, last = ip.rpartition(":")
    if colon and "." in last:  # the last 32 bits are written as IPv4
        number = _ip4(last)
        if number is None:
            return None
        ip = f"{head}:{number >> 16:x}:{number & 0xFFFF:x}"
    left, gap, right = ip.partition("::")
    before = left.split(":") if left else []
    after = right.split(":") if right else []
    missing = 8 - len(before) - len(after)
    if (gap and missing < 1) or (not gap and missing):
        return None
    texts = before + ["0"] * missing + after
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,4}", text, re.ASCII) for text in texts):
        return None
    return [int(text, 16) for text in texts]
