"""Handles the direct messages of peers, and messages to peers that could not be queued."""

from typing import assert_never

from flux_tui.core.custom.custom_messages import CustomMessages
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.ids import PeerId
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.replication.origin import Origin
from flux_tui.core.series import events as ev
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import messages as msg


class MessageHandler:
    """Passes each direct message to the part of the machine that it concerns."""

    def __init__(
        self,
        ledger: Ledger,
        requester: Requester,
        responder: Responder,
        custom_messages: CustomMessages,
        keeper: Keeper,
        origin: Origin,
    ) -> None:
        self.ledger = ledger
        self.requester = requester
        self.responder = responder
        self.custom_messages = custom_messages
        self.keeper = keeper
        self.origin = origin

    def came(self, peer: PeerId, message: msg.Message) -> None:  # noqa: C901 - a flat match: one line a case
        """Handle a direct message that a peer pushed."""
        match message:
            case msg.Grant():
                self.keeper.note_wanted(peer)
                self.responder.granted(peer, message)
            case msg.StatusYesButLater():
                self.requester.answers.offered(peer, message)
            case msg.StatusNo(about="hold"):
                self.origin.refused(peer, message)
            case msg.StatusNo():
                self.custom_messages.refused(peer, message)
                self.requester.answers.refused(peer, message)
            case msg.Cancel():
                self.responder.cancelled(peer, message)
            case msg.Cancelled():
                self.requester.scheduler.cancelled(peer, message.cids)
            case msg.CanHold():
                self.origin.offered(peer, message.root, whole=message.whole)
            case msg.Held():
                self.origin.held_received(peer, message)
            case msg.Keep():
                self.keeper.keep_requested(peer, message)
            case msg.Release():
                self.keeper.released(peer, message.cids)
            case msg.Error():
                self._error(peer, message)
            case msg.Custom():
                self.custom_messages.received(peer, message, "direct", ())
            case msg.Chunk() | msg.SealedIntent() | msg.Route():
                raise AssertionError("chunks and intents come as inputs of their own")
            case _:
                assert_never(message)

    def dropped(self, peer: PeerId, message: msg.Message) -> None:
        """Handle a message of this node that could not be queued: the peer's queue is full, or the peer is gone.

        The part of the machine that pushed it is told. A message that will be repeated anyway is ignored.
        """
        match message:
            case msg.Grant():
                self.requester.answers.dropped(peer, message)
            case msg.Keep():
                self.origin.keep_dropped(peer, message.root)
            case msg.Held():
                self.keeper.message_dropped()
            case msg.CanHold() | msg.Release():
                pass  # the hold is pushed again, and keepers repeat what they keep
            case msg.Chunk() | msg.StatusNo() | msg.StatusYesButLater() | msg.Error():
                pass  # the peer asks again if it misses this: pushes are fire and forget
            case msg.Cancel() | msg.Cancelled():
                pass  # a withdrawal ends without an answer, too, only later
            case msg.Custom():
                self.custom_messages.dropped(peer, message)
            case msg.SealedIntent():
                self.custom_messages.dropped_intent(
                    peer, message
                )  # for other intents the retry timer pushes again
            case msg.Route():
                pass  # the retry timer pushes it again
            case _:
                assert_never(message)

    def _error(self, peer: PeerId, error: msg.Error) -> None:
        roots = self.requester.wanted.owners(error.cids)
        self.ledger.emit(ev.ErrorReceived(peer=peer, text=error.text, cids=error.cids, roots=roots))
