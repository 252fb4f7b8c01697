"""Handles objects that cannot be written here: they wait for room, are refused, or their download ends.

- There is no room: the disk is full or nearly full. One entry says so. No chunk of the object is granted for a
  while (write_backoff.py). When the pause is over, the store tries again, and the download continues by itself.
- The object's blocks are invalid, or it is too large. It is refused, and an entry gives the reason. Its blocks
  are removed, except those that other objects here contain.
- Its path cannot be used: the name is taken, or the folder cannot be written to. The download ends. The chunks that
  came stay in the store.
"""

from collections.abc import Callable, Iterator

from flux_tui.core.api.effects import Discard, DropTree, Effect
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.scheduler import Scheduler
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import ErrorCode


class Failures:
    """Handles the downloads that cannot be written. `cancel(root)` ends the download of an object and its grants."""

    def __init__(self, ledger: Ledger, scheduler: Scheduler, cancel: Callable[[Cid], bool]) -> None:
        self.ledger = ledger
        self.scheduler = scheduler
        self._cancel = cancel
        self._postponed: dict[Cid, None] = {}
        """Objects for which the store has something to do again."""

    # ── for good ────────────────────────────────────────────────────────────────────────────────

    def give_up(
        self, download: Download, text: str, *, discard: bool = True, code: ErrorCode = "cannot_write"
    ) -> None:
        """End the download of an object that cannot be written, and record why (`text`).

        `discard`: also record that the object is refused, and let the store remove its blocks, because it can never be
        written. This is not done for a replica (the keeper removes it), nor for a loose chunk.
        """
        self.ledger.emit(
            ev.ErrorOccurred(text=text, cid=download.root, path=download.path, by=download.by, code=code)
        )
        self._cancel(download.root)
        self.ledger.emit(ev.Cancelled(cids=(download.root,), by=download.by))
        if download.tree and discard and not download.held:  # the keeper removes a replica
            self.ledger.emit(ev.ObjectRefused(root=download.root, path=download.path))
            self._discard(download.root, download.path)
        elif download.tree:
            self.ledger.do(DropTree(root=download.root))

    def refuse(self, download: Download, why: object) -> None:
        """Refuse an object whose blocks are invalid or that is too large. `why`: the reason."""
        self.give_up(download, f"the object {download.root} cannot be fetched: {why}", code="refused")

    def chunk_unfit(self, peer: PeerId, cid: Cid, size: int, root: Cid, text: str) -> None:
        """Refuse the object `root`, because a chunk of it has another kind or size than the object's inner nodes say.

        The chunk `cid`, with `size` bytes, came from `peer`, and counts as wasted. `text`: the reason.
        """
        self._not_written(peer, cid, size)
        if download := self.scheduler.downloads.get(root):
            self.refuse(download, text)

    def start(self) -> None:
        """After a start of the node, continue to remove the blocks of refused objects."""
        for root, path in self.ledger.state.refused.items():
            self._discard(root, path)

    def discarded(self, root: Cid, chunks: int, size: int) -> None:
        """Record that the store has removed the blocks of a refused object: `chunks` blocks with `size` bytes."""
        if root in self.ledger.state.refused:
            self.ledger.emit(ev.ObjectDiscarded(root=root, chunks=chunks, size=size))

    def _discard(self, root: Cid, path: str | None) -> None:
        state = self.ledger.state
        others = dict.fromkeys(state.roots)
        if root not in state.kept:
            others.pop(root, None)
        self.ledger.do(Discard(root=root, path=path, others=tuple(others)))

    # ── for now ─────────────────────────────────────────────────────────────────────────────────

    def chunk_unwritten(self, peer: PeerId, cid: Cid, size: int, text: str) -> None:
        """Pause all downloads that need a chunk, because it came from `peer` and could not be written. `text`: why."""
        self._not_written(peer, cid, size)
        for download in list(self.scheduler.wanted.downloads_of(cid)):
            self._pause(download, text)

    def postpone(self, download: Download, effect: Effect, text: str) -> None:
        """Pause a download, because the store had no room to run `effect` for it. `text`: the error in a sentence.

        After the pause, the store runs the effect again (`over`).
        """
        download.postpone(effect)
        self._postponed[download.root] = None
        self._pause(download, text)

    def over(self) -> Iterator[Download]:
        """Yield the downloads whose pause is over and that have postponed effects. The caller runs these again."""
        for root in list(self._postponed):
            download = self.scheduler.downloads.get(root)
            if download is None or not download.postponed:
                del self._postponed[root]
            elif self.scheduler.write_backoff.due(download, self.ledger.now):
                yield download

    def _not_written(self, peer: PeerId, cid: Cid, size: int) -> None:
        holder = self.scheduler.holders.get(peer)
        self.ledger.emit(
            ev.ChunkWasted(
                cid=cid, size=size, peer=peer, cause="unwritten", roots=self.scheduler.wanted.owners((cid,))
            )
        )
        if self.scheduler.leases.holds(cid, holder):
            self.scheduler.lapse(holder, [cid], "unwritten")
        else:
            holder.came_late(cid)

    def _pause(self, download: Download, text: str) -> None:
        """Pause a download that cannot be written: cancel its grants, and plan the next push of its want.

        `text`: why. It becomes an entry only at the first of several failures in a row.
        """
        if not self.scheduler.write_backoff.is_failing(download):
            self.ledger.emit(
                ev.ErrorOccurred(text=text, cid=download.root, path=download.path, code="cannot_write")
            )
        wait = self.scheduler.write_backoff.begin(download, self.ledger.now)
        if wait is not None:
            self.scheduler.cancel_granted(download)
            self.scheduler.want_pusher.push_again(download, wait, "unwritten", None, sooner=False)
