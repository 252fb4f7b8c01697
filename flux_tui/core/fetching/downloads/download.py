"""A download: one wanted object or loose chunk, what is known of its blocks, and which of them are missing.

An object is fetched in two steps. First its inner nodes come; they are checked and added up (outline.py).
Then the tree is walked from its root (plan_builder.py). Each node tells where content belongs. This is handed
to the store as a plan (`Place`), a slice at a time. The store answers which leaves it could place from what
it already has. Only then are the other leaves missing, and wanted from the swarm. A replica has no files: its
plan is the list of its leaves.

Each leaf is checked, when it comes, against the length that its parents gave for it.

The methods of a download are the only code that changes it. Each of its blocks is in at most one of three
sets, and these transitions move it:

    miss       → missing            it must come from the swarm
    take       missing → granted    a holder is told to send it
    give_back  granted → missing    it did not come
    arrive     → have               it came
    found      → have               the store has it
    hand_over  to another download  this one has ended, or has no holder

A block is in none of them while the store has not said whether it is there, and while it is missing or
granted for another download that contains it too.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Set
from typing import NamedTuple

from flux_tui.core.api.effects import Effect
from flux_tui.core.content import hamt, unixfs
from flux_tui.core.content.outline import EdgeKind, Outline, Totals
from flux_tui.core.content.unixfs import BadBlockError
from flux_tui.core.fetching.downloads import peer_bitmaps
from flux_tui.core.fetching.downloads.peer_bitmaps import PeerBitmap
from flux_tui.core.ids import Cid, PeerId, is_leaf

CACHED_BYTES = 16 * 1024 * 1024
"""Bytes of inner nodes that stay in memory from the first step to the second. Other nodes are read again."""
MAX_SKIPPED = 64
"""Missing blocks that one search skips because the holder refused them; then the search stops."""


class Location(NamedTuple):
    """Where the content below an inner node belongs: a path below the object's own, and an offset in bytes."""

    rel: str
    offset: int
    kind: EdgeKind
    under: hamt.Prefix = hamt.Prefix()
    """For a shard: how the hashes of its names begin."""


class Download:
    """All that is known of one wanted root. A block is counted once, its places as often as they occur."""

    __slots__ = (
        "_bitmaps", "_blocks", "_cache", "_cached", "_granted", "_have", "_hedged", "_holders", "_locations",
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
        """Its content is written to files. False: it is a loose chunk for the store."""
        self.by = by
        self.held = held
        """It is a replica for others: nobody here asked for it."""
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
        """When it was last pushed normally, not only told to single peers."""
        self.last_chunk_at = float("-inf")
        """When a chunk of it came last."""
        self.holder_free_at = float("-inf")
        """The first time at which a peer that has it and said NO may be asked again."""
        self.finishing = False
        """All of it is here, and the store was told to give it its name."""
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
        self._cache: dict[Cid, bytes] | None = None
        self._cached = 0
        """Bytes in the cache."""
        self._node_bytes = 0
        """Bytes of its inner nodes."""

    # ── its blocks ──────────────────────────────────────────────────────────────────────────────

    @property
    def blocks(self) -> Mapping[Cid, int]:
        """Every block that is known to belong to it, and how often its content occurs in it."""
        return self._blocks

    @property
    def have(self) -> Mapping[Cid, int]:
        """Blocks that are here, and how many of their places are counted in `have_bytes`."""
        return self._have

    @property
    def missing(self) -> Mapping[Cid, None]:
        """Blocks that are neither here nor granted, in the order of the content."""
        return self._missing

    @property
    def granted(self) -> Set[Cid]:
        """Blocks that are under a live lease."""
        return self._granted

    def add_block(self, cid: Cid, location: Location | None = None) -> None:
        """A place of this block was found. `location`: for an inner node, where its content belongs."""
        self._blocks[cid] = self._blocks.get(cid, 0) + 1
        if location is not None:
            self._locations = {} if self._locations is None else self._locations
            self._locations.setdefault(cid, []).append(location)

    def add_inline(self, size: int) -> None:
        """An inner node has so many bytes of content in itself: they are here."""
        self.have_bytes += size

    def miss(self, cid: Cid) -> None:
        """A block must come from the swarm."""
        self._have.pop(cid, None)  # an inner node that was here and cannot be read any more
        if cid not in self._granted:
            self._missing[cid] = None

    def take(self, peer: PeerId, count: int) -> tuple[list[Cid], bool]:
        """Take up to `count` missing blocks that this holder says it has: they are granted to it.

        Also returns whether the holder may have more of it. If not, only a new offer changes that.
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
        """A missing block was granted before this node was restarted."""
        del self._missing[cid]
        self._granted.add(cid)

    def give_back(self, cid: Cid, new_owner: "Download") -> None:
        """A granted block did not come.

        `new_owner`, mostly this download itself, misses it and is granted it next.
        """
        self._granted.discard(cid)
        new_owner._missing[cid] = None
        new_owner._missing.move_to_end(cid, last=False)

    def hand_over(self, cid: Cid, new_owner: "Download") -> None:
        """Another download, which contains this block too, misses it or is granted it from now on."""
        if cid in self._granted:
            self._granted.remove(cid)
            new_owner._granted.add(cid)
        elif cid in self._missing:
            del self._missing[cid]
            new_owner._missing[cid] = None

    def arrive(self, cid: Cid, size: int, now: float) -> int:
        """A block came from a holder. Returns and raises as `found` does."""
        self._missing.pop(cid, None)
        self._granted.discard(cid)
        self.last_chunk_at = now
        return self.found(cid, size)

    def found(self, cid: Cid, size: int) -> int:
        """A block is in the store. Returns the bytes of content that it fills anew.

        A block that is on its way from the swarm nevertheless is counted when it arrives. Raises
        BadBlockError if its parents gave it another length.
        """
        if cid in self._granted or cid in self._missing:
            return 0
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
        """Go on from a random place, once, because other peers fetch the same object.

        So each peer has parts that the others lack.
        """
        if self._rotated or not self._bitmaps or not self.mapped or self.open_work:
            return
        self._rotated = True
        for _ in range(int(random() * len(self._missing))):
            self._missing.move_to_end(next(iter(self._missing)))

    # ── who has it ──────────────────────────────────────────────────────────────────────────────

    @property
    def holders(self) -> Collection[PeerId]:
        """The peers that said yes to it."""
        return self._holders

    def offered_by(self, peer: PeerId, bitmap: PeerBitmap | None) -> None:
        """A peer offers the part of it that the bitmap names, or all of it (None).

        This replaces its offer before, and what it turned out not to have.
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
        """A peer will not send it. Returns whether it had offered it."""
        was_holder = peer in self._holders
        self._holders.pop(peer, None)
        return was_holder

    def not_held_by(self, peer: PeerId, cid: Cid) -> None:
        """This holder does not have this block, whatever it offered."""
        self._not_held = {} if self._not_held is None else self._not_held
        self._not_held.setdefault(peer, set()).add(cid)

    def is_offered(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this peer says that it has this block."""
        if peer not in self._holders or (self._not_held and cid in self._not_held.get(peer, ())):
            return False
        bitmap = self._bitmaps.get(peer) if self._bitmaps else None
        if bitmap is None:
            return True
        order = self.order
        return order is not None and bitmap.names(order, cid)

    def hedge(self, cid: Cid) -> bool:
        """Mark an overdue block as granted to a second holder. False: it was hedged before."""
        self._hedged = set() if self._hedged is None else self._hedged
        if cid in self._hedged:
            return False
        self._hedged.add(cid)
        return True

    @property
    def other_downloaders(self) -> Collection[PeerId]:
        """Peers that fetch it too, and were told that this node wants it."""
        return self._other_downloaders or ()

    def also_fetched_by(self, peer: PeerId) -> None:
        """Note that a peer fetches this object too, and was told that this node wants it."""
        self._other_downloaders = set() if self._other_downloaders is None else self._other_downloaders
        self._other_downloaders.add(peer)

    # ── its pushes ──────────────────────────────────────────────────────────────────────────────

    def pushed(self, now: float) -> None:
        """Note that this node pushed the want for this root to the swarm, and that no holder has answered yet."""
        self.unanswered_pushes += 1
        self.pushed_at = now

    def answered(self) -> None:
        """Note that a peer that has this object answered."""
        self.unanswered_pushes = 0

    def push_at(self, at: float) -> None:
        """Note when this node pushes the want next."""
        self.next_push_at = at

    def holder_is_free_at(self, at: float, now: float) -> None:
        """Note when a peer that has this object and said NO may be asked again."""
        if not now <= self.holder_free_at <= at:
            self.holder_free_at = at

    # ── the store ───────────────────────────────────────────────────────────────────────────────

    def begin_request(self) -> None:
        """The store is asked to do something for it."""
        self.open_work += 1

    def end_request(self) -> None:
        """Note that the store has answered a request."""
        self.open_work -= 1

    def begin_plan(self) -> None:
        """A plan of one of its nodes is being made."""
        self.open_work += 1
        self.open_plans += 1

    def end_plan(self) -> None:
        """The plan of one of its nodes is finished."""
        self.open_work -= 1
        self.open_plans -= 1

    @property
    def postponed(self) -> Collection[Effect]:
        """Requests that the store could not carry out yet because there was no room."""
        return self._postponed or ()

    def postpone(self, effect: Effect) -> None:
        """The store had no room to do this."""
        self._postponed = [] if self._postponed is None else self._postponed
        self._postponed.append(effect)

    def take_postponed(self) -> Collection[Effect]:
        """Take what the store is to do again."""
        effects, self._postponed = self._postponed, None
        return effects or ()

    @property
    def done(self) -> bool:
        """Whether nothing is missing, granted or open."""
        return not (self._missing or self._granted or self.open_work or self._postponed)

    def finish(self) -> bool:
        """Whether all of it is here now, so that the store can give it its name. True once.

        Blocks that are fetched for another download are not here yet, although nothing is missing.
        """
        if self.finishing or not self.done or len(self._have) < len(self._blocks):
            return False
        self.finishing = True
        return True

    # ── its size and order ──────────────────────────────────────────────────────────────────────

    @property
    def mapped(self) -> bool:
        """Whether all of its blocks are known, and where they belong."""
        return (
            not self._locations and not self.open_plans and (self.outline is None or self.totals is not None)
        )

    @property
    def order(self) -> tuple[Cid, ...] | None:
        """All its blocks in the order of a bitmap.

        None while the tree is not known, or if the bitmap would be too long.
        """
        if not self.mapped or len(self._blocks) > peer_bitmaps.MAX_BLOCKS:
            return None
        if self._order is None:
            self._order = tuple(sorted(self._blocks))
        return self._order

    @property
    def bitmap(self) -> bytes | None:
        """The bitmap of the blocks that are here; None if it cannot be made yet."""
        order = self.order
        return None if order is None else peer_bitmaps.bitmap(order, self._have)

    @property
    def size(self) -> int:
        """Bytes of content as far as known.

        Until the object itself tells, this is what a ticket or a holder said.
        """
        return self.leaf_bytes if self.totals is not None else max(self.size_hint, self.leaf_bytes)

    def told_size(self, size: int) -> None:
        """A holder says that it has so many bytes. A size that was told before stays."""
        self.size_hint = self.size_hint or size

    @property
    def estimate(self) -> int:
        """Bytes that one of its missing blocks probably has, for sizing grants."""
        if self.outline is None:
            return min(self.size, unixfs.CHUNK_SIZE)
        if self.totals is None:  # inner nodes are missing
            return self._node_bytes // len(self.outline) if len(self.outline) else 0
        leaves = self.totals.places - len(self.outline)
        return max(1, min(self.size // leaves, unixfs.CHUNK_SIZE)) if leaves > 0 and self.size else 0

    def leaf_size(self, cid: Cid) -> int | None:
        """The exact length of a leaf, as its parents say; None if they do not."""
        if self.outline is None or cid in self.outline.at_most:
            return None
        return self.outline.sizes.get(cid)

    # ── its inner nodes ─────────────────────────────────────────────────────────────────────────

    def add_node(self, cid: Cid, data: bytes) -> list[Cid]:
        """Add an inner node to the outline.

        Returns the inner nodes that were not known before. Raises as Outline.add does.
        """
        assert self.outline is not None
        found = self.outline.add(cid, data)
        for child in found:
            self._blocks.setdefault(child, 0)
        self.leaf_bytes = self.outline.size_so_far
        self._node_bytes += len(data)
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
            self._locations = {self.root: [Location("", 0, "any")]}

    @property
    def locations(self) -> Mapping[Cid, list[Location]]:
        """Inner nodes that are not planned yet, and where the content of each belongs."""
        return self._locations or {}

    def take_locations(self, cid: Cid) -> Collection[Location]:
        """This inner node is planned now: take where its content belongs."""
        return self._locations.pop(cid, ()) if self._locations else ()

    def drop_cached(self, cid: Cid) -> None:
        """This inner node was planned: forget its bytes, unless another place of it was found meanwhile."""
        if self._cache and cid not in self.locations and (data := self._cache.pop(cid, None)):
            self._cached -= len(data)
