"""The blocks of files and folders as values: inner nodes when they are decoded, roots when they are built."""

from typing import NamedTuple, TypeAlias

from flux_tui.core.ids import Cid


class Block(NamedTuple):
    """The CID and bytes of an inner node that was built."""

    cid: Cid
    data: bytes


class FileRoot(NamedTuple):
    """The root of a file that was built. `size`: bytes of content. `tsize`: bytes of all its blocks."""

    cid: Cid
    size: int
    tsize: int
    blocks: tuple[Block, ...]
    """The inner nodes that were not returned before."""
    chunks: int
    """Blocks in the tree, repeats counted."""


class FolderEntry(NamedTuple):
    """One name in a folder, and its root. `tsize`: bytes of all blocks below the name."""

    name: str
    cid: Cid
    tsize: int


class FolderRoot(NamedTuple):
    """The root of a folder that was built. `tsize`: bytes of all its blocks."""

    cid: Cid
    tsize: int
    blocks: tuple[Block, ...]


class FileChild(NamedTuple):
    """One child of a file's inner node. `offset`: bytes from the start of the node's content. `size`: bytes."""

    cid: Cid
    offset: int
    size: int


class FileNode(NamedTuple):
    """A decoded inner node of a file.

    `data`: content that is stored in the node itself, before the content of its children. Only older tools make
    such nodes.
    """

    size: int
    children: tuple[FileChild, ...]
    data: bytes = b""
    mode: int | None = None


class FolderNode(NamedTuple):
    """A decoded folder that is a single block."""

    entries: tuple[FolderEntry, ...]
    mode: int | None = None


class ShardNode(NamedTuple):
    """A decoded node of a large folder (HAMT). Each of its slots has one name, or a link to a deeper shard."""

    entries: tuple[FolderEntry, ...]
    subshards: tuple[Cid, ...]
    width: int
    """Bits of a name's hash that choose a slot here."""
    entry_slots: tuple[int, ...]
    subshard_slots: tuple[int, ...]
    mode: int | None = None


class SymlinkNode(NamedTuple):
    """A decoded symbolic link."""

    target: str


Node: TypeAlias = FileNode | FolderNode | ShardNode | SymlinkNode
