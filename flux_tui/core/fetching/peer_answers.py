"""Handles the answers of peers to the wants and grants of this node.

A peer answers with a delayed yes or a NO, or it wants the same object itself.
"""

from collections.abc import Mapping

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.peer_bitmaps import MAX_WATCHERS, PeerBitmap
from flux_tui.core.fetching.grants.leases import Leases
from flux_tui.core.fetching.grants.repeated_grants import RepeatedGrants
from flux_tui.core.fetching.grants.scheduler import Scheduler
from flux_tui.core.fetching.grants.wanted_blocks import WantedBlocks
from flux_tui.core.fetching.holders import Holders
from flux_tui.core.fetching.wants.want_pusher import WantPusher
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.peer_backoff import GIVES_NOTHING, gives_later
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_WAIT, Grant, StatusNo, StatusYesButLater


class PeerAnswers:
    """Handles the answers of peers to wants and grants. It shares its tables with the requester."""

    def __init__(
        self,
        ledger: Ledger,
        holders: Holders,
        downloads: Mapping[Cid, Download],
        wanted: WantedBlocks,
        leases: Leases,
        scheduler: Scheduler,
        want_pusher: WantPusher,
    ) -> None:
        self.ledger = ledger
        self.holders = holders
        self.downloads = downloads
        self.wanted = wanted
        self.leases = leases
        self.scheduler = scheduler
        self.want_pusher = want_pusher
        self.repeated_grants = RepeatedGrants(ledger, scheduler)

    def offered(self, peer: PeerId, offer: StatusYesButLater) -> None:
        """Handle a holder's delayed yes: record it, and let the holder be granted chunks of what it offers.

        Objects that this node does not want any more are ignored.
        """
        cids = tuple(cid for cid in offer.cids if cid in self.downloads)
        if not cids:
            return
        self.ledger.emit(
            ev.DelayedYes(
                peer=peer,
                cids=cids,
                eta=min(offer.eta, MAX_WAIT),
                queue_bytes=offer.queue_bytes,
                name=offer.name,
                size=offer.size,
                have=offer.have if offer.part is not None else None,
            )
        )
        self.promised(peer, cids, offer.size, offer.part)
        self.repeated_grants.answered(self.holders.get(peer), cids)

    def promised(
        self, peer: PeerId, cids: tuple[Cid, ...], size: int | None, part: bytes | None = None
    ) -> None:
        """Record that a peer offers these objects. From now on it can be granted their chunks.

        `size`: bytes of the object, if known. `part`: the bitmap of the blocks that the peer has; None: it has
        all. Both are ignored if `cids` names several objects.
        """
        holder = self.holders.get(peer)
        holder.says_yes()
        for cid in cids:
            download = self.downloads[cid]
            self.want_pusher.lacking.forget(cid)
            first = not self.wanted.has_holder(download)
            download.offered_by(peer, PeerBitmap(part) if part is not None and len(cids) == 1 else None)
            if first:
                self.wanted.gained_first_holder(download)
            download.rotate_missing(self.ledger.random)
            if size is not None and len(cids) == 1:
                download.told_size(size)
            holder.add_root(cid)
        self.holders.may_have_room(peer)
        self.scheduler.other_holder_came(peer, cids)

    def also_wanted(self, peer: PeerId, cids: tuple[Cid, ...]) -> None:
        """Handle a peer's want for objects that this node is fetching too.

        The peer will soon have parts of them. So this node pushes its own wants for them to the peer, once, unless
        the peer has offered them already.
        """
        news = []
        for cid in cids:
            download = self.downloads.get(cid)
            if download is None or peer in download.other_downloaders:
                continue
            if len(download.other_downloaders) >= MAX_WATCHERS:
                continue
            download.also_fetched_by(peer)
            if peer not in download.holders:
                news.append(cid)
        if news:
            self.want_pusher.tell(news, peer)

    def refused(self, peer: PeerId, no: StatusNo) -> None:
        """Handle a peer's NO to a want, or to chunks that were granted to it.

        It is recorded, and ends the leases and offers that it makes invalid. Then the next push of each want that
        it concerns is planned. CIDs that this node does not want any more are ignored.
        """
        cids = tuple(cid for cid in no.cids if cid in self.downloads or cid in self.wanted)
        if not cids:
            return
        said = ev.StatusNo(
            peer=peer,
            cids=cids,
            reason=no.reason,
            has_it=no.has_it,
            retry_after=None if no.retry_after is None else min(no.retry_after, MAX_WAIT),
            text=no.text,
            roots=self.wanted.owners(cids),
        )
        self.ledger.emit(said)
        asked = [download for cid in cids if (download := self.downloads.get(cid))]
        if no.has_it:
            for download in asked:
                download.answered()
                self.want_pusher.lacking.forget(download.root)
        elif no.reason == "not_held" and no.retry_after is None:
            self.want_pusher.lacking.note((download.root for download in asked), peer, self.ledger.now)
        changed = self._lose(peer, said, asked)
        if no.reason == "busy":  # a NO to a want: its answer to the grant says whether it has the grant
            self.repeated_grants.answered(self.holders.get(peer), [download.root for download in asked])
        later = gives_later(said)
        if later:
            self._ask_later(peer, asked)
        else:
            self.want_pusher.tell_no_more(peer, cids)
        at = self.scheduler.free_at(peer) if later or said.retry_after is not None else None
        for download in {id(d): d for d in (*asked, *self.wanted.downloads_of_any(cids))}.values():
            if later and peer in download.holders:  # it is granted some as soon as it may be asked
                self.holders.get(peer).add_root(download.root)
                self.holders.may_have_room(peer)
            if at is not None:
                self.scheduler.schedule_push(download, at - self.ledger.now, "retry_after", peer)
            elif changed:
                self.scheduler.schedule_push(download, None, "lapsed", peer)

    def _lose(self, peer: PeerId, no: ev.StatusNo, asked: list[Download]) -> bool:
        """End the leases and offers of a peer that its NO makes invalid. Returns whether there were any.

        `asked`: the downloads whose root the NO names.
        """
        holder = self.holders.get(peer)
        freed = [cid for cid in no.cids if self.leases.holds(cid, holder)]
        if no.reason == "not_held":
            for cid in freed:
                for download in self.wanted.downloads_of(cid):
                    download.not_held_by(peer, cid)
        lost = False
        for download in () if gives_later(no) else asked:
            lost = download.refused_by(peer) or lost
            holder.drop_root(download.root)
        if no.reason in GIVES_NOTHING:
            self.scheduler.refuses_everything(holder)
        else:
            self.scheduler.lapse(holder, freed, "refused")
        return bool(freed or lost)

    def _ask_later(self, peer: PeerId, asked: list[Download]) -> None:
        """Plan to push the wants of these downloads again to a peer that has the objects but said NO.

        They are pushed when the peer may be asked again. Wants for objects that the peer has offered are left out:
        at that time, chunks of these objects are granted to it instead.
        """
        at = self.scheduler.free_at(peer)
        for download in asked:
            download.holder_is_free_at(at, self.ledger.now)
        self.want_pusher.tell_later(
            peer, [download.root for download in asked if peer not in download.holders]
        )

    def dropped(self, peer: PeerId, grant: Grant) -> None:
        """End the leases of a grant that could not be queued for its peer, and plan when its wants are pushed again."""
        holder = self.holders.get(peer)
        mine = [cid for cid in grant.cids if self.leases.holds(cid, holder)]
        downloads = self.wanted.downloads_of_any(mine)
        self.scheduler.lapse(holder, mine, "slow")
        for download in downloads:
            self.scheduler.schedule_push(download, None, "lapsed", peer)
