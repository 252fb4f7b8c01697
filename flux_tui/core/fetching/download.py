"""One wanted object, or one loose chunk: what it is made of, as far as known, and what is missing.

An object is fetched in two steps. Its inner nodes come first, and are checked and added up (outline.py). Then the
tree is walked from its root: each node tells where content belongs; that is handed to the store as a plan
(`Place`), a slice at a time, and the store answers which leaves it could put there from what it has. Only then is
the rest missing, and wanted from the swarm. A replica has no files: its plan is the list of its leaves.

Each leaf is checked against the length that its parents said it has, as it comes.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from flux_tui.core.api.effects import Effect, Place
from flux_tui.core.content import hamt, unixfs
from flux_tui.core.content.outline import EdgeKind, Outline, Totals, slices
from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.content.unixfs import BadBlockError
from flux_tui.core.ids import Cid, PeerId, is_leaf

if TYPE_CHECKING:
    from flux_tui.core.fetching.availability import Part

SLICE = 1_000
"""Names and leaves that are planned, and placed by the store, at a time: some 5 ms here, and 50 ms there."""
CACHED_BYTES = 16 * 1024 * 1024
"""Bytes of inner nodes that are kept from the first step for the second; the others are read again."""


class Step(NamedTuple):
    """A part of a plan, and the inner nodes that it leads to."""

    place: Place
    inner: list[Cid]


class Spot(NamedTuple):
    """Where the content below an inner node belongs."""

    rel: str
    offset: int
    kind: EdgeKind
    under: hamt.Prefix = hamt.Prefix()
    """Of a shard: how the hashes of its names begin."""


class Fetch:
    """What is known of one wanted root. Blocks are counted once, places as often as they stand."""

    __slots__ = (
        "_cache", "_cached", "_companions", "_hedged", "_lacks", "_noted", "_parts", "back_at", "blocks", "by",
        "came_at", "counted", "finishing", "granted", "have_bytes", "held", "holders", "leaf_bytes", "limit",
        "missing", "next_push_at", "open_ops", "order", "outline", "path", "planning", "postponed", "pushed_at",
        "quiet_pushes", "root", "size_hint", "spots", "spread", "totals", "tree",
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
        """Its content goes to files; otherwise it is a loose chunk for the store."""
        self.by = by
        self.held = held
        """It is to be kept for others: nobody here asked for it."""
        self.size_hint = size or 0
        """Bytes that a ticket or a holder said it has."""
        self.limit = limit
        """Bytes that its ticket says it has: no more is written. None: nothing says."""
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
        self.open_ops = 0
        """Placements and reads that the store has not answered yet, and plans that are not made yet."""
        self.outline = Outline(root) if tree and not is_leaf(root) else None
        self.totals: Totals | None = None
        """What it adds up to; None while inner nodes are lacking."""
        self.planning = 0
        """Plans that are being made."""
        self.postponed: list[Effect] = []
        """What the store could not do yet, for want of room."""
        self.spots: dict[Cid, list[Spot]] = {}
        self.holders: dict[PeerId, None] = {}
        """Who said yes."""
        # Ten thousand loose chunks wanted at once have none of these: made when first written to.
        self._lacks: dict[PeerId, set[Cid]] | None = None
        self._parts: dict[PeerId, Part] | None = None
        self._companions: set[PeerId] | None = None
        self._hedged: set[Cid] | None = None
        self._cache: dict[Cid, bytes] | None = None
        self._cached = 0
        self._noted = 0
        """Bytes of its inner nodes."""
        self.order: tuple[Cid, ...] | None = None
        """All its blocks, sorted, once the tree is known (parts.py)."""
        self.next_push_at = float("inf")
        self.spread = False
        """It goes on from somewhere else than others that fetch it."""
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
        return not (self.missing or self.granted or self.open_ops or self.postponed)

    @property
    def mapped(self) -> bool:
        """Whether all of its blocks are known, and where they belong."""
        return not self.spots and not self.planning and (self.outline is None or self.totals is not None)

    @property
    def size(self) -> int:
        """Bytes of content as far as known. What a ticket or a holder says counts until the object tells."""
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
        """A block is here: returns the bytes of content that this fills anew.

        Raises BadBlockError if its parents said that it has another length.
        """
        places = self.blocks.get(cid, 0)
        new = places - self.counted.get(cid, 0)
        if self.outline is not None and (told := self.outline.sizes.get(cid, size)) != size:
            if size > told or cid not in self.outline.at_most:
                raise BadBlockError(f"the leaf {cid} has {size:,} bytes, and should have {told:,}")
            self.leaf_bytes -= new * (told - size)
        self.counted[cid] = places
        filled = new * size if is_leaf(cid) else 0
        self.have_bytes += filled
        return filled

    # ── first: the inner nodes ──────────────────────────────────────────────────────────────────

    def note(self, cid: Cid, data: bytes) -> list[Cid]:
        """An inner node is here: returns the inner nodes that were not known of. Raises as Outline.add does."""
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
        """All inner nodes are known, and this is what they come to."""
        self.totals = totals
        self.leaf_bytes = totals.size
        if not self.held:
            self.spots[self.root] = [Spot("", 0, "any")]

    # ── then: where content belongs ─────────────────────────────────────────────────────────────

    def plan(self, cid: Cid, data: bytes) -> Iterator[Step]:
        """Where the content of an inner node belongs, a slice at a time. Raises BadBlockError."""
        node = unixfs.decode_node(cid, data)
        rows = _Rows(self)
        for spot in self.spots.pop(cid, ()):
            mode = None if isinstance(node, unixfs.SymlinkNode) else node.mode
            if mode is not None and spot.kind == "any":
                rows.modes.append((spot.rel, mode))
            match node:
                case unixfs.FileNode():
                    yield from rows.file(spot, node)
                case unixfs.FolderNode() | unixfs.ShardNode():
                    yield from rows.folder(spot, node)
                case unixfs.SymlinkNode():
                    rows.symlinks.append(SymlinkPlan(spot.rel, node.target))
        yield rows.cut()
        if self._cache and cid not in self.spots and self._cache.pop(cid, None):
            self._cached -= len(data)

    def plan_blocks(self) -> Iterator[Step]:
        """The leaves of a replica: they have no places."""
        assert self.outline is not None
        for part in slices(self.outline, SLICE):
            for cid, _ in part:
                self.blocks[cid] = self.blocks.get(cid, 0) + 1
            leaves = tuple(LeafPlace(cid, 0, self.told(cid)) for cid, _ in part)
            yield Step(Place(root=self.root, blocks=leaves), [])

    def told(self, cid: Cid) -> int | None:
        """The exact length of a leaf, as its parents say; None: they do not."""
        if self.outline is None or cid in self.outline.at_most:
            return None
        return self.outline.sizes.get(cid)


class _Rows:
    """Rows of a plan, cut off when there are enough."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._count = 0
        self.folders: list[str] = []
        self.files: list[FilePlan] = []
        self.symlinks: list[SymlinkPlan] = []
        self.modes: list[tuple[str, int]] = []
        self.inner: list[Cid] = []

    def cut(self) -> Step:
        """What there is so far."""
        place = Place(
            root=self._fetch.root,
            folders=tuple(self.folders),
            files=tuple(self.files),
            symlinks=tuple(self.symlinks),
            modes=tuple(self.modes),
        )
        step = Step(place, self.inner)
        self._count = 0
        self.folders, self.files, self.symlinks, self.modes, self.inner = [], [], [], [], []
        return step

    def _full(self) -> bool:
        self._count += 1
        return self._count >= SLICE

    def folder(self, spot: Spot, node: unixfs.FolderNode | unixfs.ShardNode) -> Iterator[Step]:
        if spot.kind == "any":
            self.folders.append(spot.rel)
        if isinstance(node, unixfs.ShardNode):
            hamt.check(node, spot.under)
        for name, child, _ in node.entries:
            rel = f"{spot.rel}/{name}" if spot.rel else name
            if is_leaf(child):
                self._leaf(child)
                leaf = LeafPlace(child, 0, self._fetch.told(child))
                self.files.append(FilePlan(rel, None, (leaf,)))
            else:
                self._inner(child, Spot(rel, 0, "any"))
            if self._full():
                yield self.cut()
        if isinstance(node, unixfs.ShardNode):
            for shard, slot in zip(node.subshards, node.subshard_slots, strict=True):
                self._inner(shard, Spot(spot.rel, 0, "shard", spot.under.below(slot, node.width)))
        if self._full():
            yield self.cut()

    def file(self, spot: Spot, node: unixfs.FileNode) -> Iterator[Step]:
        whole = node.size if spot.kind == "any" else None
        leaves: list[LeafPlace] = []
        self._fetch.have_bytes += len(node.data)
        data, data_at = node.data, spot.offset
        for child, offset, size in node.children:
            if is_leaf(child):
                self._leaf(child)
                leaves.append(LeafPlace(child, spot.offset + offset, size))
            else:
                self._inner(child, Spot(spot.rel, spot.offset + offset, "part"))
            if self._full():
                self.files.append(FilePlan(spot.rel, whole, tuple(leaves), data, data_at))
                leaves, data = [], b""
                yield self.cut()
        self.files.append(FilePlan(spot.rel, whole, tuple(leaves), data, data_at))
        if self._full():
            yield self.cut()

    def _leaf(self, cid: Cid) -> None:
        self._fetch.blocks[cid] = self._fetch.blocks.get(cid, 0) + 1

    def _inner(self, cid: Cid, spot: Spot) -> None:
        self._fetch.blocks[cid] = self._fetch.blocks.get(cid, 0) + 1
        self._fetch.spots.setdefault(cid, []).append(spot)
        self.inner.append(cid)


def owners(wanted: Mapping[Cid, Collection[Fetch]], cids: Collection[Cid]) -> tuple[Cid, ...]:
    """The objects that these are blocks of. `wanted`: every block that is to come, and whose it is."""
    found = (fetch.root for cid in cids for fetch in wanted.get(cid, ()) if fetch.tree)
    return tuple(dict.fromkeys(root for root in found if root not in cids))
