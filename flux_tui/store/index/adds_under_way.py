"""Adds that are under way: which blocks they have found so far.

Such a block must not be forgotten with another object, and one that only a cancelled add brought goes with it.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid


class Shares:
    """By the row of its tree. The store's lock guards it."""

    def __init__(self) -> None:
        self._found: dict[int, set[Cid]] = {}
        self._fresh: dict[int, set[Cid]] = {}
        """Of these, the blocks that the store did not have."""
        self._times: dict[int, int] = {}
        """The same path may be added twice at the same time."""

    def begin(self, tree: int) -> None:
        """An add of this tree begins."""
        self._times[tree] = self._times.get(tree, 0) + 1
        self._found.setdefault(tree, set())
        self._fresh.setdefault(tree, set())

    def note(self, tree: int, cids: Iterable[Cid], fresh: Iterable[Cid]) -> None:
        """It found these blocks."""
        if tree in self._times:
            self._found[tree].update(cids)
            self._fresh[tree].update(fresh)

    def end(self, tree: int) -> set[Cid]:
        """It is over. Returns the blocks that it brought; none while the same path is still being added."""
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
