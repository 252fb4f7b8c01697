"""On whose word this node dials: the rule and the budget of `core/peers/dial_policy.py`, at the two doors of libp2p.

libp2p writes every address that it hears of into its peerstore, and dials what stands there. So the peerstore
asks this guard which addresses it may keep, and the dialler asks it whether an address may be dialled just now.

Who tells is known from the context: a task that handles a peer's stream, or reads a peer's answer, runs in
`told_by(peer)`; one that does what a person wishes, in `by_person()`. Where neither is set (identify), a peer
speaks of itself.
"""

import logging
from collections import OrderedDict
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

from flux_tui.core.peers.dial_policy import DialBudget, Hearsay, Reach, may_name, reach_of, reach_of_ip
from flux_tui.net.port import Receiver

log = logging.getLogger(__name__)

PERSON = "a person"
CIRCUIT = "/p2p-circuit"
MAX_TELLERS = 4096
"""Peers for which it is remembered who told of their addresses."""
QUIET_SECONDS = 600.0
"""Between two entries about addresses that are nobody's to name, and about peer exchange."""

_teller: ContextVar["ID | str | None"] = ContextVar("teller", default=None)


class DialRefusedError(SwarmException):
    """None of a peer's addresses may be dialled just now. One sentence."""


@contextmanager
def told_by(peer: ID) -> Iterator[None]:
    """What is done here is done on the word of this peer."""
    token = _teller.set(peer)
    try:
        yield
    finally:
        _teller.reset(token)


@contextmanager
def by_person() -> Iterator[None]:
    """What is done here is a person's wish, or comes of what this node itself remembers."""
    token = _teller.set(PERSON)
    try:
        yield
    finally:
        _teller.reset(token)


def is_by_person() -> bool:
    """Whether it is."""
    return _teller.get() == PERSON


class DialGuard:
    """Of one host. `connections`: those that there are to a peer."""

    def __init__(self, connections: Callable[[ID], Sequence[INetConn]]) -> None:
        self.on_refused: Callable[[str, str], None] = lambda addr, why: None
        """Told of an address, and in a sentence why it is not dialled; of the same reason once in a while."""
        self._connections = connections
        self._hearsay = Hearsay()
        self._budget = DialBudget(trio.current_time())
        self._tellers: OrderedDict[ID, str] = OrderedDict()
        self._left_out: OrderedDict[ID, str] = OrderedDict()
        """Peers of which no address was kept, and one of those."""

    def reach(self, peer: ID) -> Reach:
        """From how far away a peer comes, by its nearest connection. Through a relay nobody is near."""
        return min(map(_reach, self._connections(peer)), default=Reach.PUBLIC)

    def heard(self, teller: ID | str, addrs: Iterable[str], reach: Reach | None = None) -> None:
        """Somebody told of these. They are dialled, or not, later."""
        known = reach or (self.reach(teller) if isinstance(teller, ID) else Reach.PUBLIC)
        self._hearsay.heard(str(teller), known, addrs)

    def admits(self, peer: ID, addrs: Sequence[Multiaddr]) -> list[Multiaddr]:
        """Which of these addresses of a peer may be kept, in the order in which they came."""
        teller = _teller.get()
        if teller == PERSON:
            self._told(peer, PERSON)
            return list(addrs)
        who = teller if isinstance(teller, ID) else peer
        self.heard(who, map(str, addrs))
        kept = [addr for addr in addrs if self.rule(str(addr)) is None]
        if kept and self._tellers.get(peer) != PERSON:
            self._told(peer, self._hearsay.teller(str(kept[-1]))[1])
        if kept:
            self._left_out.pop(peer, None)
        elif addrs:
            self._left_out[peer] = str(addrs[0])
            if len(self._left_out) > MAX_TELLERS:
                self._left_out.popitem(last=False)
        return kept

    def why_none(self, peer: ID) -> str | None:
        """Why nothing is known of a peer that is to be dialled, if its addresses were left out."""
        if (addr := self._left_out.get(peer)) is None or (why := self.rule(addr)) is None:
            return None
        self.refuses(addr)
        return why

    def refuses(self, addr: str) -> bool:
        """Whether the rule refuses an address; the first of each teller in a while is told of."""
        if (why := self.rule(addr)) is None:
            return False
        teller = self._hearsay.teller(addr)[1]
        if self._budget.is_news(f"rule {teller}", trio.current_time(), QUIET_SECONDS):
            self.on_refused(addr, why)
        return True

    def _told(self, peer: ID, teller: str) -> None:
        self._tellers[peer] = teller
        self._tellers.move_to_end(peer)
        if len(self._tellers) > MAX_TELLERS:
            self._tellers.popitem(last=False)

    def rule(self, addr: str) -> str | None:
        """Why an address is not dialled on the word of whoever told of it; None: it may be."""
        reach, teller = self._hearsay.teller(addr)
        if may_name(reach, addr):
            return None
        if reach_of(addr) is None:
            return f"{addr} is not dialled: only a person may name an address of this kind"
        return (
            f"{addr} is not dialled: it is an address of this machine or of a private network, and"
            f" {teller or 'who told of it'} comes from elsewhere"
        )

    def spend(self, peer: ID, addr: Multiaddr) -> str | None:
        """Pay for one dial. Returns why it is not to be, in a sentence."""
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
            self.on_refused(text, refusal.text)
        return refusal.text

    def _vouch_for_relay(self, addr: str, teller: str) -> None:
        """Who told of a relayed address told of its relay, too: that one is dialled next."""
        near = addr.partition(CIRCUIT)[0].rpartition("/p2p/")[0]
        if teller != PERSON:
            reach, who = self._hearsay.teller(addr)
            self._hearsay.heard(who, reach, [near])

    def peer_exchange(self, teller: ID, count: int) -> None:
        """A peer named others by gossip; nobody is dialled for that."""
        log.debug("%s names %d peers by peer exchange", teller, count)
        if self._budget.is_news(f"exchange {teller}", trio.current_time(), QUIET_SECONDS):
            text = f"{teller} named {count:,} peers by gossip's peer exchange: this node does not dial them"
            self.on_refused(f"/p2p/{teller}", text)


def guard_of(host: Any, receiver: Receiver) -> DialGuard:
    """A guard at the doors of this host, which tells this receiver what it refuses."""
    network = host.get_network()
    guard = DialGuard(lambda peer: network.connections.get(peer, []))
    guard.on_refused = receiver.on_dial_failed
    host.get_peerstore().admits = guard.admits
    return guard


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
