"""Keeps this node's port mapped on the router, by NAT-PMP or UPnP, while the node runs.

The router keeps the mapping for LEASE_SECONDS. The node renews it after half of this time, and removes it when it ends.
It looks for the router again when this machine's addresses change, and when the machine has slept. It also does so when
peers see the node at another outer address: the router may have started anew, and forgotten the mapping. The outer
address that the router names is only a claim, until a peer has dialled it back (`outer_addrs.py`). Nothing is mapped
for a node that listens only on loopback, or that has a public IPv4 address.
"""

import logging
import random
from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

import trio

from flux_tui.core.limits import Backoff
from flux_tui.core.peers.address_dial_policy import Reach, has_public_ip4, reach_of
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.nat.outer_addrs import OuterAddrs

log = logging.getLogger(__name__)

ROUTER = "router"
LEASE_SECONDS = 1200
"""Seconds for which the router keeps the mapping of a node that was killed."""
RENEW_SECONDS = 0.5 * LEASE_SECONDS
AGAIN = Backoff(first=60.0, most=1800.0)
"""The wait until a router is looked for again."""
AGAIN_SECONDS = 30.0
"""The least seconds between two searches for the router because of `look_again`: any peer can cause it."""
ASK_SECONDS, LEAVE_SECONDS = 10.0, 2.0
"""Seconds for the router to answer; and at the end of the node."""
OTHER_PORTS = range(20_000, 60_000)
"""Outer ports that are tried when that of the node is taken."""
TRIES = 3


class Router(Protocol):
    """A router that maps ports: `nat/nat_pmp.py`, `upstream/upnp.py`."""

    async def find(self) -> str | None:
        """Look for a router. Return its outer IP address; None: there is none."""

    async def map(self, port: int, outer: int, seconds: int) -> bool:
        """Let the router pass connections to its port `outer` on to this machine's `port`, for so many seconds.

        Returns whether the router does so.
        """

    async def unmap(self, outer: int) -> bool:
        """Remove the mapping of the router's port `outer`. Returns whether that succeeded."""


class PortMapping:
    """Keeps one node's port mapped. `own`: this node's addresses. `outer`: is told the mapped address.

    `ways`: each makes a new Router, on which `find` was not called yet. They are tried in this order.
    """

    def __init__(self, own: OwnAddrs, outer: OuterAddrs, ways: Sequence[Callable[[], Router]]) -> None:
        self._own = own
        self._outer = outer
        self._ways = ways
        self._router: Router | None = None
        """The router on which a port is mapped."""
        self._port = 0
        """The outer port."""
        self._asked_at = -inf
        """When the router was looked for last."""
        self._wait = trio.CancelScope()
        """The wait until it is looked for again."""

    def look_again(self) -> None:
        """Look for the router again soon, and map the port anew: it may not be mapped any more."""
        self._wait.deadline = min(self._wait.deadline, self._asked_at + AGAIN_SECONDS)

    async def run(self) -> None:
        """Keep the port mapped, until cancelled. Then remove the mapping."""
        failures = 0
        try:
            while True:
                before = self._own.direct
                self._asked_at, self._wait = trio.current_time(), trio.CancelScope()
                mapped = await self._map()
                failures = 0 if mapped else failures + 1
                wait = RENEW_SECONDS if mapped else AGAIN.wait(failures)
                self._wait.deadline = min(self._wait.deadline, trio.current_time() + wait)
                with self._wait:
                    while self._own.direct == before:
                        await self._own.changed.wait()
        finally:
            with trio.move_on_after(LEAVE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                await self._unmap()

    async def _map(self) -> bool:
        """Map the port, or renew its lease. Returns whether it is mapped."""
        port = self._inner_port()
        for make in self._ways if port else ():
            with trio.move_on_after(ASK_SECONDS):
                router = make()
                ip = await router.find()
                if ip is not None and await self._map_on(router, port):
                    addr = f"/ip4/{ip}/tcp/{self._port}"
                    log.info("the router passes connections to %s on to port %d", addr, port)
                    self._outer.claim(ROUTER, [addr])
                    return True
        self._outer.claim(ROUTER, [])
        return False

    async def _map_on(self, router: Router, port: int) -> bool:
        others = [random.choice(OTHER_PORTS) for _ in range(TRIES)]  # noqa: S311 - no secret
        for outer in dict.fromkeys([self._port or port, port, *others]):
            if await router.map(port, outer, LEASE_SECONDS):
                self._router, self._port = router, outer
                return True
        return False

    def _inner_port(self) -> int:
        """Return the port to map: the one on which this node listens in a private IPv4 network.

        0: it listens in none, or has a public IPv4 address, so no mapping is needed.
        """
        direct = [addr for addr in self._own.direct if addr.startswith("/ip4/")]
        if has_public_ip4(direct):
            return 0
        return next((int(addr.split("/")[4]) for addr in direct if reach_of(addr) == Reach.NEAR), 0)

    async def _unmap(self) -> None:
        if self._router is not None:
            await self._router.unmap(self._port)
            self._router = None
