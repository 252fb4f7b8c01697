"""Chooses which checkpoints (saved states) to keep: each entry is near one, and their bytes are bounded.

A node makes a checkpoint every 2,500 entries, and less often the more wants and leases are open
(`node/engine.py`). With few pending wants, a state has some 10 to 100 KB, and a series of 10,000,000 entries
keeps all its checkpoints. To reach any entry, one state is restored and at most 2,500 entries are folded (8
ms).

With 50,000 pending wants, a state has 12 MB, so some checkpoints are removed. The first one removed has the
closest neighbours, relative to the bytes that it frees. So large states are removed before small ones, and
the rest is spread evenly. Age does not count: a person who moves through a recording looks at its beginning
as often as at its end.
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
    """A checkpoint (saved state) in the database: the number of its last entry, and its size in bytes."""

    seq: int
    size: int


def budget(seq: int) -> int:
    """Return how many bytes all checkpoints of a series may take together.

    `seq`: how many entries the series has.
    """
    return BUDGET + BUDGET_PER_ENTRY * seq


def superfluous(kept: Sequence[StoredCheckpoint], allowed: int) -> list[StoredCheckpoint]:
    """Return the checkpoints to remove, at most AT_ONCE, until the rest fits in `allowed` bytes.

    The NEWEST last ones are never removed. `kept`: all checkpoints, in order of `seq`.
    """
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
