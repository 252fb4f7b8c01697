"""Repeated grants: a grant whose chunks are late is pushed again when its holder answers a want.

A late holder whose chunks no other peer can send gets more time, up to forty minutes (leases.py): on a slow line its
chunks wait for so long. But its grant may also have been lost, or its NO to that grant. Then nothing ever comes,
and this node would wait for nothing.

While the chunks are late, this node pushes its want again. If the holder answers, it is there, and everything that it
sent before its answer has come. So the grant is pushed again. A holder that has the chunks in its queue ignores that.
One that lost the grant sends the chunks now, or answers NO.
"""

from collections.abc import Collection

from flux_tui.core.api.effects import Push
from flux_tui.core.fetching.grants.leases import Batch
from flux_tui.core.fetching.grants.scheduler import Scheduler
from flux_tui.core.fetching.holders import Holder
from flux_tui.core.ids import Cid
from flux_tui.core.limits import batches
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger
from flux_tui.core.wire.messages import MAX_CIDS_DIRECT, Grant


class RepeatedGrants:
    """Pushes late grants again. It reads the leases of the scheduler."""

    def __init__(self, ledger: Ledger, scheduler: Scheduler) -> None:
        self.ledger = ledger
        self.scheduler = scheduler

    def answered(self, holder: Holder, roots: Collection[Cid]) -> None:
        """Push the late grants of this holder again, because it answered the wants for these objects.

        Each grant is repeated at most once for each extension. So a holder that answers again and again does not make
        this node push more. The leases keep their deadlines.
        """
        if not holder.outstanding:
            return
        now = self.ledger.now
        for batch in list(self.scheduler.extended.values()):
            if batch.holder is holder and batch.may_repeat() and not holder.is_sending(now, batch.estimate):
                self._repeat(batch, roots)

    def _repeat(self, batch: Batch, roots: Collection[Cid]) -> None:
        by_root: dict[Cid | None, list[Cid]] = {}
        for cid, download in batch.chunks.items():
            if download.root in roots and cid not in self.scheduler.withdrawals:
                by_root.setdefault(download.root if download.tree else None, []).append(cid)
        if not by_root:
            return
        batch.count_repeat()
        ttl = max(batch.deadline - self.ledger.now, 0.0)
        for root, cids in by_root.items():
            for part in batches(cids, MAX_CIDS_DIRECT):
                for cid in part:
                    batch.holder.let_lapse(cid, "late")  # if both grants came, a second copy may come
                peer, deadline = batch.holder.peer, batch.deadline
                self.ledger.emit(ev.Granted(peer=peer, root=root, cids=part, deadline=deadline, again=True))
                self.ledger.do(Push(peer=peer, message=Grant(cids=part, ttl=ttl)))
