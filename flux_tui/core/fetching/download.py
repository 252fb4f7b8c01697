"""A download: one wanted object or loose chunk, what is known of its blocks, and which of them are missing.

An object is fetched in two steps. First its inner nodes come; they are checked and added up (outline.py).
Then the tree is walked from its root. Each node tells where content belongs. This is handed to the store as a
plan (`Place`), a slice at a time. The store answers which leaves it could place from what it already has.
Only then are the other leaves missing, and wanted from the swarm. A replica has no files: its plan is the
list of its leaves.

Each leaf is checked, when it comes, against the length that its parents gave for it.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from flux_tui.core.api.effects import Effect, Place
from flux_tui.core.content import hamt, nodes, unixfs
from flux_tui.core.content.outline import EdgeKind, Outline, Totals, slices
from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.content.unixfs import BadBlockError
from flux_tui.core.ids import Cid, PeerId, is_leaf

if TYPE_CHECKING:
    from flux_tui.core.fetching.availability import PeerBitmap

SLICE = 1_000
"""Names and leaves that are planned and placed at a time: about 5 ms of work here, and 50 ms in the store."""
CACHED_BYTES = 16 * 1024 * 1024
"""Bytes of inner nodes that stay in memory from the first step to the second. Other nodes are read again."""


class PlanSlice(NamedTuple):
    """A slice of a plan, and the inner nodes that it leads to."""

    place: Place
    inner: list[Cid]


class Location(NamedTuple):
    """The place of the content below an inner node."""

    rel: str
    offset: int
    kind: EdgeKind
    under: hamt.Prefix = hamt.Prefix()
    """For a shard: how the hashes of its names begin."""


class Download:
    """All that is known of one wanted root. A block is counted once, its places as often as they occur."""

    __slots__ = (
        "_cache",
        "_cached",
        "_companions",
        "_hedged",
        "_lacks",
        "_noted",
        "_parts",
        "blocks",
        "by",
        "finishing",
        "granted",
        "have",
        "have_bytes",
        "held",
        "holder_free_at",
        "holders",
        "last_chunk_at",
        "leaf_bytes",
        "limit",
        "locations",
        "missing",
        "next_push_at",
        "open_work",
        "order",
        "outline",
        "path",
        "planning",
        "postponed",
        "pushed_at",
        "root",
        "size_hint",
        "spread",
        "totals",
        "tree",
        "unanswered_pushes",
    )  # fmt: skip

    def __init__(
        self,
        root: Cid,
        *,
        path: str | None,
        tree: bool,
        by: str | None,
        size: int | None,
        held: bool = False,
        limit: int | None = None,
    ) -> None:
        self.root = root
        self.path = path
        self.tree = tree
        """Its content is written to files. False: it is a loose chunk for the store."""
        self.by = by
        self.held = held
        """It is a replica for others: nobody here asked for it."""
        self.size_hint = size or 0
        """Bytes that a ticket or a holder says it has."""
        self.limit = limit
        """Bytes that its ticket says it has: no more is written. None: no limit is known."""
        self.blocks: dict[Cid, int] = {root: 1}
        """Every block that is known to belong to it, and how often its content occurs in it."""
        self.have: dict[Cid, int] = {}
        """Blocks that are here, and how many of their places are counted in `have_bytes`."""
        self.missing: OrderedDict[Cid, None] = OrderedDict()
        """Blocks that are neither here nor granted, in the order of the content."""
        self.granted = 0
        """Blocks that are under a live lease."""
        self.have_bytes = 0
        self.leaf_bytes = 0
        """Bytes of content in all places known so far."""
        self.open_work = 0
        """Requests that the store has not answered yet, and plans that are not finished."""
        self.outline = Outline(root) if tree and not is_leaf(root) else None
        self.totals: Totals | None = None
        """The totals of all nodes; None while inner nodes are missing."""
        self.planning = 0
        """Plans that are being made."""
        self.postponed: list[Effect] = []
        """Requests that the store could not carry out yet because there was no room."""
        self.locations: dict[Cid, list[Location]] = {}
        self.holders: dict[PeerId, None] = {}
        """Peers that said yes."""
        # These are made when they are first written to: ten thousand loose chunks wanted at once need none
        # of them.
        self._lacks: dict[PeerId, set[Cid]] | None = None
        self._parts: dict[PeerId, PeerBitmap] | None = None
        self._companions: set[PeerId] | None = None
        self._hedged: set[Cid] | None = None
        self._cache: dict[Cid, bytes] | None = None
        self._cached = 0
        self._noted = 0
        """Bytes of its inner nodes."""
        self.order: tuple[Cid, ...] | None = None
        """All its blocks, sorted, once the tree is known (availability.py)."""
        self.next_push_at = float("inf")
        self.spread = False
        """It was moved to a random place to go on from, because others fetch the same object."""
        self.unanswered_pushes = 0
        """Pushes in a row that found no holder. Each doubles the wait for the next."""
        self.pushed_at = float("-inf")
        """When it was last pushed normally, not only told to single peers."""
        self.last_chunk_at = float("-inf")
        """When a chunk of it came last."""
        self.holder_free_at = float("-inf")
        """The first time at which a peer that has it and said NO may be asked again."""
        self.finishing = False

    def lacking(self, peer: PeerId) -> Collection[Cid]:
        """Blocks of its offer that this holder turned out not to have."""
        return self._lacks.get(peer, ()) if self._lacks else ()

    def lack(self, peer: PeerId, cid: Cid) -> None:
        """This holder does not have this block."""
        if self._lacks is None:
            self._lacks = {}
        self._lacks.setdefault(peer, set()).add(cid)

    @property
    def parts(self) -> Mapping[PeerId, "PeerBitmap"]:
        """The parts that peers have which are still fetching it themselves. Other holders have all of it."""
        return self._parts or {}

    def offered_by(self, peer: PeerId, part: "PeerBitmap | None") -> None:
        """A peer offers this part of it, or all of it (None). This replaces what it lacked before."""
        if self._lacks:
            self._lacks.pop(peer, None)
        if part is not None:
            self._parts = {} if self._parts is None else self._parts
            self._parts[peer] = part
        elif self._parts:
            self._parts.pop(peer, None)

    @property
    def companions(self) -> Collection[PeerId]:
        """Peers that download it too, and were told that this node wants it."""
        return self._companions or ()

    def accompany(self, peer: PeerId) -> None:
        """This peer fetches it too."""
        self._companions = set() if self._companions is None else self._companions
        self._companions.add(peer)

    def hedge(self, cid: Cid) -> bool:
        """Mark an overdue block as granted to a second holder. False: it was hedged before."""
        self._hedged = set() if self._hedged is None else self._hedged
        if cid in self._hedged:
            return False
        self._hedged.add(cid)
        return True

    @property
    def done(self) -> bool:
        """Whether nothing is missing, granted or open."""
        return not (self.missing or self.granted or self.open_work or self.postponed)

    @property
    def mapped(self) -> bool:
        """Whether all of its blocks are known, and where they belong."""
        return not self.locations and not self.planning and (self.outline is None or self.totals is not None)

    @property
    def size(self) -> int:
        """Bytes of content as far as known.

        Until the object itself tells, this is what a ticket or a holder said.
        """
        return self.leaf_bytes if self.totals is not None else max(self.size_hint, self.leaf_bytes)

    @property
    def estimate(self) -> int:
        """Bytes that one of its missing blocks probably has, for sizing grants."""
        if self.outline is None:
            return min(self.size, unixfs.CHUNK_SIZE)
        if self.totals is None:  # inner nodes are missing
            return self._noted // len(self.outline) if len(self.outline) else 0
        leaves = self.totals.places - len(self.outline)
        return max(1, min(self.size // leaves, unixfs.CHUNK_SIZE)) if leaves > 0 and self.size else 0

    def count(self, cid: Cid, size: int) -> int:
        """Count a block that is here. Returns the bytes of content that it fills anew.

        Raises BadBlockError if its parents gave it another length.
        """
        places = self.blocks.get(cid, 0)
        new = places - self.have.get(cid, 0)
        if self.outline is not None and (told := self.outline.sizes.get(cid, size)) != size:
            if size > told or cid not in self.outline.at_most:
                raise BadBlockError(f"the leaf {cid} has {size:,} bytes, and should have {told:,}")
            self.leaf_bytes -= new * (told - size)
        self.have[cid] = places
        filled = new * size if is_leaf(cid) else 0
        self.have_bytes += filled
        return filled

    # ── first: the inner nodes ──────────────────────────────────────────────────────────────────

    def note(self, cid: Cid, data: bytes) -> list[Cid]:
        """Add an inner node to the outline.

        Returns the inner nodes that were not known before. Raises as Outline.add does.
        """
        assert self.outline is not None
        found = self.outline.add(cid, data)
        for child in found:
            self.blocks.setdefault(child, 0)
        self.leaf_bytes = self.outline.size_so_far
        self._noted += len(data)
        if not self.held and self._cached + len(data) <= CACHED_BYTES:
            self._cached += len(data)
            self._cache = {} if self._cache is None else self._cache
            self._cache[cid] = data
        return found

    def cached(self, cid: Cid) -> bytes | None:
        """The bytes of an inner node, if they are in memory."""
        return self._cache.get(cid) if self._cache else None

    def add_up(self, totals: Totals) -> None:
        """All inner nodes are known; `totals` is their sum."""
        self.totals = totals
        self.leaf_bytes = totals.size
        if not self.held:
            self.locations[self.root] = [Location("", 0, "any")]

    # ── then: where content belongs ─────────────────────────────────────────────────────────────

    def plan(self, cid: Cid, data: bytes) -> Iterator[PlanSlice]:
        """Plan where the content of an inner node belongs, a slice at a time. Raises BadBlockError."""
        node = unixfs.decode_node(cid, data)
        rows = _PlanBuilder(self)
        for location in self.locations.pop(cid, ()):
            mode = None if isinstance(node, nodes.SymlinkNode) else node.mode
            if mode is not None and location.kind == "any":
                rows.modes.append((location.rel, mode))
            match node:
                case nodes.FileNode():
                    yield from rows.file(location, node)
                case nodes.FolderNode() | nodes.ShardNode():
                    yield from rows.folder(location, node)
                case nodes.SymlinkNode():
                    rows.symlinks.append(SymlinkPlan(location.rel, node.target))
        yield rows.cut()
        if self._cache and cid not in self.locations and self._cache.pop(cid, None):
            self._cached -= len(data)

    def plan_blocks(self) -> Iterator[PlanSlice]:
        """Plan the leaves of a replica: they have no places in files."""
        assert self.outline is not None
        for part in slices(self.outline, SLICE):
            for cid, _ in part:
                self.blocks[cid] = self.blocks.get(cid, 0) + 1
            leaves = tuple(LeafPlace(cid, 0, self.told(cid)) for cid, _ in part)
            yield PlanSlice(Place(root=self.root, blocks=leaves), [])

    def told(self, cid: Cid) -> int | None:
        """The exact length of a leaf, as its parents say; None if they do not."""
        if self.outline is None or cid in self.outline.at_most:
            return None
        return self.outline.sizes.get(cid)


class _PlanBuilder:
    """Collects rows of a plan, and cuts a slice off when there are enough."""

    def __init__(self, download: Download) -> None:
        self._download = download
        self._count = 0
        self.folders: list[str] = []
        self.files: list[FilePlan] = []
        self.symlinks: list[SymlinkPlan] = []
        self.modes: list[tuple[str, int]] = []
        self.inner: list[Cid] = []

    def cut(self) -> PlanSlice:
        """Take the rows so far as one step."""
        place = Place(
            root=self._download.root,
            folders=tuple(self.folders),
            files=tuple(self.files),
            symlinks=tuple(self.symlinks),
            modes=tuple(self.modes),
        )
        step = PlanSlice(place, self.inner)
        self._count = 0
        self.folders, self.files, self.symlinks, self.modes, self.inner = [], [], [], [], []
        return step

    def _full(self) -> bool:
        self._count += 1
        return self._count >= SLICE

    def folder(self, location: Location, node: nodes.FolderNode | nodes.ShardNode) -> Iterator[PlanSlice]:
        if location.kind == "any":
            self.folders.append(location.rel)
        if isinstance(node, nodes.ShardNode):
            hamt.check(node, location.under)
        for name, child, _ in node.entries:
            rel = f"{location.rel}/{name}" if location.rel else name
            if is_leaf(child):
                self._leaf(child)
                leaf = LeafPlace(child, 0, self._download.told(child))
                self.files.append(FilePlan(rel, None, (leaf,)))
            else:
                self._inner(child, Location(rel, 0, "any"))
            if self._full():
                yield self.cut()
        if isinstance(node, nodes.ShardNode):
            for shard, slot in zip(node.subshards, node.subshard_slots, strict=True):
                self._inner(shard, Location(location.rel, 0, "shard", location.under.below(slot, node.width)))
        if self._full():
            yield self.cut()

    def file(self, location: Location, node: nodes.FileNode) -> Iterator[PlanSlice]:
        whole = node.size if location.kind == "any" else None
        leaves: list[LeafPlace] = []
        self._download.have_bytes += len(node.data)
        data, data_at = node.data, location.offset
        for child, offset, size in node.children:
            if is_leaf(child):
                self._leaf(child)
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

    def _leaf(self, cid: Cid) -> None:
        self._download.blocks[cid] = self._download.blocks.get(cid, 0) + 1

    def _inner(self, cid: Cid, location: Location) -> None:
        self._download.blocks[cid] = self._download.blocks.get(cid, 0) + 1
        self._download.locations.setdefault(cid, []).append(location)
        self.inner.append(cid)


def owners(wanted: Mapping[Cid, Collection[Download]], cids: Collection[Cid]) -> tuple[Cid, ...]:
    """The wanted objects that contain these blocks.

    `wanted`: every block that is still to come, and the downloads that want it.
    """
    found = (download.root for cid in cids for download in wanted.get(cid, ()) if download.tree)
    return tuple(dict.fromkeys(root for root in found if root not in cids))
