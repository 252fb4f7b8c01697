"""Which checkpoints are kept: enough to reach any entry soon, in a bounded number of bytes.

A node makes one every 10,000 entries. With nothing much pending a state is some 10 to 100 KB, and a series
of 10,000,000 entries keeps all of them: any entry is a restore and at most 10,000 entries away, 40 ms.
With 50,000 pending a state is 12 MB; then some have to go. The one that goes first is the one that is
missed least: whose neighbours are closest, for the bytes that it frees. So large states are thinned
before small ones, and what is left is spread evenly. (Sparser with age was the first idea; but who
scrubs through a recording looks at its beginning as often as at its end.)
"""

from collections.abc import Sequence
from typing import NamedTuple

BUDGET = 64 << 20
"""Bytes of checkpoints that every series may have."""
BUDGET_PER_ENTRY = 64
"""And for each entry about as much as it takes itself (60 to 100 bytes): the file is at most doubled."""
NEWEST = 3
"""Of the latest ones, so many are never removed: a node opens with the last, a dashboard is near it."""
AT_ONCE = 8
"""At most so many are removed with one commit, which is not to take long."""


class Kept(NamedTuple):
    """One that is stored."""

    seq: int
    size: int


def budget(seq: int) -> int:
    """Bytes that the checkpoints of a series of this many entries may take."""
    return BUDGET + BUDGET_PER_ENTRY * seq


def superfluous(kept: Sequence[Kept], allowed: int) -> list[Kept]:
    """Those to be removed so that the rest is within `allowed` bytes. `kept` is in the order of seq."""
    left = list(kept)
    total = sum(one.size for one in left)
    gone: list[Kept] = []
    while total > allowed and len(left) > NEWEST and len(gone) < AT_ONCE:
        before = 0
        best, least = 0, float("inf")
        for at in range(len(left) - NEWEST):
            missed = (left[at + 1].seq - before) / max(left[at].size, 1)
            if missed < least:
                best, least = at, missed
            before = left[at].seq
        total -= left[best].size
        gone.append(left.pop(best))
    return gone
