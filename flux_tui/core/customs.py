"""Kinds of a program's own: intents to all, answers to one, carried by this swarm as they are.

What a kind means is the program's business. What comes is an entry, whether or not anybody here listens for
its kind; its payload is kept only if somebody does. Nothing is pushed again: fire and forget.
"""

from collections import OrderedDict

from flux_tui.core import commands as cmd
from flux_tui.core import events as ev
from flux_tui.core import messages as msg
from flux_tui.core.effects import Broadcast
from flux_tui.core.ids import PeerId, short
from flux_tui.core.ledger import Ledger
from flux_tui.core.responder import Responder
from flux_tui.core.routing import MAX_DIRECT

MAX_ORIGINS = 256
"""Origins of intents whose addresses are remembered, so that an answer can be brought to them."""


class Customs:
    """One node's."""

    def __init__(self, ledger: Ledger, responder: Responder) -> None:
        self.ledger = ledger
        self.responder = responder
        self.kinds: set[str] = set()
        """What programs here listen for."""
        self._origins: OrderedDict[PeerId, tuple[str, ...]] = OrderedDict()

    def push(self, command: cmd.Custom) -> None:
        """A program here pushes something."""
        message = msg.Custom(kind=command.kind, payload=command.payload)
        size = len(command.payload)
        self.ledger.emit(ev.PushedCustom(kind=command.kind, size=size, peer=command.to, by=command.by))
        if command.to is None:
            peers = tuple(self.responder.connected)[:MAX_DIRECT]
            self.ledger.do(Broadcast(body=message, peers=peers, gossip=True))
        elif command.to in self.responder.connected or command.to in self._origins:
            self.responder.answer(command.to, message, self._origins.get(command.to, ()))
        else:
            self.dropped(command.to, message)

    def came(self, peer: PeerId, custom: msg.Custom, via: ev.Via, addrs: tuple[str, ...]) -> None:
        """Something came, from who signed it (`addrs`: where that one can be dialled) or who sent it."""
        if addrs:
            self._origins[peer] = addrs
            self._origins.move_to_end(peer)
            if len(self._origins) > MAX_ORIGINS:
                self._origins.popitem(last=False)
        payload = custom.payload if custom.kind in self.kinds else b""
        size = len(custom.payload)
        self.ledger.emit(ev.CustomReceived(peer=peer, kind=custom.kind, size=size, via=via, payload=payload))

    def dropped(self, peer: PeerId, custom: msg.Custom) -> None:
        """It did not leave: the peer is not there, or does not take any more."""
        text = f"{custom.kind} was not sent to {short(peer)}: it is not connected, or takes no more just now"
        self.ledger.emit(ev.ErrorOccurred(text=text))
