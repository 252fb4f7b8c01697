"""The peer book: nodes tell each other where they can be dialled, and each stays connected to a few of them.

So no node is needed for ever. When the node that all others joined is gone, the others still know each other,
also after a restart.

- This node tells each new neighbour (a connected peer) the addresses of this node, and those of a few other
  neighbours. When a neighbour is new, or its addresses have changed, this node tells a few of the others.
- Addresses that peers tell this node are written into the series, if they are new
  (`core/series/address_book.py`).
- A node with fewer than `min_peers` neighbours dials peers of the book, with growing pauses. It also dials if
  fewer than two of its neighbours are connected at an address that is in the book. Otherwise strangers that
  dial this node could keep it from meeting others.

Addresses are told as records, which strangers made. Their signatures are checked before they come here. A
peer may only name addresses that are as near as itself or farther (address_dial_policy.py). What one peer may
add is bounded, and so are dials. The number in a record only orders the records of one peer. A record that a
peer tells of itself, on its own connection, counts whatever its number is, because the peer's clock may have
been set back.
"""

from collections.abc import Sequence
from math import inf
from typing import TypeVar

from flux_tui.core.api.effects import TellRecords
from flux_tui.core.api.inputs import RecordsCame
from flux_tui.core.ids import PeerId, own_addr
from flux_tui.core.limits import Backoff, BoundedTable, TokenBucket
from flux_tui.core.peers.address_dial_policy import Reach, may_name
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.series import events as ev
from flux_tui.core.series.address_book import MAX_BOOK_ADDRS, ToldAddrs
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.exchange import OpenedRecord

T = TypeVar("T")

MAX_SEALED = 128
"""Neighbours whose own record is kept, to pass it on."""
SAMPLE = 8
"""Other neighbours that a new neighbour is told of."""
SPREAD = 4
"""Neighbours that are told when another one is new, or has moved."""
SPREAD_BURST, SPREAD_RATE = 32.0, 1.0
"""How many times that is done, at once and per second in the long run."""
MIN_AT_BOOK = 2
"""Neighbours that should be at an address of the book."""
FIRST_LOOK_SECONDS = 0.5
"""Seconds from a start, or from news, until peers are dialled: others may be about to dial this node."""
LOOK = Backoff(first=3.0, most=60.0, jitter=(0.7, 1.3))
"""The wait between two looks at the book while neighbours are lacking."""
AGAIN = Backoff(first=10.0, most=600.0)
"""The wait until the same peer is dialled again."""
MAX_DIALLED = 256
"""Peers for which the failed dials are counted."""


class PeerBook:
    """Tells peers where this node and others can be dialled, and dials peers of the book when there are too few."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, dialling: Dialling) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self._sealed: BoundedTable[PeerId, bytes] = BoundedTable(MAX_SEALED, refresh=True)
        """The records of neighbours that can be passed on, as these told them."""
        self._spread = TokenBucket(SPREAD_BURST, SPREAD_RATE, ledger.now)
        self._least = 0
        """Neighbours that this node tries to have."""
        self._look_at = inf
        self._looks = 0
        """Looks in a row that found too few neighbours."""
        self._tries: BoundedTable[PeerId, tuple[int, float]] = BoundedTable(MAX_DIALLED, refresh=True)
        """By peer: how many times it was dialled without success, and when it may be dialled again."""

    def start(self, min_peers: int) -> None:
        """After a start of the node, dial peers of the book soon, if too few are connected then.

        `min_peers`: neighbours that this node tries to have. 0: it dials no peers of the book.
        """
        self._least = min_peers
        self._look_soon()

    def peer_up(self, peer: PeerId) -> None:
        """Tell a new neighbour the addresses of this node, and those of a few other neighbours."""
        self._tries.pop(peer, None)
        others = [
            record for other, record in self._sealed.items() if other != peer and other in self.connected
        ]
        self.ledger.do(TellRecords(peers=(peer,), records=tuple(self._some(others, SAMPLE))))

    def peer_down(self, peer: PeerId) -> None:
        """Forget the record of a neighbour that has disconnected. If too few neighbours are left, dial others soon."""
        self._sealed.pop(peer, None)
        self._look_soon()

    def addrs_changed(self) -> None:
        """Tell all neighbours the new addresses of this node."""
        if peers := tuple(self.connected):
            self.ledger.do(TellRecords(peers=peers))

    def came(self, given: RecordsCame) -> None:
        """Handle the records that a peer told. Those that are new are written into the series.

        A neighbour's own record is also passed on. A record of a neighbour that another peer tells is ignored,
        because the neighbour tells its record itself.
        """
        news: list[ToldAddrs] = []
        for record in given.records:
            own = record.peer == given.peer
            if record.peer == self.ledger.me or (not own and record.peer in self.connected):
                continue  # a neighbour speaks for itself
            told = ToldAddrs(record.peer, allowed_addrs(record, given.reach), record.seq)
            if (own or told.addrs) and self._is_news(told, own=own):
                news.append(told)
            if own:
                self._pass_record_on(record, told, moved=bool(news))
        if news:
            self.ledger.emit(ev.AddrsTold(peer=given.peer, told=tuple(news), reach=given.reach))
            self._look_soon()

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if there is none."""
        return self._look_at

    def on_time(self) -> None:
        """Dial peers of the book, if this node has too few neighbours."""
        if self.ledger.now < self._look_at:
            return
        lacking = self._lacking()
        if lacking <= 0:
            self._look_at, self._looks = inf, 0
            return
        for peer in self._some(self._candidates(), lacking + 1):
            self._dial(peer)
        self._looks += 1
        self._look_at = self.ledger.now + LOOK.wait(self._looks, self.ledger.random)

    # ── inside ──────────────────────────────────────────────────────────────────────────────────

    def _is_news(self, told: ToldAddrs, *, own: bool) -> bool:
        known = self.ledger.state.book.get(told.peer)
        if known is None:
            return bool(told.addrs)
        newer = own or told.seq > known.seq
        return newer and (told.addrs != known.addrs or (own and known.teller != told.peer))

    def _pass_record_on(self, record: OpenedRecord, told: ToldAddrs, *, moved: bool) -> None:
        """Store a neighbour's own record, for later neighbours. If it is new or has changed, tell a few others now.

        `told`: the addresses in it that may be dialled. If there are none, the stored record is removed instead.
        `moved`: whether the addresses have changed.
        """
        new = self._sealed.get(record.peer) is None
        if not told.addrs or record.peer not in self.connected:
            self._sealed.pop(record.peer, None)
            return
        self._sealed[record.peer] = record.sealed
        others = [peer for peer in self.connected if peer != record.peer]
        if (new or moved) and others and self._spread.spend(1, self.ledger.now):
            some = tuple(self._some(others, SPREAD))
            self.ledger.do(TellRecords(peers=some, records=(record.sealed,), own=False))

    def _look_soon(self) -> None:
        if self._least and (self._look_at == inf or not self._looks):
            self._look_at = min(self._look_at, self.ledger.now + FIRST_LOOK_SECONDS)

    def _lacking(self) -> int:
        """Return how many more neighbours this node needs; 0 or less: none."""
        if not self._least:
            return 0
        state = self.ledger.state
        at_book = sum(
            (known := state.book.get(peer)) is not None and state.peers[peer].addr in known.addrs
            for peer in self.connected
            if peer in state.peers
        )
        return max(self._least - len(self.connected), min(MIN_AT_BOOK, self._least) - at_book)

    def _candidates(self) -> list[PeerId]:
        """Return the peers of the book that may be dialled now: of these, only those with the fewest failed dials."""
        now = self.ledger.now
        found = [
            peer
            for peer, known in self.ledger.state.book.items()
            if peer not in self.connected and known.addrs and self._tries.get(peer, (0, 0.0))[1] <= now
        ]
        fewest = min((self._tries.get(peer, (0, 0.0))[0] for peer in found), default=0)
        return [peer for peer in found if self._tries.get(peer, (0, 0.0))[0] == fewest]

    def _dial(self, peer: PeerId) -> None:
        known = self.ledger.state.book[peer]
        failures = self._tries.get(peer, (0, 0.0))[0] + 1
        self._tries[peer] = failures, self.ledger.now + AGAIN.wait(failures)
        self.dialling.told(known.addrs, known.teller, known.reach)

    def _some(self, items: Sequence[T], most: int) -> list[T]:
        """Return up to `most` of these items: a random choice, if there are more."""
        start = int(self.ledger.random() * len(items)) if len(items) > most else 0
        return [items[(start + index) % len(items)] for index in range(min(most, len(items)))]


def allowed_addrs(record: OpenedRecord, reach: int) -> tuple[str, ...]:
    """Return the addresses of a record, without those that the peer that told the record may not name.

    `reach`: how near that peer is (`Reach`). Each address has the id of the record's peer at its end. At most
    MAX_BOOK_ADDRS addresses are returned.
    """
    whole = (own_addr(addr, record.peer) for addr in record.addrs)
    return tuple(dict.fromkeys(addr for addr in whole if addr and may_name(Reach(reach), addr)))[
        :MAX_BOOK_ADDRS
    ]
