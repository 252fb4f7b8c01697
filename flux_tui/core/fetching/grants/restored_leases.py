"""Leases from before this node was restarted: some still run, and some chunks never came."""

from collections.abc import Iterable, Mapping

from flux_tui.core.fetching.grants.leases import Batch
from flux_tui.core.fetching.holders import LEASE_MIN, Holders
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.state import Lease, PeerState
from flux_tui.core.turn import Ledger


class InheritedLeases:
    """The grants from before this node was restarted, by chunk and by peer."""

    def __init__(self, ledger: Ledger, holders: Holders) -> None:
        self.ledger = ledger
        self.holders = holders
        self._batches: dict[Cid, Batch] = {}
        """Leases that are still live. Their chunks are not granted again."""
        self._owed: dict[PeerId, int] = {}
        """By peer: the number of granted chunks that have not come."""

    def start(self, leases: Mapping[Cid, Lease], peers: Iterable[PeerState]) -> None:
        """Take over the grants that the state records.

        A lease that still runs stays, but no longer than the shortest lease lasts, because the holder's queue
        for this node was lost with the old connection. For each peer, the granted chunks that never came are
        counted: a holder that was asleep may still send them.
        """
        now = self.ledger.now
        batches: dict[tuple[PeerId, float], Batch] = {}
        for cid, lease in leases.items():
            if (deadline := self.ledger.steady(lease.deadline)) > now:
                together = lease.peer, lease.deadline  # the chunks of one grant
                if together not in batches:
                    deadline = min(deadline, now + LEASE_MIN)
                    batches[together] = Batch.inherited_from(self.holders.get(lease.peer), deadline)
                self._batches[cid] = batches[together]
        self._owed = {peer.peer: owed for peer in peers if (owed := peer.granted - peer.chunks_in) > 0}

    def take(self, cid: Cid) -> Batch | None:
        """Remove the inherited lease of a chunk, because the chunk is still wanted.

        Returns the batch of grants that the lease belongs to; None if the chunk has no inherited lease, or it
        has ended.
        """
        batch = self._batches.pop(cid, None)
        return batch if batch is not None and batch.deadline > self.ledger.now else None

    def explains(self, peer: PeerId) -> bool:
        """Whether an unexpected chunk from this peer may have been granted before the restart.

        Each granted chunk that never came explains one unexpected chunk.
        """
        owed = self._owed.get(peer, 0)
        if owed:
            self._owed[peer] = owed - 1
        return owed > 0
