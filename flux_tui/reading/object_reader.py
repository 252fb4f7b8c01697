"""Reads objects block by block: resolves paths, lists folders, and streams the bytes of files in order.

Memory is constant: a reader holds about 1 MiB of content, and the CIDs of READ_AHEAD bytes of leaves that it
expects. A leaf is read when the caller has taken what came before. So a slow caller slows the fetch down.

Every size that an inner node says is checked against its children. A part of a file without bytes is passed over, so
a small file of nodes that repeat each other costs no more steps than it has bytes.
"""

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import NamedTuple, TypeVar

from flux_tui.core.content import nodes, unixfs_trees
from flux_tui.core.content.path_walk import MAX_ENTRIES, FolderItem, Part, Walk, list_folder, resolve
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.reading.blocks import Blocks, ReadError

T = TypeVar("T")

READ_AHEAD = 32 * 1024 * 1024
"""Bytes of leaves that are expected before they are read: 0.25 s at 1 Gbit/s."""
BATCH = 1024 * 1024
"""Bytes of leaves that are read together."""
MAX_AHEAD = 512
"""Leaves that are expected at a time, where they are small."""
MAX_DEPTH = 64
"""Inner nodes above a leaf. A balanced tree of 2⁵³ bytes has 5."""
NODES_AHEAD, NODE_BYTES_AHEAD = 2, 8 * 1024 * 1024
"""Inner nodes beside the present one that are expected, at least; more until they stand for so many bytes of content:
files by older tools have their content in inner nodes."""


class Leaf(NamedTuple):
    """A slice of a file: bytes `start` to `stop` of a leaf, or of the content of an inner node (`data`)."""

    cid: Cid
    start: int
    stop: int | None
    """None: to the end."""
    size: int | None
    """Bytes that the whole leaf must have; None: its parents do not say it."""
    data: bytes | None = None


class ObjectReader:
    """Reads objects from one place that has blocks."""

    def __init__(self, blocks: Blocks) -> None:
        self.blocks = blocks

    async def walk(self, walk: Walk[T]) -> T:
        """Run a walk (core/content/path_walk.py) to its end. Raises ReadError for nodes that are not valid."""
        try:
            wanted = next(walk)
            while True:
                wanted = walk.send(await self.blocks.read(wanted))
        except StopIteration as end:
            result: T = end.value
            return result

    async def resolve(self, root: Cid, names: tuple[str, ...] = ()) -> Part:
        """Return what a path inside an object leads to. Raises NoSuchNameError, BadBlockError, ReadError."""
        return await self.walk(resolve(root, names))

    async def list_folder(self, cid: Cid, limit: int = MAX_ENTRIES) -> list[FolderItem]:
        """Return the names in a folder, sorted as bytes. `limit`: at most so many; else TooManyNamesError is raised.

        Raises NoSuchNameError, BadBlockError, ReadError as well.
        """
        return await self.walk(list_folder(cid, limit))

    async def size_of_file(self, part: Part) -> int:
        """Return the bytes of a file. A file that is one leaf is read for it."""
        if part.size is not None:
            return part.size
        return len((await self.blocks.read((part.cid,)))[part.cid])

    async def read(
        self, cid: Cid, start: int = 0, stop: int | None = None
    ) -> AsyncGenerator[bytes | memoryview, None]:
        """Yield the bytes `start` to `stop` of a file in order, as they are read. `stop` None: to its end.

        `cid`: the file's own root. Raises BadBlockError, ReadError; also if it is no file.
        """
        ahead: deque[Leaf] = deque()
        bytes_ahead = 0
        ended = False
        async with aclosing(self.leaves(cid, start, stop)) as leaves:
            while True:
                new: list[Cid] = []
                # In large steps: it may wait for an inner node. But what is here already is yielded first.
                while not (ended or (ahead and ahead[-1].data is not None)) and (
                    not ahead or bytes_ahead < READ_AHEAD // 2 or new
                ):
                    if bytes_ahead >= READ_AHEAD or len(ahead) >= MAX_AHEAD:
                        break
                    leaf = await anext(leaves, None)
                    if leaf is None:
                        ended = True
                        break
                    ahead.append(leaf)
                    bytes_ahead += leaf.size or 0
                    if leaf.data is None:
                        new.append(leaf.cid)
                if new:
                    await self.blocks.expect(new)
                if not ahead:
                    return
                batch = _take(ahead)
                bytes_ahead -= sum(leaf.size or 0 for leaf in batch)
                found = await self.blocks.read(
                    tuple(dict.fromkeys(leaf.cid for leaf in batch if leaf.data is None))
                )
                for leaf in batch:
                    data = found[leaf.cid] if leaf.data is None else leaf.data
                    if leaf.size is not None and len(data) != leaf.size:
                        raise BadBlockError(
                            f"the leaf {leaf.cid} has {len(data):,} bytes, and should have {leaf.size:,}"
                        )
                    if part := memoryview(data)[leaf.start : leaf.stop]:
                        yield part

    async def leaves(self, cid: Cid, start: int = 0, stop: int | None = None) -> AsyncGenerator[Leaf, None]:
        """Yield the leaves of a file, in order, that have its bytes `start` to `stop`. Reads inner nodes only.

        Raises as `read` does.
        """
        if is_leaf(cid):
            yield Leaf(cid, start, stop, None)
            return
        root = await self._file_node(cid, None)
        end = root.size if stop is None else min(stop, root.size)
        stack = [_Open(root, cid, 0)]
        while stack:
            top = stack[-1]
            if not top.told:
                top.told = True
                if top.node.data and (own := _cut(top.at, len(top.node.data), start, end)):
                    yield Leaf(top.cid, *own, len(top.node.data), top.node.data)
            child = top.next_child()
            if child is None:
                stack.pop()
                continue
            offset = top.at + child.offset
            if offset >= end:
                return
            if not (cut := _cut(offset, child.size, start, end)):
                continue
            if is_leaf(child.cid):
                yield Leaf(child.cid, *cut, child.size)
                continue
            if len(stack) >= MAX_DEPTH:
                raise BadBlockError(f"a file with more than {MAX_DEPTH} inner nodes above a leaf")
            await self.blocks.expect([child.cid, *top.nodes_ahead(end)])
            stack.append(_Open(await self._file_node(child.cid, child.size), child.cid, offset))

    async def _file_node(self, cid: Cid, size: int | None) -> nodes.FileNode:
        node = unixfs_trees.decode_node(cid, (await self.blocks.read((cid,)))[cid])
        if not isinstance(node, nodes.FileNode):
            kind = "symbolic link" if isinstance(node, nodes.SymlinkNode) else "folder"
            raise (
                ReadError(f"{cid} is a {kind}, not a file")
                if size is None
                else BadBlockError(f"a part of a file is a {kind}: {cid}")
            )
        if size is not None and node.size != size:
            raise BadBlockError(f"a part of a file has {node.size:,} bytes, and should have {size:,}: {cid}")
        return node


async def whole(pieces: AsyncIterator[bytes | memoryview]) -> bytes:
    """Return all pieces joined."""
    return b"".join([bytes(piece) async for piece in pieces])


class _Open:
    """An inner node that is being walked. `at`: the offset of its content in the file."""

    def __init__(self, node: nodes.FileNode, cid: Cid, at: int) -> None:
        self.node = node
        self.cid = cid
        self.at = at
        self.told = False
        self._next = 0
        self._expected = 0
        """How many children were returned by `nodes_ahead`, or passed over."""

    def next_child(self) -> nodes.FileChild | None:
        """Return the next child with content, and move past it; None: there is none."""
        while self._next < len(self.node.children):
            child = self.node.children[self._next]
            self._next += 1
            if child.size:
                return child
        return None

    def nodes_ahead(self, end: int) -> list[Cid]:
        """Return the inner nodes that follow the present child, as far as they are needed. Each is returned once."""
        found: list[Cid] = []
        size = 0
        for index in range(self._next, min(self._next + MAX_AHEAD, len(self.node.children))):
            child = self.node.children[index]
            enough = index >= self._next + NODES_AHEAD and size >= NODE_BYTES_AHEAD
            if enough or self.at + child.offset >= end:
                break
            size += child.size
            if index >= self._expected:
                self._expected = index + 1
                if child.size and not is_leaf(child.cid):
                    found.append(child.cid)
        return found


def _cut(at: int, size: int, start: int, end: int) -> tuple[int, int] | None:
    """Return which bytes of a part are between `start` and `end`; None: none. The part has `size` bytes at `at`."""
    first, last = max(start - at, 0), min(end - at, size)
    return (first, last) if first < last else None


def _take(ahead: deque[Leaf]) -> list[Leaf]:
    """Remove and return the next leaves: one, or several that have up to BATCH bytes together."""
    batch = [ahead.popleft()]
    size = batch[0].size or BATCH
    while ahead and size + (ahead[0].size or BATCH) <= BATCH:
        size += ahead[0].size or BATCH
        batch.append(ahead.popleft())
    return batch
