"""The machine: the logic of a node. Inputs go in, events and effects come out.

    events, effects = machine.handle(input, now)

It is pure: the clock, the random numbers and what the store has are arguments. The caller makes the events
durable, then runs the effects, and passes their results back as inputs. It also calls again when
`next_deadline()` has passed. The same machine runs a real node and a thousand simulated ones.

A machine is made from the state that its series folds to. So a restart needs no special case.
"""

from collections.abc import Callable
from typing import assert_never

from flux_tui.core.api import attribution
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.effects import Effect
from flux_tui.core.api.inputs import Input
from flux_tui.core.custom.messages import Customs
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.fetching.wants.want_queue import WantPriority
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.limits import Backoff, BoundedSet
from flux_tui.core.peers.admission import Admission, Repeated
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.provider_records import Provided
from flux_tui.core.peers.router import is_timely
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.replication.origin import Origin
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.policy import Policy
from flux_tui.core.series.state import ObjectState, Pending, State
from flux_tui.core.serving.responder import MAX_LOOKS, Responder
from flux_tui.core.serving.upload_queue import QueuedChunk
from flux_tui.core.sharing import Sharing
from flux_tui.core.text.phrases import clock_words
from flux_tui.core.text.quantities import counted, some
from flux_tui.core.turn import Holdings, Ledger
from flux_tui.core.wire import messages as msg

MAX_FAULTS = 2
"""Chunks with wrong bytes after which a peer is dropped: one may be a bad disk, two are not."""
MAX_TEXT = 512
"""Characters of a peer's text that are stored."""
UNKNOWN = "unknown"
"""The key for reports about messages of kinds that this version does not know."""
CLOCK = "clock"
"""The key for reports about clocks that differ."""
MAX_UNREACHABLE = 1024
"""Addresses whose failure is remembered."""
BAN = Backoff(first=60.0, most=3600.0)
"""How long a peer is refused that floods or sends wrong bytes again. It grows each time the peer comes back
and does so again."""


def _line(pending: Pending, known: ObjectState | None) -> WantPriority:
    """The line in which a want queues after a restart.

    A want that a peer said yes to, or that has a path, goes first. A want that was pushed without success
    goes last.
    """
    if pending.yes or (known is not None and known.path is not None):
        return "urgent"
    return "due" if pending.pushes else "new"


class Machine:
    """The logic of one node. `state` is always the fold of its series."""

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
        self.requester = Requester(self.ledger, self.connected, max_pending)
        self.admission = Admission(self.connected, state.at)
        self.provided = Provided(self.ledger)
        self.responder = Responder(
            self.ledger,
            self.connected,
            policy or Policy(),
            self.requester.downloads,
            self.admission,
            self.provided,
        )
        self.customs = Customs(self.ledger, self.connected, self.responder)
        self.router = self.requester.want_pusher.router
        self.origin = Origin(self.ledger, self.connected, self.router)
        self.keeper = Keeper(self.ledger, self.connected, self.requester, self.responder, self.provided)
        self.sharing = Sharing(
            self.ledger, self.connected, self.requester, self.responder, self.provided, self.keeper
        )
        self._stopped = False
        self._unreachable: BoundedSet[str] = BoundedSet(MAX_UNREACHABLE)
        """Addresses whose failure was reported already."""

    @property
    def state(self) -> State:
        """The state now. It changes with every turn: make a copy with `fold.copy` to keep it."""
        return self.ledger.state

    def start(
        self, addrs: tuple[str, ...], version: str, now: float, *, wall: float | None = None
    ) -> tuple[list[Entry], list[Effect]]:
        """The node has started: write so, and go on with what was pending when it stopped.

        `now`: steady time, not before the last entry. `wall`: the wall clock, if it differs because it was
        set back since the node stopped.
        """
        self._set_clock(now, now if wall is None else wall)
        lines = {
            cid: _line(pending, self.state.objects.get(cid)) for cid, pending in self.state.pending.items()
        }
        self.ledger.emit(
            ev.NodeStarted(
                peer_id=self.ledger.me,
                addrs=addrs,
                version=version,
                max_pending=self.requester.want_pusher.max_pending,
            )
        )
        if self.responder.policy != self.state.policy:
            self.ledger.emit(ev.PolicyChanged(policy=self.responder.policy))
        self.requester.inherited.start(self.state.leases, self.state.peers.values())
        self.requester.failures.start()
        for pending in list(self.state.pending.values()):
            known = self.state.objects.get(pending.cid)
            self.requester.begin(
                Download(
                    pending.cid,
                    path=known.path if known else None,
                    tree=known is not None or not is_leaf(pending.cid),
                    by=pending.by,
                    size=known.size if known else None,
                    held=pending.held,
                    limit=known.limit if known else None,
                ),
                lines[pending.cid],
            )
        self.router.start()
        self.provided.start()
        self.keeper.start()
        self.sharing.start()
        self.origin.start()
        return self.ledger.take()

    def set_clock(self, now: float, wall: float) -> list[Entry]:
        """Set the clocks of a machine that is not started: steady time and the wall clock."""
        self._set_clock(now, wall)
        return self.ledger.take()[0]

    def _set_clock(self, now: float, wall: float) -> None:
        self.ledger.begin(now)
        self.ledger.clock_stepped(wall - self.ledger.now)

    def stop(self, reason: str, now: float) -> tuple[list[Entry], list[Effect]]:
        """The node stops in order."""
        self.ledger.begin(now)
        self._stopped = True
        self.responder.go_away()
        self.ledger.emit(ev.NodeStopped(reason=reason))
        return self.ledger.take()

    def next_deadline(self) -> float:
        """When `handle(Tick())` has something to do; infinity if only an input can change anything."""
        return min(
            self.requester.next_deadline(),
            self.responder.next_deadline(),
            self.router.next_deadline(),
            self.origin.next_deadline(),
            self.keeper.next_deadline(),
            self.customs.next_deadline(),
            self.admission.next_deadline(),
        )

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether to read the bytes of a chunk whose header came."""
        return self.requester.arrivals.accepts(peer, cid)

    def next_chunks(
        self, peer: PeerId, *, after: int, through: int, max_bytes: int, max_chunks: int
    ) -> list[QueuedChunk]:
        """Return the chunks to send next to a peer; see `UploadQueues.next_chunks`. Nothing changes."""
        return self.responder.uploads.next_chunks(
            peer, after=after, through=through, max_bytes=max_bytes, max_chunks=max_chunks
        )

    def is_granted(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this chunk is still to be sent to this peer."""
        return self.responder.uploads.has(peer, cid)

    def handle(self, given: Input, now: float) -> tuple[list[Entry], list[Effect]]:
        """Handle one input: one turn."""
        if self._stopped:
            return [], []  # the last entry is written: later inputs belong to the next start
        self.ledger.begin(now)
        now = self.ledger.now
        pusher = attribution.pusher(given)
        if pusher is not None and not self._admits(pusher, given):
            self._not_admitted(pusher, given)
            turn = self.ledger.take()  # the next tick does what is due
            self.admission.charge(pusher, turn[0], now)
            return turn
        match given:
            case inp.Commanded():
                self._command(given.command)
                return self.ledger.take()  # many commands may come at once: the next tick acts on all of them
            case inp.ChunkLanded():
                if given.cid in self.requester.wanted:
                    self.admission.earned(given.peer, 1, given.size, now)
                for root in self.requester.arrivals.landed(given.peer, given.cid, given.size, given.data):
                    self.responder.grew(root)
                self.keeper.settle()
                return self.ledger.take()  # the same for chunks
            case inp.ChunksWritten():
                self.admission.earned(given.peer, len(given.cids), given.size, now)
                self.responder.sent(given.peer, given.cids, given.size)
            case inp.MessageCame():
                self._message(given.peer, given.message)
            case inp.IntentCame():
                self._intent(given.intent, given.via, fresh=given.fresh or given.via == "direct")
            case inp.RouteCame():
                self.router.came(given.peer, given.intent, given.sealed, given.hops)
                self._intent(given.intent, "routed", fresh=given.peer == given.intent.origin)
            case inp.RoutingChanged():
                self.router.table_changed(given.came, given.went)
                self.requester.want_pusher.routable()
            case inp.Tick():
                pass
            case inp.ClockStepped():
                self.ledger.clock_stepped(given.seconds)
            case inp.AddrsChanged():
                if given.addrs != self.state.addrs:
                    self.ledger.emit(ev.AddrsChanged(addrs=given.addrs))
            case inp.Placed():
                self.requester.placed(given)
            case inp.NodeRead():
                self.requester.node_read(given.root, given.cid, given.data)
            case inp.PeerUp():
                self.connected.add(given.peer)
                self._unreachable.discard(given.addr)
                self.ledger.emit(ev.PeerConnected(peer=given.peer, addr=given.addr))
                self.router.peer_up(given.peer)
                self.responder.peer_up(given.peer)
                self.requester.peer_up(given.peer)
                self.origin.peer_up(given.peer)
                self.keeper.peer_up(given.peer)
            case inp.PeerDown():
                self.connected.remove(given.peer)
                self.ledger.emit(ev.PeerDisconnected(peer=given.peer, why=given.why[:MAX_TEXT]))
                self.router.peer_down(given.peer)
                self.responder.peer_down(given.peer)
                self.requester.peer_down(given.peer)
                self.origin.peer_down(given.peer)
                self.customs.peer_down(given.peer)
            case inp.ChunkSkipped():
                if self.requester.arrivals.skipped(given.peer, given.cid, given.size) == "unasked":
                    self._fault(given.peer, "unasked_chunk", f"it sent {given.cid}, which was not granted")
                    if self.admission.unasked(given.peer, now):
                        self._drop(given.peer, "it sends what nobody asked it for")
            case inp.ChunkCorrupt():
                faults = self.requester.arrivals.corrupt(given.peer, given.cid, given.size)
                self._fault(given.peer, "wrong_bytes", f"what it sent as {given.cid} is something else")
                if faults >= MAX_FAULTS:
                    self._drop(given.peer, "it sent wrong bytes again")
            case inp.LandFailed():
                self.requester.failures.chunk_unwritten(given.peer, given.cid, given.size, given.text)
            case inp.ChunkUnfit():
                self.requester.failures.chunk_unfit(given.peer, given.cid, given.size, given.root, given.text)
            case inp.ChunksGone():
                self.responder.gone(given.path, given.cids, given.size, given.text, given.peer)
                self.keeper.gone(given.path, given.replica)
            case inp.PushDropped():
                self._dropped(given.peer, given.message)
            case inp.PeerFault():
                self._fault(given.peer, given.fault, given.text)
                if self.admission.left_out(given.peer, now):
                    self._drop(given.peer, "it goes on sending what is nothing")
            case inp.NotAdmitted():
                self._not_admitted(given.peer, given)
            case inp.UnknownCame():
                if times := self.admission.report(given.peer, UNKNOWN, given.kind, now):
                    self.ledger.emit(ev.MessagePassedOver(peer=given.peer, kind=given.kind, count=times))
            case inp.DialFailed():
                if given.addr not in self._unreachable and not self.router.is_quiet(given.addr):
                    self._unreachable.add(given.addr)
                    self.ledger.emit(ev.ErrorOccurred(text=given.text, addr=given.addr))
            case inp.PeerFound():
                self.router.found(given.addr)
                self._join(given.addr, keep=False)
            case inp.Finished():
                if given.left_out:
                    count = counted(len(given.left_out), "link")
                    text = f"{given.path} is there without {count}: {some(given.left_out)}"
                    self.ledger.emit(ev.ErrorOccurred(text=text, cid=given.root, path=given.path))
                self.requester.finished(given.root, given.path)
                self.responder.settled(given.root)
                self.sharing.announce(given.root)
                self.keeper.became_whole(given.root)
            case inp.Evicted():
                self.keeper.evicted(given.root, given.chunks, given.size)
            case inp.FinishFailed():
                self.requester.finish_failed(given.root, given.text, later=given.later)
            case inp.Discarded():
                self.requester.failures.discarded(given.root, given.chunks, given.size)
            case inp.AddStepped():
                self.ledger.emit(
                    ev.AddProgressed(
                        path=given.path, bytes_done=given.bytes_done, size=given.size, by=given.by
                    )
                )
            case inp.Added():
                self.sharing.added(given)
            case inp.AddEnded():
                self.sharing.ended(given)
            case inp.Freed():
                self.sharing.freed(given)
                return self.ledger.take()
            case inp.Failed():
                self.ledger.emit(
                    ev.ErrorOccurred(text=given.text, cid=given.cid, path=given.path, by=given.by)
                )
            case _:
                assert_never(given)
        self.keeper.settle()
        self.sharing.settle()
        self.requester.on_time()
        self.responder.on_time()
        self.router.on_time()
        self.origin.on_time()
        self.keeper.on_time()
        self.customs.on_time()
        self._report(self.admission.due(now))
        if (addr := self.admission.not_dialled(now)) is not None:
            text = f"{addr} is not dialled: intents name more addresses than are dialled for strangers"
            self.ledger.emit(ev.ErrorOccurred(text=text))
        turn = self.ledger.take()
        if (payer := pusher or attribution.faulty(given)) is not None:
            self.admission.charge(payer, turn[0], now)
        return turn

    def _message(self, peer: PeerId, message: msg.Message) -> None:
        match message:
            case msg.Grant():
                self.keeper.granted(peer)
                self.responder.granted(peer, message)
            case msg.StatusYesButLater():
                self.requester.answers.offered(peer, message)
            case msg.StatusNo(about="hold"):
                self.origin.refused(peer, message)
            case msg.StatusNo():
                self.customs.refused(peer, message)
                self.requester.answers.refused(peer, message)
            case msg.Cancel():
                self.responder.cancelled(peer, message.cids)
            case msg.CanHold():
                self.origin.offered(peer, message.root, whole=message.whole)
            case msg.Held():
                self.origin.held(peer, message)
            case msg.Keep():
                self.keeper.keep(peer, message)
            case msg.Release():
                self.keeper.released(peer, message.cids)
            case msg.Error():
                roots = self.requester.wanted.owners(message.cids)
                self.ledger.emit(
                    ev.ErrorReceived(peer=peer, text=message.text, cids=message.cids, roots=roots)
                )
            case msg.Custom():
                self.customs.came(peer, message, "direct", ())
            case msg.Chunk() | msg.SealedIntent() | msg.Route():
                raise AssertionError("chunks and intents come as inputs of their own")
            case _:
                assert_never(message)

    def _intent(self, intent: msg.Intent, via: ev.Via, *, fresh: bool) -> None:
        """Handle an intent. `fresh`: its origin itself pushed it to this node."""
        if self.responder.has_had(intent):
            return
        if not fresh and not is_timely(intent, self.ledger.wall):
            self._untimely(intent, via)
            return
        self.responder.remember(intent)
        match intent.body:
            case msg.Want():
                self.responder.wanted(intent, intent.body, via)
                if intent.origin in self.connected:
                    self.requester.answers.also_wanted(intent.origin, intent.body.cids)
            case msg.Have():
                self._have(intent, intent.body)
            case msg.Custom():
                self.customs.came(intent.origin, intent.body, via, intent.addrs)
            case msg.Hold():
                self.keeper.asked(intent, intent.body, via)
            case _:
                assert_never(intent.body)

    def _untimely(self, intent: msg.Intent, via: ev.Via) -> None:
        """Refuse a forwarded intent that is old, or whose origin's clock differs from this node's.

        If the origin is connected, it is told so. If the intent could be of use, the origin is dialled,
        rarely. Once it is connected, it pushes its wants itself, and then the clocks do not matter.
        """
        origin, now = intent.origin, self.ledger.now
        ahead = intent.expires - msg.INTENT_TTL - self.ledger.wall
        if self.admission.report(origin, CLOCK, "", now):
            self.ledger.emit(ev.ClockDiffers(peer=origin, seconds=round(ahead, 3), via=via))
            if origin in self.connected:
                text = f"{clock_words(ahead, via)}: check the clocks of both machines"
                self.ledger.do(fx.Push(peer=origin, message=msg.Error(text=text)))
        useful = origin not in self.connected and self._concerns(intent.body)
        if useful and (addrs := self.admission.may_dial_untimely(origin, intent.addrs, now)):
            self.ledger.do(fx.Dial(addr=addrs[0], more=addrs[1:], hearsay=True))

    def _concerns(self, body: msg.IntentBody) -> bool:
        """Whether this node has what the intent wants, or wants what its origin has."""
        if isinstance(body, msg.Want):
            return any(self.ledger.holdings.size_of(cid) is not None for cid in body.cids[:MAX_LOOKS])
        return isinstance(body, msg.Have) and body.root in self.requester.downloads

    def _have(self, intent: msg.Intent, have: msg.Have) -> None:
        """A peer can be asked for a root. This matters only if the root is pending here."""
        if have.root not in self.requester.downloads:
            return
        self.ledger.emit(ev.HaveReceived(peer=intent.origin, root=have.root, name=have.name, size=have.size))
        if intent.origin in self.connected:
            self.requester.answers.promised(intent.origin, (have.root,), have.size)
        elif addrs := self.admission.may_dial(intent.origin, intent.addrs, self.ledger.now):
            self.ledger.do(fx.Dial(addr=addrs[0], more=addrs[1:], hearsay=True))

    def _command(self, command: cmd.Command) -> None:
        match command:
            case cmd.Want():
                self._want((command.cid,), command.by)
            case cmd.WantMany():
                self._want(command.cids, command.by)
            case cmd.Get():
                for addr in command.addrs:
                    self._unreachable.discard(addr)
                    self._join(addr, keep=True)
                self.requester.want(
                    command.root,
                    path=command.path,
                    name=command.name,
                    size=command.size,
                    by=command.by,
                    at_once=self.requester.want_pusher.at_once(1),
                )
            case cmd.Custom():
                self.customs.push(command)
            case cmd.Cancel():
                self._cancel(command)
                self.keeper.settle()  # a replica of it is still to be fetched
            case cmd.Hold():
                for addr in command.addrs:
                    self._join(addr, keep=True)
                self.origin.hold(command)
            case cmd.Release():
                self._release(command)
            case cmd.Retry():
                roots = command.cids or tuple(self.state.pending)
                for root in roots:
                    self.requester.retry_write(root)
                self.requester.want_pusher.retry_now(list(roots))
                self.origin.push_now(command.cids or tuple(self.state.holds))
            case cmd.Add():
                self.sharing.add(command)
            case cmd.CancelAdd():
                self.sharing.cancel_add(command)
            case cmd.Remove():
                self.sharing.remove(command)
            case cmd.Join():
                self._unreachable.discard(command.addr)  # report a new failure again
                self._join(command.addr, keep=True)
            case cmd.Configure():
                policy = command.change.applied(self.responder.policy)
                self.ledger.emit(ev.PolicyChanged(policy=policy, by=command.by))
                self.responder.change(policy)
                self.keeper.fit()
            case cmd.Stop():
                self.ledger.do(fx.StopNode())
            case _:
                assert_never(command)

    def _want(self, cids: tuple[Cid, ...], by: str | None) -> None:
        at_once = self.requester.want_pusher.at_once(len(cids))
        for cid in cids:
            self.requester.want(cid, path=None, name=None, size=None, by=by, at_once=at_once)
            self.keeper.became_whole(cid)

    def _release(self, command: cmd.Release) -> None:
        for cid in command.cids:
            held = self.origin.release(cid, command.by)
            if not self.keeper.let_go(cid, command.by) and not held:
                text = f"{cid} is held neither by others for this node nor here for others"
                self.ledger.emit(ev.ErrorOccurred(text=text, cid=cid, by=command.by))

    def _cancel(self, command: cmd.Cancel) -> None:
        for cid in command.cids:
            download = self.requester.downloads.get(cid)
            if download is not None and download.held:
                self.keeper.let_go(cid, command.by)
                continue
            if not self.requester.cancel(cid):
                text = f"{cid} is not pending, so there is nothing to cancel"
                self.ledger.emit(ev.ErrorOccurred(text=text, cid=cid, by=command.by))
                continue
            self.responder.settled(cid)
            self.ledger.emit(ev.Cancelled(cids=(cid,), by=command.by))
            self.ledger.do(fx.DropTree(root=cid))

    def _join(self, addr: str, *, keep: bool) -> None:
        if keep:
            self.router.asked_for(addr)
        peer = addr.rpartition("/p2p/")[2]
        if peer != self.ledger.me and (keep or PeerId(peer) not in self.connected):
            self.ledger.do(fx.Dial(addr=addr, keep=keep, hearsay=not keep))

    def _fault(self, peer: PeerId, fault: str, text: str) -> None:
        text = text[:MAX_TEXT]
        if count := self.admission.report(peer, fault, text, self.ledger.now):
            self.ledger.emit(ev.PeerFaulted(peer=peer, fault=fault, text=text, count=count))

    def _drop(self, peer: PeerId, why: str) -> None:
        self._report(self.admission.held_back(peer))
        seconds = BAN.wait(self.admission.dropped(peer, self.ledger.now) + 1)
        self.ledger.do(fx.Disconnect(peer=peer, why=why, seconds=seconds))

    def _report(self, faults: list[Repeated]) -> None:
        for one in faults:
            if one.fault == CLOCK:
                continue  # a differing clock is no fault, and was reported often enough
            if one.fault == UNKNOWN:
                self.ledger.emit(ev.MessagePassedOver(peer=one.peer, kind=one.text, count=one.times))
                continue
            self.ledger.emit(ev.PeerFaulted(peer=one.peer, fault=one.fault, text=one.text, count=one.times))

    def _admits(self, pusher: PeerId, given: Input) -> bool:
        body = attribution.body(given)
        cids: tuple[Cid, ...] = getattr(body, "cids", ())
        match body:
            case msg.Grant():
                invited = self.responder.has_offered(pusher)
            case msg.StatusYesButLater() | msg.StatusNo():
                invited = any(cid in self.requester.downloads for cid in cids[:1])
            case _:
                invited = False
        return self.admission.admits(pusher, self.ledger.now, cids=len(cids), invited=invited)

    def _not_admitted(self, peer: PeerId, given: Input) -> None:
        """A push of a peer is not admitted. From time to time the peer is told so."""
        now = self.ledger.now
        self._fault(peer, "flood", "it pushes more than this node admits")
        if isinstance(given, inp.NotAdmitted) and given.forwarded:
            return  # a peer that forwards what others flood with is not at fault
        if self.admission.left_out(peer, now):
            self._drop(peer, "it pushes more than this node admits")
            return
        cids, custom = attribution.asked(given), attribution.custom(given)
        if not (cids or custom) or peer not in self.connected:
            return
        if (refusal := self.admission.refusal(peer, now)) is not None:
            wait, news = refusal
            if custom is not None:
                self.customs.refuse(peer, custom, wait, news=news)
            else:
                self.responder.not_now(peer, cids, wait, news=news)

    def _dropped(self, peer: PeerId, message: msg.Message) -> None:
        """A message could not be queued: the peer's queue is full, or the peer is gone."""
        match message:
            case msg.Grant():
                self.requester.answers.dropped(peer, message)
            case msg.Keep():
                self.origin.dropped(peer, message.root)
            case msg.Held():
                self.keeper.dropped()
            case msg.CanHold() | msg.Release():
                pass  # the hold is pushed again, and keepers repeat what they keep
            case msg.Chunk() | msg.StatusNo() | msg.StatusYesButLater() | msg.Error() | msg.Cancel():
                pass  # the peer asks again if it misses this: pushes are fire and forget
            case msg.Custom():
                self.customs.dropped(peer, message)
            case msg.SealedIntent():
                self.customs.dropped_intent(peer, message)  # for other intents the retry timer pushes again
            case msg.Route():
                pass  # the retry timer pushes it again
            case _:
                assert_never(message)
