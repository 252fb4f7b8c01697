"""The store's values: where bytes are, what was read, placed and lost; and its errors as sentences."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.ids import Cid
from flux_tui.store.schema import explain, explain_os


class Landed(NamedTuple):
    """An index row to be committed: where a chunk's bytes are."""

    cid: Cid
    size: int
    file: int | None = None
    offset: int | None = None
    data: bytes | None = None


class Leaf(NamedTuple):
    """A chunk in a file of the user's."""

    cid: Cid
    offset: int
    size: int


class Lost(NamedTuple):
    """Chunks that are no longer there, and why: one sentence."""

    path: Path
    cids: tuple[Cid, ...]
    size: int
    why: str
    replica: Cid | None = None
    """The replica that the file belongs to; None: it belongs to no replica."""


class ReadResult(NamedTuple):
    """The chunks that could be read, in the order of the request, and those that were lost."""

    chunks: list[tuple[Cid, bytes]]
    lost: list[Lost]


class Placed(NamedTuple):
    """The leaves whose bytes are in place now, and those that have to come from elsewhere."""

    present: list[Cid]
    missing: list[Cid]
    lost: list[Lost]
    """Chunks that were wrongly thought to be here. They are to be committed as lost, with an entry."""


class Whole(NamedTuple):
    """A finished object, and those of its links that were not made, each in words."""

    path: Path
    left_out: tuple[str, ...]


class Where(NamedTuple):
    """Where a chunk's bytes are: in a file at an offset, or inline as `data`."""

    size: int
    file: int | None
    offset: int | None
    data: bytes | None


class StoreErrors:
    """Turns errors of the system and the database into sentences."""

    def __init__(self, database: Path, path: Path) -> None:
        self._database = database
        self._path = path

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._database) from error
        if isinstance(error, OSError):
            named = Path(error.filename) if isinstance(error.filename, str) else self._path
            raise explain_os(error, named) from error
