"""Wanted blocks: every block that must come from the swarm, and the downloads that want it.

A block may belong to several downloads. It is fetched once. While it waits to be granted, it is missing in only
one of these downloads: one that has a holder, if any has.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.leases import Leases
from flux_tui.core.fetching.grants.restored_leases import InheritedLeases
from flux_tui.core.fetching.holders import Holders
from flux_tui.core.ids import Cid


class WantedBlocks:
    """Every block that must come from the swarm and has not come, and the downloads that want it."""

    def __init__(
        self, holders: Holders, downloads: Mapping[Cid, Download], leases: Leases, inherited: InheritedLeases
    ) -> None:
        self.holders = holders
        self.downloads = downloads
        self.leases = leases
        self._inherited = inherited
        self._downloads_of: dict[Cid, list[Download]] = {}

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._downloads_of

    def __iter__(self) -> Iterator[Cid]:
        return iter(self._downloads_of)

    def downloads_of(self, cid: Cid) -> Collection[Download]:
        """Return the downloads that want this block."""
        return self._downloads_of.get(cid, ())

    def downloads_of_any(self, cids: Iterable[Cid]) -> Collection[Download]:
        """Return the downloads that want at least one of these blocks, each once."""
        return {id(d): d for cid in cids for d in self._downloads_of.get(cid, ())}.values()

    def owners(self, cids: Collection[Cid]) -> tuple[Cid, ...]:
        """Return the roots of the wanted objects that contain these blocks, except roots among `cids`."""
        found = (d.root for cid in cids for d in self._downloads_of.get(cid, ()) if d.tree)
        return tuple(dict.fromkeys(root for root in found if root not in cids))

    # ── a block is wanted, or not any more ──────────────────────────────────────────────────────

    def miss(self, download: Download, cid: Cid) -> None:
        """Record that a block of this download must come from the swarm."""
        self.miss_all(download, (cid,))

    def miss_all(self, download: Download, cids: Iterable[Cid]) -> None:
        """Record that these blocks of this download must come from the swarm."""
        woken = False
        for cid in cids:
            downloads = self._downloads_of.get(cid)
            if downloads is None:
                self._downloads_of[cid] = [download]
            elif download in downloads:
                continue
            else:
                downloads.append(download)
            if cid in self.leases.by_chunk:
                continue  # it is on its way for another download that contains it too
            if downloads is not None:
                others = (other for other in downloads if other is not download and cid in other.missing)
                if (waits := next(others, None)) is not None:
                    self._move(cid, waits, download)
                    continue
            download.miss(cid)
            if (batch := self._inherited.take(cid)) is not None:
                download.take_one(cid)
                self.leases.inherit(batch, cid, download)
            elif not woken:
                self.wake(download)
                woken = True

    def arrived(self, cid: Cid) -> list[Download] | None:
        """Remove a block that came. Returns the downloads that wanted it; None if none did."""
        return self._downloads_of.pop(cid, None)

    def leave(self, cid: Cid, download: Download) -> bool:
        """Record that a download that has ended does not want this block. Returns whether another download does.

        If so, the block is missing or granted for that one from now on.
        """
        others = [other for other in self._downloads_of.get(cid, ()) if other is not download]
        if not others:
            self._downloads_of.pop(cid, None)
            return False
        self._downloads_of[cid] = others
        if cid in download.missing or cid in download.granted:
            waited = cid in download.missing
            self.leases.reassign(cid, download, others[0])
            download.hand_over(cid, others[0])
            if waited:
                self.wake(others[0])
        return True

    def give_back(self, cid: Cid, granted_for: Download) -> None:
        """Let a block be granted again, because its only lease has ended and it did not come."""
        if downloads := self._downloads_of.get(cid):
            granted_for.give_back(cid, downloads[0])

    # ── a holder came, or the last one went ─────────────────────────────────────────────────────

    def wake(self, download: Download) -> None:
        """Let the scheduler look at each holder of this download again, because there are chunks to grant."""
        self.holders.wake(download.root, download.holders)

    def has_holder(self, download: Download) -> bool:
        """Whether a connected peer offers this download's object."""
        return any(peer in self.holders.connected for peer in download.holders)

    def gained_first_holder(self, download: Download) -> None:
        """Handle a download's first holder.

        Some blocks are also in other downloads, are listed as missing there, and those downloads have no
        holder. Such blocks are moved to this download, so that its holder can be asked for them.
        """
        for cid in download.blocks if len(self.downloads) > 1 else ():
            if cid not in download.have and cid not in download.missing:
                for other in self._downloads_of.get(cid, ()):
                    if cid in other.missing:
                        self._move(cid, other, download)
                        break

    def lost_last_holder(self, download: Download) -> None:
        """Handle the loss of a download's last holder.

        Its missing blocks move to other downloads that contain them and have a holder.
        """
        for cid in list(download.missing):
            for other in self._downloads_of.get(cid, ()):
                if other is not download and cid in download.missing:
                    self._move(cid, download, other)

    def _move(self, cid: Cid, waits: Download, download: Download) -> None:
        """Move a missing block from `waits` to `download`, if only `download` has a holder."""
        if self.has_holder(download) and not self.has_holder(waits):
            waits.hand_over(cid, download)
            self.wake(download)
