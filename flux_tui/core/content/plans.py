"""Plans: where the content of an object belongs on disk, as rows that the machine gives to the store."""

from typing import NamedTuple

from flux_tui.core.ids import Cid


class LeafPlace(NamedTuple):
    """One place of a leaf: where its bytes belong in a file."""

    cid: Cid
    offset: int
    size: int | None
    """Bytes that it must have; None: unknown until it comes."""


class FilePlan(NamedTuple):
    """One file of an object that is being written. Its path is inside the object; "" = the object is this file."""

    rel: str
    size: int | None
    """Bytes; None if another row gives the size, or it is not known."""
    leaves: tuple[LeafPlace, ...]
    data: bytes = b""
    """Content that an inner node carries itself (in DAGs by older tools)."""
    data_at: int = 0
    """The offset of that content in the file."""


class SymlinkPlan(NamedTuple):
    """One symbolic link of an object that is being written."""

    rel: str
    target: str
