"""Where the content of an object belongs: rows of what the store is told to place."""

from typing import NamedTuple

from flux_tui.core.ids import Cid


class LeafPlace(NamedTuple):
    """Where a leaf's bytes stand in a file."""

    cid: Cid
    offset: int
    size: int | None
    """Bytes that it has to have; None: unknown until it comes."""


class FilePlan(NamedTuple):
    """A file of a tree being written: its path inside the tree ("" = the tree is this file)."""

    rel: str
    size: int | None
    """Bytes; None where it stands already or is not known."""
    leaves: tuple[LeafPlace, ...]
    data: bytes = b""
    """Content that an inner node carries itself (DAGs by older tools)."""
    data_at: int = 0
    """Where in the file that content stands."""


class SymlinkPlan(NamedTuple):
    """A symbolic link of a tree being written."""

    rel: str
    target: str
