"""Maps a port on the router by UPnP, for a limited time. Based on `UpnpManager`. For libp2p 0.8.x.

What libp2p 0.8.1 does: it finds the router, and maps a port for ever, with the same number on the router.

Why that is not enough:

- The mapping of a node that was killed stays in the router. Here the mapping has a lease: the router removes it after
  that time. A few routers support no leases (error 725). On those, the mapping is made without one.
- If another machine of the local network has the same port number mapped, the router refuses. Here the caller may map
  another number (`outer`).
- Its calls run in threads, and the caller must wait for them. So a router that does not answer keeps the node from
  ending. Here a cancelled call leaves its thread behind.

Measured with Debian's miniupnpd 2.3.1: found and mapped within 1.1 s. `nat/nat_pmp.py` speaks NAT-PMP; PCP is not
supported. A router whose own outer address is private is not used, as in libp2p, because it stands behind another
router.

Upstream: no issue is known. Test: tests/net/upstream/test_upnp.py; those of its tests with `libp2p_still` in their
names fail when upstream changes. tests/networks/test_port_mapping.py shows the rest on a real miniupnpd.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import trio
from libp2p.discovery.upnp.upnp import UpnpManager

log = logging.getLogger(__name__)

NAME = "flux-tui"
"""How the mapping is called in the router's list."""
ONLY_PERMANENT = "OnlyPermanentLeasesSupported"


class LeasedUpnp(UpnpManager):
    """The router of this machine's default route. Each method may be cancelled at once."""

    _gateway: Any

    async def find(self) -> str | None:
        """Look for a router. Return its outer IP address; None: no usable router was found."""
        return self.get_external_ip() if await _left_alone(self.discover) else None

    async def map(self, port: int, outer: int, seconds: int) -> bool:
        """Let the router pass connections to its port `outer` on to this machine's `port`, for `seconds`.

        A router that supports no time limit is asked to do so without one. Returns whether the router agreed.
        """

        async def ask() -> bool:
            for lease in (seconds, 0):
                try:
                    self._gateway.addportmapping(outer, "TCP", self._lan_addr, port, NAME, "", lease)
                except Exception as error:  # the library has no kinds of its own
                    log.debug("the router does not map port %d: %s", outer, error)
                    if ONLY_PERMANENT not in str(error):
                        return False
                else:
                    return True
            return False

        return await _left_alone(ask)

    async def unmap(self, outer: int) -> bool:
        """Remove the mapping of the router's port `outer`. Returns whether that succeeded."""

        async def ask() -> bool:
            return await self.remove_port_mapping(outer)

        return await _left_alone(ask)


async def _left_alone(ask: Callable[[], Awaitable[bool]]) -> bool:
    """Run `ask`, which calls the router, in a thread with its own trio loop, and return its result.

    When this task is cancelled, the thread goes on, and its result is dropped.
    """
    return await trio.to_thread.run_sync(trio.run, ask, abandon_on_cancel=True)  # type: ignore[call-arg]  # stubs of an older trio
