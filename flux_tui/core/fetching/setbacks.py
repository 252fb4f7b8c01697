"""What happens to an object that cannot be written here, now or ever.

- There is no room: the disk is full or nearly full. One entry says so. Nothing of the object is granted for a
  while (write_backoff.py). When the pause is over, what the store could not do is done again. The fetch goes
  on by itself.
- The object is not what it says it is, or describes too much. It is refused with a sentence. What came of it
  is removed, except blocks that other objects here contain.
- Its path cannot be used: the name is taken, or the folder cannot be written to. The fetch ends, and what
  came is kept.
"""

from collections.abc import Callable

from flux_tui.core.api.effects import Discard, DropTree, Effect, Place, ReadNode
from flux_tui.core.fetching.download import Fetch, owners
from flux_tui.core.fetching.planning import Planning
from flux_tui.core.fetching.scheduler import Granting
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger


class Setbacks:
    """Failures of all fetches of this node. `cancel` ends a fetch and all that is on its way for it."""

    def __init__(
        self, ledger: Ledger, grants: Granting, planning: Planning, cancel: Callable[[Cid], bool]
    ) -> None:
        self.ledger = ledger
        self.grants = grants
        self.planning = planning
        self._cancel = cancel
        self._postponed: dict[Cid, None] = {}
        """Objects for which the store has something to do again."""

    # ── for good ────────────────────────────────────────────────────────────────────────────────

    def fail(self, fetch: Fetch, text: str, *, discard: bool = True) -> None:
        """Give an object up. `discard`: it can never be written, so remove what came of it."""
        self.ledger.emit(ev.ErrorOccurred(text=text, cid=fetch.root, path=fetch.path, by=fetch.by))
        self._cancel(fetch.root)
        self.ledger.emit(ev.Cancelled(cids=(fetch.root,), by=fetch.by))
        if fetch.tree and discard and not fetch.held:  # the keeper removes a replica
            self.ledger.emit(ev.ObjectRefused(root=fetch.root, path=fetch.path))
            self._discard(fetch.root, fetch.path)
        elif fetch.tree:
            self.ledger.do(DropTree(root=fetch.root))

    def refuse(self, fetch: Fetch, why: object) -> None:
        """Refuse an object that is not what it says it is, or describes too much."""
        self.fail(fetch, f"the object {fetch.root} cannot be had: {why}")

    def unfit(self, peer: PeerId, cid: Cid, size: int, root: Cid, text: str) -> None:
        """A verified chunk came that does not fit into the object as the object describes itself: refuse the
        object."""
        self._not_written(peer, cid, size)
        if fetch := self.grants.fetches.get(root):
            self.refuse(fetch, text)

    def start(self) -> None:
        """The node has started: go on removing refused objects."""
        for root, path in self.ledger.state.refused.items():
            self._discard(root, path)

    def discarded(self, root: Cid, chunks: int, size: int) -> None:
        """The store has removed what came of an object."""
        if root in self.ledger.state.refused:
            self.ledger.emit(ev.ObjectDiscarded(root=root, chunks=chunks, size=size))

    def _discard(self, root: Cid, path: str | None) -> None:
        state = self.ledger.state
        others = dict.fromkeys((*state.objects, *state.pending, *state.kept))
        if root not in state.kept:
            others.pop(root, None)
        self.ledger.do(Discard(root=root, path=path, others=tuple(others)))

    # ── for now ─────────────────────────────────────────────────────────────────────────────────

    def land_failed(self, peer: PeerId, cid: Cid, size: int, text: str) -> None:
        """A verified chunk could not be written: pause its fetches."""
        self._not_written(peer, cid, size)
        for fetch in list(self.grants.wanted.get(cid, ())):
            self._pause(fetch, text)

    def postpone(self, fetch: Fetch, effect: Effect, text: str) -> None:
        """The store has no room to do this: do it again when the pause is over."""
        fetch.postponed.append(effect)
        self._postponed[fetch.root] = None
        self._pause(fetch, text)

    def try_again(self) -> None:
        """Do again what the store could not do, for fetches whose pause is over."""
        for root in list(self._postponed):
            fetch = self.grants.fetches.get(root)
            if fetch is None or not fetch.postponed:
                del self._postponed[root]
            elif self.grants.pauses.due(fetch, self.ledger.now):
                self._do_again(fetch)

    def _do_again(self, fetch: Fetch) -> None:
        effects, fetch.postponed = fetch.postponed, []
        for effect in effects:
            if isinstance(effect, Place | ReadNode):
                self.planning.ask(fetch, effect)
            else:
                self.ledger.do(effect)

    def _not_written(self, peer: PeerId, cid: Cid, size: int) -> None:
        holder = self.grants.holders.get(peer)
        self.ledger.emit(
            ev.ChunkWasted(
                cid=cid, size=size, peer=peer, cause="unwritten", roots=owners(self.grants.wanted, (cid,))
            )
        )
        if self.grants.leases.holds(cid, holder):
            self.grants.lapse(holder, [cid], "unwritten")
        else:
            holder.came_late(cid)

    def _pause(self, fetch: Fetch, text: str) -> None:
        """Pause a fetch that cannot be written: cancel its grants, and ask again later."""
        if not self.grants.pauses.known(fetch):
            self.ledger.emit(ev.ErrorOccurred(text=text, cid=fetch.root, path=fetch.path))
        wait = self.grants.pauses.begin(fetch, self.ledger.now)
        if wait is not None:
            self.grants.withdraw(fetch)
            self.grants.retry.again(fetch, wait, "unwritten", None, sooner=False)
