"""A download: one wanted object or loose chunk, what is known of its blocks, and which of them are missing.

An object is fetched in two steps. First its inner nodes are fetched, checked and added up (outline.py). Then
the tree is walked from its root (plan_builder.py). Each node says where content belongs. The requester hands
this to the store as a plan (`Place`), a slice at a time. The store answers which leaves it could place from
blocks that it already has. Only then are the other leaves missing, and wanted from the swarm. A replica has no
files: its plan is the list of its leaves.

When a leaf comes, its length is checked against the length that its parents gave.

Only the methods of a download change it. Each of its blocks is in at most one of three sets, and these methods
move it between them:

    miss       → missing            the block must come from the swarm
    take       missing → granted    a holder is told to send it
    give_back  granted → missing    it did not come
    arrive     → have               it came
    found      → have               the store has it
    hand_over  to another download  this download has ended, or has no holder

A block is in none of the three sets while the store has not said whether it has the block. The same holds while
the block is missing or granted for another download that contains it too.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Set
from typing import NamedTuple

from flux_tui.core.api.effects import Effect
from flux_tui.core.content import hamt, nodes, unixfs_trees
from flux_tui.core.content.outline import EdgeKind, Outline, Totals
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.fetching.downloads import peer_bitmaps
from flux_tui.core.fetching.downloads.node_cache import NodeCache
from flux_tui.core.fetching.downloads.peer_bitmaps import PeerBitmap
from flux_tui.core.ids import Cid, PeerId, is_leaf

MAX_SKIPPED = 64
"""Missing blocks that one search skips because the holder refused them; then the search stops."""


class Location(NamedTuple):
    """Where the content below an inner node belongs: a path (`rel`) inside the object, and an offset in bytes."""

    rel: str
    offset: int
    kind: EdgeKind
    under: hamt.Prefix = hamt.Prefix()
    """For a shard: how the hashes of its names begin."""


class Download:
    """Everything that is known of one wanted root. A block may have several places in the content."""

    __slots__ = (
        "_bitmaps", "_blocks", "_cache", "_granted", "_have", "_hedged", "_holders", "_locations",
        "_missing", "_node_bytes", "_not_held", "_order", "_other_downloaders", "_postponed", "_rotated", "by",
        "finishing", "have_bytes", "held", "holder_free_at", "last_chunk_at", "leaf_bytes", "limit", "next_push_at",
        "open_plans", "open_work", "outline", "path", "pushed_at", "root", "size_hint", "totals", "tree",
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
        """Whether the content is written to files. False: it is a loose chunk for the store."""
        self.by = by
        self.held = held
        """Whether this is a replica for other nodes, which nobody here asked for."""
        self.size_hint = size or 0
        """Bytes that a ticket or a holder says it has."""
        self.limit = limit
        """Bytes that its ticket says it has: no more is written. None: no limit is known."""
        self._blocks: dict[Cid, int] = {root: 1}
        self._have: dict[Cid, int] = {}
        self._missing: OrderedDict[Cid, None] = OrderedDict()
        self._granted: set[Cid] = set()
        self.have_bytes = 0
        """Bytes of content that are here."""
        self.leaf_bytes = 0
        """Bytes of content in all places known so far."""
        self.open_work = 0
        """Requests that the store has not answered yet, and plans that are not finished."""
        self.outline = Outline(root) if tree and not is_leaf(root) else None
        self.totals: Totals | None = None
        """The totals of all nodes; None while inner nodes are missing."""
        self.open_plans = 0
        """Plans that are being made."""
        self.next_push_at = float("inf")
        self.unanswered_pushes = 0
        """Pushes in a row that found no holder. Each doubles the wait for the next."""
        self.pushed_at = float("-inf")
        """The time of the last push to the swarm. Pushes to single peers do not count."""
        self.last_chunk_at = float("-inf")
        """When a chunk of it came last."""
        self.holder_free_at = float("-inf")
        """The first time at which a peer that has it and said NO may be asked again."""
        self.finishing = False
        """Whether every block is here and the store was asked to move the object to its path."""
        self._holders: dict[PeerId, None] = {}
        self._order: tuple[Cid, ...] | None = None
        self._rotated = False
        # These are made when they are first written to: ten thousand loose chunks wanted at once need none
        # of them.
        self._locations: dict[Cid, list[Location]] | None = None
        self._not_held: dict[PeerId, set[Cid]] | None = None
        self._bitmaps: dict[PeerId, PeerBitmap] | None = None
        self._other_downloaders: set[PeerId] | None = None
        self._hedged: set[Cid] | None = None
        self._postponed: list[Effect] | None = None
        self._cache: NodeCache | None = None
        self._node_bytes = 0
        """Bytes of its inner nodes."""

    # ── its blocks ──────────────────────────────────────────────────────────────────────────────

    @property
    def blocks(self) -> Mapping[Cid, int]:
        """Every known block of this object, and in how many places of the content it occurs."""
        return self._blocks

    @property
    def have(self) -> Mapping[Cid, int]:
        """The blocks that are here, and for each how many of its places are counted in `have_bytes`."""
        return self._have

    @property
    def missing(self) -> Mapping[Cid, None]:
        """The blocks to be fetched for this download that no holder is granted; the next to be granted is first."""
        return self._missing

    @property
    def granted(self) -> Set[Cid]:
        """The blocks that are granted to a holder and whose leases have not ended."""
        return self._granted

    def add_block(self, cid: Cid, location: Location | None = None) -> None:
        """Record a block of this object, or one more place of the content in which a known block occurs.

        `location`: for an inner node, where the content below it belongs.
        """
        self._blocks[cid] = self._blocks.get(cid, 0) + 1
        if location is not None:
            self._locations = {} if self._locations is None else self._locations
            self._locations.setdefault(cid, []).append(location)

    def add_inline(self, size: int) -> None:
        """Count `size` bytes of content that are inside an inner node, so they are here already."""
        self.have_bytes += size

    def miss(self, cid: Cid) -> None:
        """Mark a block as missing: it must come from the swarm. A granted block stays granted."""
        self._have.pop(cid, None)  # an inner node that was here and cannot be read any more
        if cid not in self._granted:
            self._missing[cid] = None

    def take(self, peer: PeerId, count: int) -> tuple[list[Cid], bool]:
        """Choose up to `count` missing blocks that this holder offers, and mark them as granted.

        Returns the blocks, and whether the holder may have further missing blocks. If not, only a new offer
        changes that.
        """
        not_held = self._not_held.get(peer, ()) if self._not_held else ()
        bitmap = self._bitmaps.get(peer) if self._bitmaps else None
        if bitmap is None:
            chosen = self._take_next(count, not_held)
            more = bool(chosen) or not self._missing
        else:
            chosen = self._take_named(bitmap, count, not_held)
            more = len(chosen) == count
        self._granted.update(chosen)
        return chosen, more

    def _take_next(self, count: int, not_held: Collection[Cid]) -> list[Cid]:
        if not not_held:
            return [self._missing.popitem(last=False)[0] for _ in range(min(count, len(self._missing)))]
        chosen: list[Cid] = []
        skipped: list[Cid] = []
        while self._missing and len(chosen) < count and len(skipped) < MAX_SKIPPED:
            cid, _ = self._missing.popitem(last=False)
            (skipped if cid in not_held else chosen).append(cid)
        self._missing.update(dict.fromkeys(skipped))
        return chosen

    def _take_named(self, bitmap: PeerBitmap, count: int, not_held: Collection[Cid]) -> list[Cid]:
        order = self.order
        if order is None:
            chosen = [cid for cid in self._missing if not is_leaf(cid) and cid not in not_held][:count]
        else:
            chosen = bitmap.choose(count, order, self._missing, not_held)
        for cid in chosen:
            del self._missing[cid]
        return chosen

    def take_one(self, cid: Cid) -> None:
        """Mark a missing block as granted, because it was granted before this node was restarted."""
        del self._missing[cid]
        self._granted.add(cid)

    def give_back(self, cid: Cid, new_owner: "Download") -> None:
        """Mark a granted block as missing in `new_owner`, because it did not come. It is the next to be granted.

        `new_owner`: this download, or another one that contains the block.
        """
        self._granted.discard(cid)
        new_owner._missing[cid] = None
        new_owner._missing.move_to_end(cid, last=False)

    def hand_over(self, cid: Cid, new_owner: "Download") -> None:
        """Move a missing or granted block to another download that contains it too."""
        if cid in self._granted:
            self._granted.remove(cid)
            new_owner._granted.add(cid)
        elif cid in self._missing:
            del self._missing[cid]
            new_owner._missing[cid] = None

    def arrive(self, cid: Cid, size: int, now: float) -> int:
        """Mark a block as here, because a holder sent it. Returns and raises as `found` does."""
        self._missing.pop(cid, None)
        self._granted.discard(cid)
        self.last_chunk_at = now
        return self._is_here(cid, size)

    def found(self, cid: Cid, size: int) -> int:
        """Mark a block as here, because the store has it. Returns the bytes of content that it newly adds.

        0 for an inner node, and for a block that is missing or granted: that one is marked when it arrives. Raises
        BadBlockError if its length contradicts what its parents say.
        """
        if cid in self._granted or cid in self._missing:
            return 0
        return self._is_here(cid, size)

    def _is_here(self, cid: Cid, size: int) -> int:
        places = self._blocks.get(cid, 0)
        new = places - self._have.get(cid, 0)
        if self.outline is not None and (told := self.outline.sizes.get(cid, size)) != size:
            if size > told or cid not in self.outline.at_most:
                raise BadBlockError(f"the leaf {cid} has {size:,} bytes, and should have {told:,}")
            self.leaf_bytes -= new * (told - size)
        self._have[cid] = places
        filled = new * size if is_leaf(cid) else 0
        self.have_bytes += filled
        return filled

    def rotate_missing(self, random: Callable[[], float]) -> None:
        """If other peers fetch the same object, change the order of the missing blocks: begin with a random one.

        Done once for each download, when all of its blocks are known. So the peers fetch different blocks first.
        """
        if self._rotated or not self._bitmaps or not self.mapped or self.open_work:
            return
        self._rotated = True
        for _ in range(int(random() * len(self._missing))):
            self._missing.move_to_end(next(iter(self._missing)))

    # ── who has it ──────────────────────────────────────────────────────────────────────────────

    @property
    def holders(self) -> Collection[PeerId]:
        """The peers that offered this object, or a part of it."""
        return self._holders

    def offered_by(self, peer: PeerId, bitmap: PeerBitmap | None) -> None:
        """Record that a peer offers the blocks that its bitmap names, or the whole object (None).

        This replaces the peer's earlier offer, and the list of blocks that it turned out not to have.
        """
        self.answered()
        self._holders[peer] = None
        if self._not_held:
            self._not_held.pop(peer, None)
        if bitmap is not None:
            self._bitmaps = {} if self._bitmaps is None else self._bitmaps
            self._bitmaps[peer] = bitmap
        elif self._bitmaps:
            self._bitmaps.pop(peer, None)

    def refused_by(self, peer: PeerId) -> bool:
        """Record that a peer will not send this object. Returns whether the peer had offered it."""
        was_holder = peer in self._holders
        self._holders.pop(peer, None)
        return was_holder

    def not_held_by(self, peer: PeerId, cid: Cid) -> None:
        """Record that this peer does not have this block, although it offered the block."""
        self._not_held = {} if self._not_held is None else self._not_held
        self._not_held.setdefault(peer, set()).add(cid)

    def is_offered(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this peer offers this block, and has not turned out to lack it."""
        if peer not in self._holders or (self._not_held and cid in self._not_held.get(peer, ())):
            return False
        bitmap = self._bitmaps.get(peer) if self._bitmaps else None
        if bitmap is None:
            return True
        order = self.order
        return order is not None and bitmap.names(order, cid)

    def hedge(self, cid: Cid) -> bool:
        """Mark an overdue block as granted to a second holder too (a hedge). Returns False if it was hedged before."""
        self._hedged = set() if self._hedged is None else self._hedged
        if cid in self._hedged:
            return False
        self._hedged.add(cid)
        return True

    @property
    def other_downloaders(self) -> Collection[PeerId]:
        """Peers that are fetching this object too, and know that this node wants it."""
        return self._other_downloaders or ()

    def also_fetched_by(self, peer: PeerId) -> None:
        """Record that a peer fetches this object too, and was told that this node wants it."""
        self._other_downloaders = set() if self._other_downloaders is None else self._other_downloaders
        self._other_downloaders.add(peer)

    # ── its pushes ──────────────────────────────────────────────────────────────────────────────

    def pushed(self, now: float) -> None:
        """Count a push of the want for this root to the swarm. It counts as unanswered until a holder answers."""
        self.unanswered_pushes += 1
        self.pushed_at = now

    def answered(self) -> None:
        """Record that a peer that has this object answered. No push counts as unanswered any more."""
        self.unanswered_pushes = 0

    def push_at(self, at: float) -> None:
        """Set the time of the next push of this want."""
        self.next_push_at = at

    def holder_is_free_at(self, at: float, now: float) -> None:
        """Record when a peer that has this object but said NO may be asked again. The earliest future time is kept."""
        if not now <= self.holder_free_at <= at:
            self.holder_free_at = at

    # ── the store ───────────────────────────────────────────────────────────────────────────────

    def begin_request(self) -> None:
        """Count one more request to the store for this download."""
        self.open_work += 1

    def end_request(self) -> None:
        """Record that the store has answered one request."""
        self.open_work -= 1

    def begin_plan(self) -> None:
        """Count one more plan that is being made for this download."""
        self.open_work += 1
        self.open_plans += 1

    def end_plan(self) -> None:
        """Record that one plan is finished."""
        self.open_work -= 1
        self.open_plans -= 1

    @property
    def postponed(self) -> Collection[Effect]:
        """Requests that the store could not carry out, because there was no room on the disk."""
        return self._postponed or ()

    def postpone(self, effect: Effect) -> None:
        """Remember a request that the store had no room for."""
        self._postponed = [] if self._postponed is None else self._postponed
        self._postponed.append(effect)

    def take_postponed(self) -> Collection[Effect]:
        """Remove and return the requests that the store had no room for, so that it tries them again."""
        effects, self._postponed = self._postponed, None
        return effects or ()

    @property
    def done(self) -> bool:
        """Whether no block is missing or granted, no plan is unfinished, and the store has no request left to do."""
        return not (self._missing or self._granted or self.open_work or self._postponed)

    def finish(self) -> bool:
        """Return True once, when every block is here, so that the store can move the object to its path.

        Otherwise return False. A block that is fetched for another download may not be here yet, although
        nothing is missing in this one.
        """
        if self.finishing or not self.done or len(self._have) < len(self._blocks):
            return False
        self.finishing = True
        return True

    # ── its size and order ──────────────────────────────────────────────────────────────────────

    @property
    def mapped(self) -> bool:
        """Whether all blocks of this object are known, and where their content belongs."""
        return (
            not self._locations and not self.open_plans and (self.outline is None or self.totals is not None)
        )

    @property
    def order(self) -> tuple[Cid, ...] | None:
        """All blocks in the order in which a bitmap counts them (sorted by CID).

        None while some inner nodes are missing, or if the bitmap would be too long.
        """
        if not self.mapped or len(self._blocks) > peer_bitmaps.MAX_BLOCKS:
            return None
        if self._order is None:
            self._order = tuple(sorted(self._blocks))
        return self._order

    @property
    def bitmap(self) -> bytes | None:
        """The bitmap of the blocks that are here, to be sent to peers. None while `order` is None."""
        order = self.order
        return None if order is None else peer_bitmaps.bitmap(order, self._have)

    @property
    def size(self) -> int:
        """Bytes of content, as far as they are known.

        While inner nodes are missing, this is the size that a ticket or a holder gave, or the size that the known
        nodes say, whichever is larger.
        """
        return self.leaf_bytes if self.totals is not None else max(self.size_hint, self.leaf_bytes)

    def told_size(self, size: int) -> None:
        """Record the size in bytes that a holder gives for this object, unless a size is known already."""
        self.size_hint = self.size_hint or size

    @property
    def estimate(self) -> int:
        """Bytes that a missing block of this object probably has, to choose how many blocks to grant; 0: unknown."""
        if self.outline is None:
            return min(self.size, unixfs_trees.CHUNK_SIZE)
        if self.totals is None:  # inner nodes are missing
            return self._node_bytes // len(self.outline) if len(self.outline) else 0
        leaves = self.totals.places - len(self.outline)
        return max(1, min(self.size // leaves, unixfs_trees.CHUNK_SIZE)) if leaves > 0 and self.size else 0

    def leaf_size(self, cid: Cid) -> int | None:
        """The exact length of a leaf in bytes, as its parents give it; None if no parent gives an exact one."""
        if self.outline is None or cid in self.outline.at_most:
            return None
        return self.outline.sizes.get(cid)

    # ── its inner nodes ─────────────────────────────────────────────────────────────────────────

    def add_node(self, cid: Cid, data: bytes) -> list[Cid]:
        """Add an inner node to the outline of this object.

        Returns the CIDs of the inner nodes that it links to and that were not known before. Raises as
        Outline.add does.
        """
        assert self.outline is not None
        node = unixfs_trees.decode_node(cid, data)
        found = self.outline.add_decoded(cid, node)
        for child in found:
            self._blocks.setdefault(child, 0)
        self.leaf_bytes = self.outline.size_so_far
        self._node_bytes += len(data)
        if not self.held:
            self._cache = self._cache or NodeCache()
            self._cache.add(cid, data, node)
        return found

    def cached(self, cid: Cid) -> bytes | nodes.Node | None:
        """Return an inner node if it is still in memory: its bytes, or decoded. None: it is not."""
        return self._cache.get(cid) if self._cache else None

    def add_up(self, totals: Totals) -> None:
        """Store the totals of the outline, now that no inner node is missing. The planning of files can begin."""
        self.totals = totals
        self.leaf_bytes = totals.size
        if not self.held:
            self._locations = {self.root: [Location("", 0, "any")]}

    @property
    def locations(self) -> Mapping[Cid, list[Location]]:
        """The inner nodes that are not planned yet, and for each where its content belongs."""
        return self._locations or {}

    def take_locations(self, cid: Cid) -> Collection[Location]:
        """Remove and return the locations of an inner node, because it is being planned now. Empty: it has none."""
        return self._locations.pop(cid, ()) if self._locations else ()

    def drop_cached(self, cid: Cid) -> None:
        """Free the bytes of an inner node that was planned, unless another location of the node was found meanwhile."""
        if self._cache and cid not in self.locations:
            self._cache.drop(cid)
