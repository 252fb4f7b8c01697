"""The machine: the logic of a node. Inputs go in, entries of the series and effects come out.

    entries, effects = machine.handle(input, now)

The machine is pure: the clock, the random numbers and the content of the store are arguments. The caller makes
the entries durable, then runs the effects, and passes their results back as inputs. It also calls again when
`next_deadline()` has passed. The same machine runs a real node and a thousand simulated ones.

Only `handle` changes the machine. So a recorded list of inputs replays to the same series (machine_recording.py).
Admission (peers/push_admission.py) sees each input of a peer before the parts do.

A machine is made from the state that its series folds to. So a restart needs no special case.
"""

from collections.abc import Callable
from typing import assert_never

from flux_tui.core.adds_and_removals import Sharing
from flux_tui.core.api import inputs as inp
from flux_tui.core.api import pusher_and_payer
from flux_tui.core.api.effects import Effect
from flux_tui.core.api.inputs import Input
from flux_tui.core.custom.custom_messages import CustomMessages
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.handlers.commands import CommandHandler
from flux_tui.core.handlers.intents import IntentHandler
from flux_tui.core.handlers.messages import MessageHandler
from flux_tui.core.handlers.pushes_not_admitted import NotAdmittedHandler
from flux_tui.core.handlers.start import StartHandler
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.introductions_to_origins import Introductions
from flux_tui.core.peers.misbehaviour import MAX_TEXT, Misbehaviour
from flux_tui.core.peers.peer_book import PeerBook
from flux_tui.core.peers.provider_records import ProviderRecords
from flux_tui.core.peers.push_admission import Admission
from flux_tui.core.peers.router import Router
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.replication.origin import Origin
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.state import State
from flux_tui.core.serving.announcements import Announcements
from flux_tui.core.serving.answer_outbox import Answers
from flux_tui.core.serving.responder import Responder
from flux_tui.core.serving.upload_queue import QueuedChunk
from flux_tui.core.text.quantities import counted, some
from flux_tui.core.turn import Holdings, Ledger
from flux_tui.core.wire.messages import Intent

BEFORE_THE_TICK: frozenset[type[Input]] = frozenset(
    (
        inp.Commanded,
        inp.ChunkLanded,
        inp.ChunksLanded,
        inp.ChunksLeaving,
        inp.Freed,
        inp.NodeStarting,
        inp.NodeStopping,
        inp.ClockStepped,
    )
)
"""Inputs that may come in large numbers. The machine does not do due work after each of them: the next tick does it
once for all."""


class Machine:
    """The logic of one node. `state` is always what its series folds to."""

    def __init__(
        self,
        me: PeerId,
        state: State,
        holdings: Holdings,
        random: Callable[[], float],
        *,
        max_pending: int = 1000,
        policy: Policy | None = None,
    ) -> None:
        self.ledger = Ledger(me, state, holdings, random)
        self.connected = ConnectedPeers()
        self.dialling = Dialling(self.ledger, self.connected)
        self.misbehaviour = Misbehaviour(self.ledger)
        self.router = Router(self.ledger, self.connected, self.dialling)
        self.provider_records = ProviderRecords(self.ledger)
        self.requester = Requester(self.ledger, self.connected, self.router, max_pending)
        self.peer_book = PeerBook(self.ledger, self.connected, self.dialling)
        self.introductions = Introductions(self.ledger, self.connected, self.dialling)
        self.answers = Answers(self.ledger, self.connected, self.dialling, self.introductions)
        self.announcements = Announcements(self.ledger, self.connected, lambda: self.router.leads_on)
        self.responder = Responder(
            self.ledger,
            self.connected,
            policy or Policy(),
            self.requester.downloads,
            self.answers,
            self.provider_records,
            self.announcements,
        )
        self.custom_messages = CustomMessages(self.ledger, self.connected, self.answers)
        self.origin = Origin(self.ledger, self.connected, self.dialling)
        self.keeper = Keeper(
            self.ledger, self.connected, self.requester, self.responder, self.answers, self.provider_records
        )
        self.sharing = Sharing(
            self.ledger, self.connected, self.requester, self.responder, self.provider_records, self.keeper
        )
        self.admission = Admission(
            self.connected, self.requester.downloads, self.responder.has_offered, state.at
        )
        self._start = StartHandler(
            self.ledger,
            self.router,
            self.requester,
            self.responder,
            self.provider_records,
            self.keeper,
            self.sharing,
            self.origin,
        )
        self._commands = CommandHandler(
            self.ledger,
            self.dialling,
            self.requester,
            self.responder,
            self.custom_messages,
            self.keeper,
            self.sharing,
            self.origin,
        )
        self._messages = MessageHandler(
            self.ledger, self.requester, self.responder, self.custom_messages, self.keeper, self.origin
        )
        self._intents = IntentHandler(
            self.ledger,
            self.connected,
            self.dialling,
            self.misbehaviour,
            self.router,
            self.requester,
            self.responder,
            self.custom_messages,
            self.keeper,
        )
        self._not_admitted = NotAdmittedHandler(
            self.ledger,
            self.connected,
            self.admission,
            self.misbehaviour,
            self.responder,
            self.custom_messages,
        )
        self._stopped = False

    # ── questions, which change nothing ─────────────────────────────────────────────────────────

    @property
    def state(self) -> State:
        """The current state. It changes with every input; to keep it, make a copy with `fold.copy`."""
        return self.ledger.state

    def next_deadline(self) -> float:
        """Return the time at which `handle(Tick())` has work next; infinity if no timer runs."""
        return min(
            self.requester.next_deadline(),
            self.responder.next_deadline(),
            self.announcements.next_deadline(),
            self.router.next_deadline(),
            self.peer_book.next_deadline(),
            self.dialling.next_deadline(),
            self.origin.next_deadline(),
            self.keeper.next_deadline(),
            self.custom_messages.next_deadline(),
            self.misbehaviour.next_deadline(),
        )

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether to read the bytes of a chunk that this peer is about to send. False: discard them."""
        return self.requester.arrivals.accepts(peer, cid)

    def next_chunks(
        self, peer: PeerId, *, after: int, through: int, max_bytes: int, max_chunks: int, spread: bool = False
    ) -> list[QueuedChunk]:
        """Return the chunks to send next to a peer; see `UploadQueues.next_chunks`."""
        return self.responder.uploads.next_chunks(
            peer, after=after, through=through, max_bytes=max_bytes, max_chunks=max_chunks, spread=spread
        )

    def is_granted(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this chunk is still in the upload queue for this peer."""
        return self.responder.uploads.has(peer, cid)

    def admits(self, peer: PeerId, now: float) -> bool:
        """Whether admission would accept a push of this peer now."""
        return self.admission.admits_peer(peer, now)

    def has_seen(self, intent: Intent) -> bool:
        """Whether this node signed this intent, or has received it before."""
        return self.responder.has_seen(intent)

    # ── the only way to change it ───────────────────────────────────────────────────────────────────

    def handle(self, given: Input, now: float) -> tuple[list[Entry], list[Effect]]:
        """Handle one input (a turn). `now`: steady time in seconds. Returns the new entries and the effects to run.

        After the input that stopped the node, does nothing, and returns two empty lists.
        """
        if self._stopped:
            return [], []  # the last entry is written: later inputs belong to the next start
        self.ledger.begin(now)
        now = self.ledger.now
        pusher = pusher_and_payer.pusher(given)
        if pusher is not None and not self.admission.admits(pusher, given, now):
            self._not_admitted.refused(pusher, given)
        else:
            self._dispatch(given)
            if type(given) not in BEFORE_THE_TICK:
                self._on_time()
        turn = self.ledger.take()
        if entries := turn[0]:
            self.admission.settle(given, entries, now)
            self.misbehaviour.settle(entries)
        return turn

    def _dispatch(self, given: Input) -> None:  # noqa: C901 - a flat match: one line a case
        """Pass an input to the part of the machine that it concerns."""
        match given:  # the most frequent first
            case inp.ChunksLanded():
                self._landed(given.chunks)
            case inp.ChunkLanded():
                self._landed((given,))
            case inp.ChunksLeaving():
                self.responder.leaving(given.peer, given.cids)
            case inp.ChunksWritten():
                self.responder.sent(given.peer, given.cids, given.size)
            case inp.MessageCame():
                self._messages.came(given.peer, given.message)
            case inp.Tick():
                pass
            case inp.Commanded():
                self._commands.handle(given.command)
            case inp.IntentCame():
                self.introductions.note(given.intent.origin, given.by)
                self._intents.pushed(given)
            case inp.RouteCame():
                self.introductions.note(given.intent.origin, given.peer)
                self._intents.routed(given)
            case inp.ChunkComing():
                self.requester.arrivals.coming(given.peer, given.cid, given.received, given.seconds)
            case inp.RecordsCame():
                self.peer_book.came(given)
            case inp.NameSuggested():
                self._name_suggested(given.peer, given.name)
            case inp.IntroductionCame():
                self.introductions.came(given)
            case inp.ChunkSkipped():
                self._skipped(given)
            case inp.ChunkCorrupt():
                self._corrupt(given)
            case inp.ChunkUnfit():
                self.requester.failures.chunk_unfit(given.peer, given.cid, given.size, given.root, given.text)
            case inp.LandFailed():
                self.requester.failures.chunk_unwritten(given.peer, given.cid, given.size, given.text)
            case inp.NodeRead():
                self.requester.node_read(given.root, given.cid, given.data)
            case inp.Placed():
                self.requester.placed(given)
            case inp.Finished():
                self._finished(given)
            case inp.FinishFailed():
                self.requester.finish_failed(given.root, given.text, later=given.later)
            case inp.Discarded():
                self.requester.failures.discarded(given.root, given.chunks, given.size)
            case inp.ChunksGone():
                self._gone(given)
            case inp.PushDropped():
                self._messages.dropped(given.peer, given.message)
            case inp.Evicted():
                self.keeper.evicted(given.root, given.chunks, given.size)
            case inp.AddStepped():
                self.sharing.stepped(given)
            case inp.Added():
                self.sharing.added(given)
            case inp.AddEnded():
                self.sharing.ended(given)
            case inp.Freed():
                self.sharing.freed(given)
            case inp.PeerUp():
                self._peer_up(given)
            case inp.PeerMoved():
                self.ledger.emit(ev.PeerMoved(peer=given.peer, addr=given.addr, way=given.way))
            case inp.PeerDown():
                self._peer_down(given.peer, given.why)
            case inp.PeerFault():
                self.misbehaviour.broke_protocol(given.peer, given.fault, given.text)
            case inp.UnknownCame():
                self.misbehaviour.unknown_kind(given.peer, given.kind)
            case inp.NotAdmitted():
                self._not_admitted.left_out(given)
            case inp.PeerFound():
                self.dialling.found(given.addr)
            case inp.DialFailed():
                self.dialling.failed(given.addr, given.text)
            case inp.RoutingChanged():
                self._routing_changed(given)
            case inp.RootsProvided(roots=roots, left=left, seconds=seconds):
                self.ledger.emit(ev.RecordsProvided(told=roots, left=left, seconds=round(seconds, 3)))
            case inp.AddrsChanged():
                self._addrs_changed(given.addrs)
            case inp.ClockStepped():
                self.ledger.clock_stepped(given.seconds)
            case inp.SeriesPruned(entries=entries, size=size, first=first, archive=archive, by=by):
                self.ledger.emit(
                    ev.SeriesPruned(entries=entries, size=size, first=first, archive=archive, by=by)
                )
            case inp.ListenerAdded():
                self.custom_messages.listen(given.kind)
            case inp.ProgramDecides():
                self.responder.offered_only = True
            case inp.Failed():
                self._failed(given)
            case inp.NodeStarting():
                self._start.handle(given)
                self.peer_book.start(given.min_peers)
            case inp.NodeStopping():
                self._stop(given.reason)
            case _:
                assert_never(given)

    def _on_time(self) -> None:
        """Let every part do the work that follows from this input, or that is due now."""
        self.keeper.check_downloads()
        self.sharing.settle()
        self.requester.on_time()
        self.responder.on_time()
        self.announcements.on_time()
        self.router.on_time()
        self.peer_book.on_time()
        self.origin.on_time()
        self.keeper.on_time()
        self.custom_messages.on_time()
        self.misbehaviour.on_time()
        self.dialling.on_time()

    # ── inputs that concern several parts ───────────────────────────────────────────────────────

    def _landed(self, chunks: tuple[inp.ChunkLanded, ...]) -> None:
        landed = self.requester.arrivals.landed
        for root in dict.fromkeys([root for chunk in chunks for root in landed(chunk)]):
            self.responder.tell_watchers(root)
        self.keeper.check_downloads()

    def _name_suggested(self, peer: PeerId, name: str) -> None:
        """Record what a connected peer calls itself, if that is new."""
        known = self.state.peers.get(peer)
        if peer in self.connected and name != (known.suggested if known else ""):
            self.ledger.emit(ev.NameSuggested(peer=peer, suggested=name))

    def _skipped(self, given: inp.ChunkSkipped) -> None:
        if self.requester.arrivals.skipped(given.peer, given.cid, given.size) == "unasked":
            self.misbehaviour.unasked_chunk(given.peer, given.cid)

    def _corrupt(self, given: inp.ChunkCorrupt) -> None:
        times = self.requester.arrivals.corrupt(given.peer, given.cid, given.size)
        self.misbehaviour.wrong_bytes(given.peer, given.cid, times)

    def _finished(self, given: inp.Finished) -> None:
        if given.left_out:
            count = counted(len(given.left_out), "link")
            text = f"{given.path} is there without {count}: {some(given.left_out)}"
            self.ledger.emit(ev.ErrorOccurred(text=text, cid=given.root, path=given.path, code="left_out"))
        self.requester.finished(given.root, given.path)
        self.responder.forget_watchers(given.root)
        self.sharing.announce(given.root)
        self.keeper.adopt(given.root)

    def _gone(self, given: inp.ChunksGone) -> None:
        self.responder.chunks_gone(given.path, given.cids, given.size, given.text, given.peer)
        self.keeper.file_lost(given.path, given.replica)

    def _peer_up(self, given: inp.PeerUp) -> None:
        peer = given.peer
        self.connected.add(peer)
        self.dialling.answered(given.addr)
        self.dialling.peer_up()
        self.ledger.emit(ev.PeerConnected(peer=peer, addr=given.addr, way=given.way, speaks=given.speaks))
        self.router.peer_up(peer)
        self.answers.peer_up(peer)
        self.requester.peer_up(peer)
        self.origin.peer_up(peer)
        self.keeper.peer_up(peer)
        self.peer_book.peer_up(peer)

    def _peer_down(self, peer: PeerId, why: str) -> None:
        self.connected.remove(peer)
        self.ledger.emit(ev.PeerDisconnected(peer=peer, why=why[:MAX_TEXT]))
        self.router.peer_down(peer)
        self.peer_book.peer_down(peer)
        self.responder.peer_down(peer)
        self.requester.peer_down(peer)
        self.origin.peer_down(peer)
        self.custom_messages.peer_down(peer)

    def _routing_changed(self, given: inp.RoutingChanged) -> None:
        self.router.table_changed(given.came, given.went)
        self.requester.want_pusher.routable()

    # ── the node itself ─────────────────────────────────────────────────────────────────────────

    def _addrs_changed(self, addrs: tuple[str, ...]) -> None:
        if addrs != self.state.addrs:
            self.ledger.emit(ev.AddrsChanged(addrs=addrs))
            self.peer_book.addrs_changed()

    def _failed(self, given: inp.Failed) -> None:
        event = ev.ErrorOccurred(
            text=given.text, cid=given.cid, path=given.path, addr=given.addr, by=given.by, code=given.code
        )
        self.ledger.emit(event)

    def _stop(self, reason: str) -> None:
        self._stopped = True
        self.responder.stop()
        self.ledger.emit(ev.NodeStopped(reason=reason))
