"""The responder: it answers the intents and grants of other nodes with a yes, a NO with its reason, or
silence.

Policy
- A direct want is always answered. A want that came by gossip is answered only with a yes, or with a NO that
  carries news: a thousand nodes that each say `not_held` would flood the swarm. A want that came by DHT is
  answered `not_held` for objects that this node withdrew, because the DHT still names this node as their
  provider.
- A peer that the policy refuses is answered `denied`.
- Up to `max_uploads` peers are served at once. Other peers are answered `busy`, with a time to come back.
- A chunk that the limits would delay for too long (upload_queue.py) is answered `rate_limited`, with the time
  that it would take.
- A peer that comes back at the time that it was told is served. A peer that was served for a whole turn
  leaves its place to others (waiting_line.py).
- A node that stops answers `shutting_down` to every peer that it told yes.
- Only chunks that were granted are ever sent, and only to the peer that granted them.
"""

from collections.abc import Mapping

from flux_tui.core.api.effects import Broadcast, Push, Serve
from flux_tui.core.fetching.downloads.availability import Watchers
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedSet, BoundedTable, batches
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dialling import Dialling
from flux_tui.core.peers.provider_records import Provided
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.series.policy import Policy
from flux_tui.core.serving.upload_queue import MAX_WAIT_SECONDS, PROMISED_SECONDS, UploadQueues
from flux_tui.core.serving.waiting_line import Line
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import (
    MAX_CIDS_DIRECT,
    Error,
    Grant,
    Have,
    Intent,
    Message,
    StatusNo,
    StatusYesButLater,
    Want,
)

FIRST_UPLINK = 50 * 1024 * 1024
"""Bytes/s that this node's uplink is assumed to carry until it was measured."""
PART_SECONDS = 1.0
"""`retry_after` for an object that is on its way here, until enough of it is known to offer a part."""
BUSY_MIN, BUSY_MAX = 0.5, 30.0
"""Seconds: bounds of the `retry_after` of a busy node."""
LIMITED_MAX = 600.0
"""Seconds: the largest `retry_after` because of a limit."""
MAX_SEEN = 16_384
"""Intents that are remembered, so that a copy that came another way is not answered again."""
MAX_TOLD, MAX_TOLD_ROOTS = 256, 64
"""Peers that were told yes, and roots for each. They are remembered, to be told when this node stops."""
BACK_SECONDS = 30.0
"""Seconds after which a node that stops may be asked again. Restarts are quick, and another answer costs
nothing."""
MAX_LOOKS = 8
"""Chunks that are looked up for a want that is not admitted."""
MAX_OWED, OWED_SECONDS = 64, 30.0
"""Peers that this node has an answer for but no stream to, and the seconds for which an answer is stored."""


class Responder:
    """Answers other nodes, and decides which chunks leave for whom."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        policy: Policy,
        downloads: Mapping[Cid, Download],
        dialling: Dialling,
        provided: Provided,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.dialling = dialling
        self.provided = provided
        self.downloads = downloads
        """Objects that this node is still fetching: of these it has a part."""
        self._watchers = Watchers()
        self.policy = policy
        self.uploads = UploadQueues(policy, ledger.now)
        self.line = Line()
        self._told_yes: BoundedTable[PeerId, BoundedSet[Cid]] = BoundedTable(MAX_TOLD)
        self._seen: BoundedSet[tuple[PeerId, bytes]] = BoundedSet(MAX_SEEN)
        self._owed: BoundedTable[PeerId, tuple[float, list[Message], int]] = BoundedTable(MAX_OWED)
        """By peer: until when the answers are stored, the answers, and how many of its addresses are tried
        after the first one."""
        self._uplink: float = FIRST_UPLINK
        self._busy_since: float | None = None
        self._sent = 0

    def has_had(self, intent: Intent) -> bool:
        """Whether this node signed this intent, or has received it before."""
        return intent.origin == self.ledger.me or (intent.origin, intent.nonce) in self._seen

    def remember(self, intent: Intent) -> None:
        """Remember an intent, so that copies of it are recognised."""
        self._seen.add((intent.origin, intent.nonce))

    def wanted(self, intent: Intent, want: Want, via: ev.Via) -> None:
        """A peer wants roots or loose chunks."""
        peer = intent.origin
        size_of = self.ledger.holdings.size_of
        going = self._going()
        held = tuple(cid for cid in want.cids if size_of(cid) is not None and cid not in going)
        lacking = tuple(cid for cid in want.cids if size_of(cid) is None or cid in going)
        if held and (no := self._why_not(peer)) is not None:
            self._in_line(peer, no[1])
            # A peer that is not connected is dialled only if it can be told when to come back.
            self._no(peer, held, *no, has_it=True, addrs=() if no[1] is None else intent.addrs)
        elif held:
            partial = tuple(cid for cid in held if cid in self.downloads)
            whole = tuple(cid for cid in held if cid not in self.downloads)
            if partial:
                self._offer_parts(intent, partial, want.retry, via)
            if whole:
                self._offer(intent, whole, want.retry, via)
        if lacking and via == "direct":
            self._no(peer, lacking, "not_held", None, has_it=False)
        elif via == "routed" and (gone := tuple(cid for cid in lacking if cid in self.provided.withdrawn)):
            self._no(peer, gone, "not_held", None, has_it=False, addrs=intent.addrs)

    def granted(self, peer: PeerId, grant: Grant) -> None:
        """A peer granted chunks: it says which ones to send."""
        size_of = self.ledger.holdings.size_of
        new = [cid for cid in dict.fromkeys(grant.cids) if not self.uploads.has(peer, cid)]
        sizes = {cid: size for cid in new if (size := size_of(cid)) is not None}
        if lacking := tuple(cid for cid in new if cid not in sizes):
            self._no(peer, lacking, "not_held", None, has_it=False)
        if not sizes:
            return
        if not (no := self._why_not(peer)):
            idle = not self.uploads
            taken, refused = self.uploads.add(peer, sizes, self.ledger.now, self._patience(peer))
            if taken:
                self.line.served(peer, self.ledger.now)
                if idle:
                    self._busy_since, self._sent = self.ledger.now, 0
                size = sum(sizes[cid] for cid in taken)
                self.ledger.emit(ev.GrantReceived(peer=peer, cids=tuple(taken), size=size))
                self.on_time()
            if refused:
                self._no(peer, tuple(refused), *self._too_much(peer), has_it=True)
            return
        self._in_line(peer, no[1])
        self._no(peer, tuple(sizes), *no, has_it=True)

    def _in_line(self, peer: PeerId, wait: float | None) -> None:
        """A peer is answered NO with a time: expect it in the waiting line then."""
        if wait is not None and peer in self.connected and peer not in self.uploads:
            self.line.told(peer, wait, self.ledger.now)

    def cancelled(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """A peer cancels chunks. It can only cancel what it granted itself."""
        if mine := tuple(self.uploads.remove(peer, cids)):
            self.ledger.emit(ev.CancelReceived(peer=peer, cids=mine))

    def sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """Chunks were written to a peer's stream."""
        self.ledger.emit(ev.ChunksSent(peer=peer, cids=cids, size=size))
        self.uploads.remove(peer, cids)
        self._sent += size
        if self._busy_since is not None and (elapsed := self.ledger.now - self._busy_since) >= 0.5:
            self._uplink += 0.3 * (self._sent / elapsed - self._uplink)
            self._busy_since, self._sent = self.ledger.now, 0

    def not_now(self, peer: PeerId, cids: tuple[Cid, ...], retry_after: float, *, news: bool) -> None:
        """Answer `rate_limited` to a peer that is not admitted. `news`: write an entry about it."""
        size_of = self.ledger.holdings.size_of
        has_it = any(size_of(cid) is not None for cid in cids[:MAX_LOOKS])
        self._no(peer, cids, "rate_limited", retry_after, has_it=has_it, news=news)

    def has_offered(self, peer: PeerId) -> bool:
        """Whether this peer was told yes in this session."""
        return peer in self._told_yes

    def next_deadline(self) -> float:
        """When `on_time` has something to do; infinity if the limits delay nothing."""
        return self.uploads.next_deadline(self.ledger.now)

    def on_time(self) -> None:
        """Send what the limits allow now."""
        for peer, number in self.uploads.release(self.ledger.now).items():
            self.ledger.do(Serve(peer=peer, through=number))

    def change(self, policy: Policy) -> None:
        """Apply another policy. A peer that is now denied gets no more of the chunks in its queue."""
        self.policy = policy
        self.uploads.change(policy, self.ledger.now)
        for peer in [peer for peer in self.uploads.peers if policy.refuses(peer)]:
            self._take_back(peer, "denied", None)
        self.on_time()

    def go_away(self) -> None:
        """The node stops: tell every peer that was told yes, and when to ask again."""
        for peer in self.uploads.peers:
            self._take_back(peer, "shutting_down", BACK_SECONDS)
        for peer, roots in self._told_yes.items():
            if peer in self.connected and roots:
                self._no(peer, tuple(roots), "shutting_down", BACK_SECONDS, has_it=True)
        self._told_yes.clear()

    def _take_back(self, peer: PeerId, reason: ev.Reason, retry_after: float | None) -> None:
        """Empty a peer's queue, and tell it that these chunks will not be sent."""
        cids = self.uploads.clear(peer)
        for part in batches(cids, MAX_CIDS_DIRECT):
            self._no(peer, part, reason, retry_after, has_it=True)

    def gone(self, path: str, cids: tuple[Cid, ...], size: int, text: str, peer: PeerId | None) -> None:
        """Chunks that were to be served are not there any more: write this down, and tell the peer that waits
        for them."""
        self.ledger.emit(ev.ErrorOccurred(text=text, path=path))
        broken = self.provided.at(path)
        self.ledger.emit(ev.ChunksLost(cids=cids, size=size, path=path, roots=broken))
        self.provided.drop(*broken)
        if peer is not None and peer in self.connected:
            self.uploads.remove(peer, cids)
            self.ledger.do(Push(peer=peer, message=Error(text="the file was changed or removed", cids=cids)))
            self._no(peer, cids, "not_held", None, has_it=False)

    def removed(self, roots: tuple[Cid, ...]) -> None:
        """The user stops sharing these objects.

        Every connected peer is told, whether it asked for them or not.
        """
        for peer in self.connected:
            told = self._told_yes.get(peer) or set[Cid]()
            asked = tuple(root for root in roots if root in told)
            for root in asked:
                told.discard(root)
            self._say_not_held(peer, asked, news=True)
            self._say_not_held(peer, tuple(root for root in roots if root not in asked), news=False)

    def freed(self, cids: tuple[Cid, ...]) -> None:
        """These blocks are not here any more. A peer that waits for one is answered NO."""
        gone = frozenset(cids)
        for peer in self.uploads.peers if gone else ():
            mine = tuple(cid for cid in self.uploads.of(peer) if cid in gone)
            if mine:
                self.uploads.remove(peer, mine)
                self._say_not_held(peer, mine, news=True)

    def _say_not_held(self, peer: PeerId, cids: tuple[Cid, ...], *, news: bool) -> None:
        for part in batches(cids, MAX_CIDS_DIRECT):
            self._no(peer, part, "not_held", None, has_it=False, news=news)

    def grew(self, root: Cid) -> None:
        """Another block of an object that is fetched here came: tell its watchers when it is time."""
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

    def settled(self, root: Cid) -> None:
        """An object is whole, or is not fetched any more."""
        self._watchers.forget(root)

    def announce(self, root: Cid, name: str | None, size: int) -> None:
        """Tell the swarm that this node can be asked for this root."""
        peers = self.connected.first(MAX_DIRECT)
        self.ledger.emit(ev.PushedHave(root=root, name=name, size=size))
        self.ledger.do(Broadcast(body=Have(root=root, name=name, size=size), peers=peers, gossip=True))

    def peer_up(self, peer: PeerId) -> None:
        """A stream to a peer is open: push the answers that are stored for it."""
        expires, messages, more = self._owed.pop(peer, (0.0, [], 0))
        self.dialling.give_back(more)
        if expires > self.ledger.now:
            for message in messages:
                self.ledger.do(Push(peer=peer, message=message))

    def peer_down(self, peer: PeerId) -> None:
        """A peer disconnected: its queue is gone with its stream."""
        self._told_yes.pop(peer, None)
        self.uploads.clear(peer)
        self.line.forget(peer)
        self._watchers.forget_peer(peer)

    def _offer_parts(self, intent: Intent, roots: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        """Offer the parts that are here of objects that are still on their way."""
        peer = intent.origin
        for root in roots:
            offer = self._part_of(self.downloads[root])
            if offer is None:
                self._watchers.told(root, peer, 0)  # it is told as soon as there is something to offer
                if via == "direct":
                    self._no(peer, (root,), "not_held", PART_SECONDS, has_it=False)
                continue
            self._watchers.told(root, peer, len(self.downloads[root].have))
            self._yes(intent, offer, retry, via)

    def _part_of(self, download: Download) -> StatusYesButLater | None:
        part = download.bitmap
        if part is None:
            return None
        return StatusYesButLater(
            cids=(download.root,),
            eta=self._eta(None),
            queue_bytes=self.uploads.size,
            size=download.size,
            have=len(download.have),
            part=part,
        )

    def _eta(self, peer: PeerId | None) -> float:
        """Seconds until sending to this peer could begin: the queues before it, and the limits."""
        limits = self.uploads.wait(peer, self.ledger.now) if peer is not None else 0.0
        return round(max(self.uploads.size / self._uplink, limits), 3)

    def _offer(self, intent: Intent, cids: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        known = self.ledger.state.objects.get(cids[0]) if len(cids) == 1 else None
        offer = StatusYesButLater(
            cids=cids,
            eta=self._eta(intent.origin),
            queue_bytes=self.uploads.size,
            name=known.name if known else None,
            size=known.size if known else None,
        )
        self._yes(intent, offer, retry, via)

    def _yes(self, intent: Intent, offer: StatusYesButLater, retry: bool, via: ev.Via) -> None:
        peer, cids = intent.origin, offer.cids
        self.ledger.emit(ev.IntentReceived(peer=peer, cids=cids, via=via, retry=retry))
        if self.answer(peer, offer, intent.addrs):
            event = ev.AnsweredLater(peer=peer, cids=cids, eta=offer.eta, queue_bytes=offer.queue_bytes)
            self.ledger.emit(event)
            self._remember(peer, cids)

    def _remember(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        roots = self._told_yes.setdefault(peer, BoundedSet(MAX_TOLD_ROOTS))
        for cid in cids:
            roots.add(cid)

    def promised_to(self, peer: PeerId) -> tuple[Cid, ...]:
        """The roots that a peer was told yes for, the latest last."""
        return tuple(self._told_yes.get(peer, ()))

    def _going(self) -> set[Cid]:
        """Replicas and removed objects that the store is about to free, unless the user has them as well."""
        state = self.ledger.state
        return {root for root in (*state.dropping, *state.removing) if root not in state.objects}

    def _why_not(self, peer: PeerId) -> tuple[ev.Reason, float | None] | None:
        """Why this peer gets nothing now, whatever it asks for, and when it may come back; None if it may be
        served."""
        if self.policy.refuses(peer):
            return "denied", None
        now = self.ledger.now
        others_served = len(self.uploads) - (peer in self.uploads)
        if others_served >= self.policy.max_uploads:
            return "busy", self._busy_for()
        last_place = others_served + 1 >= self.policy.max_uploads
        if last_place and (others := self.line.turn_over(peer, now)) is not None:
            return "busy", round(max(self._busy_for(), others), 3)
        if self.uploads.wait(peer, now) > self._patience(peer):
            return self._too_much(peer)
        return None

    def _patience(self, peer: PeerId) -> float:
        """Seconds that a chunk which this peer grants now may wait."""
        return PROMISED_SECONDS if self.line.is_due(peer, self.ledger.now) else MAX_WAIT_SECONDS

    def _too_much(self, peer: PeerId) -> tuple[ev.Reason, float]:
        """The NO to a peer whose chunks would wait too long, or whose queue is full."""
        wait = self.uploads.wait(peer, self.ledger.now)
        if wait > MAX_WAIT_SECONDS:
            # It comes back when half of the queue is gone: then the queue has not run empty.
            return "rate_limited", round(min(max(wait - MAX_WAIT_SECONDS / 2, BUSY_MIN), LIMITED_MAX), 3)
        return "busy", self._busy_for()

    def _no(
        self,
        peer: PeerId,
        cids: tuple[Cid, ...],
        reason: ev.Reason,
        retry_after: float | None,
        *,
        has_it: bool,
        addrs: tuple[str, ...] = (),
        news: bool = True,
    ) -> None:
        no = StatusNo(cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
        if self.answer(peer, no, addrs) and news:
            self.ledger.emit(
                ev.AnsweredNo(peer=peer, cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
            )

    def answer(self, peer: PeerId, message: Message, addrs: tuple[str, ...]) -> bool:
        """Push an answer, or dial the origin and push it then. Returns False if the peer cannot be reached."""
        if peer in self.connected:
            self.ledger.do(Push(peer=peer, message=message))
            return True
        owed = self._owed.get(peer)
        if owed is None or owed[0] <= self.ledger.now:  # or the peer was dialled once and did not come
            self._owed.pop(peer, None)
            dialled = self.dialling.returned(peer, addrs)
            if not dialled:
                return False
            owed = self._owed[peer] = (self.ledger.now + OWED_SECONDS, [], dialled - 1)
        if len(owed[1]) >= MAX_DIRECT:
            return False
        owed[1].append(message)
        return True

    def _busy_for(self) -> float:
        """Seconds until a place is probably free: the shortest queue's size over its share of the uplink."""
        share = min(self._uplink, self.policy.upload_limit or self._uplink) / max(1, len(self.uploads))
        share = min(share, self.policy.per_peer_limit or share)
        return round(min(max(self.uploads.shortest() / share, BUSY_MIN), BUSY_MAX), 3)
