"""Handles the start of a node: the machine continues with everything that was pending when the node stopped."""

from flux_tui.core.adds_and_removals import Sharing
from flux_tui.core.api.inputs import NodeStarting
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.fetching.wants.want_queue import WantPriority
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.peers.provider_records import ProviderRecords
from flux_tui.core.peers.router import Router
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.replication.origin import Origin
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import ObjectState, Pending
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger


class StartHandler:
    """Starts all parts of the machine from the state that the series folds to."""

    def __init__(
        self,
        ledger: Ledger,
        router: Router,
        requester: Requester,
        responder: Responder,
        provider_records: ProviderRecords,
        keeper: Keeper,
        sharing: Sharing,
        origin: Origin,
    ) -> None:
        self.ledger = ledger
        self.router = router
        self.requester = requester
        self.responder = responder
        self.provider_records = provider_records
        self.keeper = keeper
        self.sharing = sharing
        self.origin = origin

    def handle(self, start: NodeStarting) -> None:
        """Record that the node has started, and start the parts of the machine."""
        state = self.ledger.state
        self.ledger.clock_stepped(start.wall - self.ledger.now)
        # The entry of the start clears what these are made of.
        priorities = {
            cid: _priority(pending, state.objects.get(cid)) for cid, pending in state.pending.items()
        }
        self.ledger.emit(
            ev.NodeStarted(
                peer_id=self.ledger.me,
                addrs=start.addrs,
                version=start.version,
                max_pending=self.requester.want_pusher.max_pending,
            )
        )
        if self.responder.policy != state.policy:
            self.ledger.emit(ev.PolicyChanged(policy=self.responder.policy))
        self.requester.inherited.start(state.leases, state.peers.values())
        self.requester.failures.start()
        self._resume(priorities)
        self.router.start()
        self.provider_records.start()
        self.keeper.start()
        self.sharing.start()
        self.origin.start()

    def _resume(self, priorities: dict[Cid, WantPriority]) -> None:
        """Continue every pending want. `priorities`: the priority of each want, by its CID."""
        state = self.ledger.state
        for pending in list(state.pending.values()):
            known = state.objects.get(pending.cid)
            self.requester.begin(
                Download(
                    pending.cid,
                    path=known.path if known else None,
                    tree=not pending.block and (known is not None or not is_leaf(pending.cid)),
                    by=pending.by,
                    size=known.size if known else None,
                    held=pending.held,
                    limit=known.limit if known else None,
                ),
                priorities[pending.cid],
            )


def _priority(pending: Pending, known: ObjectState | None) -> WantPriority:
    """Return the priority of a want after a restart.

    `urgent`: a peer said yes to it, or its object has a path here. `due`: it was pushed before. `new`: neither.
    """
    if pending.yes or (known is not None and known.path is not None):
        return "urgent"
    return "due" if pending.pushes else "new"
