"""An intent or a grant came in: serve it, say NO and why, say later, or be silent.

Policy
- Who asked directly is always answered. What came by gossip is answered only with a yes or a NO that
  carries news: a thousand nodes that each say "not held" would be a storm about nothing.
- Up to `max_uploads` peers are served at once; the next hear `busy` and when to come back.
- One peer's queue is bounded; beyond it, `busy` as well.
- Only bytes that were granted are ever sent, and only to the peer that granted them.
"""

from collections.abc import Mapping

from flux_tui.core import events as ev
from flux_tui.core.effects import Broadcast, Dial, Push, Serve, Unserve
from flux_tui.core.fetch import Fetch
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.ledger import Ledger
from flux_tui.core.messages import Error, Grant, Have, Intent, Message, StatusNo, StatusYesButLater, Want
from flux_tui.core.parts import Watchers, bitmap
from flux_tui.core.retry import MAX_DIRECT

MAX_QUEUED = 4096
"""Chunks that one peer may have in its queue here."""
FIRST_UPLINK = 50 * 1024 * 1024
"""Bytes/s that this node's uplink is taken to carry until it has been seen."""
PART_SECONDS = 1.0
"""`retry_after` for an object that is on its way here, until enough is known of it to offer a part."""
BUSY_MIN, BUSY_MAX = 0.5, 30.0
"""Seconds: bounds of the `retry_after` that a busy node gives."""
MAX_SEEN = 16_384
"""Intents remembered, so that a copy that came another way is not answered again."""
MAX_SKEW = 300.0
"""Seconds that an origin's clock may differ from ours before its intents count as expired."""
MAX_OWED, OWED_SECONDS = 64, 30.0
"""Peers that we have an answer for but no stream to, and how long an answer is kept for them."""


class Serving:
    """One peer, seen as somebody we send to."""

    __slots__ = ("queued", "queued_bytes")

    def __init__(self) -> None:
        self.queued: dict[Cid, int] = {}
        """Granted chunks that have not left, and their sizes in bytes."""
        self.queued_bytes = 0


class Responder:
    """The giving half of a node."""

    def __init__(self, ledger: Ledger, max_uploads: int, fetches: Mapping[Cid, Fetch]) -> None:
        self.ledger = ledger
        self.fetches = fetches
        """What this node is still fetching: of that, it has a part."""
        self._watchers = Watchers()
        self.max_uploads = max_uploads
        self.serving: dict[PeerId, Serving] = {}
        """Peers with something in their queue here."""
        self.connected: dict[PeerId, None] = {}
        self._seen: dict[tuple[PeerId, bytes], float] = {}
        self._owed: dict[PeerId, tuple[float, list[Message]]] = {}
        self._uplink: float = FIRST_UPLINK
        self._busy_since: float | None = None
        self._sent = 0

    def is_news(self, intent: Intent) -> bool:
        """Whether this intent is neither ours, nor expired, nor a copy of one that we had."""
        now = self.ledger.now
        if intent.origin == self.ledger.me or not -MAX_SKEW <= intent.expires - now <= 60 + MAX_SKEW:
            return False
        key = (intent.origin, intent.nonce)
        if key in self._seen:
            return False
        self._seen[key] = intent.expires
        if len(self._seen) > MAX_SEEN:
            # Oldest first; what expired could not come in again anyway.
            for old in list(self._seen)[: MAX_SEEN // 4]:
                del self._seen[old]
        return True

    def wanted(self, intent: Intent, want: Want, via: ev.Via) -> None:
        """Somebody wants roots or loose chunks."""
        peer = intent.origin
        size_of = self.ledger.holdings.size_of
        held = tuple(cid for cid in want.cids if size_of(cid) is not None)
        partial = tuple(cid for cid in held if cid in self.fetches)
        if partial:
            held = tuple(cid for cid in held if cid not in self.fetches)
            self._offer_parts(intent, partial, want.retry, via)
        lacking = tuple(cid for cid in want.cids if size_of(cid) is None)
        if held:
            if self._has_room(peer):
                self._offer(intent, held, want.retry, via)
            else:
                self._no(peer, held, "busy", has_it=True, retry_after=self._busy_for())
        if lacking and via == "direct":
            self._no(peer, lacking, "not_held", has_it=False, retry_after=None)

    def granted(self, peer: PeerId, grant: Grant) -> None:
        """A peer says which chunks to send it."""
        size_of = self.ledger.holdings.size_of
        serving = self.serving.get(peer) or Serving()
        sizes = {
            cid: size
            for cid in grant.cids
            if cid not in serving.queued and (size := size_of(cid)) is not None
        }
        lacking = tuple(cid for cid in grant.cids if cid not in sizes and cid not in serving.queued)
        if lacking:
            self._no(peer, lacking, "not_held", has_it=False, retry_after=None)
        if not sizes:
            return
        cids = tuple(sizes)
        if not self._has_room(peer) or len(serving.queued) + len(cids) > MAX_QUEUED:
            self._no(peer, cids, "busy", has_it=True, retry_after=self._busy_for())
            return
        if not self.serving:
            self._busy_since, self._sent = self.ledger.now, 0
        self.serving[peer] = serving
        serving.queued.update(sizes)
        size = sum(sizes.values())
        serving.queued_bytes += size
        self.ledger.emit(ev.GrantReceived(peer=peer, cids=cids, size=size))
        self.ledger.do(Serve(peer=peer, cids=cids))

    def cancelled(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """A peer does not want these from us any more. It can only cancel what it granted itself."""
        serving = self.serving.get(peer)
        mine = tuple(cid for cid in cids if serving is not None and cid in serving.queued)
        if mine:
            self.ledger.emit(ev.CancelReceived(peer=peer, cids=mine))
            self.ledger.do(Unserve(peer=peer, cids=mine))
            self._unqueue(peer, mine)

    def sent(self, peer: PeerId, cids: tuple[Cid, ...], size: int) -> None:
        """Chunks left through a peer's stream."""
        self.ledger.emit(ev.ChunksSent(peer=peer, cids=cids, size=size))
        self._unqueue(peer, cids)
        self._sent += size
        if self._busy_since is not None and (elapsed := self.ledger.now - self._busy_since) >= 0.5:
            self._uplink += 0.3 * (self._sent / elapsed - self._uplink)
            self._busy_since, self._sent = self.ledger.now, 0

    def gone(self, path: str, cids: tuple[Cid, ...], size: int, text: str, peer: PeerId | None) -> None:
        """Chunks that were to be served are not there any more: say so here, and to who waits for them."""
        self.ledger.emit(ev.ErrorOccurred(text=text, path=path))
        self.ledger.emit(ev.ChunksLost(cids=cids, size=size, path=path))
        if peer is not None and peer in self.connected:
            self._unqueue(peer, cids)
            self.ledger.do(Push(peer=peer, message=Error(text="the file was changed or removed", cids=cids)))
            self._no(peer, cids, "not_held", has_it=False, retry_after=None)

    def grew(self, root: Cid) -> None:
        """Another block of what is being fetched here came."""
        fetch = self.fetches.get(root)
        if fetch is None or not (due := self._watchers.due(fetch)):
            return
        offer = self._part_of(fetch)
        for peer in due if offer else ():
            assert offer is not None
            self._watchers.told(root, peer, len(fetch.counted))
            self.ledger.do(Push(peer=peer, message=offer))

    def settled(self, root: Cid) -> None:
        """An object is whole, or is not fetched any more."""
        self._watchers.forget(root)

    def announce(self, root: Cid, name: str | None, size: int) -> None:
        """Tell the swarm that it can be asked for this root."""
        peers = tuple(self.connected)[:MAX_DIRECT]
        self.ledger.emit(ev.PushedHave(root=root, name=name, size=size))
        self.ledger.do(Broadcast(body=Have(root=root, name=name, size=size), peers=peers, gossip=True))

    def peer_up(self, peer: PeerId) -> None:
        """A stream is open: hand over what we owe it."""
        self.connected[peer] = None
        expires, messages = self._owed.pop(peer, (0.0, []))
        if expires > self.ledger.now:
            for message in messages:
                self.ledger.do(Push(peer=peer, message=message))

    def peer_down(self, peer: PeerId) -> None:
        """Its queue went with its stream."""
        self.connected.pop(peer, None)
        self.serving.pop(peer, None)
        self._watchers.forget_peer(peer)

    def _offer_parts(self, intent: Intent, roots: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        """Of objects that are on their way here: what there is of them."""
        peer = intent.origin
        if not self._has_room(peer):
            self._no(peer, roots, "busy", has_it=True, retry_after=self._busy_for())
            return
        for root in roots:
            offer = self._part_of(self.fetches[root])
            if offer is None:
                self._watchers.told(root, peer, 0)  # it hears as soon as there is something to tell
                if via == "direct":
                    self._no(peer, (root,), "not_held", has_it=False, retry_after=PART_SECONDS)
                continue
            self._watchers.told(root, peer, len(self.fetches[root].counted))
            self._yes(intent, offer, retry, via)

    def _part_of(self, fetch: Fetch) -> StatusYesButLater | None:
        part = bitmap(fetch)
        if part is None:
            return None
        queue = self._queue()
        return StatusYesButLater(
            cids=(fetch.root,),
            eta=round(queue / self._uplink, 3),
            queue_bytes=queue,
            size=fetch.size,
            have=len(fetch.counted),
            part=part,
        )

    def _queue(self) -> int:
        """Bytes that stand before a newcomer."""
        return sum(serving.queued_bytes for serving in self.serving.values())

    def _offer(self, intent: Intent, cids: tuple[Cid, ...], retry: bool, via: ev.Via) -> None:
        queue = self._queue()
        known = self.ledger.state.objects.get(cids[0]) if len(cids) == 1 else None
        offer = StatusYesButLater(
            cids=cids,
            eta=round(queue / self._uplink, 3),
            queue_bytes=queue,
            name=known.name if known else None,
            size=known.size if known else None,
        )
        self._yes(intent, offer, retry, via)

    def _yes(self, intent: Intent, offer: StatusYesButLater, retry: bool, via: ev.Via) -> None:
        peer, cids = intent.origin, offer.cids
        self.ledger.emit(ev.IntentReceived(peer=peer, cids=cids, via=via, retry=retry))
        self.ledger.emit(ev.AnsweredLater(peer=peer, cids=cids, eta=offer.eta, queue_bytes=offer.queue_bytes))
        self._answer(peer, offer, intent.addrs)

    def _no(
        self,
        peer: PeerId,
        cids: tuple[Cid, ...],
        reason: ev.Reason,
        *,
        has_it: bool,
        retry_after: float | None,
    ) -> None:
        self.ledger.emit(
            ev.AnsweredNo(peer=peer, cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
        )
        no = StatusNo(cids=cids, reason=reason, has_it=has_it, retry_after=retry_after)
        self._answer(peer, no, ())

    def _answer(self, peer: PeerId, message: Message, addrs: tuple[str, ...]) -> None:
        """Push it, or dial the origin and push it then."""
        if peer in self.connected:
            self.ledger.do(Push(peer=peer, message=message))
            return
        if not addrs:
            return
        if peer not in self._owed:
            if len(self._owed) >= MAX_OWED:
                self._owed.pop(next(iter(self._owed)))
            self._owed[peer] = (self.ledger.now + OWED_SECONDS, [])
            self.ledger.do(Dial(addr=addrs[0]))
        owed = self._owed[peer][1]
        if len(owed) < MAX_DIRECT:
            owed.append(message)

    def _has_room(self, peer: PeerId) -> bool:
        return peer in self.serving or len(self.serving) < self.max_uploads

    def _busy_for(self) -> float:
        """When a place will probably be free: the shortest queue's time at the uplink's rate."""
        shortest = min((s.queued_bytes for s in self.serving.values()), default=0)
        share = self._uplink / max(1, len(self.serving))
        return round(min(max(shortest / share, BUSY_MIN), BUSY_MAX), 3)

    def _unqueue(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        serving = self.serving.get(peer)
        if serving is None:
            return
        for cid in cids:
            serving.queued_bytes -= serving.queued.pop(cid, 0)
        if not serving.queued:
            del self.serving[peer]
