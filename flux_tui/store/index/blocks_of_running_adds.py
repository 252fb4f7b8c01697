"""The adds that run now: each hashes a file or folder of the user's to share it, and finds its blocks.

A block that an add has found must not be forgotten when another object is removed. A cancelled add's blocks
are forgotten if nothing else needs them.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid


class AddsUnderWay:
    """The files and folders that are being added (hashed to be shared) now, with the blocks found in each so far.

    Each path is named by its row number in the database. The store's lock must be held.
    """

    def __init__(self) -> None:
        self._found: dict[int, set[Cid]] = {}
        self._fresh: dict[int, set[Cid]] = {}
        """The found blocks that the store did not have before."""
        self._times: dict[int, int] = {}
        """The number of adds of the same path that run now."""

    def begin(self, tree: int) -> None:
        """Note that a file or folder is being added from now on, to be shared.

        `tree`: the row number of its path.
        """
        self._times[tree] = self._times.get(tree, 0) + 1
        self._found.setdefault(tree, set())
        self._fresh.setdefault(tree, set())

    def note(self, tree: int, cids: Iterable[Cid], fresh: Iterable[Cid]) -> None:
        """Note blocks that were found in a file or folder being added. `tree`: the row number of its path.

        `cids`: the blocks. `fresh`: those of them that the store did not have before. If no add of this path
        runs, do nothing.
        """
        if tree in self._times:
            self._found[tree].update(cids)
            self._fresh[tree].update(fresh)

    def end(self, tree: int) -> set[Cid]:
        """Note that an add of a path has ended. Return the blocks of it that the store did not have before.

        The set is empty while another command still adds the same path; the last of them gets the blocks of
        all. `tree`: the row number of the path.
        """
        if tree not in self._times:
            return set()
        self._times[tree] -= 1
        if self._times[tree]:
            return set()
        del self._times[tree], self._found[tree]
        return self._fresh.pop(tree)

    def has(self, cid: Cid) -> bool:
        """Return whether this block was found in a file or folder that is being added now."""
        return any(cid in found for found in self._found.values())
