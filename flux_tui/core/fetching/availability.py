"""Bitmaps of parts: which blocks of an object a peer has while it is still fetching it.

Without bitmaps, every peer that has the root block seems to have the whole object, and grants are refused.
With two holders that serve one peer each, three requesters heard 283 NOs for 701 chunks.

A part is told as a bitmap. Bit i (the least significant first) stands for the i-th block CID of the object,
with all block CIDs sorted as text. Both sides can number the blocks this way once they know the whole tree,
in whatever order it came. A node that does not know its own tree yet offers nothing. A node that does not
know the tree yet but hears a bitmap asks that holder for inner nodes only: a peer that can make a bitmap has
all of them.
"""

from bisect import bisect_left
from collections.abc import Iterable

from flux_tui.core.fetching.download import Download
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.limits import BoundedTable
from flux_tui.core.wire.messages import MAX_PART

TELL_SHARE = 20
"""A watcher is told again when this fraction (1/20) of the object has come."""
TELL_BLOCKS = 8
"""But not when fewer blocks than this have come."""
MAX_WATCHED = 256
"""Objects that may have watchers. The oldest is forgotten first."""
MAX_WATCHERS = 64
"""Watchers of one object. Other peers are told when they push their want again."""


def numbered(download: Download) -> tuple[Cid, ...] | None:
    """The object's blocks in the order of the bitmap.

    None while the tree is not known, or if the bitmap would be too long: sorting a million blocks takes a
    second.
    """
    if not download.mapped or len(download.blocks) > 8 * MAX_PART:
        return None
    if download.order is None:
        download.order = tuple(sorted(download.blocks))
    return download.order


def bitmap(download: Download) -> bytes | None:
    """The bitmap of the blocks that are here; None if it cannot be made yet."""
    order = numbered(download)
    if order is None:
        return None
    bits = bytearray((len(order) + 7) // 8)
    for number, cid in enumerate(order):
        if cid in download.have:
            bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


def blocks_in(download: Download, told: bytes) -> list[Cid] | None:
    """The missing blocks that a bitmap names, those from the end of the content first.

    None: the tree is not known yet. A bitmap of the wrong length names nothing.
    """
    order = numbered(download)
    if order is None:
        return None
    if len(told) != (len(order) + 7) // 8:
        return []
    named = {cid for number, cid in enumerate(order) if told[number >> 3] >> (number & 7) & 1}
    return [cid for cid in download.missing if cid in named]


class PeerBitmap:
    """The blocks of one object that one peer says it has."""

    __slots__ = ("_candidates", "told")

    def __init__(self, told: bytes) -> None:
        self.told = told
        self._candidates: list[Cid] | None = None

    def names(self, download: Download, cid: Cid) -> bool:
        """Whether the peer says that it has this block."""
        order = numbered(download)
        if order is None or len(self.told) != (len(order) + 7) // 8:
            return False
        number = bisect_left(order, cid)
        return bool(self.told[number >> 3] >> (number & 7) & 1)

    def choose(self, download: Download, count: int, lacks: Iterable[Cid]) -> list[Cid]:
        """Take up to `count` missing blocks that the peer has out of `missing`, and return them."""
        if not self._candidates:  # not made yet, or used up: a lease may have lapsed since
            self._candidates = blocks_in(download, self.told)
        candidates = self._candidates
        if candidates is None:
            inner = [cid for cid in download.missing if not is_leaf(cid) and cid not in lacks][:count]
            for cid in inner:
                del download.missing[cid]
            return inner
        chosen: list[Cid] = []
        while candidates and len(chosen) < count:
            # From the end. A holder that has the whole object is granted blocks from the beginning, so the
            # two meet late.
            cid = candidates.pop()
            if cid in download.missing and cid not in lacks:
                del download.missing[cid]
                chosen.append(cid)
        return chosen


class Watchers:
    """Peers that were offered a part of an object, and how many of its blocks each knows of."""

    def __init__(self) -> None:
        self._told: BoundedTable[Cid, dict[PeerId, int]] = BoundedTable(MAX_WATCHED)

    def told(self, root: Cid, peer: PeerId, blocks: int) -> None:
        """This peer was told of `blocks` blocks."""
        peers = self._told.setdefault(root, {})
        if peer in peers or len(peers) < MAX_WATCHERS:
            peers[peer] = blocks

    def due(self, download: Download) -> list[PeerId]:
        """Peers to tell that more blocks of this object have come."""
        peers = self._told.get(download.root)
        if not peers:
            return []
        have, step = len(download.have), max(TELL_BLOCKS, len(download.blocks) // TELL_SHARE)
        return [peer for peer, blocks in peers.items() if have - blocks >= step]

    def forget(self, root: Cid) -> None:
        """The object is whole, or is not fetched any more."""
        self._told.pop(root, None)

    def forget_peer(self, peer: PeerId) -> None:
        """A peer disconnected."""
        for peers in self._told.values():
            peers.pop(peer, None)
