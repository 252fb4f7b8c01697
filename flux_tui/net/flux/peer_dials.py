"""Dials peers at the given addresses and brings up links to them. Kept addresses are dialled again and again.

`connections/dial_table.py` is the table of the addresses that are being dialled. `upstream/dial_peer.py` opens the
connections.
"""

import logging
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import trio
from libp2p.abc import IHost
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.net.addresses.connected_peer_addrs import PeerAddrs
from flux_tui.net.addresses.dial_guard import (
    DialGuard,
    DialRefusedError,
    is_told_by_person,
    told_by,
    told_by_person,
)
from flux_tui.net.addresses.peer_multiaddrs import (
    Unreached,
    addrs_of,
    connect_any,
    parse_peer_addr,
    report_of,
)
from flux_tui.net.bitswap.link import BitswapLink
from flux_tui.net.bitswap.links import BitswapLinks
from flux_tui.net.connections.dial_table import Dial, Dials
from flux_tui.net.connections.keepalive import GONE_SECONDS, close_dead, probe
from flux_tui.net.connections.supervisor import Tasks
from flux_tui.net.dial_errors import probe_address, sentence_of
from flux_tui.net.flux.libp2p_host import forget_failures
from flux_tui.net.flux.link import CLOSED, Link
from flux_tui.net.flux.peer_links import Links
from flux_tui.net.port import CIRCUIT, Receiver
from flux_tui.net.upstream.dial_peer import dialled_at
from flux_tui.net.upstream.select_connection import way_of

log = logging.getLogger(__name__)

DIAL_SECONDS = 10.0
"""Seconds for a dialled peer to have its link up."""
CLEARED_SECONDS = 0.01
"""Seconds between two checks whether a dead connection is removed."""
LATER = 1.01, 1.2
"""By how much a peer that refused is dialled later than it named, so that a crowd does not come at once."""
MAX_PROBED = 4096
"""Addresses for which the result of a probe is remembered."""
PROBE_SECONDS = 60.0
"""Seconds between two probes of one address."""
REPORTED = Unreached("", reported=True)
"""The guard has already reported the refusal, or reported the same a while ago."""


class PeerDials:
    """Dials peers for one node. `addrs`: the table that is told at which address each peer is dialled.

    `bitswap`: brings up links to peers that do not speak flux; None: such peers get none.
    """

    def __init__(
        self,
        host: IHost,
        receiver: Receiver,
        nursery: Tasks,
        links: Links,
        guard: DialGuard,
        addrs: PeerAddrs,
        bitswap: BitswapLinks | None = None,
    ) -> None:
        self._host = host
        self._me = PeerId(str(host.get_id()))
        self._receiver = receiver
        self._nursery = nursery
        self._links = links
        self._guard = guard
        self._addrs = addrs
        self._bitswap = bitswap
        self._dials = Dials()
        self._probed: BoundedTable[str, tuple[float, str | None]] = BoundedTable(MAX_PROBED)
        """Addresses that were probed, each with the time and the result."""

    def dial(self, addr: str, *, keep: bool, more: Sequence[str], from_peers: bool) -> None:
        """Begin to dial a peer in the background. See net.port.Network.dial.

        If the address is being dialled already and a person named it, it is tried again now.
        """
        dial = self._dials.get(addr)
        if dial is not None:
            dial.keep |= keep
            if not from_peers:
                dial.from_peers = False
                dial.asked_again.set()
        elif (dial := self._dials.add(addr, keep=keep, from_peers=from_peers)) is not None:
            self._nursery.start_soon(self._run, addr, more, dial)
        else:
            self._receiver.on_dial_failed(addr, f"{addr} is not dialled: too many others are just now")

    async def _run(self, addr: str, more: Sequence[str], dial: Dial) -> None:
        try:
            with dial.scope:
                try:
                    peer, transport = parse_peer_addr(addr)
                except ValueError as error:
                    self._receiver.on_dial_failed(addr, str(error))
                    return
                await self._keep_dialling(peer, addr, [(addr, transport), *addrs_of(peer, more)], dial)
        finally:
            self._dials.remove(addr, dial)

    async def _keep_dialling(
        self, peer: PeerId, addr: str, addrs: Sequence[tuple[str, Multiaddr]], dial: Dial
    ) -> None:
        """Dial a peer once, or again and again if the address is kept. Report each failure to the receiver.

        `addrs`: the peer's addresses, each with its transport part.
        """
        at_once = True
        while True:
            async with AsyncExitStack() as stack:
                if not at_once:
                    await stack.enter_async_context(self._dials.retries)
                if not dial.from_peers:
                    stack.enter_context(told_by_person())
                failed = await connect_any(self._connect, peer, addrs)
            if not failed:
                dial.failures = 0
                await self._while_up(peer, dial)
            else:
                dial.failures += 1
                if report := report_of(failed):
                    self._receiver.on_dial_failed(addr, report)
            if not dial.keep:
                return
            with trio.move_on_after(max(self._dials.wait(addr, dial), self._refused_for(peer))):
                await dial.asked_again.wait()
            at_once = dial.asked_again.is_set() or not dial.failures
            dial.asked_again = trio.Event()

    def _refused_for(self, peer: PeerId) -> float:
        """Return the seconds for which this peer refuses this node, or this node the peer; 0: neither does."""
        refusal = self._links.refusals.of(peer)
        theirs = (
            0.0 if refusal is None else (refusal.until - trio.current_time()) * random.uniform(*LATER) + 0.1  # noqa: S311
        )
        ours = self._links.table.refusal(peer)[1] if self._links.table.is_banned(peer) else 0.0
        return max(theirs, ours)

    async def _while_up(self, peer: PeerId, dial: Dial) -> None:
        """Wait until the link to a peer has ended. Returns at once if its address is not kept, or there is no link.

        Whenever the address is asked for again (`Dials.ask_again`), the link is probed, and closed if it is dead. If it
        is relayed, this returns: the address is dialled, because the peer may be reached directly now.
        """
        link = self._links.table.of(peer)
        while dial.keep and link is not None and not link.done.is_set():
            await _first(link.done, dial.asked_again)
            dial.asked_again = trio.Event()
            if not link.done.is_set() and await self._is_alive(link) and _is_relayed(link):
                return
        other = self._bitswap_link(peer)
        while dial.keep and other is not None and not other.done.is_set():
            await _first(other.done, dial.asked_again)
            dial.asked_again = trio.Event()

    def _bitswap_link(self, peer: PeerId) -> BitswapLink | None:
        return self._bitswap.up(peer) if self._bitswap is not None else None

    async def _connect(self, peer: PeerId, transport: Multiaddr, addr: str) -> Unreached | None:
        """Bring up a link to a peer at one address. Returns why that failed; None on success."""
        if peer == self._me:
            return Unreached(f"{addr} is this node itself")
        if await self._is_linked(peer, transport):
            return None
        if (refused := self._refusal(peer, addr)) is not None:
            return refused
        self._addrs.dialled(peer, addr)
        self._links.table.know(peer)
        forget_failures(self._host, ID.from_base58(peer))
        try:
            with trio.fail_after(DIAL_SECONDS):
                # The best address of a ticket is the first. Its others are not started before it.
                together = [one for _, one in addrs_of(peer, self._dials.new_ones(addr))]
                with dialled_at(together or [transport]):
                    await self._host.connect(PeerInfo(ID.from_base58(peer), [transport]))
                link = await self._bring_up(peer)
                if link is not None and link.foreign and self._bitswap is not None:
                    failed = await self._bitswap.bring_up(peer, None)
                    if failed != "":
                        return Unreached(f"{addr} answers, but no link came up: {failed}") if failed else None
        except trio.TooSlowError:
            if (refusal := self._links.refusals.of(peer)) is not None:
                return Unreached(f"{addr} answers, but it is {refusal.text}")
            probed = await self._probe_once(addr, transport)
            return Unreached(f"{addr} cannot be reached: {probed}" if probed else f"{addr} does not answer")
        except DialRefusedError:
            return REPORTED
        except Exception as error:  # libp2p raises many kinds
            if (refusal := self._links.refusals.of(peer)) is not None:
                return Unreached(f"{addr} answers, but it is {refusal.text}")
            return Unreached(f"{addr} cannot be reached: {sentence_of(error)}")
        return self._why_no_link(peer, addr, link)

    async def _is_linked(self, peer: PeerId, transport: Multiaddr) -> bool:
        """Whether there is a live link to a peer. If it is relayed, `transport` is dialled in the background.

        That is done only for a direct address that a person named.
        """
        link = self._links.table.up(peer)
        if link is None or not await self._is_alive(link):
            return self._bitswap_link(peer) is not None
        if is_told_by_person() and _is_relayed(link) and f"/{CIRCUIT}" not in str(transport):
            self._nursery.start_soon(self._dial_directly, link, transport)
        return True

    async def _dial_directly(self, link: Link, transport: Multiaddr) -> None:
        """Dial a relayed peer at a direct address that a person named. If it answers there, move its link.

        The address may be one of the network in which both nodes are: no peer from elsewhere may name such an address,
        so hole punching does not try it.
        """
        swarm: Any = self._host.get_network()
        peer = ID.from_base58(link.peer)
        try:
            with trio.fail_after(DIAL_SECONDS), told_by_person():
                made = await swarm.dial_addr(transport, peer)
        except Exception as error:  # libp2p raises many kinds; each means that the link stays on the relay
            log.debug("%s does not answer at %s: %r", link.peer, transport, error)
            return
        if _is_relayed(link):  # another address was not faster
            self._links.reached(peer, made.muxed_conn)

    def _refusal(self, peer: PeerId, addr: str) -> Unreached | None:
        """Return why this node must not dial a peer now; None: it may."""
        if is_told_by_person():
            self._links.table.know(peer)  # so that a crowd of strangers does not keep the peer out
        if not self._links.allowed(peer):
            return self._not_allowed(peer, addr)
        return REPORTED if not is_told_by_person() and self._guard.refuses(addr) else None

    async def reach_again(self, peer: PeerId) -> bool:
        """Dial a lost peer at all addresses known of it. Returns whether it has a live link, or must not have one.

        The addresses are those that the peer told last, and the one at which it was reached.
        """
        link = self._links.table.up(peer)
        if link is not None:
            return await self._is_alive(link)
        if not self._links.allowed(peer):
            return True
        if self._links.refusals.of(peer) is not None:
            return False  # it named a time: until then, a dial is in vain
        who = ID.from_base58(peer)
        forget_failures(self._host, who)
        reached = [transport for _, transport in addrs_of(peer, [self._addrs.of(peer)])]
        try:
            with trio.fail_after(DIAL_SECONDS), told_by(who):
                await self._close_dead(peer)
                await self._host.connect(PeerInfo(who, reached))
                link = await self._bring_up(peer)
        except Exception as error:  # libp2p raises many kinds; each means that the peer is not there yet
            log.debug("%s is not reached again: %r", peer, error)
            return False
        return link is not None and link.up.is_set()

    def forget(self, peer: PeerId) -> None:
        """Stop dialling all addresses of a peer."""
        self._dials.forget(peer)

    def changed(self) -> None:
        """Dial all kept addresses at once: this machine's network has changed, or it was asleep."""
        self._dials.ask_again()

    async def _bring_up(self, peer: PeerId) -> Link | None:
        """Wait until the link to a connected peer is up or has ended. Returns the link, if there was one."""
        self._links.connected(peer)
        link = self._links.table.of(peer)
        if link is not None:
            await _first(link.up, link.done)
        return link

    def _why_no_link(self, peer: PeerId, addr: str, link: Link | None) -> Unreached | None:
        """Return why there is no link to a peer, although the address answers; None: there is a link."""
        if link is not None and link.up.is_set():
            return None
        if not self._links.allowed(peer):
            return self._not_allowed(peer, addr)
        if (refusal := self._links.refusals.of(peer)) is not None:
            return Unreached(f"{addr} answers, but it is {refusal.text}")
        if link is not None and link.foreign:
            if self._bitswap is None:
                return Unreached(
                    f"{addr} answers, but does not speak flux; if it is an IPFS node, --bitswap speaks with it"
                )
            return Unreached(f"{addr} answers, but speaks neither flux nor Bitswap")
        why = link.why if link is not None else CLOSED
        return Unreached(
            f"{addr} answers, but no link came up: {why}; it may have too many peers, or refuse this node"
        )

    def _not_allowed(self, peer: PeerId, addr: str) -> Unreached:
        admitted = self._links.table.admits(peer)  # then only the end of this node refuses it
        why = "this node stops" if admitted else self._links.table.why_refused(peer)
        return Unreached(f"{addr} is not dialled: {why}")

    async def _close_dead(self, peer: PeerId) -> None:
        """Close the dead connections to a peer without a link. Otherwise libp2p would use them for the next one."""
        connections, who = self._host.get_network().connections, ID.from_base58(peer)
        await close_dead(lambda: connections.get(who, ()))

    async def _is_alive(self, link: Link) -> bool:
        """Probe a link's connections. Returns whether all are alive. If not, the dead ones and the link are closed."""
        dead = [one for one in link.connections() if not await probe(one)]
        if dead:
            connections = self._host.get_network().connections
            with trio.move_on_after(GONE_SECONDS):
                await link.done.wait()
                peer = ID.from_base58(link.peer)
                while any(one.muxed_conn in dead for one in connections.get(peer, ())):  # noqa: ASYNC110
                    await trio.sleep(CLEARED_SECONDS)  # until then, libp2p would use the dead connection
        return not dead

    async def _probe_once(self, addr: str, transport: Multiaddr) -> str | None:
        """Return why an address did not answer in time, in a sentence; None if that is not found.

        To find out, the address is dialled once more. This is done only for a direct address that a person named. The
        result is returned again for PROBE_SECONDS.
        """
        now = trio.current_time()
        if not is_told_by_person() or f"/{CIRCUIT}" in addr:
            return None
        known = self._probed.get(addr)
        if known is not None and known[0] > now - PROBE_SECONDS:
            return known[1]
        error = await probe_address(transport)
        found = None if error is None else sentence_of(error)
        self._probed[addr] = (now, found)
        return found


def _is_relayed(link: Link) -> bool:
    """Whether this node's side of a link goes through a relay."""
    return link.outbound is not None and way_of(link.outbound.muxed_conn) == "relayed"


async def _first(*events: trio.Event) -> None:
    """Wait until one of these events is set."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)
