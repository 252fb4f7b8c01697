"""Where a file of the chunk index is now: read from the database, by its writer or by a reader in any process."""

import os
import sqlite3
from pathlib import Path

from flux_tui.store.disk.file_io import FileStat

OWN = 0
"""The tree of the store's own files: large loose chunks."""


def locate(db: sqlite3.Connection, home: Path, file: int) -> tuple[Path, FileStat | None, bool]:
    """Return the path of a file, its recorded stat, and whether its bytes must be hashed before use.

    `file`: the number of its row. The stat is None while the file is being written. Raises sqlite3.Error, also if
    there is no such row, which means that the database is damaged.
    """
    row = db.execute(
        "SELECT tree.id, path, part, rel, size, mtime_ns, ctime_ns, inode, recorded_ns"
        " FROM file JOIN tree ON tree.id = file.tree WHERE file.id = ?",
        (file,),
    ).fetchone()
    if row is None:
        damage = sqlite3.DatabaseError("database disk image is malformed: a file has no row")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
    number, path, part, rel, *stat = row
    base = home / path if number == OWN else Path(part or path)
    # It is renamed already. Its row will say so in a moment, or never, if this process was killed in between.
    renamed = part is not None and not os.path.lexists(part) and os.path.lexists(path)
    if renamed:
        base = Path(path)
    recorded = None if part is not None or stat[0] is None else FileStat(*stat)
    return (base / rel if rel else base), recorded, number == OWN or renamed
