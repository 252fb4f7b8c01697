"""Bitmaps: which blocks of an object a peer has while it is still fetching the object. Pure.

Without bitmaps, every peer that has the root block seems to have the whole object, and then refuses grants.
With two holders that serve one peer each, three requesters got 283 NOs for 701 chunks.

Bit i of a bitmap (the least significant first) stands for the i-th block of the object, with all block CIDs
sorted as text (the bitmap's order). Two nodes that know all inner nodes number the blocks alike, in whatever
order the nodes came. A node that lacks inner nodes cannot make a bitmap, so it offers nothing. If it gets a
bitmap from a holder, it asks this holder for inner nodes only: a peer that can make a bitmap has all of them.
"""

from bisect import bisect_left
from collections.abc import Collection, Container, Iterable, Sequence

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.wire.messages import MAX_PART

MAX_BLOCKS = 8 * MAX_PART
"""Blocks of an object that a bitmap can name. Sorting a million blocks takes a second."""
TELL_SHARE = 20
"""A watcher gets a new bitmap when this fraction (1/20) of the object has come."""
TELL_BLOCKS = 8
"""A watcher gets no new bitmap for fewer blocks than this."""
MAX_WATCHED = 256
"""Objects that may have watchers. The oldest is forgotten first."""
MAX_WATCHERS = 64
"""Watchers of one object. Other peers get a new bitmap when they push their want again."""


def bitmap(order: Sequence[Cid], have: Container[Cid]) -> bytes:
    """Return the bitmap of the blocks in `have`. `order`: all blocks of the object, sorted."""
    bits = bytearray(length(order))
    for number, cid in enumerate(order):
        if cid in have:
            bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


def length(order: Sequence[Cid]) -> int:
    """Return how many bytes a bitmap of these blocks has."""
    return (len(order) + 7) // 8


def blocks_in(told: bytes, order: Sequence[Cid], wanted: Iterable[Cid]) -> list[Cid]:
    """Return those of the `wanted` blocks whose bit is set in the bitmap `told`, in the order of `wanted`.

    `order`: all blocks of the object, sorted. If the bitmap has the wrong length, the list is empty.
    """
    if len(told) != length(order):
        return []
    named = {cid for number, cid in enumerate(order) if told[number >> 3] >> (number & 7) & 1}
    return [cid for cid in wanted if cid in named]


class PeerBitmap:
    """The bitmap that one peer sent of one object: the blocks that the peer says it has."""

    __slots__ = ("_candidates", "told")

    def __init__(self, told: bytes) -> None:
        self.told = told
        self._candidates: list[Cid] = []
        """Blocks that it names and that were missing here when the list was made, in the order of the
        content."""

    def names(self, order: Sequence[Cid], cid: Cid) -> bool:
        """Whether the peer says that it has this block. `order`: all blocks of the object, sorted.

        False if the bitmap has the wrong length for these blocks.
        """
        if len(self.told) != length(order):
            return False
        number = bisect_left(order, cid)
        return bool(self.told[number >> 3] >> (number & 7) & 1)

    def choose(
        self, count: int, order: Sequence[Cid], missing: Collection[Cid], not_held: Container[Cid]
    ) -> list[Cid]:
        """Return up to `count` missing blocks that the peer says it has, except those in `not_held`.

        `order`: all blocks of the object, sorted. `missing` is in the order of the content.
        """
        if not self._candidates:  # not made yet, or used up: a lease may have lapsed since
            self._candidates = blocks_in(self.told, order, missing)
        chosen: list[Cid] = []
        while self._candidates and len(chosen) < count:
            # From the end. A holder that has the whole object is granted blocks from the beginning, so the
            # two meet late.
            cid = self._candidates.pop()
            if cid in missing and cid not in not_held:
                chosen.append(cid)
        return chosen


class Watchers:
    """The peers to which this node offered a part of an object, and how many blocks it last told each that it has."""

    def __init__(self) -> None:
        self._told: BoundedTable[Cid, dict[PeerId, int]] = BoundedTable(MAX_WATCHED)

    def told(self, root: Cid, peer: PeerId, blocks: int) -> None:
        """Record that this peer was told that `blocks` blocks of the object are here.

        Does nothing for a new peer if MAX_WATCHERS peers of the object are recorded already.
        """
        peers = self._told.setdefault(root, {})
        if peer in peers or len(peers) < MAX_WATCHERS:
            peers[peer] = blocks

    def due(self, root: Cid, have: int, blocks: int) -> list[PeerId]:
        """Return the peers to tell that more blocks of the object are here.

        These are the peers that were not told of a twentieth of the object's blocks, and of at least TELL_BLOCKS.
        `have`: how many blocks are here; `blocks`: how many the object has.
        """
        peers = self._told.get(root)
        if not peers:
            return []
        step = max(TELL_BLOCKS, blocks // TELL_SHARE)
        return [peer for peer, told in peers.items() if have - told >= step]

    def forget(self, root: Cid) -> None:
        """Forget the peers of an object that is whole or not fetched any more."""
        self._told.pop(root, None)

    def forget_peer(self, peer: PeerId) -> None:
        """Forget a peer that has disconnected."""
        for peers in self._told.values():
            peers.pop(peer, None)
