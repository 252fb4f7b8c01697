"""The addresses at which other nodes can dial this node.

They are looked up when they are used, at most once in FRESH_SECONDS, because networks change. A wildcard listener
(0.0.0.0) stands for all addresses that the machine has at the moment. A node may be started before the network is up.
Then it listens on a configured address as soon as the machine has that address.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.interfaces import Family, best_first, changes
from flux_tui.net.port import NetworkError

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""Seconds for which an answer counts as current."""
WILDCARDS: tuple[tuple[str, Family], ...] = (("/ip4/0.0.0.0/", "ip4"), ("/ip6/::/", "ip6"))


def concrete(listen: Iterable[Multiaddr | str]) -> list[str]:
    """Return the addresses at which peers can dial this node now, the best first. `listen`: what the node listens on.

    A wildcard is replaced by all addresses of this machine; link-local ones only if it has no others but loopback. An
    address that this machine does not have now is left out.
    """
    found: list[str] = []
    wild: dict[Family, list[str]] = {}
    for text in map(str, listen):
        family, rest = _wildcard(text)
        if family is not None:
            wild.setdefault(family, []).append(rest)
        elif _is_here(text):
            found.append(text)
    ips = best_first(tuple(wild))
    far = [one for one in ips if not ipaddress.ip_address(one[1]).is_link_local]
    if any(not ipaddress.ip_address(ip).is_loopback for _, ip in far):
        ips = far
    return [*found, *(f"/{family}/{ip}/{rest}" for family, ip in ips for rest in wild[family])]


def is_wildcard(addr: Multiaddr | str) -> bool:
    """Whether an address to listen on stands for all addresses of this machine."""
    return _wildcard(str(addr))[0] is not None


def _wildcard(addr: str) -> tuple[Family | None, str]:
    """Return the family of a wildcard address, and the rest of it after the IP address.

    If it is no wildcard, return None and the whole address.
    """
    for wildcard, family in WILDCARDS:
        if addr.startswith(wildcard):
            return family, addr[len(wildcard) :]
    return None, addr


def _is_here(addr: str) -> bool:
    """Whether this machine has the address now."""
    _, family, ip, *_ = addr.split("/")
    known: Family = "ip6" if family == "ip6" else "ip4"
    return ipaddress.ip_address(ip).is_loopback or (known, ip) in best_first((known,))


def dialable(listen: Iterable[Multiaddr | str], peer: PeerId) -> tuple[str, ...]:
    """Return the full addresses at which peers can dial a node, the best first, each ending in /p2p/ and its id `peer`.

    `listen`: the addresses on which it listens. A wildcard is replaced by this machine's addresses (see `concrete`).
    """
    return tuple(dict.fromkeys(f"{one}/p2p/{peer}" for one in concrete(listen)))


def machine_ips() -> list[tuple[Family, str]]:
    """Return all IP addresses of this machine, whether the node listens on them or not."""
    return best_first(("ip4", "ip6"))


class OwnAddrs:
    """The addresses at which other nodes can dial this node.

    `relayed`: its addresses through relays. They come first, because a node that uses relays cannot be dialled
    directly.
    """

    def __init__(self, peer: PeerId, relayed: Sequence[str]) -> None:
        self._peer = peer
        self._relayed = tuple(relayed)
        self._borrowed: tuple[str, ...] = ()
        """Its addresses through peers that relay a little for it (`nat/peer_relays.py`)."""
        self._listening: tuple[Multiaddr, ...] = ()
        """The addresses that the node listens on."""
        self._known: tuple[str, ...] = ()
        self._looked_at = float("-inf")
        self.changed = trio.Event()
        """Set and replaced when the addresses change."""
        self._outer: tuple[str, ...] = ()
        """Its addresses outside of the router, each with its peer id. They were proved (`nat/`)."""
        self._told: tuple[str, ...] = ()
        self._tell: Callable[[tuple[str, ...]], None] | None = None
        """Called when the addresses change; None: nobody watches them yet."""
        self._late: list[Multiaddr] = []
        """Addresses to listen on as soon as this machine has them."""

    @property
    def direct(self) -> tuple[str, ...]:
        """The addresses at which this node can be dialled without a relay, as they are now."""
        now = trio.current_time()
        if now - self._looked_at >= FRESH_SECONDS:
            self._looked_at = now
            self._known = dialable(self._listening, self._peer)
        return self._known

    @property
    def all(self) -> tuple[str, ...]:
        """All addresses at which this node can be dialled, each once.

        In this order: addresses through relays, the router's addresses that lead here, and this machine's own.
        """
        return tuple(dict.fromkeys((*self._relayed, *self._borrowed, *self._outer, *self.direct)))

    @property
    def listening(self) -> tuple[Multiaddr, ...]:
        """The addresses on which this node listens, wildcards as they are."""
        return self._listening

    @property
    def is_relayed(self) -> bool:
        """Whether a person named relays for this node."""
        return bool(self._relayed)

    def borrows(self, peers: Sequence[str]) -> None:
        """Note the multiaddrs of all peers that relay for this node now, within their limits (`nat/peer_relays.py`).

        They replace those of the last call.
        """
        self._borrowed = tuple(f"{peer}/p2p-circuit/p2p/{self._peer}" for peer in peers)
        self._tell_if_changed()

    def has_outer(self, addrs: Sequence[str]) -> None:
        """Note all outer addresses that are proved: the router's addresses that lead to this node.

        They are multiaddrs without the peer id. They replace the outer addresses of the last call.
        """
        self._outer = tuple(f"{addr}/p2p/{self._peer}" for addr in addrs)
        self._tell_if_changed()

    def _tell_if_changed(self) -> None:
        """Call `tell` of `watch` if the addresses at which this node can be dialled have changed."""
        if self._tell is not None and self.all != self._told:
            self._told = self.all
            self._tell(self._told)
            self.renew()

    def listens_on(self, addrs: Sequence[Multiaddr]) -> None:
        """Note all addresses on which this node listens now."""
        self._listening = tuple(addrs)
        self._forget()

    def listen_later(self, addr: Multiaddr) -> None:
        """Remember an address that this machine does not have yet. `watch` listens on it once it appears."""
        self._late.append(addr)

    def _forget(self) -> None:
        """Forget the addresses of the last look-up, because something changed."""
        self._looked_at = float("-inf")

    def advertised(self) -> list[Multiaddr]:
        """Return all addresses of this node, as libp2p's multiaddrs, to be announced to peers."""
        return [Multiaddr(addr) for addr in self.all]

    def renew(self) -> None:
        """Forget the last look-up, and let everybody who waits for `changed` look again.

        This is also needed without a report of a change, when this machine was asleep.
        """
        self._forget()
        self.changed.set()
        self.changed = trio.Event()

    async def watch(
        self,
        listen: Callable[[Multiaddr], Awaitable[Sequence[Multiaddr] | None]],
        moved: Callable[[], None],
        tell: Callable[[tuple[str, ...]], None],
    ) -> None:
        """Look up the addresses whenever something changes, until cancelled.

        `listen` listens on one more address, and returns all addresses on which the node then listens; None: this
        machine does not have the address. `moved` is called when this machine's addresses have changed. `tell` is
        called when the addresses at which this node can be dialled have changed.
        """
        self._told, self._tell, had = self.all, tell, machine_ips()
        async for _ in changes():
            for addr in list(self._late):
                try:
                    listening = await listen(addr)
                except NetworkError as error:
                    log.debug("%s is not listened on yet: %s", addr, error)
                    continue
                if listening is not None:
                    self._late.remove(addr)
                    self.listens_on(listening)
            self._forget()
            if (has := machine_ips()) != had:
                had = has
                moved()
            self._tell_if_changed()
