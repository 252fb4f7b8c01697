"""Handles pushes that are not admitted: some are answered NO, and a peer that continues is disconnected."""

from flux_tui.core.api import pusher_and_payer
from flux_tui.core.api.inputs import Input, NotAdmitted
from flux_tui.core.custom.custom_messages import CustomMessages
from flux_tui.core.ids import PeerId
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.misbehaviour import Misbehaviour
from flux_tui.core.peers.push_admission import Admission
from flux_tui.core.series import events as ev
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import messages as msg


class NotAdmittedHandler:
    """Answers `rate_limited` to a peer that pushes more than this node admits. Disconnects it after too many pushes."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        admission: Admission,
        misbehaviour: Misbehaviour,
        responder: Responder,
        custom_messages: CustomMessages,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.admission = admission
        self.misbehaviour = misbehaviour
        self.responder = responder
        self.custom_messages = custom_messages

    def left_out(self, given: NotAdmitted) -> None:
        """Report a push that was discarded unread. Count it against the peer, and perhaps answer NO.

        A push that the peer only forwarded for another node is reported, but neither counted nor answered. An
        announcement is passed over: the peer may just have added thousands of objects, and nothing was asked.
        """
        if given.intent is not None and isinstance(given.intent.body, msg.Have):
            return
        self.misbehaviour.flood(given.peer)
        if not given.forwarded:  # a peer that forwards what others flood with is not at fault
            self._answer(given.peer, given)

    def refused(self, peer: PeerId, given: Input) -> None:
        """Report an input that admission refused. Count it against its peer, and perhaps answer NO.

        An announcement, and an answer to a want of this node, are passed over: this node may want more at once than it
        has room to hear of, and its peers are not to blame for that.
        """
        if self.admission.take_news(self.ledger.now):
            text = "strangers have caused as many entries as they may in a day: few of their pushes are heeded for now"
            self.ledger.emit(ev.ErrorOccurred(text=text, code="strangers_limited"))
        match pusher_and_payer.body(given):
            case msg.Have():
                return
            case msg.StatusYesButLater() | msg.StatusNo() if self.admission.is_answer(given):
                return
        self.misbehaviour.flood(peer)
        self._answer(peer, given)

    def _answer(self, peer: PeerId, given: Input) -> None:
        if self.misbehaviour.count_not_admitted(peer) or peer not in self.connected:
            return
        cids, custom = pusher_and_payer.wanted_cids(given), pusher_and_payer.custom(given)
        if not (cids or custom) or (refusal := self.admission.refusal(peer, self.ledger.now)) is None:
            return
        if custom is not None:
            self.custom_messages.refuse(peer, custom, refusal.retry_after, news=refusal.news)
        else:
            self.responder.refuse_for_now(peer, cids, refusal.retry_after, news=refusal.news)
