"""The blocks of files and folders as values: nodes as they are decoded, and roots as they are built."""

from typing import NamedTuple, TypeAlias

from flux_tui.core.ids import Cid


class Block(NamedTuple):
    """An inner node, ready to be stored."""

    cid: Cid
    data: bytes


class FileRoot(NamedTuple):
    """A finished file. `tsize`: bytes of all blocks below and including the root."""

    cid: Cid
    size: int
    tsize: int
    blocks: tuple[Block, ...]
    """The inner nodes that were not returned before."""
    chunks: int
    """Blocks in the tree, repeats counted."""


class FolderEntry(NamedTuple):
    """One name in a folder."""

    name: str
    cid: Cid
    tsize: int


class FolderRoot(NamedTuple):
    """A finished folder."""

    cid: Cid
    tsize: int
    blocks: tuple[Block, ...]


class FileChild(NamedTuple):
    """A part of a file. `offset`: bytes from the start of its node's content."""

    cid: Cid
    offset: int
    size: int


class FileNode(NamedTuple):
    """An inner node of a file. `data`: content of its own, before that of its children (older tools)."""

    size: int
    children: tuple[FileChild, ...]
    data: bytes = b""
    mode: int | None = None


class FolderNode(NamedTuple):
    """A folder in one block."""

    entries: tuple[FolderEntry, ...]
    mode: int | None = None


class ShardNode(NamedTuple):
    """A part of a large folder: some of its names, and further parts, each in its own slot."""

    entries: tuple[FolderEntry, ...]
    subshards: tuple[Cid, ...]
    width: int
    """Bits of a name's hash that choose a slot here."""
    entry_slots: tuple[int, ...]
    subshard_slots: tuple[int, ...]
    mode: int | None = None


class SymlinkNode(NamedTuple):
    """A symbolic link."""

    target: str


Node: TypeAlias = FileNode | FolderNode | ShardNode | SymlinkNode
