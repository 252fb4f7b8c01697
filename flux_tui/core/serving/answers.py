"""Pushes answers to peers. A peer that is not connected is dialled, and its answers are stored until it is.

An answer is stored for a short while only, and for few peers: a stranger can name any address in its intent.
Whether the addresses of an intent are dialled is decided in core/peers/dialling.py.
"""

from typing import NamedTuple

from flux_tui.core.api.effects import Push
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dialling import Dialling
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import Message, StatusNo

MAX_STORED, STORED_SECONDS = 64, 30.0
"""Peers that are dialled to be answered, and the seconds for which their answers are stored."""


class Refusal(NamedTuple):
    """Why a peer is answered NO."""

    reason: ev.Reason
    retry_after: float | None
    """Seconds after which the peer may ask again; None: it need not."""


class _Stored:
    """The answers for a peer that is being dialled."""

    __slots__ = ("messages", "more", "until")

    def __init__(self, until: float, more: int) -> None:
        self.until = until
        self.more = more
        """Addresses of the peer that are tried after the first one."""
        self.messages: list[Message] = []

    def add(self, message: Message) -> bool:
        """Store one more answer. Returns False if there are too many."""
        if len(self.messages) >= MAX_DIRECT:
            return False
        self.messages.append(message)
        return True


class Answers:
    """Pushes this node's answers, and stores those for peers that are being dialled."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, dialling: Dialling) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self._stored: BoundedTable[PeerId, _Stored] = BoundedTable(MAX_STORED)

    def __len__(self) -> int:
        """Return the number of peers that answers are stored for."""
        return len(self._stored)

    def push(self, peer: PeerId, message: Message, addrs: tuple[str, ...] = ()) -> bool:
        """Push an answer, or dial the peer at `addrs` and push it then. Returns False if neither is possible."""
        if peer in self.connected:
            self.ledger.do(Push(peer=peer, message=message))
            return True
        stored = self._stored.get(peer)
        if stored is None or stored.until <= self.ledger.now:  # or the peer was dialled once and did not come
            self._stored.pop(peer, None)
            dialled = self.dialling.returned(peer, addrs)
            if not dialled:
                return False
            stored = self._stored[peer] = _Stored(self.ledger.now + STORED_SECONDS, dialled - 1)
        return stored.add(message)

    def refuse(
        self,
        peer: PeerId,
        cids: tuple[Cid, ...],
        refusal: Refusal,
        *,
        has_it: bool,
        addrs: tuple[str, ...] = (),
        news: bool = True,
    ) -> None:
        """Answer NO. `has_it`: whether these chunks are here. `news`: write an entry about it."""
        reason, retry_after = refusal
        no = StatusNo(cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
        if self.push(peer, no, addrs) and news:
            self.ledger.emit(
                ev.AnsweredNo(peer=peer, cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
            )

    def peer_up(self, peer: PeerId) -> None:
        """A stream to a peer is open: push the answers that are stored for it."""
        stored = self._stored.pop(peer, None)
        self.dialling.give_back(stored.more if stored is not None else 0)
        if stored is not None and stored.until > self.ledger.now:
            for message in stored.messages:
                self.ledger.do(Push(peer=peer, message=message))
