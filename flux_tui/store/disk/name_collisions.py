"""Checks that no two names in an object are the same file on this volume.

On some volumes two names in a folder are one file: where upper and lower case are the same (macOS, exFAT,
SMB), where Unicode forms are (`é` as one character or two), or where long names are cut off. Only the volume
knows which names are the same. So each entry is created. If the volume says that there is an entry already, it is
looked at. If it is the same file as another entry, the object cannot be stored there. This is found before anything
is written into the file. Where a volume gives its files no lasting numbers, it is found at the end, when the names
in each folder are counted.
"""

import os
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from flux_tui.store.database import StoreError
from flux_tui.store.disk.safe_path import Inside


class DistinctNames:
    """The names that were created so far for one object at `base`, each with the file that it led to."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._known: dict[tuple[int, int], str] = {}
        """Device and inode of each entry that was looked at, with its path in the object."""
        self._new: list[str] = []
        """Paths of entries that were created anew and not looked at. Each is another file than all before it."""

    def created(self, rel: str) -> None:
        """Note that an entry was created at the path `rel`, where nothing was before."""
        self._new.append(rel)

    def take(self, rel: str, found: os.stat_result) -> None:
        """Note which file the path `rel` led to, because something was there before.

        Raises StoreError if another path is the same file. `found`: the stat of the file.
        """
        self._look()
        key = found.st_dev, found.st_ino
        known = self._known.setdefault(key, rel)
        if known == rel:
            return
        if self._is(known, found):
            raise StoreError(self._sentence(known, rel))
        self._known[key] = rel  # the old file with this number is gone

    def explain(self, rel: str, error: OSError | StoreError) -> None:
        """If creating `rel` failed because another name is the same file, raise StoreError, which says both names.

        `error`: why it failed.
        """
        try:
            found = Inside(self._base, rel).stat()
        except (OSError, StoreError):
            return
        self._look()
        known = self._known.get((found.st_dev, found.st_ino), rel)
        if known != rel and self._is(known, found):
            raise StoreError(self._sentence(known, rel)) from error

    def _look(self) -> None:
        """Look at the entries that were created since the last look."""
        new, self._new = self._new, []
        for rel in new:
            with suppress(OSError, StoreError):  # somebody has removed it
                found = Inside(self._base, rel).stat()
                self._known[found.st_dev, found.st_ino] = rel

    def check(self, rels: Iterable[str]) -> None:
        """Check that each of these paths exists under its own name in its folder. Raises StoreError, OSError."""
        folders: dict[str, set[str]] = {}
        for rel in rels:
            above, _, name = rel.rpartition("/")
            folders.setdefault(above, set()).add(name)
        for above, names in folders.items():
            there = set(os.listdir(self._base / above if above else self._base))
            lacking = sorted(names - there)
            if len(lacking) > len(there - names):
                one = lacking[0]
                like = next(
                    (name for name in sorted(names) if name != one and _folded(name) == _folded(one)), None
                )
                where = f"{above}/" if above else ""
                if like is not None:
                    raise StoreError(self._sentence(*sorted((where + like, where + one))))
                raise StoreError(
                    f"{where}{one} is not there any more: something else has removed or renamed it"
                )

    def _is(self, rel: str, found: os.stat_result) -> bool:
        try:
            return os.path.samestat(Inside(self._base, rel).stat(), found)
        except (OSError, StoreError):
            return False

    def _sentence(self, one: str, other: str) -> str:
        return (
            f"{one} and {other} of the object are one name in {self._base.parent}: put it on a volume that tells"
            " them apart"
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold())
