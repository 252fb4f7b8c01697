"""The adds that are under way, with the blocks that they have found so far.

Such a block must not be forgotten together with another object. The blocks that only a cancelled add brought
are forgotten with it.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid


class AddsUnderWay:
    """The adds under way, by the row of their tree. The store's lock guards them."""

    def __init__(self) -> None:
        self._found: dict[int, set[Cid]] = {}
        self._fresh: dict[int, set[Cid]] = {}
        """Those of these blocks that the store did not have before."""
        self._times: dict[int, int] = {}
        """How many adds of the same path are under way."""

    def begin(self, tree: int) -> None:
        """Note that an add of this tree begins."""
        self._times[tree] = self._times.get(tree, 0) + 1
        self._found.setdefault(tree, set())
        self._fresh.setdefault(tree, set())

    def note(self, tree: int, cids: Iterable[Cid], fresh: Iterable[Cid]) -> None:
        """Note blocks that the add found."""
        if tree in self._times:
            self._found[tree].update(cids)
            self._fresh[tree].update(fresh)

    def end(self, tree: int) -> set[Cid]:
        """End an add. Returns the blocks that it brought; none while the same path is still being added."""
        if tree not in self._times:
            return set()
        self._times[tree] -= 1
        if self._times[tree]:
            return set()
        del self._times[tree], self._found[tree]
        return self._fresh.pop(tree)

    def has(self, cid: Cid) -> bool:
        """Whether an add that is under way has found this block."""
        return any(cid in found for found in self._found.values())
