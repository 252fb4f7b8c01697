"""Relays among peers: a node that others can dial relays a little for its peers. A node that cannot be dialled uses it.

Nobody has to name a relay for that. Two nodes behind routers that joined the same node on the internet meet by way of
that node. If their routers allow it, they then connect directly (`upstream/hole_punching.py`). A setting bounds how
much one node relays.

- A node offers to relay while it has a public address. Only peers with a push link may have a reservation.
- A node asks peers to relay for it if it has no public address, no outer address was proved, and the user named no
  relay. It asks peers that it dialled itself at a public address, because others can dial them there as well.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from flux_tui.core.peers.address_dial_policy import has_public_ip4, is_public
from flux_tui.net.addresses.own_addrs import OwnAddrs

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two looks whether a relay is needed."""
GRACE_SECONDS = 4.0
"""Seconds for which a node waits for a proof of an address outside of its router before it asks for a relay."""
MAX_BORROWED = 2
"""Peers that relay for this node at a time."""
AGAIN_SECONDS = 300.0
"""Seconds until a peer that refused is asked again."""

Borrow = Callable[[str, Callable[[bool], None]], Awaitable[None]]
"""Keeps a reservation at the peer with this address, and tells whether there is one. Returns when it is over."""


class PeerRelays:
    """Decides when one node relays for its peers, and which peers relay for the node.

    `own`: this node's addresses. `offer`: called with whether to offer to relay now. `candidates`: returns the
    addresses of peers that could relay for this node. `borrow`: keeps a reservation at one of them.
    """

    def __init__(
        self,
        own: OwnAddrs,
        offer: Callable[[bool], None],
        candidates: Callable[[], Sequence[str]],
        borrow: Borrow,
    ) -> None:
        self._own = own
        self._offer = offer
        self._candidates = candidates
        self._borrow = borrow
        self._borrowed: dict[str, trio.CancelScope] = {}
        self._has: dict[str, None] = {}
        """Addresses of the peers at which there is a reservation."""
        self._tried: dict[str, float] = {}
        self._lonely_since: float | None = None

    async def run(self) -> None:
        """Until cancelled, offer to relay while this node can, and ask peers to relay while this node needs that."""
        async with trio.open_nursery() as nursery:
            while True:
                self._offer(self._is_reached())
                needed = self._needs_relay()
                if not needed:
                    for scope in self._borrowed.values():
                        scope.cancel()
                elif len(self._borrowed) < MAX_BORROWED and (addr := self._next()) is not None:
                    self._borrowed[addr] = trio.CancelScope()
                    nursery.start_soon(self._keep, addr, self._borrowed[addr])
                await trio.sleep(LOOK_SECONDS)

    def _is_reached(self) -> bool:
        """Whether this node has a public address: this machine's own, or an outer one that was proved."""
        return any(is_public(addr) for addr in self._own.all)

    def _needs_relay(self) -> bool:
        """Whether peers are to relay for this node now: it has had no public address for GRACE_SECONDS.

        False if a person named relays for it, or no peer could relay. Only a public IPv4 address counts,
        because not all nodes can dial an IPv6 address.
        """
        if has_public_ip4(self._own.all) or self._own.is_relayed or not self._candidates():
            self._lonely_since = None
            return False
        now = trio.current_time()
        self._lonely_since = now if self._lonely_since is None else self._lonely_since
        return now - self._lonely_since >= GRACE_SECONDS

    def _next(self) -> str | None:
        now = trio.current_time()
        for addr in self._candidates():
            if addr not in self._borrowed and self._tried.get(addr, float("-inf")) + AGAIN_SECONDS <= now:
                self._tried = {one: at for one, at in self._tried.items() if at + AGAIN_SECONDS > now} | {
                    addr: now
                }
                return addr
        return None

    async def _keep(self, addr: str, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._borrow(addr, partial(self._reserved, addr))
        finally:
            del self._borrowed[addr]
            self._reserved(addr, False)

    def _reserved(self, addr: str, there_is: bool) -> None:
        if there_is == (addr in self._has):
            return
        if there_is:
            self._has[addr] = None
            self._tried.pop(addr, None)  # it went well, so it may again
        else:
            del self._has[addr]
        log.info("%s %s for this node", addr, "relays" if there_is else "does not relay any more")
        self._own.borrows(tuple(self._has))
