"""Pushes answers to peers. Dials a peer that is not connected, and stores its answers until it is connected.

Answers are stored for a short time and for few peers only, because a stranger can name any address in its intent.
core/peers/dial_requests.py decides whether the addresses of an intent are dialled.
"""

from flux_tui.core.api.effects import Push
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.introductions_to_origins import Introductions
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import Refusal
from flux_tui.core.wire.messages import Message, StatusNo

MAX_STORED, STORED_SECONDS = 64, 30.0
"""Peers that are dialled to be answered, and the seconds for which their answers are stored."""


class _Stored:
    """The stored answers for one peer that is being dialled."""

    __slots__ = ("messages", "more", "until")

    def __init__(self, until: float, more: int) -> None:
        self.until = until
        self.more = more
        """Addresses of the peer that are tried after the first one."""
        self.messages: list[Message] = []

    def add(self, message: Message) -> bool:
        """Store one more answer. Returns False if too many are stored already."""
        if len(self.messages) >= MAX_DIRECT:
            return False
        self.messages.append(message)
        return True


class Answers:
    """Pushes this node's answers to peers, and stores answers for peers that are being dialled."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        dialling: Dialling,
        introductions: Introductions,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self.introductions = introductions
        self._stored: BoundedTable[PeerId, _Stored] = BoundedTable(MAX_STORED)

    def __len__(self) -> int:
        """Return the number of peers for which answers are stored."""
        return len(self._stored)

    def push(self, peer: PeerId, message: Message, addrs: tuple[str, ...] = ()) -> bool:
        """Push an answer to a peer. If the peer is not connected, store the answer, and dial the peer at `addrs`.

        If the peer's intent came by way of other nodes, an introduction of this node goes back that way. Then the
        peer may dial this node. Returns False if the answer can be neither pushed nor stored.
        """
        if peer in self.connected:
            self.ledger.do(Push(peer=peer, message=message))
            return True
        stored = self._stored.get(peer)
        if stored is None or stored.until <= self.ledger.now:  # or the peer was dialled once and did not come
            self._stored.pop(peer, None)
            dialled = self.dialling.returned(peer, addrs)
            introduced = self.introductions.make(peer)
            if not dialled and not introduced:
                return False
            stored = self._stored[peer] = _Stored(self.ledger.now + STORED_SECONDS, max(0, dialled - 1))
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
        """Answer NO to a peer. `has_it`: whether these chunks are stored here. `addrs`: where to dial it (see `push`).

        `news`: also write an entry, if the NO could be pushed or stored.
        """
        reason, retry_after, text = refusal
        no = StatusNo(cids=cids, reason=reason, has_it=has_it, retry_after=retry_after, text=text)
        if self.push(peer, no, addrs) and news:
            self.ledger.emit(
                ev.AnsweredNo(peer=peer, cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
            )

    def peer_up(self, peer: PeerId) -> None:
        """Push the stored answers to a peer that has just connected."""
        stored = self._stored.pop(peer, None)
        self.dialling.give_back(stored.more if stored is not None else 0)
        if stored is not None and stored.until > self.ledger.now:
            for message in stored.messages:
                self.ledger.do(Push(peer=peer, message=message))
