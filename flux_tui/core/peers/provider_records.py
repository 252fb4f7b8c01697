"""Which roots this node says in the DHT that it has: those of which all is here, and no other.

- A root is provided when its object is whole; after a restart, if it still is.
- It is withdrawn as soon as that is over: its replica is dropped, or a file of it was changed or removed.
- Kademlia has no message that takes a record back: from then on this node does not renew its own, and others
  forget theirs 48 hours after they were told. Until then they may forward an intent to here; what was
  withdrawn is then answered with `not_held`, where a node that never had it is silent.

Not here: when a record is renewed, and to whom it is told (net/flux/dht_routing.py).
"""

from flux_tui.core.api.effects import Provide, Withdraw
from flux_tui.core.ids import Cid
from flux_tui.core.turn import Ledger

MAX_WITHDRAWN = 4096
"""Roots remembered as withdrawn; a restart forgets them."""


class Provided:
    """What was said, and what is to be taken back."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._paths: dict[Cid, str] = {}
        """What is provided, and where it stands."""
        self._roots: dict[str, dict[Cid, None]] = {}
        """The same by path: which objects a lost file belongs to is found without a look at all of them."""
        self.withdrawn: dict[Cid, None] = {}
        """Others may still think that these are here."""

    def start(self) -> None:
        """The node is up: all that is whole is provided again."""
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

    def add(self, root: Cid) -> None:
        """It is whole."""
        self._forget(root)
        self._note(root)
        self.withdrawn.pop(root, None)
        self.ledger.do(Provide(roots=(root,)))

    def drop(self, *roots: Cid) -> None:
        """These are not here any more, or not whole."""
        gone = tuple(root for root in roots if root in self._paths)
        for root in gone:
            self._forget(root)
            self.withdrawn[root] = None
            if len(self.withdrawn) > MAX_WITHDRAWN:
                del self.withdrawn[next(iter(self.withdrawn))]
        if gone:
            self.ledger.do(Withdraw(roots=gone))

    def at(self, path: str) -> tuple[Cid, ...]:
        """The provided roots whose objects stand at this path, or in a folder above it."""
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
