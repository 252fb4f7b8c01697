"""The adds that run now, with the blocks that they have found so far.

An add hashes a file or folder to share it. A block that an add has found must not be forgotten when another
object is removed. A cancelled add's blocks are forgotten if nothing else needs them.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid


class AddsUnderWay:
    """The adds (files or folders being hashed to be shared) that run now, by the row number of their path.

    The store's lock must be held.
    """

    def __init__(self) -> None:
        self._found: dict[int, set[Cid]] = {}
        self._fresh: dict[int, set[Cid]] = {}
        """Those of these blocks that the store did not have before."""
        self._times: dict[int, int] = {}
        """How many adds of the same path are under way."""

    def begin(self, tree: int) -> None:
        """Note that an add begins. `tree`: the row number of its path."""
        self._times[tree] = self._times.get(tree, 0) + 1
        self._found.setdefault(tree, set())
        self._fresh.setdefault(tree, set())

    def note(self, tree: int, cids: Iterable[Cid], fresh: Iterable[Cid]) -> None:
        """Note blocks that an add found. `fresh`: those of them that the store did not have before."""
        if tree in self._times:
            self._found[tree].update(cids)
            self._fresh[tree].update(fresh)

    def end(self, tree: int) -> set[Cid]:
        """Note that an add has ended. Return the blocks that the store did not have before this add.

        The set is empty while another add of the same path runs.
        """
        if tree not in self._times:
            return set()
        self._times[tree] -= 1
        if self._times[tree]:
            return set()
        del self._times[tree], self._found[tree]
        return self._fresh.pop(tree)

    def has(self, cid: Cid) -> bool:
        """Return whether an add that runs now has found this block."""
        return any(cid in found for found in self._found.values())
