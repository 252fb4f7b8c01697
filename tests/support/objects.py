"""Invented objects, block by block."""

from collections.abc import Generator

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import FolderEntry
from flux_tui.core.content.outline import Outline, Totals
from flux_tui.core.content.protobufs import PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import build_folder
from flux_tui.core.ids import Cid, dag_cid, raw_cid

LEAF = raw_cid(b"four")


Blocks = dict[Cid, bytes]


def file_node(
    blocks: Blocks,
    *parts: tuple[Cid, int],
    data: bytes = b"",
    size: int | None = None,
    kind: int = protobufs.FILE,
) -> Cid:
    """Return a file node with these parts and their claimed lengths."""
    whole = len(data) + sum(part[1] for part in parts) if size is None else size
    body = UnixFS(kind, data=data, filesize=whole, blocksizes=tuple(part[1] for part in parts))
    return put(blocks, protobufs.encode_node((PBLink(cid, "", 1) for cid, _ in parts), body))


def folder(blocks: Blocks, *entries: tuple[str, Cid, int]) -> Cid:
    root = build_folder([FolderEntry(*entry) for entry in entries])
    blocks.update((block.cid, block.data) for block in root.blocks)
    return root.cid


def put(blocks: Blocks, data: bytes) -> Cid:
    cid = dag_cid(data)
    blocks[cid] = data
    return cid


def whole(adding: Generator[None, None, Totals]) -> Totals:
    """Run a sum to its end, however often it pauses."""
    while True:
        try:
            next(adding)
        except StopIteration as end:
            totals: Totals = end.value
            return totals


def outlined(root: Cid, blocks: Blocks) -> Outline:
    found = Outline(root)
    todo = [root]
    while todo:
        cid = todo.pop()
        todo += found.add(cid, blocks[cid])
    assert found.complete
    return found


def totals(root: Cid, blocks: Blocks) -> Totals:
    return whole(outlined(root, blocks).sum_up())


def doubled(blocks: Blocks, cid: Cid, levels: int) -> Cid:
    """Return folders that each contain the one below twice."""
    for _ in range(levels):
        cid = folder(blocks, ("a", cid, 1), ("b", cid, 1))
    return cid


def many(blocks: Blocks, cid: Cid, times: int) -> Cid:
    return folder(blocks, *((f"{number:x}", cid, 1) for number in range(times)))
