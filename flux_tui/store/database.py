"""A home's database: how it is opened, its tables, and its errors as sentences for a person.

One SQLite file in WAL mode has one writer (the node) and any number of readers in any process. With
`synchronous=NORMAL`, committed rows survive if the process dies at any moment. A power loss never damages the
series, though the last moments may be lost.
"""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flux_tui.core.errors import FluxError

DATABASE = "flux.db"
"""The database of a home. A series under any other name is an exported copy."""
APPLICATION_ID = 0x464C5558
"""The letters FLUX. They tell a home's database from any other SQLite file."""
SCHEMA_VERSION = 4
"""1: all entries are rows of one file. 2: the oldest ones are in segments (store/segments). 3: entries refer to lists
of CIDs that they have in common (store/segments/cid_lists.py), and segments have an index of their pages. 4: rows of
chunks are staged (store/index/staged_chunks.py)."""
UNSTAGED_VERSION = 3
"""The version of a home without staged rows, of segments and of exports: an earlier program opens them. It must not
open a home with staged rows, because it would use the row numbers of their files again."""
CACHE_KB = 8_000
"""KiB of the database's pages that are kept in memory. A transaction that changes more pages writes some of them to
the WAL several times."""
WAL_PAGES = 1_000
"""Pages of the WAL, 4 MB, after which they are flushed and copied to the database. A power loss may take so much."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait for a lock; only another program that copies the file could hold one that long."""

PAGE_TABLE = """
-- Up to 1,024 entries from number `first` on, compressed (store/segments/pages.py).
CREATE TABLE IF NOT EXISTS page (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    kinds BLOB NOT NULL,
    shape BLOB NOT NULL,
    bulk  BLOB NOT NULL,
    rest  BLOB NOT NULL
);
-- What the pages from entry `first` to entry `last` name (store/segments/page_index.py).
CREATE TABLE IF NOT EXISTS page_index (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL,
    peers BLOB NOT NULL,
    cids  BLOB NOT NULL
);
"""
PIECE_TABLES = """
-- Checkpoints: states, each as the list of its pieces (store/segments/pieces.py). `size`: bytes that it added.
CREATE TABLE IF NOT EXISTS saved (
    seq    INTEGER PRIMARY KEY,
    size   INTEGER NOT NULL,
    pieces BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS piece (
    id     INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    body   BLOB NOT NULL
);
"""
SET_BACK_TABLE = """
-- Entries that tell an earlier time than the one before: the clock was set back. Between them times only go up.
CREATE TABLE IF NOT EXISTS set_back (
    seq INTEGER PRIMARY KEY
);
"""
SEGMENT_TABLES = f"""
{PAGE_TABLE}
{PIECE_TABLES}
{SET_BACK_TABLE}
-- The id of the series that a segment belongs to.
CREATE TABLE IF NOT EXISTS origin (
    series TEXT NOT NULL
);
"""
SERIES_TABLES = f"""
CREATE TABLE IF NOT EXISTS entry (
    seq  INTEGER PRIMARY KEY,
    at   REAL NOT NULL,
    body BLOB NOT NULL, -- without its CIDs, if these are in a list
    list INTEGER,       -- the number of that list
    part BLOB           -- where in `body` the CIDs were, and which of the list they are
);
-- Lists of CIDs that entries have in common.
CREATE TABLE IF NOT EXISTS cid_list (
    number INTEGER PRIMARY KEY,
    cids   BLOB NOT NULL,
    last   INTEGER NOT NULL -- the last entry that refers to it
);
-- Checkpoints of schema 1: each a whole state. They are read, and never written.
CREATE TABLE IF NOT EXISTS checkpoint (
    seq   INTEGER PRIMARY KEY,
    state BLOB NOT NULL
);
{PIECE_TABLES}
{SET_BACK_TABLE}
-- The closed segments, which have the entries before those of the table `entry`.
CREATE TABLE IF NOT EXISTS segment (
    first    INTEGER PRIMARY KEY,
    last     INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at  REAL NOT NULL,
    size     INTEGER NOT NULL,
    name     TEXT NOT NULL
);
"""
CHUNK_TABLES = """
CREATE TABLE IF NOT EXISTS meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
-- An object's files. `part`: its name while it is being fetched; NULL once it stands at `path`.
CREATE TABLE IF NOT EXISTS tree (
    id   INTEGER PRIMARY KEY,
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    part TEXT
);
CREATE INDEX IF NOT EXISTS tree_by_root ON tree (root);
-- A file of a tree (`rel` is empty where the tree is the file). The stat is NULL while it is written, and until then
-- the file is not in `file_by_path`: the files of a fetched folder come in the order of their hashes.
CREATE TABLE IF NOT EXISTS file (
    id          INTEGER PRIMARY KEY,
    tree        INTEGER NOT NULL,
    rel         TEXT NOT NULL,
    size        INTEGER,
    mtime_ns    INTEGER,
    ctime_ns    INTEGER,
    inode       INTEGER,
    recorded_ns INTEGER,
    dag_root    BLOB -- the root of the blocks of a file of the user's that was added; NULL: not known
);
DROP INDEX IF EXISTS file_by_tree; -- of earlier versions
CREATE INDEX IF NOT EXISTS file_of_tree ON file (tree);
CREATE INDEX IF NOT EXISTS file_by_path ON file (tree, rel) WHERE size IS NOT NULL;
-- Where a chunk's bytes are: inline, or in a file at an offset.
CREATE TABLE IF NOT EXISTS chunk (
    cid    BLOB PRIMARY KEY,
    size   INTEGER NOT NULL,
    file   INTEGER,
    offset INTEGER,
    data   BLOB
);
CREATE INDEX IF NOT EXISTS chunk_by_file ON chunk (file);
-- The same for chunks that were committed last: they are merged into `chunk` later (store/index/staged_chunks.py).
CREATE TABLE IF NOT EXISTS chunk_staged (
    id     INTEGER PRIMARY KEY,
    cid    BLOB NOT NULL,
    size   INTEGER NOT NULL,
    file   INTEGER,
    offset INTEGER,
    data   BLOB
);
-- Other files that have it too: looked at only when the first place turns out not to have it any more.
CREATE TABLE IF NOT EXISTS spare (
    cid    BLOB NOT NULL,
    file   INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    PRIMARY KEY (cid, file)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS chunk_moved AFTER UPDATE OF file ON chunk
WHEN old.file IS NOT NULL AND old.file IS NOT new.file BEGIN
    DELETE FROM spare WHERE cid = new.cid AND file = new.file;
    INSERT OR REPLACE INTO spare SELECT old.cid, old.file, old.offset
        WHERE (SELECT count(*) FROM spare WHERE cid = old.cid) < 8;
END;
"""
ON_CHUNK_CONFLICT = (
    "ON CONFLICT (cid) DO UPDATE"
    " SET size = excluded.size, file = excluded.file, offset = excluded.offset, data = excluded.data"
    " WHERE chunk.data IS NULL"
)
"""The newest place comes first, because its file was looked at last. Inline chunks stay inline: that is the safest
place."""
UPSERT_CHUNK = f"INSERT INTO chunk VALUES (?, ?, ?, ?, ?) {ON_CHUNK_CONFLICT}"  # noqa: S608


class StoreError(FluxError):
    """The store cannot do what was asked. The error is one sentence for a person."""


class NoRoomError(StoreError):
    """The disk has no room now; there may be room later."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; free some space, nothing is lost")
        self.problem = problem
        """The sentence without advice to the person."""


class ImpossibleError(StoreError):
    """An object can never be stored at its path, for example because two of its names are the same there."""


class UnfitError(ImpossibleError):
    """A chunk has another size than the object says, or the object would become larger than it says."""

    def __init__(self, root: str, text: str) -> None:
        super().__init__(text)
        self.root = root


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes to a database, and create the database if there is none.

    Raises StoreError.
    """
    try:
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT, check_same_thread=False, isolation_level=None)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        path.chmod(0o600)
        version = max(_check(db, path), UNSTAGED_VERSION)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        db.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        # Some builds of SQLite would write the pages of deleted rows once more.
        db.execute("PRAGMA secure_delete=FAST")
        # In one transaction: a full disk or a kill could leave tables without this program's id. They would
        # then count as another program's.
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={version};"
            f"{SERIES_TABLES}{CHUNK_TABLES}COMMIT;"
        )
        for table, column in (("file", "dag_root BLOB"), ("entry", "list INTEGER"), ("entry", "part BLOB")):
            if not has_column(db, table, column.split()[0]):
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column}")  # a home of an earlier version
    except sqlite3.Error as error:
        db.close()
        raise explain(error, path) from error
    except OSError as error:
        db.close()
        raise explain_os(error, path) from error
    except StoreError:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Begin a transaction, and commit it at the end of the `with` block. After an exception, nothing has changed.

    Inside another transaction, do nothing. The connection's lock must be held. Raises sqlite3.Error.
    """
    if db.in_transaction:
        yield
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # after some errors SQLite has done that already
            db.execute("ROLLBACK")
        raise


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a read-only connection to a home's database or an exported series, while its node runs or not.

    Raises StoreError.
    """
    if not path.is_file():
        raise StoreError(f"there is no series at {path}")
    db = _connect_read_only(path)
    try:
        _check(db, path)
        if not has_table(db, "entry") and not has_table(db, "page"):
            raise StoreError(f"{path} is not a series: it has no entries table")
    except sqlite3.Error as error:
        db.close()
        raise explain(error, path) from error
    except StoreError:
        db.close()
        raise
    return db


def _connect_read_only(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri()
    last: sqlite3.Error | None = None
    # Where the folder cannot be written, the database has no shared-memory file. Without a writer its content
    # cannot change either, which is what `immutable` says.
    modes = ["mode=ro"]
    if not path.with_name(path.name + "-wal").exists():
        modes.append("mode=ro&immutable=1")
    for mode in modes:
        db = None
        try:
            db = sqlite3.connect(
                f"{uri}?{mode}", uri=True, timeout=BUSY_TIMEOUT, check_same_thread=False, isolation_level=None
            )
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            last = error
            continue
        return db
    assert last is not None
    raise explain(last, path) from last


def connect_immutable(path: Path) -> sqlite3.Connection:
    """Open a file that nobody changes, such as a segment, for reading. Raises StoreError."""
    try:
        db = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False,
            isolation_level=None,
        )  # fmt: skip
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        _check(db, path)
    except sqlite3.Error as error:
        db.close()
        raise explain(error, path) from error
    except StoreError:
        db.close()
        raise
    return db


def has_table(db: sqlite3.Connection, name: str) -> bool:
    """Return whether a database has a table. Raises sqlite3.Error."""
    found = db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
    return found.fetchone() is not None


def has_column(db: sqlite3.Connection, table: str, name: str) -> bool:
    """Return whether a table has a column. Raises sqlite3.Error."""
    found = db.execute("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", (table, name))
    return found.fetchone() is not None


def _check(db: sqlite3.Connection, path: Path) -> int:
    """Check that this is a database of flux-tui, and return its version.

    Raises StoreError, also if this program cannot read that version.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (application or tables):
        raise StoreError(f"{path} is a database, but not one of flux-tui's")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer flux-tui (format {version}, this one reads up to "
            f"{SCHEMA_VERSION}): update flux-tui to open it"
        )
    return int(version)


def explain(error: sqlite3.Error, path: Path) -> StoreError:
    """Return a StoreError that explains a database error in a sentence, by the error's code."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the extension, which tells more of the same
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN) and _no_room(path.parent):
        code = sqlite3.SQLITE_FULL
    is_copy = path.name != DATABASE
    match code:
        case sqlite3.SQLITE_FULL:
            return NoRoomError(f"the disk is full: {path.parent} takes no more")
        case sqlite3.SQLITE_NOTADB if is_copy:
            return StoreError(f"{path} is not a series of flux-tui's: `flux-tui export` writes one")
        case sqlite3.SQLITE_CORRUPT if is_copy:
            return StoreError(f"{path} is damaged ({error}): export it again, if its home is still there")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreError(
                f"{path} is damaged ({error}): move it away to begin anew; fetched files stay where they are"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreError(
                f"{path} cannot be opened: check that its folder is there, and the rights of both"
            )
        case sqlite3.SQLITE_READONLY:
            return StoreError(f"{path} cannot be written: check its rights, and those of its folder")
        case _:
            return StoreError(f"{path} cannot be used: {error}")


def _no_room(folder: Path) -> bool:
    """Return whether a folder's file system has no room for more bytes or files; False if that is not known.

    SQLite does not always say so.
    """
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail == 0 or (found.f_files > 0 and found.f_favail == 0)


def explain_os(error: OSError, path: Path) -> StoreError:
    """Return a StoreError that explains a file error in a sentence. `path`: the file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoRoomError(f"the disk is full: {path} cannot be written")
    if error.errno == errno.EFBIG:
        return StoreError(f"{path} would be larger than this file system or user may have files")
    return StoreError(f"{path} cannot be used: {(error.strerror or str(error)).lower()}")
