"""Lists the files of an object, as far as a home's chunk index knows them; for the dashboard, while the node runs.

The reader has a read-only connection of its own, and sees committed rows only. The index knows the names of
files as soon as the folder's inner nodes are here, before the files' bytes arrive.
"""

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid
from flux_tui.store.database import explain, has_table, open_reader

MAX_COUNTED = 20_000
"""Chunks of all files together up to which each file's own bytes are counted, in about 20 ms."""
MAX_SIZED = 500
"""Files that are looked at on the disk, for their sizes."""
MAX_FILES = 5_000
"""Files up to which those that are not whole are looked for. Of a larger folder, the first are shown."""


class ObjectFile(NamedTuple):
    """A file of an object: its relative path, its size, and how many of its bytes are here."""

    rel: str
    """The file's path within the object. The object says it, so it may be any text."""
    size: int | None
    """Bytes; None: not known."""
    have: int | None
    """Bytes of it that are here; None: not counted."""


class ObjectFiles(NamedTuple):
    """The files of one folder object that the index knows: the first of them in a list, and how many there are."""

    files: tuple[ObjectFile, ...]
    """First those that have begun, the one with the most bytes on top; then those that have not; then the whole."""
    number: int
    """The number of all files."""


class ObjectFilesReader:
    """Reads the files of objects from a home's database. Use it from one thread at a time."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    @classmethod
    def open(cls, path: Path) -> "ObjectFilesReader":
        """Open a home's database to read which files its objects have. Raises StoreError."""
        return cls(open_reader(path), path)

    def read(self, root: Cid, path: str | None, limit: int) -> ObjectFiles | None:
        """Return the files of an object, at most `limit` of them. Raises StoreError.

        `path`: where the series says that the object is or will be; None: it says no path. The result is None
        if the object is not a folder, or if the index does not know it at this path.
        """
        try:
            return self._read(root, path, limit)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    def close(self) -> None:
        """Close the database connection."""
        self._db.close()

    def _read(self, root: Cid, path: str | None, limit: int) -> ObjectFiles | None:
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tree'").fetchone() is None:
            return None  # an exported series
        tree = self._db.execute(
            "SELECT id, coalesce(part, path), part IS NULL FROM tree"
            " WHERE (root = ? OR (root = '' AND part IS NULL)) AND path = ? AND id != 0"
            " ORDER BY part IS NULL, id DESC LIMIT 1",
            (root, path),
        ).fetchone()
        if tree is None:
            return None
        number, place, whole = tree
        # A finished file has a size, and only finished files are in the index that has them in order.
        of = "tree = ? AND size IS NOT NULL" if whole else "tree = ?"
        query = f"SELECT count(DISTINCT rel) FROM file WHERE {of}"  # noqa: S608 - ours
        (count,) = self._db.execute(query, (number,)).fetchone()
        # A file of the user's that was changed and added again has several rows. The last one is the file as it is.
        rows = self._db.execute(
            f"SELECT max(id), rel, size FROM file WHERE {of} GROUP BY rel ORDER BY rel LIMIT ?",  # noqa: S608
            (number, limit if whole or count > MAX_FILES else MAX_FILES),
        ).fetchall()
        if not rows or (count == 1 and not rows[0][1]):
            return None
        if whole:
            return ObjectFiles(tuple(ObjectFile(rel, size, size) for _, rel, size in rows), count)
        here = None if count > MAX_FILES else self._here(number)
        files = [
            ObjectFile(rel, size, None if here is None else here.get(file, 0)) for file, rel, size in rows
        ]
        files.sort(key=lambda file: -(file.have or 0))
        files = [*(_sized(Path(place), file) for file in files[:MAX_SIZED]), *files[MAX_SIZED:]]
        return ObjectFiles(tuple(sorted(files, key=_stage)[:limit]), count)

    def _here(self, tree: int) -> dict[int, int] | None:
        """Return how many bytes of each file of an object are here, by the file's row number.

        `tree`: the row number of the object's path. None: there are too many chunks to count.
        """
        chunks = (
            "SELECT chunk.cid, chunk.file, chunk.size FROM file JOIN chunk ON chunk.file = file.id"
            " WHERE file.tree = ?1"
        )
        if has_table(self._db, "chunk_staged"):  # during a merge, rows are in both tables
            chunks += (
                " UNION SELECT staged.cid, staged.file, staged.size FROM chunk_staged AS staged"
                " JOIN file ON file.id = staged.file WHERE file.tree = ?1"
            )
        found: dict[int, int] = {}
        for count, (_, file, size) in enumerate(self._db.execute(chunks, (tree,))):
            if count >= MAX_COUNTED:
                return None
            found[file] = found.get(file, 0) + size
        return found


def _sized(place: Path, file: ObjectFile) -> ObjectFile:
    """Return the file with its size, which is read from the disk if the index does not know it.

    An unfinished file has its whole size on the disk from the beginning. If the disk does not say the size
    either, the file is returned unchanged. `place`: the path of the object.
    """
    if file.size is not None:
        return file
    try:
        found = os.lstat(place / file.rel if file.rel else place)
    except (OSError, ValueError):
        return file
    return file._replace(size=found.st_size)


def _stage(file: ObjectFile) -> int:
    """Return the sorting key of a file: 0 for a file that is partly here, 1 for one not begun, 2 for a whole one."""
    if file.size is not None and file.have is not None and file.have >= file.size:
        return 2
    return 0 if file.have else 1
