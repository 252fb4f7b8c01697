"""Finds out whether the files of an object are unchanged at their path. Read-only, from any process."""

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

from flux_tui.core.ids import Cid
from flux_tui.store.database import explain, open_reader

Placement: TypeAlias = Literal["whole", "changed", "not there"]
_File: TypeAlias = tuple[str, int | None, int | None, int | None]
"""Relative path, size, time of change in nanoseconds, inode."""


def placement(database: Path, root: Cid, path: Path) -> Placement | None:
    """Return whether the files of the object `root` at `path` are unchanged, changed, or gone.

    None: this home never had the object at that path. Raises StoreError.
    """
    reader = open_reader(database)
    try:
        rows = reader.execute(
            "SELECT id, path FROM tree WHERE root = ? AND part IS NULL ORDER BY id DESC", (root,)
        )
        for number, at in rows.fetchall():
            if _same_place(Path(at), path):
                files = reader.execute(
                    "SELECT rel, size, mtime_ns, inode FROM file WHERE tree = ?", (number,)
                )
                return _compare(path, files)
    except sqlite3.Error as error:
        raise explain(error, database) from error
    finally:
        reader.close()
    return None


def _same_place(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def _compare(path: Path, files: Iterable[_File]) -> Placement:
    same = other = 0
    for rel, size, changed, inode in files:
        if not rel and path.is_dir():
            return "not there"  # it was a file, and this is a folder for something else
        try:
            now = os.lstat(path / rel if rel else path)
        except OSError:
            other += 1
            continue
        if size is None or (size, changed, inode) == (now.st_size, now.st_mtime_ns, now.st_ino):
            same += 1
        else:
            return "changed"
    if not other:
        return "whole"
    return "changed" if same else "not there"
