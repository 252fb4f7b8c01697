"""Which neighbours said that they lack a wanted object (`not_held`), and when all nodes were asked for it last. Pure.

A want that nobody can answer is pushed again and again, more and more rarely. The neighbours that said `not_held`
need not hear of it each time: a neighbour that gets the object announces it (`have`), and a neighbour that connects
anew is told all wants. So such a neighbour is asked again only after LACKING_SECONDS, in case its announcement was
lost.
A long list of wants goes to the whole swarm by gossip only every FLOOD_SECONDS: each copy costs 16 KB.

Thousands of wants mostly have the same answers. They share them: a want costs one entry in a table.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable

LACKING_SECONDS = 2 * 3600.0
"""Seconds after its `not_held` in which a neighbour is not asked again for the same object."""
FLOOD_SECONDS = 2 * 3600.0
"""Seconds between two pushes of a long list of wants by gossip."""
MAX_PEERS = 64
"""Neighbours that are remembered for one want."""
MAX_SHARED = 4096
"""Different sets of answers that are shared."""

NOBODY: frozenset[PeerId] = frozenset()


class _Answers(NamedTuple):
    """The answers to one want. Equal ones are one object."""

    since: float
    """When the first of these peers said `not_held`."""
    peers: frozenset[PeerId]


class LackingPeers:
    """By want: the peers that said `not_held`, and the time of the last push by gossip."""

    def __init__(self) -> None:
        self._answers: dict[Cid, _Answers] = {}
        self._floods: dict[Cid, float] = {}
        self._shared: BoundedTable[tuple[_Answers, PeerId], _Answers] = BoundedTable(MAX_SHARED)

    def __len__(self) -> int:
        """The number of wants with an answer."""
        return len(self._answers)

    def note(self, roots: Iterable[Cid], peer: PeerId, now: float) -> None:
        """Note that a peer said that it lacks these objects."""
        for root in roots:
            before = self._answers.get(root)
            if before is None or now - before.since >= LACKING_SECONDS:
                before = _Answers(now, NOBODY)
            if peer not in before.peers and len(before.peers) < MAX_PEERS:
                key = (before, peer)
                after = self._shared.get(key)
                if after is None:
                    after = self._shared[key] = _Answers(before.since, before.peers | {peer})
                self._answers[root] = after

    def forget(self, root: Cid) -> None:
        """Forget the answers to a want, because it has ended, or because a peer has the object."""
        self._answers.pop(root, None)
        self._floods.pop(root, None)

    def of_all(self, roots: Sequence[Cid], now: float) -> frozenset[PeerId]:
        """Return the peers that said that they lack each of these objects, not too long ago."""
        found: frozenset[PeerId] | None = None
        last: _Answers | None = None
        for root in roots:
            answers = self._answers.get(root)
            if answers is None or now - answers.since >= LACKING_SECONDS:
                return NOBODY
            if answers is not last:
                found = answers.peers if found is None else found & answers.peers
                last = answers
        return found or NOBODY

    def flooded(self, roots: Iterable[Cid], now: float) -> None:
        """Note that the wants for these objects were just pushed by gossip."""
        for root in roots:
            self._floods[root] = now

    def flooded_lately(self, roots: Iterable[Cid], now: float) -> bool:
        """Whether each of these wants was pushed by gossip within the last FLOOD_SECONDS."""
        return all(now - self._floods.get(root, -inf) < FLOOD_SECONDS for root in roots)
