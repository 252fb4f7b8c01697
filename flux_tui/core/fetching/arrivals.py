"""Handles the chunks that peers send: wanted chunks, late copies, wrong bytes, and chunks that nobody asked for."""

from collections.abc import MutableMapping

from flux_tui.core.api.inputs import ChunkLanded
from flux_tui.core.content.unixfs_trees import BadBlockError, carried_bytes
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.planning_in_turns import Planning
from flux_tui.core.fetching.grants.leases import Leases
from flux_tui.core.fetching.grants.restored_leases import InheritedLeases
from flux_tui.core.fetching.grants.scheduler import Scheduler
from flux_tui.core.fetching.grants.wanted_blocks import WantedBlocks
from flux_tui.core.fetching.holders import Holder, Holders
from flux_tui.core.fetching.wants.want_pusher import WantPusher
from flux_tui.core.fetching.write_failures import Failures
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger


class Arrivals:
    """Handles the chunks that peers send. It shares its tables (downloads, leases and others) with the requester."""

    def __init__(
        self,
        ledger: Ledger,
        holders: Holders,
        downloads: MutableMapping[Cid, Download],
        wanted: WantedBlocks,
        leases: Leases,
        inherited: InheritedLeases,
        scheduler: Scheduler,
        want_pusher: WantPusher,
        planning: Planning,
        failures: Failures,
    ) -> None:
        self.ledger = ledger
        self.holders = holders
        self.downloads = downloads
        self.wanted = wanted
        self.leases = leases
        self.inherited = inherited
        self.scheduler = scheduler
        self.want_pusher = want_pusher
        self.planning = planning
        self.failures = failures

    def accepts(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this node should read the bytes of a chunk that this peer is about to send. Changes nothing.

        True if the chunk is wanted and was granted to this peer, even if its lease has ended since.
        """
        if cid not in self.wanted:
            return False
        holder = self.holders.by_peer.get(peer)
        return holder is not None and (self.leases.holds(cid, holder) or cid in holder.lapsed)

    def coming(self, peer: PeerId, cid: Cid, received: int, seconds: float) -> None:
        """Update what is known of a holder, because a part of a chunk came: `received` bytes in `seconds` so far.

        So the holder counts as sending, and its rate is measured. A chunk that `accepts` refuses is ignored.
        """
        if not self.accepts(peer, cid):
            return
        holder = self.holders.get(peer)
        holder.coming(cid, received, seconds, self.ledger.now)
        if (batch := self.leases.of_chunk(cid, holder)) is not None:
            holder.sends(batch.number)
        self.holders.may_have_room(peer)

    def landed(self, chunk: ChunkLanded) -> tuple[Cid, ...]:
        """Handle a chunk that came from a peer, matches its CID, and is written to disk.

        Returns the roots of the wanted objects that contain the chunk. There are none if it was wanted as a loose
        chunk only, or not wanted any more; in the second case it is recorded as wasted.
        """
        peer, cid, size, data = chunk.peer, chunk.cid, chunk.size, chunk.data
        holder = self.holders.get(peer)
        late = self._late(holder, cid) if holder.lapsed else None
        downloads = self.wanted.arrived(cid)
        if downloads is None:
            cause: ev.Waste = late or "duplicate"
            self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause))
            return ()
        holder.delivered(size, self.ledger.now, cid)
        self._end_leases(holder, cid, "late" if late else "hedged")
        roots = tuple([download.root for download in downloads if download.tree])
        if not roots:
            self.scheduler.loose_chunk_came(size)
        fills, wrong = self._count(downloads, cid, size)
        if data is not None and any(download.tree and download.totals is None for download in downloads):
            fills += carried_bytes(data)
        self.ledger.emit(ev.ChunkReceived(cid=cid, size=size, peer=peer, roots=roots, fills=fills))
        for download in downloads:
            if not download.tree:
                self._end_loose(download, size, counted=not roots)
                continue
            if data is not None:
                self.planning.learn(download, cid, data)
            self.planning.finish_if_whole(download)
        for download, why in wrong:
            self.failures.refuse(download, why)
        return roots

    def _end_leases(self, holder: Holder, cid: Cid, cause: ev.Waste) -> None:
        """End all leases of a chunk that came from `holder`.

        If another holder has a lease of it too, that holder is told not to send it. `cause`: if its copy comes
        nevertheless, the bytes are counted as wasted for this cause.
        """
        for batch in self.leases.release(cid):
            if batch.holder is holder:
                holder.sends(batch.number)
            else:
                batch.holder.let_lapse(cid, cause)
                self.scheduler.tell_cancel(batch.holder.peer, [cid])
                self.holders.may_have_room(batch.holder.peer)
        self.holders.may_have_room(holder.peer)

    def _count(
        self, downloads: list[Download], cid: Cid, size: int
    ) -> tuple[int, list[tuple[Download, BadBlockError]]]:
        """Count a chunk as arrived in each download that wanted it.

        Returns the bytes of content that the chunk adds to an object (0 if it is only a loose chunk), and the
        downloads in which it has a wrong length, with the error.
        """
        fills = 0
        wrong: list[tuple[Download, BadBlockError]] = []
        for download in downloads:
            self.scheduler.resume(download)
            try:
                filled = download.arrive(cid, size, self.ledger.now)
            except BadBlockError as error:
                wrong.append((download, error))
                continue
            fills = filled if download.tree else fills
        return fills, wrong

    def _end_loose(self, download: Download, size: int, *, counted: bool) -> None:
        """End the download of a loose chunk that came.

        `counted`: wanted objects contain the chunk too. Otherwise an entry says that the loose chunk is complete.
        """
        del self.downloads[download.root]
        self.want_pusher.forget(download.root)
        if not counted:
            self.ledger.emit(ev.ObjectCompleted(root=download.root, size=size, path=None, by=download.by))

    def corrupt(self, peer: PeerId, cid: Cid, size: int) -> int:
        """Handle a chunk from `peer` whose bytes do not match its CID. The bytes are recorded as wasted.

        Its lease ends, so another holder can be granted the chunk. This peer is not granted it again, unless it
        makes a new offer. Returns how many chunks with wrong bytes this peer has sent.
        """
        holder = self.holders.get(peer)
        holder.sent_wrong_bytes()
        self._late(holder, cid)
        self._wasted(peer, cid, size, "corrupt")
        downloads = self.wanted.downloads_of(cid)
        for download in downloads:
            download.not_held_by(peer, cid)
        if self.leases.holds(cid, holder):
            self.scheduler.lapse(holder, [cid], "corrupt")
        for download in downloads:
            self.scheduler.schedule_push(download, None, "lapsed", peer)
        return holder.faults

    def skipped(self, peer: PeerId, cid: Cid, size: int) -> ev.Waste:
        """Record a chunk that a peer sent and `accepts` refused. Returns the cause for which its bytes were wasted."""
        cause: ev.Waste = self.holders.get(peer).came_late(cid) or "unasked"
        if cause == "unasked" and self.inherited.explains(peer):
            cause = "late"
        self._wasted(peer, cid, size, cause)
        return cause

    def _wasted(self, peer: PeerId, cid: Cid, size: int, cause: ev.Waste) -> None:
        roots = self.wanted.owners((cid,))
        self.ledger.emit(ev.ChunkWasted(cid=cid, size=size, peer=peer, cause=cause, roots=roots))

    def _late(self, holder: Holder, cid: Cid) -> ev.Waste | None:
        """Return for which cause a chunk from this holder counts as wasted, because its lease has ended.

        None: no lease of this chunk has ended at this holder. If the chunk is granted to the holder again now,
        the ended lease stays noted: a second copy, for the earlier grant, may be on its way.
        """
        if self.leases.holds(cid, holder):
            return holder.lapsed.get(cid, (None, 0))[0]
        return holder.came_late(cid)
