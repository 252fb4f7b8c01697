"""The responder: answers the wants and grants of other nodes with an offer, a NO, or not at all.

Policy
- A want that its origin pushed directly is always answered. A want that came by gossip is answered only by a node
  that has the object: a thousand `not_held` answers would flood the swarm. A want that was routed through the DHT
  is answered `not_held` only for objects that this node withdrew, because the DHT still names this node as their
  provider.
- A peer that the policy refuses is answered `denied`.
- upload_slots.py decides which peers are served now, and upload_queue.py which chunk is sent next.
- When this node stops, it answers `shutting_down` to every peer to which it made an offer.
- Only chunks that were granted are ever sent, and only to the peer that granted them.
"""

from collections.abc import Mapping

from flux_tui.core.api.effects import Push, Serve
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.peer_bitmaps import Watchers
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedSet, BoundedTable, batches
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.provider_records import ProviderRecords
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import ObjectRules, Policy
from flux_tui.core.serving.announcements import Announcements
from flux_tui.core.serving.answer_outbox import Answers
from flux_tui.core.serving.upload_queue import UploadQueues
from flux_tui.core.serving.upload_slots import UplinkRate, UploadSlots
from flux_tui.core.serving.waiting_line import WaitingLine
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import Refusal
from flux_tui.core.wire.messages import (
    MAX_CIDS_DIRECT,
    Cancel,
    Cancelled,
    Error,
    Grant,
    Intent,
    StatusYesButLater,
    Want,
)

PART_SECONDS = 1.0
"""`retry_after` in seconds, in answers about a download of which too little is known to offer a part."""
MAX_SEEN = 16_384
"""Intents that are remembered, so that a copy that came another way is not answered again."""
MAX_OFFERED, MAX_OFFERED_ROOTS = 256, 64
"""Peers that got an offer, and roots for each. They are remembered, to be told when this node stops."""
BACK_SECONDS = 30.0
"""Seconds after which a node that stops may be asked again. Restarts are quick, and another answer costs
nothing."""
STOPPING = Refusal("shutting_down", BACK_SECONDS)
NOT_HELD = Refusal("not_held", None)
DENIED = Refusal("denied", None)
ASK_FIRST = Refusal("busy", 1.0)
"""The answer to a grant of what was not offered: the peer asks for it first."""
MAX_LOOKS = 8
"""Chunks that are looked up for a want that is not admitted."""


class Responder:
    """Answers other nodes, and decides which chunks are sent to which peer."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        policy: Policy,
        downloads: Mapping[Cid, Download],
        answers: Answers,
        provider_records: ProviderRecords,
        announcements: Announcements,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.answers = answers
        self.provider_records = provider_records
        self.announcements = announcements
        self.downloads = downloads
        """Objects of which this node has only a part."""
        self._watchers = Watchers()
        self.policy = policy
        self.rules = ObjectRules(policy)
        self.offered_only = False
        """Whether a program here decides who is answered. Then only what was offered is sent."""
        self.uploads = UploadQueues(policy, ledger.now)
        self.waiting_line = WaitingLine()
        self._uplink = UplinkRate()
        self._slots = UploadSlots(policy, self.uploads, self.waiting_line, self._uplink)
        self._offered: BoundedTable[PeerId, BoundedSet[Cid]] = BoundedTable(MAX_OFFERED)
        """The roots that were offered to each peer."""
        self._seen: BoundedSet[tuple[PeerId, bytes]] = BoundedSet(MAX_SEEN)
        self._indirect: BoundedSet[tuple[PeerId, bytes]] = BoundedSet(MAX_SEEN)
        """Those of them that came by gossip or through the DHT, and not from their origin so far."""

    def has_seen(self, intent: Intent) -> bool:
        """Whether this node signed this intent itself, or has received it before."""
        return intent.origin == self.ledger.me or (intent.origin, intent.nonce) in self._seen

    def note_seen(self, intent: Intent, *, direct: bool) -> None:
        """Remember an intent, so that this node recognises further copies of it. `direct`: its origin pushed it."""
        self._seen.add((intent.origin, intent.nonce))
        if not direct:
            self._indirect.add((intent.origin, intent.nonce))

    def came_again(self, intent: Intent, want: Want) -> None:
        """Handle a want that its origin pushed, after a copy of it came by gossip or through the DHT.

        The copy was answered for what is here. What is not here is answered `not_held` now, once.
        """
        if (intent.origin, intent.nonce) not in self._indirect:
            return
        self._indirect.discard((intent.origin, intent.nonce))
        being_freed, size_of = self._being_freed(), self.ledger.holdings.size_of
        if lacking := tuple(cid for cid in want.cids if size_of(cid) is None or cid in being_freed):
            self.answers.refuse(intent.origin, lacking, NOT_HELD, has_it=False)

    def wanted(self, intent: Intent, want: Want, via: ev.Via, program: Refusal | None = None) -> None:
        """Answer a peer that wants objects (by their roots) or single chunks. `via`: how its intent came here.

        What is here is offered, or refused with a NO. What is not here is answered `not_held` if the want came
        directly, or if it was routed and this node has withdrawn it from the DHT. Otherwise it is not answered.
        `program`: the NO with which a program here refuses it.
        """
        peer = intent.origin
        size_of = self.ledger.holdings.size_of
        being_freed = self._being_freed()
        here = tuple(cid for cid in want.cids if size_of(cid) is not None and cid not in being_freed)
        lacking = tuple(cid for cid in want.cids if size_of(cid) is None or cid in being_freed)
        self.announcements.asked(peer, lacking)
        denied = tuple(cid for cid in here if self.rules.refuse(peer, cid))
        if denied:
            self.answers.refuse(peer, denied, DENIED, has_it=True)
            here = tuple(cid for cid in here if cid not in denied)
        if here and (no := program or self._slots.refusal(peer, self.ledger.now)) is not None:
            self._expect_back(peer, no)
            # A peer that is not connected is dialled only if it can be told when to come back.
            addrs = () if no.retry_after is None else intent.addrs
            self.answers.refuse(peer, here, no, has_it=True, addrs=addrs)
        elif here:
            partial = tuple(cid for cid in here if cid in self.downloads)
            whole = tuple(cid for cid in here if cid not in self.downloads)
            if partial:
                self._offer_parts(intent, partial, want.retry, via)
            if whole:
                self._offer(intent, whole, want.retry, via)
        if lacking and via == "direct":
            self.answers.refuse(peer, lacking, NOT_HELD, has_it=False)
        elif via == "routed" and (
            gone := tuple(cid for cid in lacking if cid in self.provider_records.withdrawn)
        ):
            self.answers.refuse(peer, gone, NOT_HELD, has_it=False, addrs=intent.addrs)

    def granted(self, peer: PeerId, grant: Grant) -> None:
        """Queue the chunks that a peer told this node to send, or answer NO."""
        size_of = self.ledger.holdings.size_of
        new = [cid for cid in dict.fromkeys(grant.cids) if not self.uploads.has(peer, cid)]
        sizes = {cid: size for cid in new if (size := size_of(cid)) is not None}
        if lacking := tuple(cid for cid in new if cid not in sizes):
            self.answers.refuse(peer, lacking, NOT_HELD, has_it=False)
        if not sizes or self._not_offered(peer, tuple(sizes)):
            return
        if not (no := self._slots.refusal(peer, self.ledger.now)):
            idle = not self.uploads
            taken, refused = self.uploads.add(
                peer, sizes, self.ledger.now, self._slots.max_wait(peer, self.ledger.now)
            )
            if taken:
                self.waiting_line.served(peer, self.ledger.now)
                if idle:
                    self._uplink.begin(self.ledger.now)
                size = sum(sizes[cid] for cid in taken)
                self.ledger.emit(ev.GrantReceived(peer=peer, cids=tuple(taken), size=size))
                self.on_time()
            if refused:
                self.answers.refuse(
                    peer, tuple(refused), self._slots.full(peer, self.ledger.now), has_it=True
                )
            return
        self._expect_back(peer, no)
        self.answers.refuse(peer, tuple(sizes), no, has_it=True)

    def _not_offered(self, peer: PeerId, cids: tuple[Cid, ...]) -> bool:
        """Answer a grant NO, if this node sends only what it offered, and offered this peer nothing of it.

        That is so if a program here decides who is answered, or if the policy has rules for objects. A grant names
        chunks, a rule an object: a peer without any offer is sent nothing, one with an offer no other object's root.
        """
        if not self.offered_only and not self.rules:
            return False
        offered = self._offered.get(peer)
        objects = self.ledger.state.objects
        if offered and not any(cid in objects and cid not in offered for cid in cids):
            return False
        denied = tuple(cid for cid in cids if self.rules.refuse(peer, cid))
        if denied:
            self.answers.refuse(peer, denied, DENIED, has_it=True)
        if others := tuple(cid for cid in cids if cid not in denied):
            self.answers.refuse(peer, others, ASK_FIRST, has_it=True)
        return True

    def _expect_back(self, peer: PeerId, no: Refusal) -> None:
        """Add a refused peer to the waiting line. `no`: the NO that this node gave it, with the time to ask again.

        Does nothing if the NO has no time, or if the peer is disconnected or has chunks in its upload queue.
        """
        if (wait := no.retry_after) is not None and peer in self.connected and peer not in self.uploads:
            self.waiting_line.expect(peer, wait, self.ledger.now)

    def cancelled(self, peer: PeerId, cancel: Cancel) -> None:
        """Remove chunks that a peer cancels from the peer's upload queue. A peer can cancel only its own grants.

        If the peer asks for it, tell it which of them will not be sent.
        """
        if mine := tuple(self.uploads.cancel(peer, cancel.cids)):
            self.ledger.emit(ev.CancelReceived(peer=peer, cids=mine))
            if cancel.confirm:
                self.ledger.do(Push(peer=peer, message=Cancelled(cids=mine)))

    def leaving(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """Note that chunks are now being written to a peer's stream. A cancel cannot stop them any more."""
        self.uploads.leaving(peer, cids)

    def sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """Record that these chunks, `size` bytes together, were written to a peer's stream."""
        self.ledger.emit(ev.ChunksSent(peer=peer, cids=cids, size=size))
        self.uploads.remove(peer, cids)
        self._uplink.sent(size, self.ledger.now)

    def refuse_for_now(self, peer: PeerId, cids: tuple[Cid, ...], retry_after: float, *, news: bool) -> None:
        """Answer `rate_limited` to a peer that sent too many messages. `news`: also write an entry.

        `retry_after`: seconds after which the peer may ask again.
        """
        size_of = self.ledger.holdings.size_of
        has_it = any(size_of(cid) is not None for cid in cids[:MAX_LOOKS])
        self.answers.refuse(peer, cids, Refusal("rate_limited", retry_after), has_it=has_it, news=news)

    def has_offered(self, peer: PeerId) -> bool:
        """Whether this node has offered this peer anything since the peer connected."""
        return peer in self._offered

    def next_deadline(self) -> float:
        """Return when `on_time` has to be called next; infinity if no chunk is delayed by a limit."""
        return self.uploads.next_deadline(self.ledger.now)

    def on_time(self) -> None:
        """Start sending the chunks that the upload limits allow now."""
        for peer, number in self.uploads.release(self.ledger.now).items():
            self.ledger.do(Serve(peer=peer, through=number))

    def change(self, policy: Policy) -> None:
        """Apply a new policy. A peer that it denies is answered `denied` for its queued chunks, which are removed."""
        self.policy = policy
        self.rules = ObjectRules(policy)
        self._slots.change(policy)
        self.uploads.change(policy, self.ledger.now)
        for peer, roots in self._offered.items():
            for root in [root for root in roots if self.rules.refuse(peer, root)]:
                roots.discard(root)
        for peer in self.uploads.peers:
            if policy.refuses(peer) or (self.rules and not self._offered.get(peer)):
                self._refuse_queued(peer, DENIED if policy.refuses(peer) else ASK_FIRST)
        self.on_time()

    def stop(self) -> None:
        """Answer `shutting_down` to every peer to which this node made an offer, or has chunks to send.

        The caller stops the node.
        """
        for peer in self.uploads.peers:
            self._refuse_queued(peer, STOPPING)
        for peer, roots in self._offered.items():
            if peer in self.connected and roots:
                self.answers.refuse(peer, tuple(roots), STOPPING, has_it=True)
        self._offered.clear()

    def _refuse_queued(self, peer: PeerId, refusal: Refusal) -> None:
        """Empty a peer's upload queue, and answer NO for all chunks in it."""
        cids = self.uploads.clear(peer)
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.answers.refuse(peer, part, refusal, has_it=True)

    def chunks_gone(
        self, path: str, cids: tuple[Cid, ...], size: int, text: str, peer: PeerId | None
    ) -> None:
        """Report chunks that cannot be sent, because their file was changed or removed.

        Entries are written, and the objects in this file are no longer announced in the DHT. `text`: the error in a
        sentence. `peer`: the peer that waited for these chunks, which is answered `not_held`; None: no peer waited.
        `size`: bytes of the chunks.
        """
        self.ledger.emit(ev.ErrorOccurred(text=text, path=path, code="file_changed"))
        broken = self.provider_records.at(path)
        self.ledger.emit(ev.ChunksLost(cids=cids, size=size, path=path, roots=broken))
        self.provider_records.drop(*broken)
        if peer is not None and peer in self.connected:
            self.uploads.remove(peer, cids)
            self.ledger.do(Push(peer=peer, message=Error(text="the file was changed or removed", cids=cids)))
            self.answers.refuse(peer, cids, NOT_HELD, has_it=False)

    def removed(self, roots: tuple[Cid, ...]) -> None:
        """Answer `not_held` for objects that the user no longer shares, to every connected peer."""
        for root in roots:
            self.announcements.forget(root)
        for peer in self.connected:
            offered = self._offered.get(peer) or set[Cid]()
            asked = tuple(root for root in roots if root in offered)
            for root in asked:
                offered.discard(root)
            self._say_not_held(peer, asked, news=True)
            self._say_not_held(peer, tuple(root for root in roots if root not in asked), news=False)

    def freed(self, cids: tuple[Cid, ...]) -> None:
        """Answer `not_held` to every peer that waits for one of these chunks, which the store has deleted."""
        gone = frozenset(cids)
        for peer in self.uploads.peers if gone else ():
            mine = tuple(cid for cid in self.uploads.of(peer) if cid in gone)
            if mine:
                self.uploads.remove(peer, mine)
                self._say_not_held(peer, mine, news=True)

    def _say_not_held(self, peer: PeerId, cids: tuple[Cid, ...], *, news: bool) -> None:
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.answers.refuse(peer, part, NOT_HELD, has_it=False, news=news)

    def tell_watchers(self, root: Cid) -> None:
        """Offer more of an unfinished download to the peers that want it from this node.

        Each peer is offered the blocks that came since its last offer, once there are enough of them.
        """
        download = self.downloads.get(root)
        if download is None or not (
            due := self._watchers.due(root, len(download.have), len(download.blocks))
        ):
            return
        offer = self._part_of(download)
        for peer in due if offer else ():
            assert offer is not None
            self._watchers.told(root, peer, len(download.have))
            self.ledger.do(Push(peer=peer, message=offer))

    def forget_watchers(self, root: Cid) -> None:
        """Offer no more blocks of a download to the peers that want it, because it is finished or cancelled."""
        self._watchers.forget(root)

    def peer_down(self, peer: PeerId) -> None:
        """Forget the grants and offers of a peer that disconnected."""
        self._offered.pop(peer, None)
        self.uploads.clear(peer)
        self.waiting_line.forget(peer)
        self._watchers.forget_peer(peer)

    def _offer_parts(self, intent: Intent, roots: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        """Offer a peer the parts of unfinished downloads that are already stored here.

        `roots`: the wanted objects that this node is still downloading. `retry`: the peer asked before. `via`: how its
        intent came here. If there is nothing to offer yet, only a want that came directly is answered: with a NO.
        """
        peer = intent.origin
        for root in roots:
            offer = self._part_of(self.downloads[root])
            if offer is None:
                self._watchers.told(root, peer, 0)  # it is told as soon as there is something to offer
                if via == "direct":
                    self.answers.refuse(peer, (root,), Refusal("not_held", PART_SECONDS), has_it=False)
                continue
            self._watchers.told(root, peer, len(self.downloads[root].have))
            self._yes(intent, offer, retry, via)

    def _part_of(self, download: Download) -> StatusYesButLater | None:
        part = download.bitmap
        if part is None:
            return None
        return StatusYesButLater(
            cids=(download.root,),
            eta=self._slots.eta(None, self.ledger.now),
            queue_bytes=self.uploads.size,
            size=download.size,
            have=len(download.have),
            part=part,
        )

    def _offer(self, intent: Intent, cids: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        known = self.ledger.state.objects.get(cids[0]) if len(cids) == 1 else None
        offer = StatusYesButLater(
            cids=cids,
            eta=self._slots.eta(intent.origin, self.ledger.now),
            queue_bytes=self.uploads.size,
            name=known.name if known else None,
            size=known.size if known else None,
        )
        self._yes(intent, offer, retry, via)

    def _yes(self, intent: Intent, offer: StatusYesButLater, retry: bool, via: ev.Via) -> None:
        peer, cids = intent.origin, offer.cids
        self.ledger.emit(ev.IntentReceived(peer=peer, cids=cids, via=via, retry=retry))
        if self.answers.push(peer, offer, intent.addrs):
            event = ev.AnsweredLater(peer=peer, cids=cids, eta=offer.eta, queue_bytes=offer.queue_bytes)
            self.ledger.emit(event)
            self._remember(peer, cids)

    def _remember(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        roots = self._offered.setdefault(peer, BoundedSet(MAX_OFFERED_ROOTS))
        for cid in cids:
            roots.add(cid)

    def offered_to(self, peer: PeerId) -> tuple[Cid, ...]:
        """Return the roots that this node offered to a peer, the latest last."""
        return tuple(self._offered.get(peer, ()))

    def _being_freed(self) -> set[Cid]:
        """Return the roots of the replicas and removed objects that the store will delete.

        Objects that the user still has are left out.
        """
        state = self.ledger.state
        return {root for root in (*state.dropping, *state.removing) if root not in state.objects}
