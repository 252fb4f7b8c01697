"""One wanted object, or one loose chunk: what it is made of, as far as known, and what is missing.

The DAG is walked from its root as inner nodes come in. Each node tells where content belongs; that is
handed to the store as a plan (`Place`), and the store answers which leaves it could put there from
what it has. Only then is the rest missing, and wanted from the swarm.

A hash DAG has no cycles, but it can repeat itself: a kilobyte can describe exabytes. So the number of
places in one object is bounded.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from flux_tui.core import hamt, unixfs
from flux_tui.core.effects import FilePlan, LeafPlace, Place, SymlinkPlan
from flux_tui.core.ids import Cid, PeerId, is_leaf

if TYPE_CHECKING:
    from flux_tui.core.parts import Part

MAX_PLACES = 4_000_000
"""Leaves and inner nodes of one object, repeats counted: 4 TiB of file, some 1 GB of memory."""
MAX_PATH = 1024
"""Characters of a path inside an object."""


class TooLargeError(ValueError):
    """The object describes more than this node takes on."""


class Spot(NamedTuple):
    """Where the content below an inner node belongs."""

    rel: str
    offset: int
    kind: Literal["any", "part", "shard"]
    """any: a file, folder or link of its own; part: of the file `rel`; shard: of the folder `rel`."""
    under: hamt.Prefix = hamt.Prefix()
    """Of a shard: how the hashes of its names begin."""


class Fetch:
    """What is known of one wanted root. Blocks are counted once, places as often as they stand."""

    __slots__ = (
        "_companions", "_hedged", "_lacks", "_parts", "back_at", "blocks", "by", "came_at", "counted", "finishing",
        "granted", "have_bytes", "held", "holders", "inner_count", "leaf_bytes", "missing", "next_push_at", "open_ops",
        "order", "path", "places", "pushed_at", "quiet_pushes", "root", "size_hint", "spots", "tree",
    )  # fmt: skip

    def __init__(
        self, root: Cid, *, path: str | None, tree: bool, by: str | None, size: int | None, held: bool = False
    ) -> None:
        self.root = root
        self.path = path
        self.tree = tree
        """Its content goes to files; otherwise it is a loose chunk for the store."""
        self.by = by
        self.held = held
        """It is to be kept for others: nobody here asked for it."""
        self.size_hint = size or 0
        """Bytes that a ticket or a holder said it has."""
        self.blocks: dict[Cid, int] = {root: 1}
        """Every block known to belong to it, and how often its content stands in it."""
        self.counted: dict[Cid, int] = {}
        """Blocks that are here, and how many of their places are in `have_bytes`."""
        self.missing: OrderedDict[Cid, None] = OrderedDict()
        """Blocks neither here nor granted, in the order of the content."""
        self.granted = 0
        """How many of its blocks are under a live lease."""
        self.have_bytes = 0
        self.leaf_bytes = 0
        """Bytes of content in all places known so far."""
        self.inner_count = 0
        self.places = 1
        self.open_ops = 0
        """Placements and reads that the store has not answered yet."""
        self.spots: dict[Cid, list[Spot]] = {}
        self.holders: dict[PeerId, None] = {}
        """Who said yes."""
        # Ten thousand loose chunks wanted at once have none of these: made when first written to.
        self._lacks: dict[PeerId, set[Cid]] | None = None
        self._parts: dict[PeerId, Part] | None = None
        self._companions: set[PeerId] | None = None
        self._hedged: set[Cid] | None = None
        self.order: tuple[Cid, ...] | None = None
        """All its blocks, sorted, once the tree is known (parts.py)."""
        self.next_push_at = float("inf")
        self.quiet_pushes = 0
        """Pushes in a row that found nobody who has it: each doubles the wait for the next."""
        self.pushed_at = float("-inf")
        """When all were asked last, and not only somebody besides."""
        self.came_at = float("-inf")
        """When a chunk of it came last."""
        self.back_at = float("-inf")
        """When the first of those that said NO and have it may be asked again."""
        self.finishing = False

    def lacking(self, peer: PeerId) -> Collection[Cid]:
        """Blocks that a holder said it has not, after all."""
        return self._lacks.get(peer, ()) if self._lacks else ()

    def lack(self, peer: PeerId, cid: Cid) -> None:
        """A holder has not got this block."""
        if self._lacks is None:
            self._lacks = {}
        self._lacks.setdefault(peer, set()).add(cid)

    @property
    def parts(self) -> Mapping[PeerId, "Part"]:
        """What peers that are still fetching it themselves said they have; the others have all of it."""
        return self._parts or {}

    def offered_by(self, peer: PeerId, part: "Part | None") -> None:
        """A peer has this part of it, or (None) all of it; whatever it lacked before."""
        if self._lacks:
            self._lacks.pop(peer, None)
        if part is not None:
            self._parts = {} if self._parts is None else self._parts
            self._parts[peer] = part
        elif self._parts:
            self._parts.pop(peer, None)

    @property
    def companions(self) -> Collection[PeerId]:
        """Who fetches it too, and was told that it is wanted here."""
        return self._companions or ()

    def accompany(self, peer: PeerId) -> None:
        """This peer fetches it too."""
        self._companions = set() if self._companions is None else self._companions
        self._companions.add(peer)

    def hedge(self, cid: Cid) -> bool:
        """Mark an overdue block as granted to a second holder; False if it was once already."""
        self._hedged = set() if self._hedged is None else self._hedged
        if cid in self._hedged:
            return False
        self._hedged.add(cid)
        return True

    @property
    def done(self) -> bool:
        """Every block of it is here."""
        return not self.missing and not self.granted and not self.open_ops

    @property
    def size(self) -> int:
        """Bytes of content as far as known."""
        return max(self.size_hint, self.leaf_bytes)

    @property
    def estimate(self) -> int:
        """Bytes that one of its blocks probably has, for sizing grants."""
        leaves = self.places - self.inner_count
        return max(1, min(self.size // leaves, unixfs.CHUNK_SIZE)) if leaves > 0 and self.size else 0

    def count(self, cid: Cid, size: int) -> int:
        """A block is here: returns the bytes of content that this fills anew."""
        places = self.blocks.get(cid, 0)
        new = places - self.counted.get(cid, 0)
        self.counted[cid] = places
        filled = new * size if is_leaf(cid) else 0
        self.have_bytes += filled
        return filled

    def learn(self, cid: Cid, data: bytes) -> tuple[Place, list[Cid]]:
        """An inner node is here: where its content belongs, and its inner children.

        Raises unixfs.BadBlockError for what is no UnixFS node, TooLargeError.
        """
        node = unixfs.decode_node(cid, data)
        folders: list[str] = []
        files: list[FilePlan] = []
        symlinks: list[SymlinkPlan] = []
        modes: list[tuple[str, int]] = []
        inner: list[Cid] = []
        for spot in self.spots.pop(cid, ()):
            mode = None if isinstance(node, unixfs.SymlinkNode) else node.mode
            if mode is not None and spot.kind == "any":
                modes.append((spot.rel, mode))
            match node:
                case unixfs.FileNode():
                    if spot.kind == "shard":
                        raise unixfs.BadBlockError(f"a folder's shard is a file: {cid}")
                    files.append(self._file(spot, node, inner))
                case unixfs.FolderNode() | unixfs.ShardNode():
                    if spot.kind == "part":
                        raise unixfs.BadBlockError(f"a part of a file is a folder: {cid}")
                    if spot.kind == "shard" and isinstance(node, unixfs.FolderNode):
                        raise unixfs.BadBlockError(f"a folder's shard is a folder of its own: {cid}")
                    if spot.kind == "any":
                        folders.append(spot.rel)
                    if isinstance(node, unixfs.ShardNode):
                        hamt.check(node, spot.under)
                    for name, child, tsize in node.entries:
                        rel = f"{spot.rel}/{name}" if spot.rel else name
                        if len(rel) > MAX_PATH:
                            raise TooLargeError(f"a path in it is over {MAX_PATH} characters long")
                        if is_leaf(child):
                            self._leaf(child, tsize)
                            files.append(FilePlan(rel, None, (LeafPlace(child, 0, tsize),)))
                        else:
                            self._inner(child, Spot(rel, 0, "any"), inner)
                    if isinstance(node, unixfs.ShardNode):
                        for shard, slot in zip(node.subshards, node.subshard_slots, strict=True):
                            under = spot.under.below(slot, node.width)
                            self._inner(shard, Spot(spot.rel, 0, "shard", under), inner)
                case unixfs.SymlinkNode():
                    if spot.kind != "any":
                        raise unixfs.BadBlockError(f"a symbolic link where content should be: {cid}")
                    symlinks.append(SymlinkPlan(spot.rel, node.target))
        place = Place(
            root=self.root,
            folders=tuple(folders),
            files=tuple(files),
            symlinks=tuple(symlinks),
            modes=tuple(modes),
        )
        return place, inner

    def _file(self, spot: Spot, node: unixfs.FileNode, inner: list[Cid]) -> FilePlan:
        leaves: list[LeafPlace] = []
        for child, offset, size in node.children:
            if is_leaf(child):
                self._leaf(child, size)
                leaves.append(LeafPlace(child, spot.offset + offset, size))
            else:
                self._inner(child, Spot(spot.rel, spot.offset + offset, "part"), inner)
        self.leaf_bytes += len(node.data)
        self.have_bytes += len(node.data)
        whole = node.size if spot.kind == "any" else None
        return FilePlan(spot.rel, whole, tuple(leaves), node.data, spot.offset)

    def _leaf(self, cid: Cid, size: int) -> None:
        self._one_more_place()
        self.blocks[cid] = self.blocks.get(cid, 0) + 1
        self.leaf_bytes += size

    def _inner(self, cid: Cid, spot: Spot, inner: list[Cid]) -> None:
        self._one_more_place()
        self.inner_count += 1
        self.blocks[cid] = self.blocks.get(cid, 0) + 1
        self.spots.setdefault(cid, []).append(spot)
        inner.append(cid)

    def _one_more_place(self) -> None:
        self.places += 1
        if self.places > MAX_PLACES:
            raise TooLargeError(f"it has more than {MAX_PLACES:,} parts")


def owners(wanted: Mapping[Cid, Collection[Fetch]], cids: Collection[Cid]) -> tuple[Cid, ...]:
    """The objects that these are blocks of. `wanted`: every block that is to come, and whose it is."""
    found = (fetch.root for cid in cids for fetch in wanted.get(cid, ()) if fetch.tree)
    return tuple(dict.fromkeys(root for root in found if root not in cids))
