"""Plans: where the content of an object belongs, as rows that the store is told to place."""

from typing import NamedTuple

from flux_tui.core.ids import Cid


class LeafPlace(NamedTuple):
    """Where a leaf's bytes belong in a file."""

    cid: Cid
    offset: int
    size: int | None
    """Bytes that it must have; None: unknown until it comes."""


class FilePlan(NamedTuple):
    """A file of a tree being written: its path inside the tree ("" = the tree is this file)."""

    rel: str
    size: int | None
    """Bytes; None if another row gives the size, or it is not known."""
    leaves: tuple[LeafPlace, ...]
    data: bytes = b""
    """Content that an inner node carries itself (in DAGs by older tools)."""
    data_at: int = 0
    """The offset of that content in the file."""


class SymlinkPlan(NamedTuple):
    """A symbolic link of a tree being written."""

    rel: str
    target: str
