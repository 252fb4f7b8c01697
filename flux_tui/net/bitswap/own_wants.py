"""What this node wants of one Bitswap peer: the wants that stand there, and the blocks that were granted. Pure.

A peer may send a block that was only wanted as a HAVE: Kubo and Helia do so for blocks of up to 1 KiB, and older
versions of the protocol know nothing else. Such a block is an early one. It is kept until the core grants it, within
MAX_EARLY and MAX_EARLY_BYTES.
"""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedTable
from flux_tui.net.bitswap.messages import MAX_BLOCK, Entry, form_of

MAX_HAVES = 4096
"""Wants for a HAVE that stand at one peer. The oldest is cancelled when there is one more."""
MAX_GRANTED = 8192
"""Blocks that one peer was told to send."""
MAX_EARLY, MAX_EARLY_BYTES = 64, 2 * MAX_BLOCK
"""Early blocks that are kept for one peer."""
FIRST_PRIORITY = (1 << 31) - 1
"""The priority of the first block of a connection. Each further one has the next lower one, so they come in order."""

Arrival: TypeAlias = Literal["granted", "early", "unasked"]


class OwnWants:
    """The wants and grants of this node at one peer."""

    def __init__(self) -> None:
        self._haves: BoundedTable[Cid, None] = BoundedTable(MAX_HAVES, refresh=True)
        self._granted: BoundedTable[Cid, None] = BoundedTable(MAX_GRANTED, refresh=True)
        self._early: BoundedTable[Cid, bytes] = BoundedTable(MAX_EARLY)
        self._early_bytes = 0
        self._priority = FIRST_PRIORITY

    def want(self, cids: Iterable[Cid]) -> tuple[list[Entry], list[Cid]]:
        """Want to know of these blocks whether the peer has them.

        Returns the entries to send, and those of the blocks that are here early: the peer has them.
        """
        entries, early = [], []
        for cid in cids:
            if cid in self._early:
                early.append(cid)
                continue
            if (oldest := self._haves.put(cid, None)) is not None:
                entries.append(Entry(form_of(oldest[0]), cancel=True))
            entries.append(Entry(form_of(cid), self._next_priority(), have=True, tells=True))
        return entries, early

    def grant(self, cids: Iterable[Cid]) -> tuple[list[Entry], list[tuple[Cid, bytes]]]:
        """Tell the peer to send these blocks. Returns the entries to send, and the blocks that are here early."""
        entries, early = [], []
        for cid in cids:
            self._haves.pop(cid, None)
            if (data := self._early.pop(cid, None)) is not None:
                self._early_bytes -= len(data)
                early.append((cid, data))
            else:
                self._granted[cid] = None
                entries.append(Entry(form_of(cid), self._next_priority(), tells=True))
        return entries, early

    def cancel(self, cids: Iterable[Cid]) -> list[Entry]:
        """Tell the peer not to send these blocks any more. Returns the entries to send."""
        return [Entry(form_of(cid), cancel=True) for cid in cids if _take(self._granted, cid)]

    def answered(self, cid: Cid, *, have: bool) -> Literal["yes", "no"] | None:
        """Handle a HAVE or DONT_HAVE. Returns what it says to the core; None: nothing, as nobody asked or it is known.

        A HAVE for a block that was granted says nothing: the block comes.
        """
        wanted = _take(self._haves, cid)
        if have:
            return "yes" if wanted else None
        granted = _take(self._granted, cid)
        return "no" if wanted or granted else None

    def arrived(self, cid: Cid, data: bytes | memoryview) -> Arrival:
        """Handle a block that came, and say what it is. An early one is kept."""
        if _take(self._granted, cid):
            return "granted"
        if not _take(self._haves, cid):
            return "unasked"
        while self._early and (
            self._early_bytes + len(data) > MAX_EARLY_BYTES or len(self._early) >= MAX_EARLY
        ):
            self._early_bytes -= len(self._early.popitem(last=False)[1])
        self._early[cid] = bytes(data)
        self._early_bytes += len(data)
        return "early"

    def wants(self, cid: Cid) -> bool:
        """Whether this block was granted, or its HAVE is wanted."""
        return cid in self._granted or cid in self._haves

    @property
    def next(self) -> Cid | None:
        """The block that the peer should send next; None: it has nothing to send."""
        return next(iter(self._granted), None)

    def _next_priority(self) -> int:
        self._priority = max(1, self._priority - 1)
        return self._priority


def _take(table: BoundedTable[Cid, None], cid: Cid) -> bool:
    """Remove a block from a table. Returns whether it was there."""
    there = cid in table
    table.pop(cid, None)
    return there
