"""Where a file of the chunk index is now: read from the database, by its writer or by a reader in any process."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.store.disk.file_io import FileStat

OWN = 0
"""The tree of the store's own files: large loose chunks."""
KEPT = "objects"
"""The folder of a home with the objects that have no path of the user's. Programs read them there while they arrive."""


LOCATED = 500
"""Files that one query looks up."""


class FilePlace(NamedTuple):
    """Where a file is now: its tree's folder, and its path in it (empty: the tree is this file)."""

    base: Path
    rel: str
    stat: FileStat | None
    """The recorded stat; None while the file is being written."""
    doubtful: bool
    """Whether the file's bytes must be hashed before use."""

    @property
    def path(self) -> Path:
        """The whole path."""
        return self.base / self.rel if self.rel else self.base

    @property
    def name(self) -> str:
        """The whole path as text, in a quarter of the time."""
        return f"{self.base}/{self.rel}" if self.rel else str(self.base)


def locate(db: sqlite3.Connection, home: Path, file: int) -> FilePlace:
    """Return where a file is. `file`: the number of its row.

    Raises sqlite3.Error, also if there is no such row, which means that the database is damaged.
    """
    place = locate_all(db, home, (file,)).get(file)
    if place is None:
        damage = sqlite3.DatabaseError("database disk image is malformed: a file has no row")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
    return place


def locate_all(db: sqlite3.Connection, home: Path, files: Sequence[int]) -> dict[int, FilePlace]:
    """Return where these files are, by the numbers of their rows. Files without a row are left out.

    Raises sqlite3.Error.
    """
    found: dict[int, FilePlace] = {}
    folders: dict[int, tuple[Path, bool]] = {}
    for start in range(0, len(files), LOCATED):
        some = files[start : start + LOCATED]
        marks = ",".join("?" * len(some))
        query = (
            "SELECT file.id, tree.id, path, part, rel, size, mtime_ns, ctime_ns, inode, recorded_ns"  # noqa: S608
            f" FROM file JOIN tree ON tree.id = file.tree WHERE file.id IN ({marks})"  # question marks only
        )
        for file, tree, path, part, rel, *stat in db.execute(query, some).fetchall():
            if tree not in folders:
                folders[tree] = _folder_of(home, tree, path, part)
            base, renamed = folders[tree]
            recorded = None if part is not None or stat[0] is None else FileStat(*stat)
            found[file] = FilePlace(base, rel, recorded, tree == OWN or renamed)
    return found


def _folder_of(home: Path, tree: int, path: str, part: str | None) -> tuple[Path, bool]:
    """Return where a tree is now, and whether it has its final name although its row does not say so yet.

    Its row will say so in a moment, or never, if this process was killed in between.
    """
    if part is not None and not os.path.lexists(part) and os.path.lexists(path):
        return Path(path), True
    return (home / path if tree == OWN else Path(part or path)), False
