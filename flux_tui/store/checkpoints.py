"""Chooses which checkpoints to keep: any entry is reached soon, and the bytes are bounded.

A node makes a checkpoint every 2,500 entries, and less often the more wants and leases are open
(`node/engine.py`). With little pending, a state is some 10 to 100 KB, and a series of 10,000,000 entries
keeps all its checkpoints. Then any entry is one restore and some 2,500 entries away (8 ms of folding).

With 50,000 pending, a state is 12 MB, and some checkpoints have to go. The first to go is the one that is
missed least: the one with the closest neighbours, relative to the bytes that it frees. So large states are
thinned before small ones, and the rest is spread evenly. (Thinning by age was the first idea. But a person
who scrubs through a recording looks at its beginning as often as at its end.)
"""

from collections.abc import Sequence
from typing import NamedTuple

BUDGET = 64 << 20
"""Bytes of checkpoints that every series may have."""
BUDGET_PER_ENTRY = 64
"""Bytes that each entry adds, about as many as it takes itself (60 to 100): the file is at most doubled."""
NEWEST = 3
"""The latest checkpoints, which are never removed: a node opens with the last, and a dashboard is near it."""
AT_ONCE = 8
"""Checkpoints removed with one commit at most, so that the commit stays short."""


class StoredCheckpoint(NamedTuple):
    """A checkpoint in the database: the entry that it follows, and its bytes."""

    seq: int
    size: int


def budget(seq: int) -> int:
    """Return the bytes that the checkpoints of a series of this many entries may take."""
    return BUDGET + BUDGET_PER_ENTRY * seq


def superfluous(kept: Sequence[StoredCheckpoint], allowed: int) -> list[StoredCheckpoint]:
    """Return the checkpoints to remove so that the rest is within `allowed` bytes. `kept` is in the order of seq."""
    left = list(kept)
    total = sum(one.size for one in left)
    gone: list[StoredCheckpoint] = []
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
