"""Reads the bytes of an object's files from the store, in order, a block at a time. Nothing is fetched."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import trio
from typing_extensions import override

from flux_tui.core.content.nodes import FileNode, FolderNode, ShardNode, SymlinkNode
from flux_tui.core.content.protobufs import BadBlockError
from flux_tui.core.content.unixfs_trees import decode_node
from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid, is_leaf

Block = Callable[[Cid], bytes | None]
"""Returns the bytes of a stored block; None: it is not here."""
MAX_DEPTH = 64
"""Nodes below each other in one file or folder. Such a deep one is hostile."""


class ReadError(FluxError):
    """An object, or a path in it, cannot be read. `cid`: the block that lacks or is wrong; None: the path is."""

    def __init__(self, text: str, cid: Cid | None = None) -> None:
        super().__init__(text)
        self.cid = cid


class NotHereError(ReadError):
    """A block of an object is not in the store: it is not whole here."""


def find(block: Block, root: Cid, path: str) -> Cid:
    """Return the CID of what is at a path in an object. An empty path is the object itself. Raises ReadError."""
    found = root
    steps = [step for step in path.split("/") if step]
    for number, step in enumerate(steps):
        child = _child(block, found, step, 0)
        if child is None:
            raise ReadError(f"{'/'.join(steps[: number + 1])} is not in {root}")
        found = child
    return found


def pieces(block: Block, cid: Cid, depth: int = 0) -> Iterator[bytes]:
    """Yield the content of a file in pieces of at most one block, in order. Raises ReadError."""
    if depth > MAX_DEPTH:
        raise ReadError(f"{cid} is nested too deep", cid)
    data = _get(block, cid)
    if is_leaf(cid):
        yield data
        return
    node = _decoded(cid, data)
    if isinstance(node, FolderNode | ShardNode):
        raise ReadError(f"{cid} is a folder: name a file in it")
    if isinstance(node, SymlinkNode):
        raise ReadError(f"{cid} is a symbolic link to {node.target!r}")
    if node.data:
        yield node.data
    size = len(node.data)
    for child in node.children:
        had = size
        for piece in pieces(block, child.cid, depth + 1):
            size += len(piece)
            if size - had > child.size:
                break
            yield piece
        if size - had != child.size:
            raise ReadError(f"{child.cid} has another size than {cid} says", child.cid)


def whole(block: Block, root: Cid, path: str) -> bytes:
    """Return all bytes of the file at a path in an object. Raises ReadError."""
    return b"".join(pieces(block, find(block, root, path)))


class Pieces(AsyncIterator[bytes]):
    """A stream of a file's content, read in worker threads while it is taken."""

    def __init__(self, block: Block, root: Cid, path: str) -> None:
        self._read = _of_path(block, root, path)

    @override
    async def __anext__(self) -> bytes:
        piece: bytes | None = await trio.to_thread.run_sync(next, self._read, None)
        if piece is None:
            raise StopAsyncIteration
        return piece


def _of_path(block: Block, root: Cid, path: str) -> Iterator[bytes]:
    yield from pieces(block, find(block, root, path))


def _child(block: Block, cid: Cid, name: str, depth: int) -> Cid | None:
    """Return the CID of a name in a folder; None: the folder does not have it."""
    if is_leaf(cid) or depth > MAX_DEPTH:
        return None
    node = _decoded(cid, _get(block, cid))
    if isinstance(node, FileNode | SymlinkNode):
        return None
    for entry in node.entries:
        if entry.name == name:
            return entry.cid
    shards: Sequence[Cid] = node.subshards if isinstance(node, ShardNode) else ()
    for shard in shards:
        if (found := _child(block, shard, name, depth + 1)) is not None:
            return found
    return None


def _get(block: Block, cid: Cid) -> bytes:
    data = block(cid)
    if data is None:
        raise NotHereError(f"{cid} is not here", cid)
    return data


def _decoded(cid: Cid, data: bytes) -> FileNode | FolderNode | ShardNode | SymlinkNode:
    try:
        return decode_node(cid, data)
    except BadBlockError as error:
        raise ReadError(f"{cid} cannot be read: {error}", cid) from None
