"""Where this node can be dialled: looked up anew whenever somebody is told, because networks come and go.

A listener on a wildcard stands for all addresses that the machine has at the moment. An address that the machine does
not have yet, because the node was started before the network was up, is listened on as soon as it has.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.interfaces import Family, changes, own_ips
from flux_tui.net.port import NetworkError

log = logging.getLogger(__name__)

FRESH_SECONDS = 1.0
"""For so long an answer is taken to be of now."""
WILDCARDS: tuple[tuple[str, Family], ...] = (("/ip4/0.0.0.0/", "ip4"), ("/ip6/::/", "ip6"))


def concrete(addr: Multiaddr | str) -> list[str]:
    """The addresses that others can dial now for one that we listen on: a wildcard stands for all, and one that this
    machine has lost for none."""
    text = str(addr)
    for wildcard, family in WILDCARDS:
        if text.startswith(wildcard):
            rest = text[len(wildcard) :]
            return [f"/{family}/{ip}/{rest}" for ip in own_ips(family)]
    return [text] if _is_here(text) else []


def _is_here(addr: str) -> bool:
    """Whether this machine has an address just now."""
    _, family, ip, *_ = addr.split("/")
    known: Family = "ip6" if family == "ip6" else "ip4"
    return ipaddress.ip_address(ip).is_loopback or ip in own_ips(known)


def dialable(listen: Iterable[Multiaddr | str], peer: PeerId) -> tuple[str, ...]:
    """The same for all that a node listens on, with its name."""
    return tuple(dict.fromkeys(f"{one}/p2p/{peer}" for addr in listen for one in concrete(addr)))


def _machine() -> list[str]:
    """All addresses of this machine, whether they are listened on or not."""
    return [*own_ips("ip4"), *own_ips("ip6")]


class OwnAddrs:
    """Of one node. `relayed`: its addresses at relays, which come first: whoever asks for relays cannot be dialled."""

    def __init__(self, peer: PeerId, relayed: Sequence[str]) -> None:
        self._peer = peer
        self._relayed = tuple(relayed)
        self.listening: Callable[[], Sequence[Multiaddr]] = list
        """What the node listens on."""
        self._known: tuple[str, ...] = ()
        self._looked_at = float("-inf")
        self.changed = trio.Event()
        """Set, and replaced, when they are others than before."""
        self.late: list[Multiaddr] = []
        """To be listened on as soon as this machine has them."""

    @property
    def direct(self) -> tuple[str, ...]:
        """Those at which it can be dialled without a relay, as they are now."""
        now = trio.current_time()
        if now - self._looked_at >= FRESH_SECONDS:
            self._looked_at = now
            self._known = dialable(self.listening(), self._peer)
        return self._known

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (*self._relayed, *self.direct)

    def look(self) -> None:
        """Something changed: what was known is not of now."""
        self._looked_at = float("-inf")

    def advertised(self) -> list[Multiaddr]:
        """The same, for libp2p."""
        return [Multiaddr(addr) for addr in self.all]

    async def watch(
        self,
        listen: Callable[[Multiaddr], Awaitable[str | None]],
        moved: Callable[[], None],
        tell: Callable[[tuple[str, ...]], None],
    ) -> None:
        """Look at them whenever something changes, until cancelled.

        `listen` returns why an address cannot be listened on. `moved` is called when this machine has other addresses
        than before, `tell` when this node can be dialled at others.
        """
        told, had = self.all, _machine()
        async for _ in changes():
            for addr in list(self.late):
                try:
                    why = await listen(addr)
                except NetworkError as error:
                    why = str(error)
                if why is None:
                    self.late.remove(addr)
                else:
                    log.debug("%s is not listened on yet: %s", addr, why)
            self.look()
            if (has := _machine()) != had:
                had = has
                moved()
            if self.all != told:
                told = self.all
                tell(told)
                self.changed.set()
                self.changed = trio.Event()
