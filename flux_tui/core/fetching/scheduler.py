"""The scheduler: it decides which holder sends which chunk, and until when.

Only the requester assigns a chunk. It assigns each chunk to one holder at a time, by pushing a grant with a
deadline (a lease). Without grants every holder would send everything: in a simulation, four or five copies of
each chunk came; with leases, 1.00.

1. Each holder is granted as many missing chunks as keep it busy (sources.py). The sets are disjoint.
2. When a chunk comes, its lease ends. When it does not come in time, it is granted to another holder, and the
   late holder is told to cancel it. The late holder then gets one chunk at a time until it sends again. If no
   other holder can send the chunks, the late one gets more time first.
3. At the end, all chunks are granted and some holders are idle. An idle holder takes over the end of the
   queue of a much slower holder, which is told to cancel those chunks. An overdue chunk is also granted once
   to an idle holder (a hedge). When one copy has come, the other is cancelled. A chunk that a slow holder is
   sending at this moment, or will be before it could be cancelled, stays with it.
4. When a holder is late, all other peers are asked before it is granted anything again. The extra time of a
   sole holder ends when another peer has the chunks.

Measured with eight holders of 2 to 20 MB/s, one killed and one frozen (tests/bench/eight.py): 1.008 bytes
received for each unique byte.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from itertools import islice
from math import ceil, inf

from flux_tui.core.api.effects import Push
from flux_tui.core.content.unixfs import CHUNK_SIZE
from flux_tui.core.fetching.download import Download, owners
from flux_tui.core.fetching.leases import MAX_EXTENSIONS, Batch, Leases
from flux_tui.core.fetching.sources import MAX_LEASE_FACTOR, NORMAL_DELAY, WINDOW_CHUNKS, Holder, Holders
from flux_tui.core.fetching.want_pusher import WantPusher
from flux_tui.core.fetching.write_backoff import WriteBackoff
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, batches
from flux_tui.core.series import events as ev
from flux_tui.core.series.backoff import SNUB
from flux_tui.core.series.events import RetryCause
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_CIDS_DIRECT, Cancel, Grant

LOOSE_ESTIMATE = 32 * 1024
"""Bytes that a loose chunk is assumed to have until some have come."""
MAX_LACKING = 64
"""Chunks that one search skips because this holder refused them; then the search stops."""
SOLE_FIRST = 3
"""A sole holder is granted this many times its first window before its rate is known."""
SLOW_START = 16
"""Chunks that a holder may have under grant before its rate is known, plus one for each chunk that it has
sent. This limit applies where there are other holders. It keeps one holder, the first that said yes, from
having all missing chunks in its queue."""
SOLE_LOOK = 8
"""Objects of a holder that are checked to see whether it is the sole holder."""
CAME: tuple[ev.LapseCause, ...] = ("corrupt", "unwritten")
"""Causes of a lapse after which the chunk is not expected: it came, or its holder was told not to send it.
After every other cause it may still come."""
MOVE_SECONDS = 2.0
"""Seconds of work: a shorter queue is not moved to another holder."""
MOVE_AFTER = 1.0
"""Seconds for which the oldest grant of a queue is left alone. Before that, its duration is only a guess, and
the chunks may be on their way."""
MOVE_SHARE = 0.6
"""Chunks are moved only if they then come within this share of the time that they would take where they are."""
LAPSED = Backoff(first=SNUB, most=64.0)
"""The wait until a want is pushed again whose last lease lapsed. It grows with each push without an answer."""
HEDGES = 4
"""Overdue chunks that an idle holder is told to send as well, at a time."""


class Scheduler:
    """All grants of this node. It shares the tables `downloads` and `wanted` with the requester."""

    def __init__(
        self,
        ledger: Ledger,
        holders: Holders,
        downloads: dict[Cid, Download],
        wanted: dict[Cid, list[Download]],
        retry: WantPusher,
    ) -> None:
        self.ledger = ledger
        self.holders = holders
        self.downloads = downloads
        self.wanted = wanted
        self.want_pusher = retry
        self.leases = Leases()
        self.ready: OrderedDict[PeerId, None] = OrderedDict()
        """Holders that may have room for another grant."""
        self.loose_size: float = LOOSE_ESTIMATE
        """Bytes that a loose chunk is assumed to have: a running mean."""
        self.write_backoff = WriteBackoff()
        self._idle: dict[PeerId, float] = {}
        """Idle holders, and when to look again whether they can take over chunks."""
        self._extended: dict[int, Batch] = {}
        """Batches whose holder was given more time. Some may be empty by now."""

    def next_deadline(self) -> float:
        """When a lease lapses, something is overdue, or a holder may be granted more."""
        soonest = min(self.leases.next_deadline(), self.write_backoff.next_deadline(), *self._idle.values())
        if self.ready:
            soonest = min(soonest, *(self.free_at(peer) for peer in self.ready))
        return soonest

    def watch(self) -> None:
        """Let leases lapse whose deadline has passed, and hedge overdue chunks."""
        for batch in self.leases.lapsing(self.ledger.now):
            self._late(batch)
        if self.leases.falling_due(self.ledger.now):
            self._hedge_all()
        for peer in [peer for peer, at in self._idle.items() if at <= self.ledger.now]:
            del self._idle[peer]
            self.ready[peer] = None
        if over := self.write_backoff.over(self.ledger.now):
            self._wake_all(over)

    def _late(self, batch: Batch) -> None:
        """The deadline of a batch has passed: extend it if no other holder can send the chunks, otherwise let
        it lapse."""
        holder, now = batch.holder, self.ledger.now
        downloads = {id(f): f for f in batch.chunks.values()}.values()
        if batch.inherited:
            self._let_go(batch, "restarted")
            for download in downloads:
                self.settle(download, None, "lapsed", holder.peer)
            return
        others = any(self.usable(peer) for f in downloads for peer in f.holders if peer != holder.peer)
        self.want_pusher.ask_others(downloads)
        if holder.peer in self.holders.connected and not others and batch.extended < MAX_EXTENSIONS:
            batch.extended += 1
            self._extended[id(batch)] = batch
            self.leases.watch(batch, now, batch.seconds * 2)
            self.ledger.emit(
                ev.LeaseExtended(
                    peer=holder.peer,
                    cids=tuple(batch.chunks),
                    deadline=batch.deadline,
                    roots=owners(self.wanted, batch.chunks),
                )
            )
            return
        holder.lease_factor = min(holder.lease_factor * 2, MAX_LEASE_FACTOR)
        holder.snubbed = True
        late = self._let_go(batch, "deadline")
        if holder.peer in self.holders.connected:
            self.tell_cancel(holder.peer, late)
        for download in downloads:
            self.settle(download, SNUB, "lapsed", holder.peer)

    def another_came(self, peer: PeerId, roots: Collection[Cid]) -> None:
        """Another peer can send these objects.

        End the extra time of every sole holder that has stopped sending them.
        """
        for number, batch in list(self._extended.items()):
            holder = batch.holder
            if not batch.chunks:
                del self._extended[number]
            elif (
                holder.peer != peer
                and not holder.awake(self.ledger.now, batch.estimate)
                and any(download.root in roots for download in batch.chunks.values())
            ):
                del self._extended[number]
                self.leases.watch(batch, self.ledger.now, 0.0)

    def _let_go(self, batch: Batch, cause: ev.LapseCause) -> list[Cid]:
        """Let a whole batch lapse. Chunks of it that still come count as late. Returns its chunks."""
        late = list(batch.chunks)
        self.lapse(batch.holder, late, cause)
        return late

    def grant_all(self) -> None:
        # Snubbed holders, which let a lease lapse and have sent nothing since, come last. However many they
        # are and whatever they offer, they never go before a holder that delivers or was not tried yet.
        for peer in sorted(self.ready, key=lambda peer: self.holders.get(peer).snubbed):
            if self.free_at(peer) <= self.ledger.now:
                del self.ready[peer]
                holder = self.holders.get(peer)
                self._grant(holder)
                if not holder.outstanding:
                    self._take_over(holder)
                if not holder.outstanding and self.leases.overdue:
                    self._hedge(holder)

    def _grant(self, holder: Holder) -> None:
        """Keep one holder busy: fill its queue up once half of it is done."""
        window = holder.window
        sole = self._sole(holder)
        if not holder.measured and sole:
            window *= SOLE_FIRST  # there is no other holder to share with, and this saves a round trip
        room = window - holder.outstanding_bytes
        if holder.peer not in self.holders.connected or (holder.outstanding and room < window // 2):
            return
        limit = self._limit(holder, sole=sole)
        loose: dict[Cid, Download] = {}
        for root in list(holder.roots):
            if limit <= 0 or (room <= 0 and (holder.outstanding or loose)):
                break
            download = self.downloads.get(root)
            if download is None or not download.missing:
                del holder.roots[root]
                continue
            estimate = (download.estimate or CHUNK_SIZE) if download.tree else int(self.loose_size) or 1
            count = min(max(room // estimate, 0 if holder.outstanding or loose else 2), limit)
            if count and not (count := self.write_backoff.grant(download, count, self.ledger.now)):
                del holder.roots[root]  # `wake` puts it back when the pause is over
                continue
            chosen = self._choose(download, holder, count)
            if chosen and download.missing and root in holder.roots:
                holder.roots.move_to_end(root)  # the next grant begins with another object
            limit -= len(chosen)
            room -= len(chosen) * estimate
            if download.tree:
                for cids in batches(chosen, MAX_CIDS_DIRECT):
                    self._push_grant(holder, root, dict.fromkeys(cids, download), estimate)
            else:
                loose.update(dict.fromkeys(chosen, download))
                if len(loose) == MAX_CIDS_DIRECT:
                    self._push_grant(holder, None, loose, estimate)
                    loose = {}
        if loose:
            self._push_grant(holder, None, loose, int(self.loose_size) or 1)

    @staticmethod
    def _limit(holder: Holder, *, sole: bool) -> int:
        """How many more chunks this holder may be granted now, whatever their sizes."""
        if holder.snubbed:
            return 1 - holder.outstanding  # one chunk, to see whether it sends again
        limit = WINDOW_CHUNKS
        if not holder.measured and not sole:
            limit = min(limit, SLOW_START + holder.came)
        return limit - holder.outstanding

    def _choose(self, download: Download, holder: Holder, count: int) -> list[Cid]:
        lacks = download.lacking(holder.peer)
        if (part := download.parts.get(holder.peer)) is not None:
            found = part.choose(download, count, lacks)
            if len(found) < count:
                holder.roots.pop(download.root, None)  # nothing more until it offers a larger part
            return found
        chosen: list[Cid] = []
        passed: list[Cid] = []
        while download.missing and len(chosen) < count and len(passed) < MAX_LACKING:
            cid, _ = download.missing.popitem(last=False)
            (passed if cid in lacks else chosen).append(cid)
        for cid in passed:
            download.missing[cid] = None
        if passed and not chosen:
            holder.roots.pop(download.root, None)  # it lacks all that is missing; a new offer puts it back
        return chosen

    def _push_grant(
        self, holder: Holder, root: Cid | None, chunks: dict[Cid, Download], estimate: int
    ) -> None:
        cids = tuple(chunks)
        holder.granted(len(cids), len(cids) * estimate, self.ledger.now)
        seconds = holder.lease_seconds()
        due = holder.due_seconds() if root is not None else None
        self.leases.add(Batch(holder, dict(chunks), estimate), self.ledger.now, seconds, due)
        self.ledger.emit(
            ev.Granted(peer=holder.peer, root=root, cids=cids, deadline=self.ledger.now + seconds)
        )
        self.ledger.do(Push(peer=holder.peer, message=Grant(cids=cids, ttl=seconds)))

    def _take_over(self, holder: Holder) -> None:
        """All chunks are granted and this holder is idle: move the end of the slowest holder's queue to it."""
        if holder.snubbed or not self.usable(holder.peer):
            return
        now = self.ledger.now
        queues = [
            other for other in self.holders.by_peer.values() if other.outstanding and other is not holder
        ]
        slow = max(queues, key=Holder.expected_seconds, default=None)
        if slow is None or slow.expected_seconds() <= MOVE_SECONDS:
            return
        leased = self.leases.of(slow)
        since = min((batch.deadline - batch.seconds for batch in leased if not batch.hedge), default=now)
        if now - since < MOVE_AFTER:
            self._idle[holder.peer] = since + MOVE_AFTER
            return
        if not all(batch.hedge or slow.awake(now, batch.estimate) for batch in leased):
            return  # it has stopped sending: its chunks are hedged or lapse
        queue = [(cid, batch) for batch in leased if not batch.hedge for cid in batch.chunks]
        stays = self._stays(slow, holder, len(queue))
        moved = [cid for cid, batch in queue[stays:] if self._can_send(cid, batch.chunks[cid], holder)]
        # Not more than it can be granted: the rest would only go back to the slow holder.
        moved = moved[max(len(moved) - self._limit(holder, sole=False), 0) :]
        if not moved:
            return
        self.tell_cancel(slow.peer, moved)
        for cids in batches(moved, MAX_CIDS_DIRECT):
            self.lapse(slow, cids, "moved")
        self._grant(holder)

    @staticmethod
    def _stays(slow: Holder, fast: Holder, chunks: int) -> int:
        """How many chunks stay in the slow holder's queue, so that both holders finish at about the same
        time."""
        each = slow.outstanding_bytes / max(slow.outstanding, 1)
        both = slow.rate + fast.rate
        under_way = 1 + int(slow.rate * (slow.rtt + NORMAL_DELAY) / max(each, 1))
        stays = max(under_way, ceil(chunks * slow.rate / both))
        then = max(stays * each / slow.rate, fast.rtt + (chunks - stays) * each / fast.rate)
        return stays if then <= MOVE_SHARE * slow.expected_seconds() else chunks

    def _hedge_all(self) -> None:
        """Some chunks are overdue: hedge them at idle holders that can send them, the fastest first."""
        downloads = {id(f): f for batch in self.leases.overdue.values() for f in batch.chunks.values()}
        idle = dict.fromkeys(peer for download in downloads.values() for peer in download.holders)
        holders = [self.holders.get(peer) for peer in idle if self.usable(peer)]
        for holder in sorted(holders, key=lambda holder: -holder.rate):
            if not holder.outstanding:
                self._hedge(holder)

    def _hedge(self, holder: Holder) -> None:
        """All chunks are granted: tell this idle holder to send overdue chunks of other holders as well, each
        chunk once. When one copy has come, the other is cancelled."""
        if holder.snubbed or not self.usable(holder.peer):
            return
        now = self.ledger.now
        chosen: dict[Cid, Download] = {}
        for batch in sorted(self.leases.overdue.values(), key=lambda batch: batch.due):
            left = len(batch.chunks)
            awake = batch.holder.awake(now, batch.estimate)
            each = batch.estimate / batch.holder.rate
            for cid, download in reversed(list(batch.chunks.items())):
                # From the end: the next chunks come soon anyway, unless the holder has stopped altogether.
                comes = left * each if awake else inf
                if awake and left == 1:
                    break  # the holder is sending it now
                sooner = holder.rtt + (len(chosen) + 1) * batch.estimate / holder.rate
                left -= 1
                if len(chosen) == HEDGES or batch.holder is holder or comes <= sooner:
                    break
                starts = left * each - (now - batch.holder.delivered_at)
                if awake and starts < sooner + batch.holder.rtt / 2:
                    break  # the holder would be sending it before it can be cancelled
                if self._can_hedge(cid, download, holder):
                    chosen[cid] = download
        by_root: dict[Cid, list[Cid]] = {}
        for cid, download in chosen.items():
            by_root.setdefault(download.root, []).append(cid)
        for root, cids in by_root.items():
            estimate = self.downloads[root].estimate or CHUNK_SIZE
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

    def _can_hedge(self, cid: Cid, download: Download, holder: Holder) -> bool:
        if download.missing or cid in self.leases.hedges:
            return False
        return self._can_send(cid, download, holder) and download.hedge(cid)

    def _can_send(self, cid: Cid, download: Download, holder: Holder) -> bool:
        """Whether this holder says that it has this block."""
        if holder.peer not in download.holders or cid in download.lacking(holder.peer):
            return False
        part = download.parts.get(holder.peer)
        return part is None or part.names(download, cid)

    def forsake(self, holder: Holder) -> None:
        """This holder refuses everything from now on: free all chunks that were granted to it."""
        for root in list(holder.roots):
            if download := self.downloads.get(root):
                download.holders.pop(holder.peer, None)
        holder.roots.clear()
        self.lapse_all(holder, "refused")

    def lapse_all(self, holder: Holder, cause: ev.LapseCause) -> None:
        cids = [cid for batch in self.leases.of(holder) for cid in batch.chunks]
        downloads = {id(f): f for cid in cids for f in self.wanted.get(cid, ())}
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.lapse(holder, part, cause)
        for download in downloads.values():
            self.settle(download, None, "lapsed", holder.peer)

    def lapse(self, holder: Holder, cids: Sequence[Cid], cause: ev.LapseCause) -> None:
        """End these leases: their chunks did not come. Chunks that are still wanted can be granted again."""
        if not cids:
            return
        roots = owners(self.wanted, cids)
        self.ledger.emit(ev.LeaseLapsed(peer=holder.peer, cids=tuple(cids), cause=cause, roots=roots))
        self.ready[holder.peer] = None
        for cid in reversed(cids):
            if cause not in CAME:
                holder.let_lapse(cid, "cancelled" if cause == "moved" else "late")
            downloads = self.wanted.get(cid)
            if self.leases.end(cid, holder) and downloads:
                downloads[0].missing[cid] = None
                downloads[0].missing.move_to_end(cid, last=False)
        for download in {id(f): f for cid in cids for f in self.wanted.get(cid, ())}.values():
            self.wake(download)

    def wake(self, download: Download) -> None:
        """Chunks of this download can be granted: each of its holders may have work."""
        for peer in download.holders:
            holder = self.holders.get(peer)
            holder.roots[download.root] = None  # also for holders that are gone, for when they come back
            if peer in self.holders.connected:
                self.ready[peer] = None

    def _wake_all(self, paused: set[Cid | None]) -> None:
        """The pause of these downloads is over: grant their chunks again."""
        for download in self.downloads.values():
            if self.write_backoff.key(download) in paused:
                self.wake(download)

    def resume(self, download: Download) -> None:
        """A chunk of this download was written: end its pause."""
        if self.write_backoff.end(download):
            self._wake_all({self.write_backoff.key(download)})

    def withdraw(self, download: Download) -> None:
        """This download is paused because it cannot be written: cancel the chunks that are still on their way,
        which would be sent in vain."""
        granted: dict[PeerId, list[Cid]] = {}
        for leases in (self.leases.by_chunk, self.leases.hedges):
            for cid, batch in leases.items():
                if self.write_backoff.alike(batch.chunks[cid], download):
                    granted.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in granted.items():
            holder = self.holders.get(peer)
            for cid in cids:
                holder.let_lapse(cid, "cancelled")
            for part in batches(cids, MAX_CIDS_DIRECT):
                self.lapse(holder, part, "unwritten")
            self.tell_cancel(peer, cids)

    def has_holder(self, download: Download) -> bool:
        """Whether a connected peer said yes to this object."""
        return any(peer in self.holders.connected for peer in download.holders)

    def move(self, cid: Cid, waits: Download, download: Download) -> None:
        """A missing block belongs to two objects.

        If only `fetch` has a holder, move the block from `waits` to `fetch`.
        """
        if self.has_holder(download) and not self.has_holder(waits):
            del waits.missing[cid]
            download.missing[cid] = None
            self.wake(download)

    def gather(self, download: Download) -> None:
        """An object has its first holder.

        That holder can also send blocks that wait for other objects without a holder.
        """
        for cid in download.blocks if len(self.downloads) > 1 else ():
            if cid not in download.have and cid not in download.missing:
                for other in self.wanted.get(cid, ()):
                    if cid in other.missing:
                        self.move(cid, other, download)
                        break

    def _hand_on(self, download: Download) -> None:
        """An object has lost its last holder: move its missing blocks to other objects that contain them and
        have a holder."""
        for cid in list(download.missing):
            for other in self.wanted.get(cid, ()):
                if other is not download and cid in download.missing:
                    self.move(cid, download, other)

    def settle(self, download: Download, wait: float | None, cause: RetryCause, peer: PeerId) -> None:
        """If no holder can send this object now, set the time of its next push."""
        if download.granted or not download.missing or any(self.usable(other) for other in download.holders):
            return
        if download.tree and not self.has_holder(download):
            self._hand_on(download)
        if wait is not None:
            self.want_pusher.again(download, wait, cause, peer)
        elif cause == "lapsed":
            self.want_pusher.again(download, LAPSED.wait(download.unanswered_pushes + 1), cause, peer)

    def _sole(self, holder: Holder) -> bool:
        """Whether no other peer offered any of the objects that this holder offered."""
        downloads = (self.downloads.get(root) for root in islice(holder.roots, SOLE_LOOK))
        return all(len(download.holders) <= 1 for download in downloads if download is not None)

    def usable(self, peer: PeerId) -> bool:
        """Whether this holder can be granted chunks now."""
        return peer in self.holders.connected and self.free_at(peer) <= self.ledger.now

    def free_at(self, peer: PeerId) -> float:
        """When this holder may be granted chunks."""
        return self.want_pusher.free_at(peer)

    def tell_cancel(self, peer: PeerId, cids: list[Cid]) -> None:
        """Tell a holder not to send these chunks."""
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.ledger.do(Push(peer=peer, message=Cancel(cids=part)))
