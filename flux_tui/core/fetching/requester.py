"""The requester: what this node wants, what those objects are made of, and what came of each want.

1. This node pushes a want (retry.py). Holders answer with a delayed yes or a NO.
2. The scheduler grants missing chunks to the holders that said yes (scheduler.py).
3. An inner node that arrives tells which other blocks belong to the object, and where their content stands
   (planning.py).
4. When no holder is left to ask, this node pushes the want again (retry.py).
"""

from collections.abc import Iterable, Mapping

from flux_tui.core.api.effects import Claim, DropTree, FinishTree, OpenTree, Place
from flux_tui.core.api.inputs import Placed
from flux_tui.core.content.plans import FilePlan, LeafPlace
from flux_tui.core.content.unixfs import BadBlockError
from flux_tui.core.fetching.availability import MAX_WATCHERS, Part
from flux_tui.core.fetching.download import Fetch, owners
from flux_tui.core.fetching.leases import Batch
from flux_tui.core.fetching.planning import Planning
from flux_tui.core.fetching.retry import Retry
from flux_tui.core.fetching.scheduler import Granting
from flux_tui.core.fetching.setbacks import Setbacks
from flux_tui.core.fetching.sources import LEASE_MIN, Holder, Holders
from flux_tui.core.fetching.want_queue import Line
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series import events as ev
from flux_tui.core.series.backoff import GIVES_NOTHING, gives_later
from flux_tui.core.series.state import Lease, PeerState
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_WAIT, Grant, StatusNo, StatusYesButLater


class Requester:
    """Everything that this node wants: the fetches, and the parts that drive them."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, max_pending: int) -> None:
        self.ledger = ledger
        self.holders = Holders(connected)
        self.fetches: dict[Cid, Fetch] = {}
        self.retry = Retry(ledger, self.holders, self.fetches, max_pending)
        self.wanted: dict[Cid, list[Fetch]] = {}
        """Every block that is neither here nor on its way to the disk, with the fetches that want it."""
        self._inherited: dict[Cid, Batch] = {}
        """Leases that this node granted before it was restarted and that are still live. Their chunks are not
        granted again."""
        self._owed: dict[PeerId, int] = {}
        """By peer: the number of chunks that this node granted before it was restarted and that have not
        come."""
        self.grants = Granting(ledger, self.holders, self.fetches, self.wanted, self.retry)
        self.planning = Planning(ledger, self.fetches, self._miss, self._fail)
        self.setbacks = Setbacks(ledger, self.grants, self.planning, self.cancel)

    # ── what is wanted ──────────────────────────────────────────────────────────────────────────

    def want(
        self,
        cid: Cid,
        *,
        path: str | None,
        name: str | None,
        size: int | None,
        by: str | None,
        at_once: bool = False,
    ) -> None:
        """A person or program here wants a root or a loose chunk.

        With `at_once`, the want does not wait for room in the network.
        """
        known = self.fetches.get(cid)
        if known is not None:
            if known.held or (path is not None and path != known.path):
                self._moved(known, path, name, size, by)
            self.hurry(cid)
            if at_once and not self.retry.queue.is_inside(cid):
                self.retry.queue.hurry(cid)  # it was dormant, or not pushed yet: push it now
            return
        held, whole = self.ledger.holdings.size_of(cid), self._whole(cid)
        if cid in self.ledger.state.removing:
            held = None  # the store is about to free it
        self.ledger.emit(ev.Requested(cid=cid, name=name, size=size, path=path, by=by))
        if path is None and held is not None and (is_leaf(cid) or whole):
            size = held if is_leaf(cid) else self.ledger.state.objects[cid].size or 0
            self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=by))
            if is_leaf(cid) and (self.ledger.state.kept or self.ledger.state.dropping):
                self.ledger.do(Claim(cid))
            return
        tree = path is not None or not is_leaf(cid)
        line: Line = "urgent" if at_once else "new"
        self.begin(Fetch(cid, path=path, tree=tree, by=by, size=size, limit=size), line)

    def hurry(self, root: Cid) -> None:
        """A person asks again for an object that could not be written.

        Perhaps there is room on the disk now, so try at once.
        """
        if fetch := self.fetches.get(root):
            self.grants.pauses.hurry(fetch, self.ledger.now)

    def begin(self, fetch: Fetch, line: Line = "new") -> None:
        """Start a fetch that stands in the series, or go on with it after a restart."""
        self.fetches[fetch.root] = fetch
        self.retry.enqueue(fetch, line)
        root = fetch.root
        if fetch.tree:
            self.ledger.do(OpenTree(root=root, path=fetch.path, held=fetch.held, limit=fetch.limit))
        if not fetch.tree:
            self._miss(fetch, root)
        elif is_leaf(root):
            self.planning.ask(fetch, _sole_block(fetch))
        else:
            self.planning.read(fetch, root)

    def inherit(self, leases: Mapping[Cid, Lease], peers: Iterable[PeerState]) -> None:
        """After a restart, take over what this node granted before it stopped.

        Live leases stay live, but for no longer than the shortest lease takes: the holder's queue for this
        node went with the old stream. For each peer, also count the granted chunks that never came, because a
        holder that slept may still send them.
        """
        now = self.ledger.now
        batches: dict[tuple[PeerId, float], Batch] = {}
        for cid, lease in leases.items():
            if (deadline := self.ledger.steady(lease.deadline)) > now:
                together = lease.peer, lease.deadline  # the chunks of one grant
                if together not in batches:
                    deadline = min(deadline, now + LEASE_MIN)
                    batches[together] = Batch.inherited_from(self.holders.get(lease.peer), deadline)
                self._inherited[cid] = batches[together]
        self._owed = {peer.peer: owed for peer in peers if (owed := peer.granted - peer.chunks_in) > 0}

    def cancel(self, root: Cid) -> bool:
        """End a fetch: nobody here wants it any more. Returns False if it was not wanted."""
        fetch = self.fetches.pop(root, None)
        if fetch is None:
            return False
        self.retry.forget(root)
        if fetch.tree:
            self.grants.pauses.end(fetch)
        told: dict[PeerId, list[Cid]] = {}
        for cid in fetch.blocks:
            others = [other for other in self.wanted.get(cid, ()) if other is not fetch]
            if others:
                self.wanted[cid] = others
                self._hand_over(cid, fetch, others[0])
                continue
            self.wanted.pop(cid, None)
            for batch in self.grants.leases.release(cid):
                batch.holder.let_lapse(cid, "cancelled")
                told.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in told.items():
            self.grants.tell_cancel(peer, cids)
            self.grants.ready[peer] = None
        return True

    def _hand_over(self, cid: Cid, fetch: Fetch, heir: Fetch) -> None:
        """Give a block that is missing or granted for `fetch` to `heir`, another object that still wants it."""
        hedge = self.grants.leases.hedges.get(cid)
        if hedge is not None and hedge.chunks[cid] is fetch:
            hedge.chunks[cid] = heir
        batch = self.grants.leases.by_chunk.get(cid)
        if batch is not None and batch.chunks[cid] is fetch:
            batch.chunks[cid] = heir
            fetch.granted -= 1
            heir.granted += 1
        elif cid in fetch.missing:
            heir.missing[cid] = None
            self.grants.wake(heir)

    def _moved(
        self, fetch: Fetch, path: str | None, name: str | None, size: int | None, by: str | None
    ) -> None:
        """The same object is wanted at another path.

        Start again; the chunks that came so far are found in the store.
        """
        self.cancel(fetch.root)
        if fetch.tree:
            self.ledger.do(DropTree(root=fetch.root))
        self.ledger.emit(ev.Requested(cid=fetch.root, name=name, size=size, path=path, by=by))
        self.begin(Fetch(fetch.root, path=path, tree=True, by=by, size=size, limit=size))

    # ── what a tree is made of ──────────────────────────────────────────────────────────────────

    def node_read(self, root: Cid, cid: Cid, data: bytes | None) -> None:
        """The store answered a `ReadNode`."""
        if fetch := self.planning.answered(root):
            if data is None:
                self._miss(fetch, cid)
            else:
                self.planning.learn(fetch, cid, data)
            self._check_done(fetch)

    def placed(self, answer: Placed) -> None:
        """The store answered a `Place`."""
        fetch = self.planning.answered(answer.root)
        if fetch is None:
            return
        if answer.later is not None:
            self.setbacks.postpone(fetch, answer.later, answer.error or "")
            return
        if answer.error is not None:
            self.setbacks.fail(fetch, answer.error, discard=answer.impossible)
            return
        try:
            for cid in answer.present:
                fetch.count(cid, self.ledger.holdings.size_of(cid) or 0)
        except BadBlockError as wrong:
            self.setbacks.refuse(fetch, wrong)
            return
        self.grants.resume(fetch)
        for cid in dict.fromkeys(answer.missing):
            if cid not in fetch.counted:
                self._miss(fetch, cid)
        self.planning.mapped(fetch)
        self.planning.run()
        self._spread(fetch)
        self._check_done(fetch)

    def finish_failed(self, root: Cid, text: str, *, later: bool) -> None:
        """The store could not begin an object, or could not give the finished object its name."""
        fetch = self.fetches.get(root)
        if fetch is None:
            return
        if later:
            self.setbacks.postpone(fetch, FinishTree(root=root), text)
        else:
            self.setbacks.fail(fetch, text, discard=False)

    def finished(self, root: Cid, path: str) -> None:
        """The store gave the finished object its name: the fetch is done."""
        if fetch := self.fetches.pop(root, None):
            self.retry.forget(root)
            self.grants.pauses.end(fetch)
            self.ledger.emit(ev.ObjectCompleted(root=root, size=fetch.have_bytes, path=path, by=fetch.by))

    def _fail(self, fetch: Fetch, text: str) -> None:
        self.setbacks.fail(fetch, text)

    def _miss(self, fetch: Fetch, cid: Cid) -> None:
        """A block must come from the swarm."""
        fetches = self.wanted.setdefault(cid, [])
        if fetch in fetches:
            return
        fetches.append(fetch)
        if cid in self.grants.leases.by_chunk:
            return  # it is on its way for another object that contains it too
        waits = next((other for other in fetches if other is not fetch and cid in other.missing), None)
        if waits is not None:
            self.grants.move(cid, waits, fetch)
            return
        batch = self._inherited.pop(cid, None)
        if batch is not None and batch.deadline > self.ledger.now:
            self.grants.leases.inherit(batch, cid, fetch)
            return
        fetch.missing[cid] = None
        self.grants.wake(fetch)

    def _check_done(self, fetch: Fetch) -> None:
        if fetch.done and not fetch.finishing and fetch.root in self.fetches and not self._lacking(fetch):
            fetch.finishing = True
            self.ledger.do(FinishTree(root=fetch.root))

    def _lacking(self, fetch: Fetch) -> bool:
        """Whether a block of this object has not come yet, because it is fetched for another object."""
        return len(fetch.counted) < len(fetch.blocks)

    # ── what flows in ───────────────────────────────────────────────────────────────────────────

    def offered(self, peer: PeerId, offer: StatusYesButLater) -> None:
        """A holder answered a want with a delayed yes."""
        cids = tuple(cid for cid in offer.cids if cid in self.fetches)
        if not cids:
            return
        eta = min(offer.eta, MAX_WAIT)
        self.ledger.emit(
            ev.DelayedYes(
                peer=peer,
                cids=cids,
                eta=eta,
                queue_bytes=offer.queue_bytes,
                name=offer.name,
                size=offer.size,
                have=offer.have if offer.part is not None else None,
            )
        )
        self.promised(peer, cids, offer.size, offer.part)

    def also_wanted(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """A peer fetches the same object as this node.

        It will soon have parts of it, so tell it that this node wants it too.
        """
        news = []
        for cid in cids:
            fetch = self.fetches.get(cid)
            if fetch is None or peer in fetch.companions or len(fetch.companions) >= MAX_WATCHERS:
                continue
            fetch.accompany(peer)
            if peer not in fetch.holders:
                news.append(cid)
        if news:
            self.retry.tell(news, peer)

    def promised(
        self, peer: PeerId, cids: tuple[Cid, ...], size: int | None, part: bytes | None = None
    ) -> None:
        """A peer says that it has these objects, or part of one. From now on it can be granted their chunks."""
        holder = self.holders.get(peer)
        holder.said_yes = True
        for cid in cids:
            fetch = self.fetches[cid]
            fetch.quiet_pushes = 0
            first = not self.grants.has_holder(fetch)
            fetch.holders[peer] = None
            if first:
                self.grants.gather(fetch)
            some = Part(part) if part is not None and len(cids) == 1 else None
            fetch.offered_by(peer, some)
            self._spread(fetch)
            if size is not None and len(cids) == 1 and not fetch.size_hint:
                fetch.size_hint = size
            holder.roots[cid] = None
        self.grants.ready[peer] = None
        self.grants.another_came(peer, cids)

    def refused(self, peer: PeerId, no: StatusNo) -> None:
        """A peer said NO to a want, or to chunks that were granted to it."""
        cids = tuple(cid for cid in no.cids if cid in self.fetches or cid in self.wanted)
        if not cids:
            return
        wait = None if no.retry_after is None else min(no.retry_after, MAX_WAIT)
        said = ev.StatusNo(
            peer=peer,
            cids=cids,
            reason=no.reason,
            has_it=no.has_it,
            retry_after=wait,
            text=no.text,
            roots=self.owners(cids),
        )
        self.ledger.emit(said)
        holder = self.holders.get(peer)
        later = gives_later(said)
        if later or wait is not None:
            wait = self.grants.free_at(peer) - self.ledger.now
        freed: list[Cid] = []
        lost = False
        for cid in cids:
            fetch = self.fetches.get(cid)
            if fetch is not None and no.has_it:
                fetch.quiet_pushes = 0
            if self.grants.leases.holds(cid, holder):
                freed.append(cid)
                if no.reason == "not_held":
                    for other in self.wanted.get(cid, ()):
                        other.lack(peer, cid)
            if fetch is not None and not later:
                lost = lost or peer in fetch.holders
                fetch.holders.pop(peer, None)
                holder.roots.pop(cid, None)
        if no.reason in GIVES_NOTHING:
            self.grants.forsake(holder)
        else:
            self.grants.lapse(holder, freed, "refused")
        asked = [fetch for cid in cids if (fetch := self.fetches.get(cid))]
        if later:
            back_at = self.grants.free_at(peer)
            for fetch in asked:
                soon = self.ledger.now <= fetch.back_at <= back_at
                fetch.back_at = fetch.back_at if soon else back_at
            self.retry.come_back(peer, [fetch.root for fetch in asked if peer not in fetch.holders])
        else:
            self.retry.stay_away(peer, cids)
        touched = {id(f): f for f in (*asked, *(f for cid in cids for f in (self.wanted.get(cid) or ())))}
        for fetch in touched.values():
            if later and peer in fetch.holders:
                holder.roots[fetch.root] = None  # it is granted some as soon as it may be asked
                self.grants.ready[peer] = None
            if wait is not None:
                self.grants.settle(fetch, wait, "retry_after", peer)
            elif freed or lost:  # otherwise nothing changed: this peer had not offered it
                self.grants.settle(fetch, None, "lapsed", peer)

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether to read the bytes of a chunk that this peer is about to send."""
        if cid not in self.wanted:
            return False
        holder = self.holders.get(peer)
        return self.grants.leases.holds(cid, holder) or cid in holder.lapsed

    def landed(self, peer: PeerId, cid: Cid, size: int, data: bytes | None) -> tuple[Cid, ...]:
        """A chunk came, its hash is right, and its bytes are in place.

        Returns the objects that it belongs to.
        """
        holder = self.holders.get(peer)
        late = self._late(holder, cid)
        fetches = self.wanted.pop(cid, None)
        if fetches is None:
            cause: ev.Waste = late or "duplicate"
            self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause))
            return ()
        holder.delivered(size, self.ledger.now)
        ended = self.grants.leases.release(cid)
        for batch in ended:
            if batch.holder is not holder:
                batch.holder.let_lapse(cid, "late" if late else "hedged")
                self.grants.tell_cancel(batch.holder.peer, [cid])
                self.grants.ready[batch.holder.peer] = None
        self.grants.ready[peer] = None
        roots = tuple(fetch.root for fetch in fetches if fetch.tree)
        fills = 0
        wrong: list[tuple[Fetch, BadBlockError]] = []
        for fetch in fetches:
            self.grants.resume(fetch)
            fetch.missing.pop(cid, None)
            fetch.came_at = self.ledger.now
            try:
                filled = fetch.count(cid, size)
            except BadBlockError as error:
                wrong.append((fetch, error))
                continue
            fills = filled if fetch.tree else fills
        if not roots:
            self.grants.loose_size += 0.05 * (size - self.grants.loose_size)
        self.ledger.emit(ev.ChunkReceived(cid=cid, size=size, peer=peer, roots=roots, fills=fills))
        for fetch in fetches:
            if not fetch.tree:
                del self.fetches[fetch.root]
                self.retry.forget(fetch.root)
                if roots:
                    self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=fetch.by))
                continue
            if data is not None:
                self.planning.learn(fetch, cid, data)
            self._check_done(fetch)
        for fetch, why in wrong:
            self.setbacks.refuse(fetch, why)
        return roots

    def corrupt(self, peer: PeerId, cid: Cid, size: int) -> int:
        """A chunk came whose bytes do not match its CID.

        Fetch it from another holder. Returns how often this peer did that.
        """
        holder = self.holders.get(peer)
        holder.faults += 1
        holder.snubbed = True  # it gets one chunk at a time until a good one comes
        self._late(holder, cid)
        self.ledger.emit(
            ev.ChunkWasted(cid=cid, size=size, peer=peer, cause="corrupt", roots=self.owners((cid,)))
        )
        fetches = self.wanted.get(cid, ())
        for fetch in fetches:
            fetch.lack(peer, cid)
        if self.grants.leases.holds(cid, holder):
            self.grants.lapse(holder, [cid], "corrupt")
        for fetch in fetches:
            self.grants.settle(fetch, None, "lapsed", peer)
        return holder.faults

    def skipped(self, peer: PeerId, cid: Cid, size: int) -> ev.Waste:
        """`accepts` refused a chunk that a peer sent. Returns why its bytes were of no use."""
        holder = self.holders.get(peer)
        cause: ev.Waste = holder.came_late(cid) or "unasked"
        if cause == "unasked" and (owed := self._owed.get(peer, 0)):
            self._owed[peer] = owed - 1
            cause = "late"  # a grant from before the restart may have asked for it
        self.ledger.emit(
            ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause, roots=self.owners((cid,)))
        )
        return cause

    # ── peers ───────────────────────────────────────────────────────────────────────────────────

    def peer_up(self, peer: PeerId) -> None:
        """A peer connected: tell it what is wanted here, including what other holders are sending, and grant
        it what it offered before."""
        self.grants.ready[peer] = None
        self.retry.greet(peer)

    def peer_down(self, peer: PeerId) -> None:
        """A peer disconnected: all leases that it had lapse."""
        self.retry.part(peer)
        self.grants.lapse_all(self.holders.get(peer), "disconnected")

    def dropped(self, peer: PeerId, grant: Grant) -> None:
        """A grant could not be queued for its peer: its leases lapse."""
        holder = self.holders.get(peer)
        mine = [cid for cid in grant.cids if self.grants.leases.holds(cid, holder)]
        fetches = {id(f): f for cid in mine for f in self.wanted.get(cid, ())}
        self.grants.lapse(holder, mine, "slow")
        for fetch in fetches.values():
            self.grants.settle(fetch, None, "lapsed", peer)

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """When `on_time` has something to do."""
        return min(self.grants.next_deadline(), self.retry.next_deadline(), self.planning.next_deadline())

    def on_time(self) -> None:
        """Let leases lapse, go on with plans, push wants again, and grant chunks."""
        self.setbacks.try_again()
        self.grants.watch()
        self.planning.run()
        self.grants.grant_all()  # before pushing: a want that a holder sends now need not be pushed
        self.retry.on_time()
        self.retry.report()

    def _late(self, holder: Holder, cid: Cid) -> ev.Waste | None:
        """A copy of a chunk came; why it counts as late, or None if it does not.

        If the chunk is also granted to this holder now, the late record stays: another copy, of an earlier
        grant, may be on its way.
        """
        if self.grants.leases.holds(cid, holder):
            return holder.lapsed.get(cid, (None, 0))[0]
        return holder.came_late(cid)

    def owners(self, cids: tuple[Cid, ...]) -> tuple[Cid, ...]:
        """The wanted objects that contain these blocks."""
        return owners(self.wanted, cids)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    def _spread(self, fetch: Fetch) -> None:
        """Other peers fetch the same object.

        Go on from a random place, so that each peer has parts that the others lack.
        """
        if fetch.spread or not fetch.parts or not fetch.mapped or fetch.open_ops:
            return
        fetch.spread = True
        for _ in range(int(self.ledger.random() * len(fetch.missing))):
            fetch.missing.move_to_end(next(iter(fetch.missing)))

    def _whole(self, root: Cid) -> bool:
        known = self.ledger.state.objects.get(root)
        # A replica that is kept for others is the user's only once the user has added or got the object.
        return known is not None and known.completed_at is not None and known.origin != "held"


def _sole_block(fetch: Fetch) -> Place:
    """The plan of an object that is one raw leaf."""
    leaf = LeafPlace(fetch.root, 0, None)
    if fetch.held:
        return Place(root=fetch.root, blocks=(leaf,))
    return Place(root=fetch.root, files=(FilePlan("", None, (leaf,)),))
