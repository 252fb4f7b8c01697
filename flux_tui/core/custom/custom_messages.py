"""Custom messages: intents to all nodes, and messages to one peer, of kinds that a program has defined.

The program decides what a kind means. Each custom message that comes is recorded in the series. Its payload is
recorded only if a program on this node listens for its kind. The payload of a message that this node pushes is
always recorded.

A message leaves as soon as other nodes can admit it. It is pushed again to a peer that says NO (outbox.py).
Messages that have not left when the node stops are lost.
"""

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.effects import Broadcast, Push
from flux_tui.core.custom.outbox import FULL_SECONDS, GIVE_UP_SECONDS, Outbound, Outbox, name_of
from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.serving.answer_outbox import Answers
from flux_tui.core.text.quantities import counted
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_WAIT

MAX_ORIGINS = 256
"""Origins of custom intents whose addresses are remembered, so that they can be dialled for an answer."""


class CustomMessages:
    """Pushes the custom messages of programs here, and records those of other nodes."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, answers: Answers) -> None:
        self.ledger = ledger
        self.connected = connected
        self.answers = answers
        self._kinds: set[str] = set()
        """Kinds that programs here listen for."""
        self.outbox = Outbox(ledger.now)
        self._pushes = 0
        self._origins: BoundedTable[PeerId, tuple[str, ...]] = BoundedTable(MAX_ORIGINS, refresh=True)

    def listen(self, kind: str) -> None:
        """Record the payloads of this kind from now on, because a program here listens for it."""
        self._kinds.add(kind)

    def push(self, command: cmd.Custom) -> None:
        """Push a custom message of a program on this node: to all nodes (through the outbox), or to one peer."""
        message = msg.Custom(kind=command.kind, payload=command.payload)
        if command.to is None and not self.outbox.add(Outbound(message, self._nonce(), self.ledger.now)):
            text = f"{command.kind} was not pushed: {len(self.outbox):,} custom messages wait to be sent"
            self.ledger.emit(ev.ErrorOccurred(text=text, by=command.by, code="too_many"))
            return
        self.ledger.emit(
            ev.PushedCustom(
                kind=command.kind,
                size=len(command.payload),
                peer=command.to,
                by=command.by,
                payload=command.payload,
            )
        )
        if command.to is None:
            self.on_time()
        elif command.to in self.connected:
            self._answer(command.to, Outbound(message, b"", self.ledger.now))
        elif command.to in self._origins:
            self.answers.push(command.to, message, self._origins.get(command.to, ()))
        else:
            self.dropped(command.to, message)

    def _answer(self, peer: PeerId, push: Outbound) -> None:
        if self.outbox.is_paused(peer):
            self.outbox.postpone(peer, push, 0.0, self.ledger.now)
        else:
            self.outbox.sent(push)
            self.ledger.do(Push(peer=peer, message=push.custom))

    def _nonce(self) -> bytes:
        self._pushes += 1
        chance = int(self.ledger.random() * (1 << 48))
        return chance.to_bytes(6, "big") + self._pushes.to_bytes(6, "big")

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if no message waits to leave."""
        return self.outbox.next_deadline(self.ledger.now)

    def on_time(self) -> None:
        """Push the messages that the rate limit lets leave now: new ones, and those that a peer gets again after a NO.

        Record the messages that are given up.
        """
        now = self.ledger.now
        for push in self.outbox.due(now):
            peers = self.connected.first(MAX_DIRECT)
            told = tuple(peer for peer in peers if not self.outbox.is_paused(peer))
            for peer in peers:
                if peer not in told and not self.outbox.postpone(peer, push, 0.0, now):
                    self._report_lost(peer, [push], "too many messages wait for it")
            self.ledger.do(Broadcast(body=push.custom, peers=told, gossip=True, nonce=push.nonce))
        again, given_up = self.outbox.due_retries(now)
        for peer, push in again:
            if push.nonce:
                self.ledger.do(Broadcast(body=push.custom, peers=(peer,), gossip=False, nonce=push.nonce))
            else:
                self.ledger.do(Push(peer=peer, message=push.custom))
        for peer, pushes in given_up.items():
            self._report_lost(peer, pushes, f"it refused for {GIVE_UP_SECONDS:.0f} s or more")

    def refused(self, peer: PeerId, no: msg.StatusNo) -> None:
        """Handle a peer's NO that names custom messages: record it, and push them to that peer again later.

        Does nothing for a NO with another reason than `rate_limited` or `busy`, or if it says that the peer has
        something.
        """
        if no.reason not in ("rate_limited", "busy") or no.has_it:
            return
        wait = min(no.retry_after or FULL_SECONDS, MAX_WAIT)
        if names := self.outbox.refused(peer, no.cids, wait, self.ledger.now):
            self.ledger.emit(
                ev.StatusNo(
                    peer=peer, cids=names, reason=no.reason, has_it=False, retry_after=wait, about="custom"
                )
            )

    def refuse(self, peer: PeerId, custom: msg.Custom, wait: float, *, news: bool) -> None:
        """Answer a peer's custom message with a NO, because the peer pushes more than this node admits.

        `wait`: the seconds after which the peer may push it again. `news`: whether the series should record this NO.
        """
        cids: tuple[Cid, ...] = (name_of(custom),)
        if news:
            self.ledger.emit(
                ev.AnsweredNo(
                    peer=peer,
                    cids=cids,
                    reason="rate_limited",
                    has_it=False,
                    retry_after=wait,
                    about="custom",
                )
            )
        no = msg.StatusNo(cids=cids, reason="rate_limited", has_it=False, retry_after=wait)
        self.ledger.do(Push(peer=peer, message=no))

    def peer_down(self, peer: PeerId) -> None:
        """Give up the messages that wait for a peer, because it has disconnected. One entry records them."""
        self._report_lost(peer, self.outbox.forget(peer), "it disconnected")

    def _report_lost(self, peer: PeerId, pushes: list[Outbound], why: str) -> None:
        if pushes:
            kinds = ", ".join(dict.fromkeys(push.custom.kind for push in pushes[:8]))
            text = f"{counted(len(pushes), 'message')} ({kinds}) did not reach {short(peer)}: {why}"
            self.ledger.emit(ev.ErrorOccurred(text=text, code="not_sent"))

    def received(self, peer: PeerId, custom: msg.Custom, via: ev.Via, addrs: tuple[str, ...]) -> None:
        """Record a custom message that `peer` signed or sent. `addrs`: where `peer` can be dialled for an answer.

        Its payload is recorded only if a program on this node listens for its kind.
        """
        if addrs:
            self._origins[peer] = addrs
        payload = custom.payload if custom.kind in self._kinds else b""
        size = len(custom.payload)
        self.ledger.emit(ev.CustomReceived(peer=peer, kind=custom.kind, size=size, via=via, payload=payload))

    def dropped_intent(self, peer: PeerId, sealed: msg.SealedIntent) -> None:
        """Handle an intent that did not fit into the queue for a peer.

        If it carries a custom message, and the peer is still connected, push it to that peer again later.
        """
        intent = codec.decode_intent(sealed.signed)
        if isinstance(intent.body, msg.Custom) and peer in self.connected:
            push = Outbound(intent.body, intent.nonce, self.ledger.now)
            self.outbox.postpone(peer, push, FULL_SECONDS, self.ledger.now)

    def dropped(self, peer: PeerId, custom: msg.Custom) -> None:
        """Handle a direct custom message that could not be queued for its peer.

        If the peer is connected, its queue is full: push the message again later. Otherwise record the failure.
        """
        if peer in self.connected:
            self.outbox.postpone(peer, Outbound(custom, b"", self.ledger.now), FULL_SECONDS, self.ledger.now)
            return
        text = f"{custom.kind} was not sent to {short(peer)}: it is not connected"
        self.ledger.emit(ev.ErrorOccurred(text=text, code="not_sent"))
