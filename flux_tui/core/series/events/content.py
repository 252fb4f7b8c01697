"""Events about the objects of this node: added, whole, removed, lost."""

from typing import TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase


class ContentBase(EventBase, frozen=True, kw_only=True):
    """Base class of the events about objects."""


class AddProgressed(ContentBase, tag="add_progressed", frozen=True, kw_only=True):
    """This node is reading a file or folder to share it. At most one such entry a second."""

    path: str
    bytes_done: int
    size: int
    by: str | None = None


class ObjectAdded(ContentBase, tag="object_added", frozen=True, kw_only=True):
    """This node has read a file or folder. Other nodes can now ask for it. Its bytes are not copied."""

    root: Cid
    name: str
    size: int
    """Bytes of content."""
    chunks: int
    """Distinct blocks in its DAG: leaves and inner nodes."""
    path: str
    stored: int = 0
    """Bytes of blocks that were not in the store before."""
    stored_chunks: int = 0
    by: str | None = None


class AddCancelled(ContentBase, tag="add_cancelled", frozen=True, kw_only=True):
    """A person cancelled an `add` before it was done. Nothing of its file or folder is shared."""

    path: str
    by: str | None = None
    """The mark of the command that cancelled it."""


class ObjectRemoved(ContentBase, tag="object_removed", frozen=True, kw_only=True):
    """This node no longer shares an object or a loose chunk. The user's own files stay as they are."""

    root: Cid
    name: str | None = None
    size: int | None = None
    path: str | None = None
    """The path of the object while it was shared."""
    peers: tuple[PeerId, ...] = ()
    """Connected peers to which this node pushed the NO at once."""
    by: str | None = None


class ObjectFreed(ContentBase, tag="object_freed", frozen=True, kw_only=True):
    """The store has removed the blocks of a removed object that no other object contains."""

    root: Cid
    chunks: int
    size: int
    """Bytes of these blocks together."""
    name: str | None = None
    by: str | None = None


class ObjectMapped(ContentBase, tag="object_mapped", frozen=True, kw_only=True):
    """More is known of a wanted object: its size, its blocks, and how many are here. Totals, not differences."""

    root: Cid
    size: int
    """Bytes of content as far as known."""
    chunks: int
    """Distinct blocks known to belong to it."""
    have: int
    """How many of these are in the store."""
    have_bytes: int
    """Bytes of content that these fill."""


class ObjectCompleted(ContentBase, tag="object_completed", frozen=True, kw_only=True):
    """Every chunk of a wanted object is here and verified, and its file or folder is at its path."""

    root: Cid
    size: int
    path: str | None
    """The path of the object; None if it was wanted for the store only."""
    by: str | None = None


class ObjectRefused(ContentBase, tag="object_refused", frozen=True, kw_only=True):
    """This node refused a wanted object, because its blocks are invalid or too large, and will remove its blocks.

    An error entry before this one gives the reason.
    """

    root: Cid
    path: str | None = None
    """The path that the object was meant for."""


class ObjectDiscarded(ContentBase, tag="object_discarded", frozen=True, kw_only=True):
    """The store has removed the blocks of a refused object."""

    root: Cid
    chunks: int
    """The number of its blocks that no other object here contains."""
    size: int
    """Bytes of these blocks."""


class ChunksLost(ContentBase, tag="chunks_lost", frozen=True, kw_only=True):
    """Chunks are no longer here, because their file was changed or removed."""

    cids: tuple[Cid, ...]
    size: int
    """Bytes of these chunks together."""
    path: str
    roots: tuple[Cid, ...] = ()
    """Objects that are not whole any more without them."""


ContentEvent: TypeAlias = (
    AddProgressed
    | ObjectAdded
    | AddCancelled
    | ObjectRemoved
    | ObjectFreed
    | ObjectMapped
    | ObjectCompleted
    | ObjectRefused
    | ObjectDiscarded
    | ChunksLost
)
