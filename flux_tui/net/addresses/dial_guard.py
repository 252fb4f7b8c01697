"""Decides which addresses that a peer named may be dialled, by the rule in `core/peers/address_dial_policy.py`.

libp2p stores every address that any peer names in its peerstore, and dials the addresses there. So the peerstore
asks this guard which addresses it may store. The dialler asks the guard whether an address may be dialled now.

The guard learns from the task's context which peer named an address. A task that handles a peer's stream, or reads a
peer's answer, runs in `told_by(peer)`. A task that does what a person asked for runs in `told_by_person()`.
Where neither is set (libp2p's identify), a peer names its own addresses.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import trio
from libp2p.abc import INetConn
from libp2p.connection_types import ConnectionType
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.address_dial_policy import (
    DialBudget,
    NamedAddrs,
    Reach,
    may_name,
    reach_of,
    reach_of_ip,
)

log = logging.getLogger(__name__)

PERSON = "a person"
CIRCUIT = "/p2p-circuit"
MAX_TELLERS = 4096
"""Peers for which the teller of their addresses is remembered."""
QUIET_SECONDS = 600.0
"""Seconds between two reports about addresses that a peer may not name, and about peer exchange."""

_teller: ContextVar["ID | str | None"] = ContextVar("teller", default=None)


class DialRefusedError(SwarmException):
    """Raised if none of a peer's addresses may be dialled now. The message is one sentence."""


@contextmanager
def told_by(peer: ID) -> Iterator[None]:
    """While this context lasts, addresses that this task stores count as named by this peer."""
    token = _teller.set(peer)
    try:
        yield
    finally:
        _teller.reset(token)


@contextmanager
def told_by_person() -> Iterator[None]:
    """While this context lasts, addresses that this task stores count as named by a person.

    Addresses that this node itself remembered count so too.
    """
    token = _teller.set(PERSON)
    try:
        yield
    finally:
        _teller.reset(token)


def is_told_by_person() -> bool:
    """Whether this task runs inside `told_by_person()`."""
    return _teller.get() == PERSON


class DialGuard:
    """Checks for one host which addresses may be stored and dialled.

    `connections`: returns the open connections to a peer. `on_refused`: called with a refused address and the
    reason, in a sentence; not more often than once in QUIET_SECONDS for the same reason.
    """

    def __init__(
        self, connections: Callable[[ID], Sequence[INetConn]], on_refused: Callable[[str, str], None]
    ) -> None:
        self._on_refused = on_refused
        self._connections = connections
        self._named = NamedAddrs()
        self._budget = DialBudget(trio.current_time())
        self._tellers: BoundedTable[ID, str] = BoundedTable(MAX_TELLERS, refresh=True)
        self._left_out: BoundedTable[ID, str] = BoundedTable(MAX_TELLERS)
        """Peers of which no address was kept, each with one of its addresses."""

    def reach(self, peer: ID) -> Reach:
        """Return how near a peer is: on this machine, in a private network, or public. The nearest connection counts.

        A peer counts as public if it is connected only through a relay, or not at all.
        """
        return min(map(_reach, self._connections(peer)), default=Reach.PUBLIC)

    def heard(self, teller: ID | str, addrs: Iterable[str], reach: Reach | None = None) -> None:
        """Note that `teller` named these addresses. `reach`: how near the teller is.

        None: as near as its connections are. A teller that is no peer then counts as public.
        """
        known = reach or (self.reach(teller) if isinstance(teller, ID) else Reach.PUBLIC)
        self._named.heard(str(teller), known, addrs)

    def admits(self, peer: ID, addrs: Sequence[Multiaddr]) -> list[Multiaddr]:
        """Return those of a peer's addresses that may be stored, in the same order, and note who named them.

        All of them if a person named them (`told_by_person`); else those that the rule allows.
        """
        teller = _teller.get()
        if teller == PERSON:
            self._told(peer, PERSON)
            return list(addrs)
        who = teller if isinstance(teller, ID) else peer
        self.heard(who, map(str, addrs))
        kept = [addr for addr in addrs if self.rule(str(addr)) is None]
        if kept and self._tellers.get(peer) != PERSON:
            self._told(peer, self._named.teller(str(kept[-1]))[1])
        if kept:
            self._left_out.pop(peer, None)
        elif addrs:
            self._left_out[peer] = str(addrs[0])
        return kept

    def why_none(self, peer: ID) -> str | None:
        """Return why no address of a peer was stored, in a sentence; None: one was, none was named, or one may be now.

        The refusal is reported, as by `refuses`.
        """
        if (addr := self._left_out.get(peer)) is None or (why := self.rule(addr)) is None:
            return None
        self.refuses(addr)
        return why

    def refuses(self, addr: str) -> bool:
        """Return whether the rule forbids to dial this address. The guard looks up who named it.

        A refusal is reported by `on_refused`; for each peer that names addresses, at most once in QUIET_SECONDS.
        """
        if (why := self.rule(addr)) is None:
            return False
        teller = self._named.teller(addr)[1]
        if self._budget.is_news(f"rule {teller}", trio.current_time(), QUIET_SECONDS):
            self._on_refused(addr, why)
        return True

    def _told(self, peer: ID, teller: str) -> None:
        self._tellers[peer] = teller

    def rule(self, addr: str) -> str | None:
        """Return why the rule forbids to dial this address, in a sentence; None: it may be dialled.

        The guard looks up who named the address: a peer, and how near this peer is, or a person.
        """
        reach, teller = self._named.teller(addr)
        if may_name(reach, addr):
            return None
        if reach_of(addr) is None:
            return f"{addr} is not dialled: only a person may name an address of this kind"
        return (
            f"{addr} is not dialled: it is an address of this machine or of a private network, and"
            f" {teller or 'who told of it'} comes from elsewhere"
        )

    def spend(self, peer: ID, addr: Multiaddr) -> str | None:
        """Count one dial against the dial budget of the peer that named the address. A person has no budget.

        Returns why the address must not be dialled, in a sentence; None: it may be dialled.
        """
        text = str(addr)
        teller = self._tellers.get(peer, "")
        if CIRCUIT in text:
            self._vouch_for_relay(text, teller)
        if teller == PERSON:
            return None
        if (why := self.rule(text)) is not None:
            return why
        refusal = self._budget.spend(teller, text, trio.current_time())
        if refusal is None:
            return None
        if refusal.news:
            self._on_refused(text, refusal.text)
        return refusal.text

    def _vouch_for_relay(self, addr: str, teller: str) -> None:
        """Note that the peer that named a relayed address named the relay's own address too: it is dialled next.

        `addr`: the relayed address. `teller`: who named it; nothing is noted if that was a person.
        """
        near = addr.partition(CIRCUIT)[0].rpartition("/p2p/")[0]
        if teller != PERSON:
            reach, who = self._named.teller(addr)
            self._named.heard(who, reach, [near])

    def peer_exchange(self, teller: ID, count: int) -> None:
        """Report by `on_refused` that a peer named `count` other peers by gossip. This node does not dial them.

        At most once in QUIET_SECONDS for each peer that names others.
        """
        log.debug("%s names %d peers by peer exchange", teller, count)
        if self._budget.is_news(f"exchange {teller}", trio.current_time(), QUIET_SECONDS):
            text = f"{teller} named {count:,} peers by gossip's peer exchange: this node does not dial them"
            self._on_refused(f"/p2p/{teller}", text)


def _reach(connection: INetConn) -> Reach:
    try:
        if connection.get_connection_type() == ConnectionType.RELAYED:
            return Reach.PUBLIC
        muxed: Any = connection.muxed_conn
        remote = muxed.get_remote_address()
    except Exception as error:  # it is closed
        log.debug("no address of a connection: %r", error)
        return Reach.PUBLIC
    return (reach_of_ip(remote[0]) if remote is not None else None) or Reach.PUBLIC
