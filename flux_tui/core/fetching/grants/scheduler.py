"""The scheduler: it decides which holder sends which chunk, and until when.

Only the requester assigns chunks. It assigns each chunk to one holder at a time, by pushing a grant with a
deadline (a lease). Without grants every holder would send everything: in a simulation, four or five copies of
each chunk came; with leases, 1.00.

1. Each holder is granted as many missing chunks as keep it busy (holders.py). No chunk is granted to two holders.
2. When a chunk comes, its lease ends. When it does not come in time, it is granted to another holder, and the
   late holder is told to cancel it. The late holder then gets one chunk at a time until it sends again. If no
   other holder can send the chunks, the late one gets more time first. If it answers a want meanwhile, the grant
   is pushed again, because it may have been lost (repeated_grants.py).
3. At the end, all chunks are granted and some holders are idle. An idle holder takes over the end of the
   queue of a much slower holder, which is told to cancel those chunks. An overdue chunk is also granted once
   to an idle holder (a hedge). When one copy has come, the other is cancelled. A chunk stays with a slow holder
   that is sending it now, or will send it before a cancel could arrive.
4. When a holder is late, all other peers are asked before it is granted anything again. The extra time of a
   sole holder ends when another peer has the chunks.

Measured with eight holders of 2 to 20 MB/s, one killed and one frozen (tests/bench/eight.py): 1.008 bytes
received for each unique byte.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from flux_tui.core.api.effects import Push
from flux_tui.core.content.unixfs_trees import CHUNK_SIZE
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.write_backoff import WriteBackoff
from flux_tui.core.fetching.grants.endgame import Endgame
from flux_tui.core.fetching.grants.leases import EXTENSION_MAX, MAX_EXTENSIONS, MAX_PASSED_OVER, Batch, Leases
from flux_tui.core.fetching.grants.wanted_blocks import WantedBlocks
from flux_tui.core.fetching.grants.withdrawals import Withdrawals
from flux_tui.core.fetching.holders import LEASE_MIN, WINDOW_CHUNKS, Holder, Holders
from flux_tui.core.fetching.wants.want_pusher import WantPusher
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import Backoff, batches
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import RetryCause
from flux_tui.core.series.peer_backoff import SNUB
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_CIDS_DIRECT, Cancel, Grant

LOOSE_ESTIMATE = 32 * 1024
"""Bytes that a loose chunk is assumed to have until some have come."""
SOLE_FIRST = 3
"""A sole holder is granted this many times its first window before its rate is known."""
SLOW_START = 16
"""Chunks that a holder may have under grant before its rate is known, plus one for each chunk that it has
sent. This limit applies where there are other holders. It keeps one holder, the first that said yes, from
having all missing chunks in its queue."""
SOLE_LOOK = 8
"""Objects of a holder that are checked to see whether it is the sole holder."""
CAME: tuple[ev.LapseCause, ...] = ("corrupt", "unwritten")
"""Causes of a lapse after which the chunk cannot come any more: it has come, or its holder was told not to send
it. After every other cause the chunk may still come."""
LAPSED = Backoff(first=SNUB, most=64.0)
"""The wait until the next push of a want after its last lease lapsed. It grows with each push without an answer."""


class Scheduler:
    """Decides which chunks to grant to which holder, and pushes the grants.

    It shares the tables of downloads, wanted blocks and leases with the requester.
    """

    def __init__(
        self,
        ledger: Ledger,
        holders: Holders,
        downloads: Mapping[Cid, Download],
        wanted: WantedBlocks,
        leases: Leases,
        want_pusher: WantPusher,
    ) -> None:
        self.ledger = ledger
        self.holders = holders
        self.downloads = downloads
        self.wanted = wanted
        self.leases = leases
        self.want_pusher = want_pusher
        self.withdrawals = Withdrawals(leases)
        self.endgame = Endgame(holders, leases, self.withdrawals)
        self.write_backoff = WriteBackoff()
        self._loose_size: float = LOOSE_ESTIMATE
        """Bytes that a loose chunk is assumed to have: a running mean."""
        self._idle: dict[PeerId, float] = {}
        """Idle holders, and when to look again whether they can take over chunks."""
        self.extended: dict[int, Batch] = {}
        """Batches that got more time because no other peer had the chunks. Some may be empty by now."""

    def next_deadline(self) -> float:
        """Return when the scheduler has work next; infinity if it has none.

        It has work when a lease lapses, a chunk becomes overdue, a holder may be granted more, or a pause because
        of a full disk is over.
        """
        soonest = min(
            self.leases.next_deadline(), self.withdrawals.next_deadline(), self.write_backoff.next_deadline()
        )
        if self._idle:
            soonest = min(soonest, *self._idle.values())
        if ready := self.holders.ready:
            soonest = min(soonest, *(self.free_at(peer) for peer in ready))
        return soonest

    def watch(self) -> None:
        """Let leases lapse whose deadline has passed, and grant overdue chunks to a second holder.

        Also let chunks be granted again whose pause because of a full disk is over.
        """
        for batch in self.leases.lapsing(self.ledger.now):
            self._late(batch)
        self._end_withdrawn()
        if self.leases.falling_due(self.ledger.now):
            for holder in self.endgame.holders_of_overdue():
                if self.usable(holder.peer) and not holder.outstanding:
                    self._hedge(holder)
        for peer in [peer for peer, at in self._idle.items() if at <= self.ledger.now]:
            del self._idle[peer]
            self.holders.may_have_room(peer)
        if over := self.write_backoff.over(self.ledger.now):
            self._wake_all(over)

    def _late(self, batch: Batch) -> None:
        """Handle a batch whose deadline has passed: give its holder more time, or end the leases.

        A holder that is sending gets more time. So does a holder whose chunks no other holder can send now, a
        limited number of times. Otherwise the leases lapse, and the chunks can be granted to others. Leases from
        before this node was restarted lapse at once.
        """
        holder = batch.holder
        downloads = {id(f): f for f in batch.chunks.values()}.values()
        if batch.inherited:
            self._lapse_batch(batch, "restarted")
            for download in downloads:
                self.schedule_push(download, None, "lapsed", holder.peer)
            return
        if self._sends(batch):
            batch.forget_extensions()
            self._extend(batch, holder.lease_seconds())
            return
        self.want_pusher.ask_others(downloads)
        late = list(batch.chunks)
        most = MAX_EXTENSIONS if batch.number >= holder.reached else MAX_PASSED_OVER
        waits = False
        if holder.peer in self.holders.connected and batch.extended < most:
            late, waits = self.endgame.offered_elsewhere(batch, self.usable, self.ledger.now), batch.waits
        if late and waits:
            self._withdraw(batch, late, "deadline")
        elif late:
            holder.missed_deadline()
            self.lapse(holder, late, "deadline")
            if holder.peer in self.holders.connected:
                self.tell_cancel(holder.peer, late)
            for download in downloads:
                self.schedule_push(download, SNUB, "lapsed", holder.peer)
        if batch.chunks:
            batch.count_extension()
            self._extend(batch, min(max(2 * batch.seconds, LEASE_MIN), EXTENSION_MAX))

    def _sends(self, batch: Batch) -> bool:
        """Whether the chunks of this batch may still come.

        True if their holder is connected, is sending, and has not begun a later grant. A holder sends its grants in
        order. It may be sending an earlier grant now.
        """
        holder = batch.holder
        if holder.peer not in self.holders.connected or batch.number < holder.reached:
            return False
        return holder.is_sending(self.ledger.now, batch.estimate)

    def _extend(self, batch: Batch, seconds: float) -> None:
        """Give the holder of a batch `seconds` more from now, and record that."""
        self.extended[id(batch)] = batch
        self.leases.watch(batch, self.ledger.now, seconds)
        self.ledger.emit(
            ev.LeaseExtended(
                peer=batch.holder.peer,
                cids=tuple(batch.chunks),
                deadline=batch.deadline,
                roots=self.wanted.owners(batch.chunks),
            )
        )

    def other_holder_came(self, peer: PeerId, roots: Collection[Cid]) -> None:
        """Handle a peer's offer of these objects: late holders that were their only holder get no extra time any more.

        The extra time goes on for a holder that is sending.
        """
        for number, batch in list(self.extended.items()):
            holder = batch.holder
            if not batch.chunks:
                del self.extended[number]
            elif (
                holder.peer != peer
                and not self._sends(batch)
                and any(
                    download.root in roots and download.is_offered(peer, cid)
                    for cid, download in batch.chunks.items()
                )
            ):
                del self.extended[number]
                self.leases.watch(batch, self.ledger.now, 0.0)

    def _lapse_batch(self, batch: Batch, cause: ev.LapseCause) -> list[Cid]:
        """Let all leases of a batch lapse. If its chunks still come, they count as late. Returns its chunks."""
        late = list(batch.chunks)
        self.lapse(batch.holder, late, cause)
        return late

    # ── grants ──────────────────────────────────────────────────────────────────────────────────

    def grant_all(self) -> None:
        """Grant chunks to each holder that may have room in its queue.

        An idle holder for which no chunk is missing is granted chunks of slow or late holders.
        """
        # Snubbed holders, which let a lease lapse and have sent nothing since, come last. However many they
        # are and whatever they offer, they never go before a holder that delivers or was not tried yet.
        for peer in sorted(self.holders.ready, key=lambda peer: self.holders.get(peer).snubbed):
            if self.free_at(peer) <= self.ledger.now:
                self.holders.looked_at(peer)
                holder = self.holders.get(peer)
                self._grant(holder)
                if not holder.outstanding:
                    self._take_over(holder)
                if not holder.outstanding and self.leases.overdue:
                    self._hedge(holder)

    def _grant(self, holder: Holder) -> None:
        """Keep one holder busy: once half of its queue is done, grant it enough chunks to fill the queue.

        A slow holder, whose queue is a single chunk, is granted one more while that chunk is coming.
        """
        window = holder.window
        sole = self._sole(holder)
        if not holder.measured and sole:
            window *= SOLE_FIRST  # there is no other holder to share with, and this saves a round trip
        room = window - holder.outstanding_bytes
        if holder.peer not in self.holders.connected:
            return
        if holder.outstanding and room < window // 2:
            if not holder.needs_next():
                return
            room = 1  # for one more chunk, however large: the last one is half sent
        limit = self._limit(holder, sole=sole)
        loose: dict[Cid, Download] = {}
        for root in list(holder.roots):
            busy = bool(holder.outstanding or loose)
            if limit <= 0 or (room <= 0 and busy):
                break
            download = self.downloads.get(root)
            if download is None or not download.missing:
                holder.drop_root(root)
                continue
            estimate = (download.estimate or CHUNK_SIZE) if download.tree else self._loose_estimate()
            least = (0 if room <= 0 else 1) if busy else holder.least(estimate)
            chosen = self._choose(download, holder, min(max(room // estimate, least), limit))
            limit -= len(chosen)
            room -= len(chosen) * estimate
            if download.tree:
                for cids in batches(chosen, MAX_CIDS_DIRECT):
                    self._push_grant(holder, root, dict.fromkeys(cids, download), estimate)
                continue
            loose.update(dict.fromkeys(chosen, download))
            if len(loose) == MAX_CIDS_DIRECT:
                self._push_grant(holder, None, loose, estimate)
                loose = {}
        if loose:
            self._push_grant(holder, None, loose, self._loose_estimate())

    @staticmethod
    def _limit(holder: Holder, *, sole: bool) -> int:
        """Return how many more chunks this holder may be granted now. `sole`: no other peer offers its objects."""
        if holder.snubbed:
            return 1 - holder.outstanding  # one chunk, to see whether it sends again
        limit = WINDOW_CHUNKS
        if not holder.measured and not sole:
            limit = min(limit, SLOW_START + holder.chunks_in)
        return limit - holder.outstanding

    def _loose_estimate(self) -> int:
        return int(self._loose_size) or 1

    def loose_chunk_came(self, size: int) -> None:
        """Update the estimate of a loose chunk's size, because one of `size` bytes came."""
        self._loose_size += 0.05 * (size - self._loose_size)

    def _choose(self, download: Download, holder: Holder, most: int) -> list[Cid]:
        """Choose up to `most` missing chunks of a download for this holder, and mark them as granted.

        While the download is paused because of a full disk, chooses none, or one as a test (write_backoff.py).
        """
        if most:
            most = self.write_backoff.grant(download, most, self.ledger.now)
            if not most:
                holder.drop_root(download.root)  # `wake` adds it again when the pause is over
        if not most:
            return []
        chosen, more = download.take(holder.peer, most)
        if not more:
            holder.drop_root(download.root)  # a new offer adds it again
        elif download.missing:
            holder.root_to_end(download.root)
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

    def _take_over(self, idle: Holder) -> None:
        """Move the end of the slowest holder's queue to this idle holder.

        The caller has found no missing chunk that this holder could be granted.
        """
        if idle.snubbed or not self.usable(idle.peer):
            return
        slow = self.endgame.slowest(idle)
        if slow is None:
            return
        now = self.ledger.now
        if (at := self.endgame.movable_at(slow, now)) > now:
            self._idle[idle.peer] = at
            return
        moved = self.endgame.moves(slow, idle, now, self._limit(idle, sole=False))
        if not moved:
            return
        if self.endgame.may_have_begun(slow, now):
            for batch in self.leases.of(slow):
                if cids := [cid for cid in moved if cid in batch.chunks]:
                    self._withdraw(batch, cids, "moved", idle.peer)
            return
        self.tell_cancel(slow.peer, moved)
        for part in batches(moved, MAX_CIDS_DIRECT):
            self.lapse(slow, part, "moved")
        self._grant(idle)

    def _withdraw(
        self, batch: Batch, cids: list[Cid], cause: ev.LapseCause, to: PeerId | None = None
    ) -> None:
        """Tell a slow holder not to send these chunks. Their leases end when it says so, or later (withdrawals.py).

        `to`: the idle holder that is to send them; None: any.
        """
        self.tell_cancel(batch.holder.peer, cids, confirm=True)
        self.withdrawals.add(batch, cids, cause, self.ledger.now, to)

    def cancelled(self, peer: PeerId, cids: Collection[Cid]) -> None:
        """Handle a holder's answer to a cancel: it will not send these chunks."""
        self.withdrawals.confirm(peer, cids, self.ledger.now)
        self._end_withdrawn()

    def _end_withdrawn(self) -> None:
        """End the leases of the withdrawn chunks that have not begun to come, and grant them to others."""
        for withdrawal in self.withdrawals.settled(self.ledger.now):
            holder, cids = withdrawal.batch.holder, withdrawal.cids
            if withdrawal.cause == "deadline":
                holder.missed_deadline()
            downloads = self.wanted.downloads_of_any(cids)
            self.lapse(holder, cids, withdrawal.cause)
            if withdrawal.to is not None and self.usable(withdrawal.to):
                self._grant(self.holders.get(withdrawal.to))
            for download in downloads:
                self.schedule_push(download, SNUB, "lapsed", holder.peer)

    def _hedge(self, idle: Holder) -> None:
        """Let this idle holder send overdue chunks of other holders as well.

        When one copy has come, the other is cancelled. The caller has found no missing chunk that this holder
        could be granted.
        """
        if idle.snubbed or not self.usable(idle.peer):
            return
        now = self.ledger.now
        by_root: dict[Cid, dict[Cid, Download]] = {}
        for cid, download in self.endgame.hedges(idle, now).items():
            by_root.setdefault(download.root, {})[cid] = download
        for root, chunks in by_root.items():
            estimate = self.downloads[root].estimate or CHUNK_SIZE
            cids = tuple(chunks)
            idle.granted(len(cids), len(cids) * estimate, now)
            seconds = idle.lease_seconds()
            for cid, download in chunks.items():
                self.leases.add(Batch(idle, {cid: download}, estimate, hedge=True), now, seconds)
            self.ledger.emit(
                ev.Granted(peer=idle.peer, root=root, cids=cids, deadline=now + seconds, hedge=True)
            )
            self.ledger.do(Push(peer=idle.peer, message=Grant(cids=cids, ttl=seconds)))

    # ── leases that end ─────────────────────────────────────────────────────────────────────────

    def refuses_everything(self, holder: Holder) -> None:
        """End all offers and leases of this holder, because it refuses everything from now on."""
        for root in holder.roots:
            if download := self.downloads.get(root):
                download.refused_by(holder.peer)
        holder.drop_all_roots()
        self.lapse_all(holder, "refused")

    def lapse_all(self, holder: Holder, cause: ev.LapseCause) -> None:
        """End all leases of this holder, whose chunks did not come, and plan the next pushes of the wants for them."""
        cids = [cid for batch in self.leases.of(holder) for cid in batch.chunks]
        downloads = self.wanted.downloads_of_any(cids)
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.lapse(holder, part, cause)
        for download in downloads:
            self.schedule_push(download, None, "lapsed", holder.peer)

    def lapse(self, holder: Holder, cids: Sequence[Cid], cause: ev.LapseCause) -> None:
        """End this holder's leases of these chunks, which did not come. Chunks that are wanted can be granted again."""
        if not cids:
            return
        roots = self.wanted.owners(cids)
        self.ledger.emit(ev.LeaseLapsed(peer=holder.peer, cids=tuple(cids), cause=cause, roots=roots))
        self.holders.may_have_room(holder.peer)
        for cid in reversed(cids):
            if cause not in CAME:
                holder.let_lapse(cid, "cancelled" if cause == "moved" else "late")
            if (granted_for := self.leases.end(cid, holder)) is not None:
                self.wanted.give_back(cid, granted_for)
        for download in self.wanted.downloads_of_any(cids):
            self.wanted.wake(download)

    # ── pauses ──────────────────────────────────────────────────────────────────────────────────

    def _wake_all(self, paused: set[Cid | None]) -> None:
        """Let chunks of the downloads with these keys (see WriteBackoff.key) be granted again: their pause is over."""
        for download in self.downloads.values():
            if self.write_backoff.key(download) in paused:
                self.wanted.wake(download)

    def resume(self, download: Download) -> None:
        """End the pause of this download, if there is one, because a chunk of it was written."""
        if self.write_backoff.end(download):
            self._wake_all({self.write_backoff.key(download)})

    def cancel_granted(self, download: Download) -> None:
        """End the leases of a download's chunks, which cannot be written here. Tell the holders not to send them.

        If the download is a loose chunk, this is done for all loose chunks.
        """
        granted: dict[PeerId, list[Cid]] = {}
        for leases in (self.leases.by_chunk, self.leases.hedges):
            for cid, batch in leases.items():
                if self.write_backoff.together(batch.chunks[cid], download):
                    granted.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in granted.items():
            holder = self.holders.get(peer)
            for cid in cids:
                holder.let_lapse(cid, "cancelled")
            for part in batches(cids, MAX_CIDS_DIRECT):
                self.lapse(holder, part, "unwritten")
            self.tell_cancel(peer, cids)

    # ── holders ─────────────────────────────────────────────────────────────────────────────────

    def schedule_push(self, download: Download, wait: float | None, cause: RetryCause, peer: PeerId) -> None:
        """Set the time of a want's next push. `peer`: the peer that gave the cause.

        Does nothing if chunks of it are granted, if none is missing, or if a holder can be asked now. `wait`:
        seconds; None: for the cause `lapsed`, a backoff that grows with each unanswered push; for other causes, no
        push is planned.
        """
        if download.granted or not download.missing or any(self.usable(other) for other in download.holders):
            return
        if download.tree and not self.wanted.has_holder(download):
            self.wanted.lost_last_holder(download)
        if wait is not None:
            self.want_pusher.push_again(download, wait, cause, peer)
        elif cause == "lapsed":
            self.want_pusher.push_again(download, LAPSED.wait(download.unanswered_pushes + 1), cause, peer)

    def _sole(self, holder: Holder) -> bool:
        """Whether this holder is the only peer that offers its objects. Only the first SOLE_LOOK are checked."""
        downloads = (self.downloads.get(root) for root in islice(holder.roots, SOLE_LOOK))
        return all(len(download.holders) <= 1 for download in downloads if download is not None)

    def usable(self, peer: PeerId) -> bool:
        """Whether this peer is connected and may be granted chunks now."""
        return peer in self.holders.connected and self.free_at(peer) <= self.ledger.now

    def free_at(self, peer: PeerId) -> float:
        """Return the time from which this peer may be granted chunks, in steady time; 0: at once."""
        return self.want_pusher.free_at(peer)

    def tell_cancel(self, peer: PeerId, cids: list[Cid], *, confirm: bool = False) -> None:
        """Tell a holder not to send these chunks. `confirm`: it is to say which of them it will not send."""
        for part in batches(cids, MAX_CIDS_DIRECT):
            self.ledger.do(Push(peer=peer, message=Cancel(cids=part, confirm=confirm)))
