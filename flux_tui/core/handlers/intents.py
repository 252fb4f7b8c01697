"""Handles the intents of other nodes: wants, announced objects, holds, and custom messages."""

from typing import assert_never

from flux_tui.core.api.effects import Push
from flux_tui.core.api.inputs import IntentCame, RouteCame
from flux_tui.core.custom.custom_messages import CustomMessages
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.misbehaviour import Misbehaviour
from flux_tui.core.peers.router import Router, is_timely
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.series import events as ev
from flux_tui.core.serving.responder import MAX_LOOKS, Responder
from flux_tui.core.text.phrases import clock_words
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import messages as msg


class IntentHandler:
    """Passes each intent to the part of the machine that it concerns. An intent that came before is ignored."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        dialling: Dialling,
        misbehaviour: Misbehaviour,
        router: Router,
        requester: Requester,
        responder: Responder,
        custom_messages: CustomMessages,
        keeper: Keeper,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self.misbehaviour = misbehaviour
        self.router = router
        self.requester = requester
        self.responder = responder
        self.custom_messages = custom_messages
        self.keeper = keeper

    def pushed(self, given: IntentCame) -> None:
        """Handle an intent that came by direct push or by gossip."""
        self._came(given, given.via, fresh=given.fresh or given.via == "direct")

    def routed(self, given: RouteCame) -> None:
        """Handle an intent that came through the DHT. A want is also forwarded to the providers of its roots."""
        self.router.came(given.peer, given.intent, given.sealed, given.hops)
        self._came(given, "routed", fresh=given.peer == given.intent.origin)

    def _came(self, given: IntentCame | RouteCame, via: ev.Via, *, fresh: bool) -> None:
        """Handle an intent that has not come before. `via`: how it came.

        `fresh`: its origin itself pushed it to this node. Any other intent is refused if its time is wrong
        (`_untimely`).
        """
        intent = given.intent
        if self.responder.has_seen(intent):
            if via == "direct" and isinstance(intent.body, msg.Want) and not given.silent:
                self.responder.came_again(intent, intent.body)
            return
        if not fresh and not is_timely(intent, self.ledger.wall):
            self._untimely(intent, via)
            return
        self.responder.note_seen(intent, direct=via == "direct")
        match intent.body:
            case msg.Want():
                if not given.silent:
                    self.responder.wanted(intent, intent.body, via, given.refusal)
                if intent.origin in self.connected:
                    self.requester.answers.also_wanted(intent.origin, intent.body.cids)
            case msg.Have():
                self._have(intent, intent.body)
            case msg.Custom():
                self.custom_messages.received(intent.origin, intent.body, via, intent.addrs)
            case msg.Hold():
                if not given.silent:
                    self.keeper.hold_requested(intent, intent.body, via, given.refusal)
            case _:
                assert_never(intent.body)

    def _have(self, intent: msg.Intent, have: msg.Have) -> None:
        """Handle an announcement that a node has objects. Those that are not wanted here are ignored.

        The others are recorded. The node counts as their holder if it is connected; if it is not, it is dialled.
        """
        wanted = [one for one in have.objects if one.root in self.requester.downloads]
        for one in wanted:
            self.ledger.emit(ev.HaveReceived(peer=intent.origin, root=one.root, name=one.name, size=one.size))
            if intent.origin in self.connected:
                self.requester.answers.promised(intent.origin, (one.root,), one.size)
        if wanted and intent.origin not in self.connected:
            self.dialling.returned(intent.origin, intent.addrs)

    def _untimely(self, intent: msg.Intent, via: ev.Via) -> None:
        """Refuse a forwarded intent that is old, or whose origin's clock differs from this node's.

        If the origin is connected, this node tells the origin so. If the intent could be of use, this node
        sometimes dials the origin. Once the origin is connected, it pushes its wants directly, and then the
        clocks do not matter.
        """
        origin = intent.origin
        ahead = intent.expires - msg.INTENT_TTL - self.ledger.wall
        if self.misbehaviour.clock_differs(origin):
            self.ledger.emit(ev.ClockDiffers(peer=origin, seconds=round(ahead, 3), via=via))
            if origin in self.connected:
                text = f"{clock_words(ahead, via)}: check the clocks of both machines"
                self.ledger.do(Push(peer=origin, message=msg.Error(text=text)))
        if origin not in self.connected and self._is_useful(intent.body):
            self.dialling.returned(origin, intent.addrs, untimely=True)

    def _is_useful(self, body: msg.IntentBody) -> bool:
        """Whether an intent wants a thing that this node has, or announces an object that this node wants.

        Of a want, only the first MAX_LOOKS CIDs are checked. False for all other kinds of intents.
        """
        if isinstance(body, msg.Want):
            return any(self.ledger.holdings.size_of(cid) is not None for cid in body.cids[:MAX_LOOKS])
        return isinstance(body, msg.Have) and any(
            one.root in self.requester.downloads for one in body.objects
        )
