"""Build the plan of one inner node: to which folders, files and links its content belongs.

The tree is walked from its root. Each node says where the content of its children belongs. The rows of the plan
are yielded in slices.
"""

from collections.abc import Iterator
from typing import NamedTuple

from flux_tui.core.api.effects import Place
from flux_tui.core.content import hamt, nodes, unixfs_trees
from flux_tui.core.content.outline import slices
from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.fetching.downloads.download import Download, Location
from flux_tui.core.ids import Cid, is_leaf

SLICE = 1_000
"""Names and leaves that are planned and placed at a time: about 5 ms of work here, and 50 ms in the store."""


class PlanSlice(NamedTuple):
    """A slice of a plan for the store (`place`), and the inner nodes that have to be planned next (`inner`)."""

    place: Place
    inner: list[Cid]


def plan_node(download: Download, cid: Cid, block: bytes | nodes.Node) -> Iterator[PlanSlice]:
    """Yield the plan of where the content of an inner node belongs, in slices. Raises BadBlockError.

    `block`: the node's bytes, or the node if it is decoded already.
    """
    node = block if isinstance(block, tuple) else unixfs_trees.decode_node(cid, block)
    builder = _PlanBuilder(download)
    for location in download.take_locations(cid):
        mode = None if isinstance(node, nodes.SymlinkNode) else node.mode
        if mode is not None and location.kind == "any":
            builder.modes.append((location.rel, mode))
        match node:
            case nodes.FileNode():
                yield from builder.file(location, node)
            case nodes.FolderNode() | nodes.ShardNode():
                yield from builder.folder(location, node)
            case nodes.SymlinkNode():
                builder.symlinks.append(SymlinkPlan(location.rel, node.target))
    yield builder.cut()
    download.drop_cached(cid)


def plan_replica(download: Download) -> Iterator[PlanSlice]:
    """Yield the plan of a replica's leaves, in slices. The leaves have no places, because a replica has no files."""
    assert download.outline is not None
    for some in slices(download.outline, SLICE):
        for cid, _ in some:
            download.add_block(cid)
        leaves = tuple(LeafPlace(cid, 0, download.leaf_size(cid)) for cid, _ in some)
        yield PlanSlice(Place(root=download.root, blocks=leaves), [])


def plan_leaf(download: Download) -> Place:
    """Return the plan of an object that is one raw leaf."""
    leaf = LeafPlace(download.root, 0, None)
    if download.held:
        return Place(root=download.root, blocks=(leaf,))
    return Place(root=download.root, files=(FilePlan("", None, (leaf,)),))


class _PlanBuilder:
    """Collects the rows of a plan, and yields them as a slice when there are enough."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._count = 0
        self.folders: list[str] = []
        self.files: list[FilePlan] = []
        self.symlinks: list[SymlinkPlan] = []
        self.modes: list[tuple[str, int]] = []
        self.inner: list[Cid] = []

    def cut(self) -> PlanSlice:
        """Return the rows that were collected so far as one slice, and begin the next slice."""
        place = Place(
            root=self._download.root,
            folders=tuple(self.folders),
            files=tuple(self.files),
            symlinks=tuple(self.symlinks),
            modes=tuple(self.modes),
        )
        cut = PlanSlice(place, self.inner)
        self._count = 0
        self.folders, self.files, self.symlinks, self.modes, self.inner = [], [], [], [], []
        return cut

    def _full(self) -> bool:
        self._count += 1
        return self._count >= SLICE

    def folder(self, location: Location, node: nodes.FolderNode | nodes.ShardNode) -> Iterator[PlanSlice]:
        if location.kind == "any":
            self.folders.append(location.rel)
        if isinstance(node, nodes.ShardNode):
            hamt.check(node, location.under)
        add_block, leaf_size = self._download.add_block, self._download.leaf_size
        above = f"{location.rel}/" if location.rel else ""
        for name, child, _ in node.entries:
            rel = above + name
            if is_leaf(child):
                add_block(child)
                self.files.append(FilePlan(rel, None, (LeafPlace(child, 0, leaf_size(child)),)))
            else:
                self._inner(child, Location(rel, 0, "any"))
            if self._full():
                yield self.cut()
        if isinstance(node, nodes.ShardNode):
            for shard, slot in zip(node.subshards, node.subshard_slots, strict=True):
                under = location.under.below(slot, node.width)
                self._inner(shard, Location(location.rel, 0, "shard", under))
        if self._full():
            yield self.cut()

    def file(self, location: Location, node: nodes.FileNode) -> Iterator[PlanSlice]:
        whole = node.size if location.kind == "any" else None
        leaves: list[LeafPlace] = []
        self._download.add_inline(len(node.data))
        data, data_at = node.data, location.offset
        for child, offset, size in node.children:
            if is_leaf(child):
                self._download.add_block(child)
                leaves.append(LeafPlace(child, location.offset + offset, size))
            else:
                self._inner(child, Location(location.rel, location.offset + offset, "part"))
            if self._full():
                self.files.append(FilePlan(location.rel, whole, tuple(leaves), data, data_at))
                leaves, data = [], b""
                yield self.cut()
        self.files.append(FilePlan(location.rel, whole, tuple(leaves), data, data_at))
        if self._full():
            yield self.cut()

    def _inner(self, cid: Cid, location: Location) -> None:
        self._download.add_block(cid, location)
        self.inner.append(cid)
