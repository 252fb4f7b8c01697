"""The blocks of an object in the order of a CAR: depth first, each block before those that it links to.

What a CAR of a gateway has (`dag-scope` and `entity-bytes`) is chosen here, too. Each block is yielded once. Memory:
the CIDs of the blocks that were yielded, at most MAX_BLOCKS, and about 1 MiB of content.

Source: specs.ipfs.tech, trustless gateway.
"""

from collections.abc import AsyncGenerator
from typing import Literal, NamedTuple

from flux_tui.core.content import nodes, protobufs, unixfs_trees
from flux_tui.core.content.outline import MAX_PLACES
from flux_tui.core.content.path_walk import Part
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.reading.blocks import NotingBlocks
from flux_tui.reading.object_reader import ObjectReader

MAX_BLOCKS = MAX_PLACES
"""Blocks of one CAR."""
LEAVES_AHEAD = 64
"""Links that are expected before they are read."""
LEAVES_AT_ONCE = 4
"""Leaves that are read together."""

Scope = Literal["block", "entity", "all"]


class OneBlock(NamedTuple):
    """A block: its CID and its bytes."""

    cid: Cid
    data: bytes


async def blocks_of(
    reader: ObjectReader, root: Cid, *, seen: set[Cid] | None = None
) -> AsyncGenerator[OneBlock, None]:
    """Yield all blocks below a root, and the root. `seen`: blocks that were yielded already.

    Raises BadBlockError, ReadError.
    """
    seen = set() if seen is None else seen
    stack = [root]
    while stack:
        cid = stack.pop()
        if cid in seen:
            continue
        batch = [cid]
        seen.add(cid)
        while is_leaf(cid) and stack and len(batch) < LEAVES_AT_ONCE and is_leaf(stack[-1]):
            following = stack.pop()
            if following not in seen:
                batch.append(following)
                seen.add(following)
        if len(seen) > MAX_BLOCKS:
            raise BadBlockError(f"it has more than {MAX_BLOCKS:,} blocks")
        await reader.blocks.expect(tuple(dict.fromkeys(stack[-LEAVES_AHEAD:][::-1])))
        found = await reader.blocks.read(tuple(batch))
        for one in batch:
            yield OneBlock(one, found[one])
        if not is_leaf(cid):
            links, _ = protobufs.decode_node(found[cid])
            stack += [link.cid for link in reversed(links) if link.cid not in seen]


async def blocks_on_the_way(reader: ObjectReader, part: Part, names: tuple[str, ...]) -> list[OneBlock]:
    """Return the blocks from an object's root to a part of it, without the part's own block."""
    noting = NotingBlocks(reader.blocks)
    await ObjectReader(noting).resolve(part.roots[0], names)
    return [OneBlock(cid, data) for cid, data in noting.noted.items() if cid != part.cid]


async def blocks_for_gateway(
    reader: ObjectReader,
    part: Part,
    names: tuple[str, ...],
    scope: Scope,
    start: int = 0,
    stop: int | None = None,
) -> AsyncGenerator[OneBlock, None]:
    """Yield the blocks from an object's root to a part of it, and of the part what `scope` says.

    block: its own block; entity: all of a file, or its bytes `start` to `stop`; of a folder, the blocks that list its
    names; all: everything below it. Raises BadBlockError, ReadError.
    """
    seen: set[Cid] = set()
    for block in await blocks_on_the_way(reader, part, names):
        seen.add(block.cid)
        yield block
    if scope == "all":
        async for block in blocks_of(reader, part.cid, seen=seen):
            yield block
        return
    if part.cid not in seen:
        seen.add(part.cid)
        yield OneBlock(part.cid, (await reader.blocks.read((part.cid,)))[part.cid])
    if scope == "entity" and part.kind == "file" and not is_leaf(part.cid):
        async for block in _file_blocks(reader, part.cid, seen, start, stop):
            yield block
    elif scope == "entity" and part.kind == "folder":
        async for block in _shards(reader, part.cid, seen):
            yield block


async def _file_blocks(
    reader: ObjectReader, cid: Cid, seen: set[Cid], start: int, stop: int | None
) -> AsyncGenerator[OneBlock, None]:
    """Yield the blocks of a file, depth first, that have its bytes `start` to `stop`, without the file's own."""
    noting = NotingBlocks(reader.blocks)
    async for leaf in ObjectReader(noting).leaves(cid, start, stop):
        for one, data in noting.noted.items():
            if one not in seen:
                seen.add(one)
                yield OneBlock(one, data)
        noting.noted.clear()
        if leaf.data is None and leaf.cid not in seen:
            seen.add(leaf.cid)
            yield OneBlock(leaf.cid, (await reader.blocks.read((leaf.cid,)))[leaf.cid])


async def _shards(reader: ObjectReader, cid: Cid, seen: set[Cid]) -> AsyncGenerator[OneBlock, None]:
    """Yield the inner nodes of a large folder, without its root."""
    data = (await reader.blocks.read((cid,)))[cid]
    stack = _subshards(cid, data)
    while stack:
        one = stack.pop()
        if one in seen:
            continue
        seen.add(one)
        if len(seen) > MAX_BLOCKS:
            raise BadBlockError(f"it has more than {MAX_BLOCKS:,} blocks")
        data = (await reader.blocks.read((one,)))[one]
        yield OneBlock(one, data)
        stack += _subshards(one, data)


def _subshards(cid: Cid, data: bytes) -> list[Cid]:
    node = unixfs_trees.decode_node(cid, data)
    return list(reversed(node.subshards)) if isinstance(node, nodes.ShardNode) else []
