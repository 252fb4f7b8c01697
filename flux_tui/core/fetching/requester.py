"""The requester: what this node wants, what those objects are made of, and what came of each want.

1. This node pushes a want (want_pusher.py). Holders answer with a delayed yes or a NO.
2. The scheduler grants missing chunks to the holders that said yes (scheduler.py).
3. An inner node that arrives tells which other blocks belong to the object, and where their content stands
   (planning.py).
4. When no holder is left to ask, this node pushes the want again (want_pusher.py).
"""

from collections.abc import Iterable, Mapping

from flux_tui.core.api.effects import Claim, DropTree, FinishTree, OpenTree, Place
from flux_tui.core.api.inputs import Placed
from flux_tui.core.content.plans import FilePlan, LeafPlace
from flux_tui.core.content.unixfs import BadBlockError
from flux_tui.core.fetching.availability import MAX_WATCHERS, PeerBitmap
from flux_tui.core.fetching.download import Download, owners
from flux_tui.core.fetching.failures import Failures
from flux_tui.core.fetching.leases import Batch
from flux_tui.core.fetching.planning import Planning
from flux_tui.core.fetching.scheduler import Scheduler
from flux_tui.core.fetching.sources import LEASE_MIN, Holder, Holders
from flux_tui.core.fetching.want_pusher import WantPusher
from flux_tui.core.fetching.want_queue import WantPriority
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series import events as ev
from flux_tui.core.series.backoff import GIVES_NOTHING, gives_later
from flux_tui.core.series.state import Lease, PeerState
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_WAIT, Grant, StatusNo, StatusYesButLater


class Requester:
    """Everything that this node wants: the downloads, and the parts that drive them."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, max_pending: int) -> None:
        self.ledger = ledger
        self.holders = Holders(connected)
        self.downloads: dict[Cid, Download] = {}
        self.want_pusher = WantPusher(ledger, self.holders, self.downloads, max_pending)
        self.wanted: dict[Cid, list[Download]] = {}
        """Every block that is neither here nor on its way to the disk, with the downloads that want it."""
        self._inherited: dict[Cid, Batch] = {}
        """Leases that this node granted before it was restarted and that are still live. Their chunks are not
        granted again."""
        self._owed: dict[PeerId, int] = {}
        """By peer: the number of chunks that this node granted before it was restarted and that have not
        come."""
        self.scheduler = Scheduler(ledger, self.holders, self.downloads, self.wanted, self.want_pusher)
        self.planning = Planning(ledger, self.downloads, self._miss, self._fail)
        self.failures = Failures(ledger, self.scheduler, self.planning, self.cancel)

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
        known = self.downloads.get(cid)
        if known is not None:
            if known.held or (path is not None and path != known.path):
                self._moved(known, path, name, size, by)
            self.hurry(cid)
            if at_once and not self.want_pusher.queue.is_inside(cid):
                self.want_pusher.queue.hurry(cid)  # it was dormant, or not pushed yet: push it now
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
        line: WantPriority = "urgent" if at_once else "new"
        self.begin(Download(cid, path=path, tree=tree, by=by, size=size, limit=size), line)

    def hurry(self, root: Cid) -> None:
        """A person asks again for an object that could not be written.

        Perhaps there is room on the disk now, so try at once.
        """
        if download := self.downloads.get(root):
            self.scheduler.write_backoff.hurry(download, self.ledger.now)

    def begin(self, download: Download, line: WantPriority = "new") -> None:
        """Start a download that stands in the series, or go on with it after a restart."""
        self.downloads[download.root] = download
        self.want_pusher.enqueue(download, line)
        root = download.root
        if download.tree:
            self.ledger.do(OpenTree(root=root, path=download.path, held=download.held, limit=download.limit))
        if not download.tree:
            self._miss(download, root)
        elif is_leaf(root):
            self.planning.ask(download, _sole_block(download))
        else:
            self.planning.read(download, root)

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
        """End a download: nobody here wants it any more. Returns False if it was not wanted."""
        download = self.downloads.pop(root, None)
        if download is None:
            return False
        self.want_pusher.forget(root)
        if download.tree:
            self.scheduler.write_backoff.end(download)
        told: dict[PeerId, list[Cid]] = {}
        for cid in download.blocks:
            others = [other for other in self.wanted.get(cid, ()) if other is not download]
            if others:
                self.wanted[cid] = others
                self._hand_over(cid, download, others[0])
                continue
            self.wanted.pop(cid, None)
            for batch in self.scheduler.leases.release(cid):
                batch.holder.let_lapse(cid, "cancelled")
                told.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in told.items():
            self.scheduler.tell_cancel(peer, cids)
            self.scheduler.ready[peer] = None
        return True

    def _hand_over(self, cid: Cid, download: Download, heir: Download) -> None:
        """Give a block that is missing or granted for `fetch` to `heir`, another object that still wants it."""
        hedge = self.scheduler.leases.hedges.get(cid)
        if hedge is not None and hedge.chunks[cid] is download:
            hedge.chunks[cid] = heir
        batch = self.scheduler.leases.by_chunk.get(cid)
        if batch is not None and batch.chunks[cid] is download:
            batch.chunks[cid] = heir
            download.granted -= 1
            heir.granted += 1
        elif cid in download.missing:
            heir.missing[cid] = None
            self.scheduler.wake(heir)

    def _moved(
        self, download: Download, path: str | None, name: str | None, size: int | None, by: str | None
    ) -> None:
        """The same object is wanted at another path.

        Start again; the chunks that came so far are found in the store.
        """
        self.cancel(download.root)
        if download.tree:
            self.ledger.do(DropTree(root=download.root))
        self.ledger.emit(ev.Requested(cid=download.root, name=name, size=size, path=path, by=by))
        self.begin(Download(download.root, path=path, tree=True, by=by, size=size, limit=size))

    # ── what a tree is made of ──────────────────────────────────────────────────────────────────

    def node_read(self, root: Cid, cid: Cid, data: bytes | None) -> None:
        """The store answered a `ReadNode`."""
        if download := self.planning.answered(root):
            if data is None:
                self._miss(download, cid)
            else:
                self.planning.learn(download, cid, data)
            self._check_done(download)

    def placed(self, answer: Placed) -> None:
        """The store answered a `Place`."""
        download = self.planning.answered(answer.root)
        if download is None:
            return
        if answer.later is not None:
            self.failures.postpone(download, answer.later, answer.error or "")
            return
        if answer.error is not None:
            self.failures.fail(download, answer.error, discard=answer.impossible)
            return
        try:
            for cid in answer.present:
                download.count(cid, self.ledger.holdings.size_of(cid) or 0)
        except BadBlockError as wrong:
            self.failures.refuse(download, wrong)
            return
        self.scheduler.resume(download)
        for cid in dict.fromkeys(answer.missing):
            if cid not in download.have:
                self._miss(download, cid)
        self.planning.mapped(download)
        self.planning.run()
        self._spread(download)
        self._check_done(download)

    def finish_failed(self, root: Cid, text: str, *, later: bool) -> None:
        """The store could not begin an object, or could not give the finished object its name."""
        download = self.downloads.get(root)
        if download is None:
            return
        if later:
            self.failures.postpone(download, FinishTree(root=root), text)
        else:
            self.failures.fail(download, text, discard=False)

    def finished(self, root: Cid, path: str) -> None:
        """The store gave the finished object its name: the download is done."""
        if download := self.downloads.pop(root, None):
            self.want_pusher.forget(root)
            self.scheduler.write_backoff.end(download)
            self.ledger.emit(
                ev.ObjectCompleted(root=root, size=download.have_bytes, path=path, by=download.by)
            )

    def _fail(self, download: Download, text: str) -> None:
        self.failures.fail(download, text)

    def _miss(self, download: Download, cid: Cid) -> None:
        """A block must come from the swarm."""
        downloads = self.wanted.setdefault(cid, [])
        if download in downloads:
            return
        downloads.append(download)
        if cid in self.scheduler.leases.by_chunk:
            return  # it is on its way for another object that contains it too
        waits = next((other for other in downloads if other is not download and cid in other.missing), None)
        if waits is not None:
            self.scheduler.move(cid, waits, download)
            return
        batch = self._inherited.pop(cid, None)
        if batch is not None and batch.deadline > self.ledger.now:
            self.scheduler.leases.inherit(batch, cid, download)
            return
        download.missing[cid] = None
        self.scheduler.wake(download)

    def _check_done(self, download: Download) -> None:
        if (
            download.done
            and not download.finishing
            and download.root in self.downloads
            and not self._lacking(download)
        ):
            download.finishing = True
            self.ledger.do(FinishTree(root=download.root))

    def _lacking(self, download: Download) -> bool:
        """Whether a block of this object has not come yet, because it is fetched for another object."""
        return len(download.have) < len(download.blocks)

    # ── what flows in ───────────────────────────────────────────────────────────────────────────

    def offered(self, peer: PeerId, offer: StatusYesButLater) -> None:
        """A holder answered a want with a delayed yes."""
        cids = tuple(cid for cid in offer.cids if cid in self.downloads)
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
            download = self.downloads.get(cid)
            if download is None or peer in download.companions or len(download.companions) >= MAX_WATCHERS:
                continue
            download.accompany(peer)
            if peer not in download.holders:
                news.append(cid)
        if news:
            self.want_pusher.tell(news, peer)

    def promised(
        self, peer: PeerId, cids: tuple[Cid, ...], size: int | None, part: bytes | None = None
    ) -> None:
        """A peer says that it has these objects, or part of one. From now on it can be granted their chunks."""
        holder = self.holders.get(peer)
        holder.said_yes = True
        for cid in cids:
            download = self.downloads[cid]
            download.unanswered_pushes = 0
            first = not self.scheduler.has_holder(download)
            download.holders[peer] = None
            if first:
                self.scheduler.gather(download)
            some = PeerBitmap(part) if part is not None and len(cids) == 1 else None
            download.offered_by(peer, some)
            self._spread(download)
            if size is not None and len(cids) == 1 and not download.size_hint:
                download.size_hint = size
            holder.roots[cid] = None
        self.scheduler.ready[peer] = None
        self.scheduler.another_came(peer, cids)

    def refused(self, peer: PeerId, no: StatusNo) -> None:
        """A peer said NO to a want, or to chunks that were granted to it."""
        cids = tuple(cid for cid in no.cids if cid in self.downloads or cid in self.wanted)
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
            wait = self.scheduler.free_at(peer) - self.ledger.now
        freed: list[Cid] = []
        lost = False
        for cid in cids:
            download = self.downloads.get(cid)
            if download is not None and no.has_it:
                download.unanswered_pushes = 0
            if self.scheduler.leases.holds(cid, holder):
                freed.append(cid)
                if no.reason == "not_held":
                    for other in self.wanted.get(cid, ()):
                        other.lack(peer, cid)
            if download is not None and not later:
                lost = lost or peer in download.holders
                download.holders.pop(peer, None)
                holder.roots.pop(cid, None)
        if no.reason in GIVES_NOTHING:
            self.scheduler.forsake(holder)
        else:
            self.scheduler.lapse(holder, freed, "refused")
        asked = [download for cid in cids if (download := self.downloads.get(cid))]
        if later:
            holder_free_at = self.scheduler.free_at(peer)
            for download in asked:
                soon = self.ledger.now <= download.holder_free_at <= holder_free_at
                download.holder_free_at = download.holder_free_at if soon else holder_free_at
            self.want_pusher.come_back(
                peer, [download.root for download in asked if peer not in download.holders]
            )
        else:
            self.want_pusher.stay_away(peer, cids)
        touched = {id(f): f for f in (*asked, *(f for cid in cids for f in (self.wanted.get(cid) or ())))}
        for download in touched.values():
            if later and peer in download.holders:
                holder.roots[download.root] = None  # it is granted some as soon as it may be asked
                self.scheduler.ready[peer] = None
            if wait is not None:
                self.scheduler.settle(download, wait, "retry_after", peer)
            elif freed or lost:  # otherwise nothing changed: this peer had not offered it
                self.scheduler.settle(download, None, "lapsed", peer)

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether to read the bytes of a chunk that this peer is about to send."""
        if cid not in self.wanted:
            return False
        holder = self.holders.get(peer)
        return self.scheduler.leases.holds(cid, holder) or cid in holder.lapsed

    def landed(self, peer: PeerId, cid: Cid, size: int, data: bytes | None) -> tuple[Cid, ...]:
        """A chunk came, its hash is right, and its bytes are in place.

        Returns the objects that it belongs to.
        """
        holder = self.holders.get(peer)
        late = self._late(holder, cid)
        downloads = self.wanted.pop(cid, None)
        if downloads is None:
            cause: ev.Waste = late or "duplicate"
            self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause))
            return ()
        holder.delivered(size, self.ledger.now)
        ended = self.scheduler.leases.release(cid)
        for batch in ended:
            if batch.holder is not holder:
                batch.holder.let_lapse(cid, "late" if late else "hedged")
                self.scheduler.tell_cancel(batch.holder.peer, [cid])
                self.scheduler.ready[batch.holder.peer] = None
        self.scheduler.ready[peer] = None
        roots = tuple(download.root for download in downloads if download.tree)
        fills = 0
        wrong: list[tuple[Download, BadBlockError]] = []
        for download in downloads:
            self.scheduler.resume(download)
            download.missing.pop(cid, None)
            download.last_chunk_at = self.ledger.now
            try:
                filled = download.count(cid, size)
            except BadBlockError as error:
                wrong.append((download, error))
                continue
            fills = filled if download.tree else fills
        if not roots:
            self.scheduler.loose_size += 0.05 * (size - self.scheduler.loose_size)
        self.ledger.emit(ev.ChunkReceived(cid=cid, size=size, peer=peer, roots=roots, fills=fills))
        for download in downloads:
            if not download.tree:
                del self.downloads[download.root]
                self.want_pusher.forget(download.root)
                if roots:
                    self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=download.by))
                continue
            if data is not None:
                self.planning.learn(download, cid, data)
            self._check_done(download)
        for download, why in wrong:
            self.failures.refuse(download, why)
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
        downloads = self.wanted.get(cid, ())
        for download in downloads:
            download.lack(peer, cid)
        if self.scheduler.leases.holds(cid, holder):
            self.scheduler.lapse(holder, [cid], "corrupt")
        for download in downloads:
            self.scheduler.settle(download, None, "lapsed", peer)
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
        self.scheduler.ready[peer] = None
        self.want_pusher.greet(peer)

    def peer_down(self, peer: PeerId) -> None:
        """A peer disconnected: all leases that it had lapse."""
        self.want_pusher.part(peer)
        self.scheduler.lapse_all(self.holders.get(peer), "disconnected")

    def dropped(self, peer: PeerId, grant: Grant) -> None:
        """A grant could not be queued for its peer: its leases lapse."""
        holder = self.holders.get(peer)
        mine = [cid for cid in grant.cids if self.scheduler.leases.holds(cid, holder)]
        downloads = {id(f): f for cid in mine for f in self.wanted.get(cid, ())}
        self.scheduler.lapse(holder, mine, "slow")
        for download in downloads.values():
            self.scheduler.settle(download, None, "lapsed", peer)

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """When `on_time` has something to do."""
        return min(
            self.scheduler.next_deadline(), self.want_pusher.next_deadline(), self.planning.next_deadline()
        )

    def on_time(self) -> None:
        """Let leases lapse, go on with plans, push wants again, and grant chunks."""
        self.failures.try_again()
        self.scheduler.watch()
        self.planning.run()
        self.scheduler.grant_all()  # before pushing: a want that a holder sends now need not be pushed
        self.want_pusher.on_time()
        self.want_pusher.report()

    def _late(self, holder: Holder, cid: Cid) -> ev.Waste | None:
        """A copy of a chunk came; why it counts as late, or None if it does not.

        If the chunk is also granted to this holder now, the late record stays: another copy, of an earlier
        grant, may be on its way.
        """
        if self.scheduler.leases.holds(cid, holder):
            return holder.lapsed.get(cid, (None, 0))[0]
        return holder.came_late(cid)

    def owners(self, cids: tuple[Cid, ...]) -> tuple[Cid, ...]:
        """The wanted objects that contain these blocks."""
        return owners(self.wanted, cids)

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    def _spread(self, download: Download) -> None:
        """Other peers fetch the same object.

        Go on from a random place, so that each peer has parts that the others lack.
        """
        if download.spread or not download.parts or not download.mapped or download.open_work:
            return
        download.spread = True
        for _ in range(int(self.ledger.random() * len(download.missing))):
            download.missing.move_to_end(next(iter(download.missing)))

    def _whole(self, root: Cid) -> bool:
        known = self.ledger.state.objects.get(root)
        # A replica that is kept for others is the user's only once the user has added or got the object.
        return known is not None and known.completed_at is not None and known.origin != "held"


def _sole_block(download: Download) -> Place:
    """The plan of an object that is one raw leaf."""
    leaf = LeafPlace(download.root, 0, None)
    if download.held:
        return Place(root=download.root, blocks=(leaf,))
    return Place(root=download.root, files=(FilePlan("", None, (leaf,)),))
