"""Who gets which chunk next.

Only the one who wants a chunk assigns it, to exactly one holder at a time, by a pushed grant with a
deadline. Broadcast alone would make every holder send everything: in simulation four or five copies
of each chunk came, with leases 1.00.

1. A want goes out (retry.py); holders answer with a delayed yes, or a NO.
2. Each holder is granted as many of the missing chunks as keep it busy (holders.py), disjoint sets.
3. A chunk that came is released; one that did not come in time is granted to another holder, and the
   late one is told. A sole holder that is late is given more time first: nobody else could do better.
4. At the end, when all is granted, what is overdue is granted to an idle holder as well, once (a hedge);
   whose copy comes second is cancelled.
5. When nobody is left to ask, the want is pushed again (retry.py).
"""

from collections import OrderedDict
from itertools import islice
from math import inf

from flux_tui.core import events as ev
from flux_tui.core.effects import FilePlan, FinishTree, LeafPlace, OpenTree, Place, Push, ReadNode
from flux_tui.core.events import RetryCause
from flux_tui.core.fetch import Fetch, Spot, TooLargeError
from flux_tui.core.holders import WINDOW_CHUNKS, Holder, Holders
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.leases import MAX_EXTENSIONS, Batch, Leases
from flux_tui.core.ledger import Ledger
from flux_tui.core.messages import MAX_CIDS_DIRECT, MAX_WAIT, Cancel, Grant, StatusNo, StatusYesButLater
from flux_tui.core.parts import MAX_WATCHERS, Part
from flux_tui.core.retry import Retry
from flux_tui.core.state import Lease
from flux_tui.core.unixfs import CHUNK_SIZE, BadBlockError

LOOSE_ESTIMATE = 32 * 1024
"""Bytes that a loose chunk is taken to have until some have come."""
MAX_LACKING = 64
"""Chunks passed over in one search for something that this holder has not refused."""
SNUB = 2.0
"""Seconds that a holder which let a lease lapse is left alone, if others can be asked."""
SOLE_FIRST = 3
"""Times its first window, a holder that is alone is granted before its rate is known."""
SOLE_LOOK = 8
"""Objects of a holder that are looked at for whether it is alone."""
HEDGES = 4
"""Overdue chunks that an idle holder is told to send as well, at a time."""
GIVES_NOTHING: frozenset[ev.Reason] = frozenset({"denied", "shutting_down"})
"""Reasons that hold for everything that a node has."""
DISK_PAUSE = 10.0
"""Seconds without grants after a chunk could not be written here."""


class Requester:
    """The asking half of a node."""

    def __init__(self, ledger: Ledger, max_pending: int) -> None:
        self.ledger = ledger
        self.holders = Holders()
        self.fetches: dict[Cid, Fetch] = {}
        self.leases = Leases()
        self.retry = Retry(ledger, self.holders, self.fetches, max_pending)
        self.wanted: dict[Cid, list[Fetch]] = {}
        """Every block that is neither here nor on its way to the disk, and whose it is."""
        self._inherited: dict[Cid, Lease] = {}
        """Leases of the node's last life that are still live: they are not granted again."""
        self._ready: OrderedDict[PeerId, None] = OrderedDict()
        """Holders that may have room for another grant."""
        self._loose_size: float = LOOSE_ESTIMATE
        self._paused_until = 0.0

    # ── what is wanted ──────────────────────────────────────────────────────────────────────────

    def want(self, cid: Cid, *, path: str | None, name: str | None, size: int | None, by: str | None) -> None:
        """Somebody here wants a root or a loose chunk."""
        known = self.fetches.get(cid)
        if known is not None:
            if path is not None and path != known.path:
                self._moved(known, path, name, size, by)
            return
        held, whole = self.ledger.holdings.size_of(cid), self._whole(cid)
        self.ledger.emit(ev.Requested(cid=cid, name=name, size=size, path=path, by=by))
        if path is None and held is not None and (is_leaf(cid) or whole):
            size = held if is_leaf(cid) else self.ledger.state.objects[cid].size or 0
            self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=by))
            return
        self.begin(Fetch(cid, path=path, tree=path is not None or not is_leaf(cid), by=by, size=size))

    def begin(self, fetch: Fetch) -> None:
        """Start (or, after a restart, go on with) a fetch that stands in the series."""
        self.fetches[fetch.root] = fetch
        self.retry.enqueue(fetch)
        root = fetch.root
        if fetch.tree:
            self.ledger.do(OpenTree(root=root, path=fetch.path))
        if not fetch.tree:
            self._miss(fetch, root)
        elif is_leaf(root):
            fetch.open_ops += 1
            self.ledger.do(Place(root=root, files=(_sole_file(root, fetch.size_hint),)))
        else:
            fetch.inner_count = 1
            fetch.spots[root] = [Spot("", 0, "any")]
            self._visit(fetch, root)

    def inherit(self, leases: dict[Cid, Lease]) -> None:
        """After a restart: what the last life granted and is not over yet."""
        self._inherited = {cid: lease for cid, lease in leases.items() if lease.deadline > self.ledger.now}

    def cancel(self, root: Cid) -> bool:
        """No longer wanted. False if it was not."""
        fetch = self.fetches.pop(root, None)
        if fetch is None:
            return False
        self.retry.forget(root)
        told: dict[PeerId, list[Cid]] = {}
        for cid in fetch.blocks:
            others = [other for other in self.wanted.get(cid, ()) if other is not fetch]
            if others:
                self.wanted[cid] = others
                self._hand_over(cid, fetch, others[0])
                continue
            self.wanted.pop(cid, None)
            for batch in self.leases.release(cid):
                batch.holder.let_lapse(cid, "cancelled")
                told.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in told.items():
            self._tell_cancel(peer, cids)
            self._ready[peer] = None
        return True

    def _hand_over(self, cid: Cid, fetch: Fetch, heir: Fetch) -> None:
        """Another object still wants what this fetch had missing or granted."""
        hedge = self.leases.hedges.get(cid)
        if hedge is not None and hedge.chunks[cid] is fetch:
            hedge.chunks[cid] = heir
        batch = self.leases.by_chunk.get(cid)
        if batch is not None and batch.chunks[cid] is fetch:
            batch.chunks[cid] = heir
            fetch.granted -= 1
            heir.granted += 1
        elif cid in fetch.missing:
            heir.missing[cid] = None
            self._wake(heir)

    def _moved(self, fetch: Fetch, path: str, name: str | None, size: int | None, by: str | None) -> None:
        """The same object is wanted at another place: what came so far is found in the store."""
        self.cancel(fetch.root)
        self.ledger.emit(ev.Requested(cid=fetch.root, name=name, size=size, path=path, by=by))
        self.begin(Fetch(fetch.root, path=path, tree=True, by=by, size=size))

    # ── what a tree is made of ──────────────────────────────────────────────────────────────────

    def node_read(self, root: Cid, cid: Cid, data: bytes | None) -> None:
        """The store answered a ReadNode."""
        if fetch := self.fetches.get(root):
            fetch.open_ops -= 1
            if data is None:
                self._miss(fetch, cid)
            else:
                self._learn(fetch, cid, data)
            self._check_done(fetch)

    def placed(
        self, root: Cid, present: tuple[Cid, ...], missing: tuple[Cid, ...], error: str | None
    ) -> None:
        """The store answered a Place."""
        fetch = self.fetches.get(root)
        if fetch is None:
            return
        fetch.open_ops -= 1
        if error is not None:
            self.fail(fetch, error)
            return
        for cid in present:
            fetch.count(cid, self.ledger.holdings.size_of(cid) or 0)
        for cid in dict.fromkeys(missing):
            if cid not in fetch.counted:
                self._miss(fetch, cid)
        self._mapped(fetch)
        self._check_done(fetch)

    def finished(self, root: Cid, path: str) -> None:
        """The store gave the whole tree its name."""
        if fetch := self.fetches.pop(root, None):
            self.retry.forget(root)
            self.ledger.emit(ev.ObjectCompleted(root=root, size=fetch.have_bytes, path=path, by=fetch.by))

    def fail(self, fetch: Fetch, text: str) -> None:
        """This object cannot be had, or not put where it should stand."""
        self.ledger.emit(ev.ErrorOccurred(text=text, cid=fetch.root, path=fetch.path, by=fetch.by))
        self.cancel(fetch.root)
        self.ledger.emit(ev.Cancelled(cids=(fetch.root,), by=fetch.by))

    def _visit(self, fetch: Fetch, cid: Cid) -> None:
        """An inner node is needed: from the store, or from the swarm."""
        if self.ledger.holdings.size_of(cid) is not None:
            fetch.open_ops += 1
            self.ledger.do(ReadNode(root=fetch.root, cid=cid))
        else:
            self._miss(fetch, cid)

    def _learn(self, fetch: Fetch, cid: Cid, data: bytes) -> None:
        fetch.count(cid, 0)
        if cid not in fetch.spots:
            return  # read twice, for two spots found one after the other: the first read served both
        try:
            place, inner = fetch.learn(cid, data)
        except (BadBlockError, TooLargeError) as error:
            self.fail(fetch, f"the object {fetch.root} cannot be had: {error}")
            return
        if place.folders or place.files or place.symlinks:
            fetch.open_ops += 1
            self.ledger.do(place)
        else:
            self._mapped(fetch)
        for child in dict.fromkeys(inner):
            self._visit(fetch, child)

    def _miss(self, fetch: Fetch, cid: Cid) -> None:
        """A block has to come from the swarm."""
        fetches = self.wanted.setdefault(cid, [])
        if fetch in fetches:
            return
        fetches.append(fetch)
        if cid in self.leases.by_chunk or any(
            cid in other.missing for other in fetches if other is not fetch
        ):
            return  # on its way already, for another object that has it too
        lease = self._inherited.pop(cid, None)
        if lease is not None and lease.deadline > self.ledger.now:
            holder = self.holders.get(lease.peer)
            holder.granted(1, 0, self.ledger.now)
            batch = Batch(holder, {cid: fetch}, 0)
            batch.extended = MAX_EXTENSIONS  # its holder's queue went with the old stream
            self.leases.add(batch, self.ledger.now, lease.deadline - self.ledger.now)
            return
        fetch.missing[cid] = None
        self._wake(fetch)

    def _mapped(self, fetch: Fetch) -> None:
        self.ledger.emit(
            ev.ObjectMapped(
                root=fetch.root,
                size=fetch.size,
                chunks=len(fetch.blocks),
                have=len(fetch.counted),
                have_bytes=fetch.have_bytes,
            )
        )

    def _check_done(self, fetch: Fetch) -> None:
        if fetch.done and not fetch.finishing and fetch.root in self.fetches and not self._lacking(fetch):
            fetch.finishing = True
            self.ledger.do(FinishTree(root=fetch.root))

    def _lacking(self, fetch: Fetch) -> bool:
        """Whether a block is on its way for another object first."""
        return len(fetch.counted) < len(fetch.blocks)

    # ── what flows in ───────────────────────────────────────────────────────────────────────────

    def offered(self, peer: PeerId, offer: StatusYesButLater) -> None:
        """A delayed yes."""
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
        """A peer fetches what is fetched here: it will soon have parts, so it should know of this want."""
        news = []
        for cid in cids:
            fetch = self.fetches.get(cid)
            if fetch is None or peer in fetch.companions or len(fetch.companions) >= MAX_WATCHERS:
                continue
            fetch.companions.add(peer)
            if peer not in fetch.holders:
                news.append(cid)
        if news:
            self.retry.push_now(news, (peer,))

    def promised(
        self, peer: PeerId, cids: tuple[Cid, ...], size: int | None, part: bytes | None = None
    ) -> None:
        """A peer has these, or that part of one, as far as it says: from now on it can be granted."""
        holder = self.holders.get(peer)
        holder.said_yes = True
        for cid in cids:
            fetch = self.fetches[cid]
            fetch.quiet_pushes = 0
            fetch.holders[peer] = None
            fetch.lacks.pop(peer, None)
            if part is not None and len(cids) == 1:
                if not fetch.parts:
                    self._spread(fetch)
                fetch.parts[peer] = Part(part)
            else:
                fetch.parts.pop(peer, None)
            if size is not None and len(cids) == 1 and not fetch.size_hint:
                fetch.size_hint = size
            holder.roots[cid] = None
        self._ready[peer] = None

    def refused(self, peer: PeerId, no: StatusNo) -> None:
        """NO: to a want, or to what was granted."""
        cids = tuple(cid for cid in no.cids if cid in self.fetches or cid in self.wanted)
        if not cids:
            return
        wait = None if no.retry_after is None else min(no.retry_after, MAX_WAIT)
        self.ledger.emit(
            ev.StatusNo(
                peer=peer, cids=cids, reason=no.reason, has_it=no.has_it, retry_after=wait, text=no.text
            )
        )
        holder = self.holders.get(peer)
        if wait is not None:
            holder.not_before = self.ledger.now + wait
        freed: list[Cid] = []
        for cid in cids:
            fetch = self.fetches.get(cid)
            if fetch is not None and no.has_it:
                fetch.quiet_pushes = 0
            if self.leases.holds(cid, holder):
                freed.append(cid)
                if no.reason == "not_held":
                    for other in self.wanted.get(cid, ()):
                        other.lacks.setdefault(peer, set()).add(cid)
            if fetch is not None and (not no.has_it or no.reason in GIVES_NOTHING):
                fetch.holders.pop(peer, None)
                holder.roots.pop(cid, None)
        if no.reason in GIVES_NOTHING:
            self._forsake(holder)
        self._lapse(holder, freed, "refused")
        touched = {id(f): f for cid in cids for f in (self.wanted.get(cid) or ())}
        for fetch in touched.values():
            if wait is not None:
                self._settle(fetch, wait, "retry_after", peer)
            else:
                self._settle(fetch, None, "lapsed", peer)

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether a chunk that this peer is about to send is to be read at all."""
        if cid not in self.wanted:
            return False
        holder = self.holders.get(peer)
        return self.leases.holds(cid, holder) or cid in holder.lapsed

    def landed(self, peer: PeerId, cid: Cid, size: int, data: bytes | None) -> tuple[Cid, ...]:
        """A chunk came, whole and true, and its bytes are in place. Returns the objects that grew by it."""
        holder = self.holders.get(peer)
        late = holder.lapsed.pop(cid, None)
        fetches = self.wanted.pop(cid, None)
        if fetches is None:
            cause: ev.Waste = late or "duplicate"
            self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause))
            return ()
        holder.delivered(size, self.ledger.now)
        ended = self.leases.release(cid)
        for batch in ended:
            if batch.holder is not holder:
                batch.holder.let_lapse(cid, "late" if late else "hedged")
                self._tell_cancel(batch.holder.peer, [cid])
                self._ready[batch.holder.peer] = None
        self._ready[peer] = None
        roots = tuple(fetch.root for fetch in fetches if fetch.tree)
        fills = 0
        for fetch in fetches:
            fetch.missing.pop(cid, None)
            filled = fetch.count(cid, size)
            fills = filled if fetch.tree else fills
        if not roots:
            self._loose_size += 0.05 * (size - self._loose_size)
        self.ledger.emit(ev.ChunkReceived(cid=cid, size=size, peer=peer, roots=roots, fills=fills))
        for fetch in fetches:
            if not fetch.tree:
                del self.fetches[fetch.root]
                self.retry.forget(fetch.root)
                if roots:
                    self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=fetch.by))
                continue
            if data is not None:
                self._learn(fetch, cid, data)
            self._check_done(fetch)
        return roots

    def corrupt(self, peer: PeerId, cid: Cid, size: int) -> int:
        """What came does not hash to its CID: it is fetched elsewhere. Returns the peer's faults."""
        holder = self.holders.get(peer)
        holder.faults += 1
        holder.lapsed.pop(cid, None)
        self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause="corrupt"))
        fetches = self.wanted.get(cid, ())
        for fetch in fetches:
            fetch.lacks.setdefault(peer, set()).add(cid)
        if self.leases.holds(cid, holder):
            self._lapse(holder, [cid], "corrupt")
        for fetch in fetches:
            self._settle(fetch, None, "lapsed", peer)
        return holder.faults

    def skipped(self, peer: PeerId, cid: Cid, size: int) -> ev.Waste:
        """A chunk was on the stream that `accepts` refused; why that is."""
        holder = self.holders.get(peer)
        cause: ev.Waste = holder.lapsed.pop(cid, "unasked")
        self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause))
        return cause

    def land_failed(self, peer: PeerId, cid: Cid) -> None:
        """A good chunk could not be written here: leave the swarm in peace for a while."""
        self._paused_until = self.ledger.now + DISK_PAUSE
        holder = self.holders.get(peer)
        if self.leases.holds(cid, holder):
            self._lapse(holder, [cid], "refused")

    # ── peers ───────────────────────────────────────────────────────────────────────────────────

    def peer_up(self, peer: PeerId) -> None:
        """A new source: ask it for what nobody is sending, and go on where it stopped."""
        holder = self.holders.get(peer)
        holder.connected = True
        holder.not_before = 0.0
        idle: list[Cid] = []
        for fetch in list(self.fetches.values())[: self.retry.max_pending + len(self.retry.waiting)]:
            if peer in fetch.holders:
                holder.roots[fetch.root] = None
            elif not fetch.granted:
                idle.append(fetch.root)
        self._ready[peer] = None
        self.retry.push_now(idle[: self.retry.max_pending], (peer,))

    def peer_down(self, peer: PeerId) -> None:
        """A source is gone, and with it all that it was to send."""
        holder = self.holders.get(peer)
        holder.connected = False
        self._lapse_all(holder, "disconnected")

    def dropped(self, peer: PeerId, grant: Grant) -> None:
        """A grant could not even be queued."""
        holder = self.holders.get(peer)
        holder.not_before = self.ledger.now + SNUB
        mine = [cid for cid in grant.cids if self.leases.holds(cid, holder)]
        fetches = {id(f): f for cid in mine for f in self.wanted.get(cid, ())}
        self._lapse(holder, mine, "slow")
        for fetch in fetches.values():
            self._settle(fetch, None, "lapsed", peer)

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """When `on_time` has something to do."""
        soonest = min(self.leases.next_deadline(), self.retry.next_deadline())
        if self._ready:
            blocked = min(self._free_at(peer) for peer in self._ready)
            soonest = min(soonest, blocked)
        return soonest

    def on_time(self) -> None:
        """Leases lapse, wants are pushed again, grants are made."""
        for batch in self.leases.lapsing(self.ledger.now):
            self._late(batch)
        if self.leases.falling_due(self.ledger.now):
            self._hedge_all()
        self.retry.on_time()
        self._grant_all()
        self.retry.report()

    def _late(self, batch: Batch) -> None:
        """A deadline passed. Who else could send these?"""
        holder, now = batch.holder, self.ledger.now
        fetches = {id(f): f for f in batch.chunks.values()}.values()
        others = any(self._usable(peer) for f in fetches for peer in f.holders if peer != holder.peer)
        if holder.connected and not others and batch.extended < MAX_EXTENSIONS:
            batch.extended += 1
            self.leases.watch(batch, now, batch.seconds * 2)
            self.ledger.emit(
                ev.LeaseExtended(peer=holder.peer, cids=tuple(batch.chunks), deadline=batch.deadline)
            )
            return
        holder.patience = min(holder.patience * 2, 16.0)
        holder.not_before = now + SNUB
        late = list(batch.chunks)
        holder.snubbed = True
        for cid in late:
            holder.let_lapse(cid, "late")
        self._lapse(holder, late, "deadline")
        if holder.connected:
            self._tell_cancel(holder.peer, late)
        for fetch in fetches:
            self._settle(fetch, SNUB, "lapsed", holder.peer)

    # ── granting ────────────────────────────────────────────────────────────────────────────────

    def _grant_all(self) -> None:
        if self.ledger.now < self._paused_until:
            return
        for peer in list(self._ready):
            if self._free_at(peer) <= self.ledger.now:
                del self._ready[peer]
                holder = self.holders.get(peer)
                self._grant(holder)
                if not holder.outstanding and self.leases.overdue:
                    self._hedge(holder)

    def _grant(self, holder: Holder) -> None:
        """Keep one holder busy: top up its queue once half of it is done."""
        window = holder.window
        if not holder.measured and self._sole(holder):
            window *= SOLE_FIRST  # nobody to be fair to, and a round trip is saved
        room = window - holder.outstanding_bytes
        if not holder.connected or (holder.outstanding and room < window // 2):
            return
        limit = WINDOW_CHUNKS - holder.outstanding
        if holder.snubbed:
            limit = 1 - holder.outstanding  # a probe
        loose: dict[Cid, Fetch] = {}
        for root in list(holder.roots):
            if limit <= 0 or (room <= 0 and (holder.outstanding or loose)):
                break
            fetch = self.fetches.get(root)
            if fetch is None or not fetch.missing:
                del holder.roots[root]
                continue
            estimate = (fetch.estimate or CHUNK_SIZE) if fetch.tree else int(self._loose_size) or 1
            count = min(max(room // estimate, 0 if holder.outstanding or loose else 2), limit)
            chosen = self._choose(fetch, holder, count)
            if chosen and fetch.missing and root in holder.roots:
                holder.roots.move_to_end(root)  # the next grant begins with another object
            limit -= len(chosen)
            room -= len(chosen) * estimate
            if fetch.tree:
                for start in range(0, len(chosen), MAX_CIDS_DIRECT):
                    part = dict.fromkeys(chosen[start : start + MAX_CIDS_DIRECT], fetch)
                    self._push_grant(holder, root, part, estimate)
            else:
                loose.update(dict.fromkeys(chosen, fetch))
                if len(loose) == MAX_CIDS_DIRECT:
                    self._push_grant(holder, None, loose, estimate)
                    loose = {}
        if loose:
            self._push_grant(holder, None, loose, int(self._loose_size) or 1)

    def _choose(self, fetch: Fetch, holder: Holder, count: int) -> list[Cid]:
        lacks = fetch.lacks.get(holder.peer, ())
        if (part := fetch.parts.get(holder.peer)) is not None:
            found = part.choose(fetch, count, lacks)
            if len(found) < count:
                holder.roots.pop(fetch.root, None)  # nothing more until it says that it has more
            return found
        chosen: list[Cid] = []
        passed: list[Cid] = []
        while fetch.missing and len(chosen) < count and len(passed) < MAX_LACKING:
            cid, _ = fetch.missing.popitem(last=False)
            (passed if cid in lacks else chosen).append(cid)
        for cid in passed:
            fetch.missing[cid] = None
        if passed and not chosen:
            holder.roots.pop(fetch.root, None)  # nothing here for it now; a new offer brings it back
        return chosen

    def _push_grant(self, holder: Holder, root: Cid | None, chunks: dict[Cid, Fetch], estimate: int) -> None:
        cids = tuple(chunks)
        holder.granted(len(cids), len(cids) * estimate, self.ledger.now)
        seconds = holder.lease_seconds()
        due = holder.due_seconds() if root is not None else None
        self.leases.add(Batch(holder, dict(chunks), estimate), self.ledger.now, seconds, due)
        self.ledger.emit(
            ev.Granted(peer=holder.peer, root=root, cids=cids, deadline=self.ledger.now + seconds)
        )
        self.ledger.do(Push(peer=holder.peer, message=Grant(cids=cids, ttl=seconds)))

    def _hedge_all(self) -> None:
        """Something is overdue: does anybody have nothing to do who could send it?"""
        fetches = {id(f): f for batch in self.leases.overdue.values() for f in batch.chunks.values()}
        idle = dict.fromkeys(peer for fetch in fetches.values() for peer in fetch.holders)
        holders = [self.holders.get(peer) for peer in idle if self._usable(peer)]
        for holder in sorted(holders, key=lambda holder: -holder.rate):
            if not holder.outstanding:
                self._hedge(holder)

    def _hedge(self, holder: Holder) -> None:
        """Nothing else is left to be granted: this one is told to send overdue chunks of others as well, each
        once. Whose copy comes second is cancelled."""
        if holder.snubbed or not self._usable(holder.peer):
            return
        now = self.ledger.now
        chosen: dict[Cid, Fetch] = {}
        batches = sorted(self.leases.overdue.values(), key=lambda batch: batch.due)
        for batch in batches:
            left = len(batch.chunks)
            for cid, fetch in reversed(list(batch.chunks.items())):
                # From the end: what comes next comes soon, unless its holder is gone altogether.
                comes = left * batch.estimate / batch.holder.rate if batch.holder.awake(now) else inf
                sooner = holder.rtt + (len(chosen) + 1) * batch.estimate / holder.rate
                left -= 1
                if len(chosen) == HEDGES or batch.holder is holder or comes <= sooner:
                    break
                if self._can_hedge(cid, fetch, holder):
                    chosen[cid] = fetch
        by_root: dict[Cid, list[Cid]] = {}
        for cid, fetch in chosen.items():
            by_root.setdefault(fetch.root, []).append(cid)
        for root, cids in by_root.items():
            estimate = self.fetches[root].estimate or CHUNK_SIZE
            holder.granted(len(cids), len(cids) * estimate, self.ledger.now)
            seconds = holder.lease_seconds()
            for cid in cids:
                self.leases.add(
                    Batch(holder, {cid: chosen[cid]}, estimate, hedge=True), self.ledger.now, seconds
                )
            deadline = self.ledger.now + seconds
            event = ev.Granted(peer=holder.peer, root=root, cids=tuple(cids), deadline=deadline, hedge=True)
            self.ledger.emit(event)
            self.ledger.do(Push(peer=holder.peer, message=Grant(cids=tuple(cids), ttl=seconds)))

    def _can_hedge(self, cid: Cid, fetch: Fetch, holder: Holder) -> bool:
        if fetch.missing or cid in self.leases.hedges or holder.peer not in fetch.holders:
            return False
        if cid in fetch.lacks.get(holder.peer, ()) or cid in fetch.hedged:
            return False
        part = fetch.parts.get(holder.peer)
        if part is not None and not part.names(fetch, cid):
            return False
        fetch.hedged.add(cid)
        return True

    def _forsake(self, holder: Holder) -> None:
        """It gives us nothing any more, of anything: all that was granted to it is free again."""
        for root in list(holder.roots):
            if fetch := self.fetches.get(root):
                fetch.holders.pop(holder.peer, None)
        holder.roots.clear()
        self._lapse_all(holder, "refused")

    # ── helpers ─────────────────────────────────────────────────────────────────────────────────

    def _spread(self, fetch: Fetch) -> None:
        """Others fetch the same: go on from somewhere else, so that each has what the others lack."""
        for _ in range(int(self.ledger.random() * len(fetch.missing))):
            fetch.missing.move_to_end(next(iter(fetch.missing)))

    def _lapse_all(self, holder: Holder, cause: ev.LapseCause) -> None:
        cids = [cid for batch in self.leases.of(holder) for cid in batch.chunks]
        fetches = {id(f): f for cid in cids for f in self.wanted.get(cid, ())}
        for start in range(0, len(cids), MAX_CIDS_DIRECT):
            self._lapse(holder, cids[start : start + MAX_CIDS_DIRECT], cause)
        for fetch in fetches.values():
            self._settle(fetch, None, "lapsed", holder.peer)

    def _lapse(self, holder: Holder, cids: list[Cid], cause: ev.LapseCause) -> None:
        """These leases end without their chunks; what is still wanted is free again."""
        if not cids:
            return
        self.ledger.emit(ev.LeaseLapsed(peer=holder.peer, cids=tuple(cids), cause=cause))
        self._ready[holder.peer] = None
        for cid in reversed(cids):
            fetches = self.wanted.get(cid)
            if self.leases.end(cid, holder) and fetches:
                fetches[0].missing[cid] = None
                fetches[0].missing.move_to_end(cid, last=False)
        for fetch in {id(f): f for cid in cids for f in self.wanted.get(cid, ())}.values():
            self._wake(fetch)

    def _wake(self, fetch: Fetch) -> None:
        """A fetch misses something: every holder of it may have work."""
        for peer in fetch.holders:
            holder = self.holders.get(peer)
            if holder.connected:
                holder.roots[fetch.root] = None
                self._ready[peer] = None

    def _settle(self, fetch: Fetch, wait: float | None, cause: RetryCause, peer: PeerId) -> None:
        """If nobody is left to send it now, set when it is pushed again."""
        if fetch.granted or not fetch.missing or any(self._usable(other) for other in fetch.holders):
            return
        if wait is not None:
            self.retry.again(fetch, wait, cause, peer)
        elif cause == "lapsed":
            self.retry.again(fetch, SNUB * 2.0 ** min(fetch.quiet_pushes, 5), cause, peer)

    def _sole(self, holder: Holder) -> bool:
        """Whether nobody else offered anything of what this holder did."""
        fetches = (self.fetches.get(root) for root in islice(holder.roots, SOLE_LOOK))
        return all(len(fetch.holders) <= 1 for fetch in fetches if fetch is not None)

    def _whole(self, root: Cid) -> bool:
        known = self.ledger.state.objects.get(root)
        return known is not None and known.completed_at is not None

    def _usable(self, peer: PeerId) -> bool:
        holder = self.holders.by_peer.get(peer)
        return holder is not None and holder.connected and holder.not_before <= self.ledger.now

    def _free_at(self, peer: PeerId) -> float:
        return max(self.holders.get(peer).not_before, self._paused_until)

    def _tell_cancel(self, peer: PeerId, cids: list[Cid]) -> None:
        for start in range(0, len(cids), MAX_CIDS_DIRECT):
            part = tuple(cids[start : start + MAX_CIDS_DIRECT])
            self.ledger.do(Push(peer=peer, message=Cancel(cids=part)))


def _sole_file(root: Cid, size: int) -> FilePlan:
    """The plan of an object that is one raw leaf."""
    return FilePlan("", None, (LeafPlace(root, 0, size),))
