"""The store's records: where bytes are stored, which chunks were read, placed or lost; and errors as sentences."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid
from flux_tui.store.database import StoreError, explain, explain_os
from flux_tui.store.disk.file_io import FileStat


class Landed(NamedTuple):
    """A row of the chunk index that is to be committed: a chunk, and where its bytes were written."""

    cid: Cid
    size: int
    file: int | None = None
    offset: int | None = None
    data: bytes | None = None


class SharedFile(NamedTuple):
    """A file of the user's, or a part of it, whose chunks are to be indexed where they are."""

    rel: str
    """Its path in the shared folder; empty: it is what is shared."""
    stat: FileStat
    leaves: Sequence["Leaf"]
    root: Cid | None = None
    """The root of the file's blocks; None: it is not known yet, because more of the file follows."""


class Shared(NamedTuple):
    """Blocks of a path that is being added, as they are in the index now."""

    rows: list[Landed]
    """The rows to commit together with an entry."""
    fresh: dict[Cid, int]
    """The blocks that were not here before, with their bytes."""


class Leaf(NamedTuple):
    """A chunk in a file of the user's: its CID, its offset in the file, and its size in bytes."""

    cid: Cid
    offset: int
    size: int


class Lost(NamedTuple):
    """Chunks whose bytes are no longer in their file, and one sentence that says why."""

    path: Path
    cids: tuple[Cid, ...]
    size: int
    why: str
    replica: Cid | None = None
    """The replica that the file belongs to; None: it belongs to no replica."""


class ReadResult(NamedTuple):
    """The chunks that could be read with their bytes, in the order of the request, and the chunks that were lost."""

    chunks: list[tuple[Cid, bytes]]
    lost: list[Lost]


class Placed(NamedTuple):
    """The leaves whose bytes are at their place in the object now, and those that other nodes have to send."""

    present: list[Cid]
    missing: list[Cid]
    lost: list[Lost]
    """Chunks that were wrongly thought to be here. They are to be committed as lost, with an entry."""


class Whole(NamedTuple):
    """The path of a finished object, and a text for each symbolic link that was not made."""

    path: Path
    left_out: tuple[str, ...]


class Where(NamedTuple):
    """Where a chunk's bytes are stored: at an offset of a file (its row number), or in the database as `data`."""

    size: int
    file: int | None
    offset: int | None
    data: bytes | None


class StoreErrors:
    """A context manager that turns errors of the system and the database into StoreErrors of one sentence each."""

    def __init__(self, database: Path, path: Path) -> None:
        self._database = database
        self._path = path

    def __enter__(self) -> None:
        """Enter the `with` block. Nothing has to be prepared."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._database) from error
        if isinstance(error, OSError):
            raise explain_file(error, self._path) from error


def explain_file(error: OSError, path: Path) -> StoreError:
    """Return a StoreError that explains a file error in a sentence. `path`: used if the error names no file."""
    return explain_os(error, Path(error.filename) if isinstance(error.filename, str) else path)
