"""Dials a peer at all of its addresses until one answers. Replaces `dial_peer` of the swarm. For libp2p 0.8.x.

What libp2p 0.8.1 does: it tries at most two addresses of a peer, and at most one for each kind of transport. So of
a peer's TCP addresses, it tries only the first that it ever learned. It leaves out relayed addresses, although a
transport may be registered for them.

Why that is not enough: a peer that moved, or that has a wrong address besides a right one, is never reached.

Here all addresses are tried in order, relayed ones first: a peer that uses a relay usually cannot be dialled
directly. The next address is started as soon as the one before has failed, or a moment later (START_SECONDS). The first
connection wins, and the other dials are cancelled. Dials to addresses that other peers named have a budget
(`addresses/dial_guard.py`).

The rest is as in libp2p: one dial to a peer at a time, and a limit for all dials together. A peer that could
not be reached is not dialled for a minute. Loopback addresses are left out if the peer has others, because
they would lead to this machine.

Upstream: issue #384 reported the same of an older version, and #386 mended it then; no issue is known for 0.8.1.
Test: tests/net/upstream/test_dial_peer.py; one of its tests fails when upstream changes.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import trio
from libp2p.abc import IHost, INetConn
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.dial_guard import DialGuard, DialRefusedError, is_told_by_person
from flux_tui.net.addresses.own_networks import in_own_network, own_networks
from flux_tui.net.dial_errors import SilentError
from flux_tui.net.port import CIRCUIT
from flux_tui.net.upstream.own_addresses import small_packets

log = logging.getLogger(__name__)

_at: ContextVar[Sequence[Multiaddr] | None] = ContextVar("_at", default=None)

START_SECONDS, LATER_SECONDS = 0.25, 0.1
"""Seconds until the next address is tried beside one that neither answers nor fails: as RFC 8305 recommends, and the
least that it allows. The second is for the addresses after the first FIRST: so many silent ones are rare, and who has
eight addresses should not wait two seconds for the last of them."""
FIRST = 3
"""Addresses that START_SECONDS are for."""
MAX_TRIED = 8
"""Addresses of one peer that are tried at most."""
MAX_NEAR = 2
"""Addresses of this machine's networks that are tried before relayed ones. Another home may have the same network."""
MAX_WISHED = 96
"""Addresses that are tried at the same time because a person, or this node itself, wants them. What other peers named
has libp2p's own limit (32): names that lead nowhere do not keep a person's dial waiting."""
DIAL_SECONDS = 15.0
"""Seconds for all addresses together."""


class _Dial:
    """One dial of a peer: the peer's addresses, in the order in which they are tried."""

    def __init__(self) -> None:
        self.addrs: list[Multiaddr] = []
        """All addresses that it tries, the first MAX_TRIED that were added."""
        self.done = trio.Event()
        """Set when the dial is over."""
        self._next = 0
        self._added = trio.Event()

    def add(self, addrs: Sequence[Multiaddr]) -> None:
        """Add addresses to try, unless they were added already. Those beyond MAX_TRIED in all are left out."""
        new = [addr for addr in addrs if addr not in self.addrs][: max(0, MAX_TRIED - len(self.addrs))]
        self.addrs += new
        if new:
            self._added.set()

    @property
    def started(self) -> int:
        """How many addresses were taken."""
        return self._next

    def take(self) -> Multiaddr | None:
        """Return the next address to try; None if all known ones were tried. More may be added later."""
        if self._next == len(self.addrs):
            return None
        self._next += 1
        return self.addrs[self._next - 1]

    async def wait(self) -> None:
        """Wait until there is an address that was not tried yet."""
        while self._next == len(self.addrs):
            self._added = trio.Event()
            await self._added.wait()


@contextmanager
def dialled_at(addrs: Sequence[Multiaddr] | None) -> Iterator[None]:
    """While this context lasts, this task dials peers only at these addresses; None: at every address known of them."""
    before = _at.set(addrs)
    try:
        yield
    finally:
        _at.reset(before)


class Dialler:
    """Replaces the swarm's `dial_peer`: dials a peer at all of its addresses."""

    def __init__(self, host: IHost, guard: DialGuard, needs_small_packets: Callable[[PeerId], bool]) -> None:
        """Replace the swarm's `dial_peer`.

        `needs_small_packets`: whether a peer is to be dialled with small packets: large ones may be lost on the way.
        """
        self._needs_small_packets = needs_small_packets
        swarm: Any = host.get_network()
        swarm.dial_peer = self.dial_peer
        self._guard = guard
        self._swarm = swarm
        self._ongoing: dict[ID, _Dial] = {}
        self._wished = trio.CapacityLimiter(MAX_WISHED)

    async def dial_peer(self, peer: ID) -> list[INetConn]:
        """Return the open connections to a peer; if there are none, dial the peer.

        Raises SwarmException if no address connects; its cause is an exception group with one error for each address.
        It has no cause if the peer could not be reached a moment ago, or no address of it is known.
        Raises DialRefusedError if none of the addresses may be dialled.
        """
        while (ongoing := self._ongoing.get(peer)) is not None:
            # A dial to a dead address takes long. A new address is tried beside it.
            ongoing.add(await self._addrs_of(peer))
            await ongoing.done.wait()
        if found := self._open_connections(peer):
            return found
        if self._swarm._negative_peer_cache.is_blocked(str(peer)):
            raise SwarmException(f"{peer} could not be reached just now")
        dial = self._ongoing[peer] = _Dial()
        try:
            dial.add(await self._addrs_of(peer))
            return [await self._dial(peer, dial)]
        finally:
            del self._ongoing[peer]
            dial.done.set()

    def _open_connections(self, peer: ID) -> list[INetConn]:
        return [one for one in self._swarm.get_connections(peer) if not one.is_closed]

    async def _addrs_of(self, peer: ID) -> list[Multiaddr]:
        """Return the addresses at which a peer is dialled, at most MAX_TRIED.

        They are those of `dialled_at`, else all that are known of the peer. Left out: those that cannot be dialled, and
        loopback ones if there are other direct ones.

        Addresses of a network that this machine is in come first, MAX_NEAR of them. Relayed ones come next. Two nodes
        behind one router often have only these two ways to each other, and a relay is slower.
        """
        swarm = self._swarm
        known: Sequence[Multiaddr] | None = _at.get()
        if known is None:
            known = swarm.peerstore.addrs(peer) if swarm.peerstore.has_peer(peer) else []
        named = dict.fromkeys(_whole(addr, peer) if f"/{CIRCUIT}" in str(addr) else addr for addr in known)
        allowed = [addr for addr in named if await swarm.connection_gate.is_allowed(addr)]
        relayed = [addr for addr in allowed if f"/{CIRCUIT}" in str(addr)]
        direct = [addr for addr in allowed if addr not in relayed and self._can_dial(addr)]
        far = [addr for addr in direct if not str(addr).startswith(("/ip4/127.", "/ip6/::1/"))]
        networks = own_networks() if relayed and far else []
        near = [addr for addr in far if in_own_network(str(addr), networks)][:MAX_NEAR]
        rest = [addr for addr in far or direct if addr not in near]
        # A peer has few relays. Ten dead ones must not prevent its other addresses from being tried.
        return (near + relayed[: MAX_TRIED // 2] + rest)[:MAX_TRIED]

    def _can_dial(self, addr: Multiaddr) -> bool:
        try:
            return self._swarm.transport_manager.transport_for_dialing(addr) is not None
        except Exception:  # no transport can dial this form of address
            return False

    async def _dial(self, peer: ID, dial: _Dial) -> INetConn:
        attempts = _Attempts()
        with trio.move_on_after(DIAL_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._try_all, peer, dial, attempts, nursery)
        if attempts.connection is not None:
            return attempts.connection
        if found := self._open_connections(peer):
            return found[0]  # the peer has dialled this node meanwhile
        refused = attempts.refused
        if dial.addrs and len(refused) == len(dial.addrs):
            raise DialRefusedError(refused[0])
        if not dial.addrs and (why := self._guard.why_none(peer)) is not None:
            raise DialRefusedError(why)
        self._swarm._negative_peer_cache.mark_failed(str(peer))
        if not dial.addrs:
            raise SwarmException(f"no address of {peer} is known that can be dialled")
        errors = [*attempts.errors, *[SilentError()] * attempts.running]
        raise SwarmException(
            f"{peer} does not answer at any of {len(dial.addrs)} addresses"
        ) from ExceptionGroup("one for each address", errors)

    async def _try_all(self, peer: ID, dial: _Dial, attempts: "_Attempts", nursery: trio.Nursery) -> None:
        """Start an attempt for one address after the other, until all have failed. Addresses may be added meanwhile."""
        while True:
            addr = dial.take()
            if addr is not None:
                if (why := self._guard.spend(peer, addr)) is not None:
                    attempts.refused.append(why)
                    continue
                over = trio.Event()
                attempts.running += 1
                nursery.start_soon(self._try, peer, addr, attempts, over, nursery.cancel_scope)
                with trio.move_on_after(START_SECONDS if dial.started <= FIRST else LATER_SECONDS):
                    await over.wait()
            elif attempts.running:
                await _either(dial.wait, attempts.wait)
            else:
                return

    async def _try(
        self, peer: ID, addr: Multiaddr, attempts: "_Attempts", over: trio.Event, scope: trio.CancelScope
    ) -> None:
        """Dial one address. On success, cancel all attempts (`scope`). On failure, set `over`."""
        limiter = self._wished if is_told_by_person() else self._swarm._global_dial_limiter
        try:
            small = small_packets() if self._needs_small_packets(PeerId(str(peer))) else nullcontext()
            async with limiter:
                with small:
                    attempts.connection = await self._swarm.dial_addr(_whole(addr, peer), peer)
            scope.cancel()
        except Exception as error:  # libp2p raises many kinds
            log.debug("dialling %s: %r", addr, error)
            attempts.failed(error)
            over.set()


class _Attempts:
    """The results so far of all attempts of one dial."""

    def __init__(self) -> None:
        self.connection: INetConn | None = None
        self.errors: list[Exception] = []
        self.refused: list[str] = []
        """Why addresses were not tried."""
        self.running = 0
        """Attempts that have neither failed nor succeeded."""
        self._news = trio.Event()

    def failed(self, error: Exception) -> None:
        """Note that one attempt has failed with this error."""
        self.errors.append(error)
        self.running -= 1
        self._news.set()

    async def wait(self) -> None:
        """Wait until no attempt is running."""
        while self.running:
            self._news = trio.Event()
            await self._news.wait()


async def _either(*waits: Callable[[], Awaitable[None]]) -> None:
    """Run these waits at the same time, and return when the first one returns."""
    async with trio.open_nursery() as nursery:

        async def until(wait: Callable[[], Awaitable[None]]) -> None:
            await wait()
            nursery.cancel_scope.cancel()

        for wait in waits:
            nursery.start_soon(until, wait)


def _whole(addr: Multiaddr, peer: ID) -> Multiaddr:
    return addr if str(addr).endswith(f"/p2p/{peer}") else Multiaddr(f"{addr}/p2p/{peer}")
