"""Parts of an object: what a node that is still fetching it can already give to others.

Without this, everybody who has the root block seems to have the object, and grants bounce: with two
holders that serve one peer each, three requesters heard 283 NO for 701 chunks.

A part is told as a bitmap: bit i (the least significant first) stands for the i-th of all the object's
block CIDs, sorted as text. Both sides can number them so once they know the whole tree, whatever order
it came in. A node that does not know its own tree yet offers nothing; one that does not know it yet but
hears a bitmap asks that holder for inner nodes only: who can draw a bitmap has them all.
"""

from bisect import bisect_left
from collections.abc import Iterable

from flux_tui.core.fetching.download import Fetch
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.wire.messages import MAX_PART

TELL_SHARE = 20
"""A watcher hears again after this fraction (1/20) of the object came."""
TELL_BLOCKS = 8
"""But not for fewer blocks than these."""
MAX_WATCHED = 256
"""Objects with watchers; the oldest is forgotten first."""
MAX_WATCHERS = 64
"""Peers that are told about one object; others hear when they push their want again."""


def numbered(fetch: Fetch) -> tuple[Cid, ...] | None:
    """The object's blocks in the order of the bitmap; None while the tree is not known, or if no bitmap is so long:
    to sort a million takes a second.
    """
    if not fetch.mapped or len(fetch.blocks) > 8 * MAX_PART:
        return None
    if fetch.order is None:
        fetch.order = tuple(sorted(fetch.blocks))
    return fetch.order


def bitmap(fetch: Fetch) -> bytes | None:
    """What is here of an object; None where that cannot be told yet."""
    order = numbered(fetch)
    if order is None:
        return None
    bits = bytearray((len(order) + 7) // 8)
    for number, cid in enumerate(order):
        if cid in fetch.counted:
            bits[number >> 3] |= 1 << (number & 7)
    return bytes(bits)


def blocks_in(fetch: Fetch, told: bytes) -> list[Cid] | None:
    """Which of the missing blocks a bitmap names, the last of the content first; None: the tree is not
    known yet. A bitmap of another length is nonsense, and names nothing."""
    order = numbered(fetch)
    if order is None:
        return None
    if len(told) != (len(order) + 7) // 8:
        return []
    named = {cid for number, cid in enumerate(order) if told[number >> 3] >> (number & 7) & 1}
    return [cid for cid in fetch.missing if cid in named]


class Part:
    """What one peer said it has of one object."""

    __slots__ = ("_candidates", "told")

    def __init__(self, told: bytes) -> None:
        self.told = told
        self._candidates: list[Cid] | None = None

    def names(self, fetch: Fetch, cid: Cid) -> bool:
        """Whether it said that it has this block."""
        order = numbered(fetch)
        if order is None or len(self.told) != (len(order) + 7) // 8:
            return False
        number = bisect_left(order, cid)
        return bool(self.told[number >> 3] >> (number & 7) & 1)

    def choose(self, fetch: Fetch, count: int, lacks: Iterable[Cid]) -> list[Cid]:
        """Up to `count` missing blocks that it has; they are taken out of `missing`."""
        if not self._candidates:  # not drawn up yet, or used up: a lease may have lapsed since
            self._candidates = blocks_in(fetch, self.told)
        candidates = self._candidates
        if candidates is None:
            inner = [cid for cid in fetch.missing if not is_leaf(cid) and cid not in lacks][:count]
            for cid in inner:
                del fetch.missing[cid]
            return inner
        chosen: list[Cid] = []
        while candidates and len(chosen) < count:
            # From the end: who has all of it is granted from the beginning, so the two meet late.
            cid = candidates.pop()
            if cid in fetch.missing and cid not in lacks:
                del fetch.missing[cid]
                chosen.append(cid)
        return chosen


class Watchers:
    """Who was offered a part of what is still being fetched here, and at how many blocks."""

    def __init__(self) -> None:
        self._told: dict[Cid, dict[PeerId, int]] = {}

    def told(self, root: Cid, peer: PeerId, blocks: int) -> None:
        """This peer knows of `blocks` blocks."""
        if root not in self._told and len(self._told) >= MAX_WATCHED:
            del self._told[next(iter(self._told))]
        peers = self._told.setdefault(root, {})
        if peer in peers or len(peers) < MAX_WATCHERS:
            peers[peer] = blocks

    def due(self, fetch: Fetch) -> list[PeerId]:
        """Whom the growth of an object is news to."""
        peers = self._told.get(fetch.root)
        if not peers:
            return []
        have, step = len(fetch.counted), max(TELL_BLOCKS, len(fetch.blocks) // TELL_SHARE)
        return [peer for peer, blocks in peers.items() if have - blocks >= step]

    def forget(self, root: Cid) -> None:
        """The object is whole, or no longer fetched."""
        self._told.pop(root, None)

    def forget_peer(self, peer: PeerId) -> None:
        """It is gone."""
        for peers in self._told.values():
            peers.pop(peer, None)
