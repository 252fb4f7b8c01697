"""Provider records: the roots that this node announces in the DHT.

The announced roots are exactly those of which this node has all blocks.

- A root is announced when its object is whole, and after a restart if it is still whole.
- A root is withdrawn when the node loses blocks: its replica is dropped, or one of its files was changed or
  removed.
- Kademlia has no message that takes a record back. This node stops renewing its own record, and others forget
  theirs 48 hours after they got it. Until then they may forward an intent to this node. For a withdrawn root
  it answers `not_held`; a node that never had the root stays silent.

When a record is renewed, and to which nodes it is sent, is decided in net/flux/dht/dht_routing.py.
"""

from flux_tui.core.api.effects import Provide, Withdraw
from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedSet
from flux_tui.core.turn import Ledger

MAX_WITHDRAWN = 4096
"""Withdrawn roots that are remembered. A restart forgets them."""


class ProviderRecords:
    """The roots that this node announces in the DHT, and the roots that it has withdrawn."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._paths: dict[Cid, str] = {}
        """Each announced root and its path."""
        self._roots: dict[str, dict[Cid, None]] = {}
        """The announced roots by path, so that the objects of a lost file are found without a search through
        all of them."""
        self.withdrawn: BoundedSet[Cid] = BoundedSet(MAX_WITHDRAWN)
        """Withdrawn roots. Others may still think that they are here."""

    def start(self) -> None:
        """After a start of the node, announce all whole objects again."""
        size_of = self.ledger.holdings.size_of
        whole = [
            known.root
            for known in self.ledger.state.objects.values()
            if known.completed_at is not None and not known.broken and size_of(known.root) is not None
        ]
        for root in whole:
            self._note(root)
        if whole:
            self.ledger.do(Provide(roots=tuple(whole)))

    def add(self, root: Cid, *, wanted: bool = False) -> None:
        """Announce the root of an object that is whole. `wanted`: a peer wanted it before."""
        self._forget(root)
        self._note(root)
        self.withdrawn.discard(root)
        self.ledger.do(Provide(roots=(root,), wanted=wanted))

    def drop(self, *roots: Cid) -> None:
        """Withdraw the roots of objects that are gone or no longer whole."""
        gone = tuple(root for root in roots if root in self._paths)
        for root in gone:
            self._forget(root)
            self.withdrawn.add(root)
        if gone:
            self.ledger.do(Withdraw(roots=gone))

    def at(self, path: str) -> tuple[Cid, ...]:
        """Return the announced roots of objects whose path is `path` or a folder above it."""
        found = dict(self._roots.get(path, {}))
        while (cut := path.rfind("/")) > 0:
            path = path[:cut]
            found |= self._roots.get(path, {})
        return tuple(found)

    def _note(self, root: Cid) -> None:
        known = self.ledger.state.objects.get(root)
        path = self._paths[root] = (known.path if known is not None else None) or ""
        self._roots.setdefault(path, {})[root] = None

    def _forget(self, root: Cid) -> None:
        path = self._paths.pop(root, None)
        if path is not None:
            roots = self._roots[path]
            del roots[root]
            if not roots:
                del self._roots[path]
