"""Withdrawals: chunks that a slow holder was told not to send, and that another holder is granted a little later. Pure.

A slow holder sends its peers one chunk each in turn. When this node learns that another peer has a chunk that waits
there, the slow holder may just have begun to send it here: nothing of it has come yet, and a cancel is too late. If the
chunk were granted to the other peer at once, it would come twice. So it keeps its lease until the holder confirms the
cancel: then it will not come, and another peer is granted it. A chunk that the holder has begun is never confirmed: it
comes. A holder that confirms nothing is dead, or of an older version. Then the lease ends after a time, if no part of
the chunk has come.
"""

from collections.abc import Collection
from math import inf
from typing import NamedTuple

from flux_tui.core.fetching.grants.leases import Batch, Leases
from flux_tui.core.fetching.holders import MIN_RATE
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev

SETTLE_MIN, SETTLE_MAX, SETTLE_UNKNOWN = 2.0, 60.0, 10.0
"""Seconds from a cancel that is not confirmed until the chunk is granted to another holder. They are for the way there,
for what the slow holder's system has still to send to others, and for the first report of progress. The third is for a
holder whose rate is not known."""
FIRST_PART = 256 * 1024
"""Bytes that the slow holder has time to send. Of the first slice, of 64 KiB at most, nothing can be read before its
last byte has come: it is one message of Noise."""


class Withdrawal(NamedTuple):
    """Chunks that their holder was told not to send."""

    batch: Batch
    """The lease of these chunks."""
    cids: tuple[Cid, ...]
    at: float
    """When the leases end of those of which nothing has come, in steady time."""
    cause: ev.LapseCause
    """Why the leases end."""
    to: PeerId | None
    """The idle holder that is to send them; None: any."""
    confirmed: bool = False
    """Whether their holder has said that it will not send them."""


class Withdrawals:
    """The chunks that their holders were told not to send, and whose leases have not ended yet."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._waiting: list[Withdrawal] = []
        self._cids: set[Cid] = set()
        """The chunks of all withdrawals."""

    def __contains__(self, cid: Cid) -> bool:
        return cid in self._cids

    def add(
        self, batch: Batch, cids: Collection[Cid], cause: ev.LapseCause, now: float, to: PeerId | None = None
    ) -> None:
        """Record that the holder of a batch was told now not to send these chunks of it."""
        self._waiting.append(Withdrawal(batch, tuple(cids), now + _settle_seconds(batch, now), cause, to))
        self._cids.update(cids)

    def confirm(self, peer: PeerId, cids: Collection[Cid], now: float) -> None:
        """Let `settled` return those of these chunks that were withdrawn from this peer: it will not send them."""
        confirmed = frozenset(cids)
        for withdrawal in [one for one in self._waiting if one.batch.holder.peer == peer]:
            if ours := tuple(cid for cid in withdrawal.cids if cid in confirmed):
                self._waiting.remove(withdrawal)
                self._waiting.append(withdrawal._replace(cids=ours, at=now, confirmed=True))
                if rest := tuple(cid for cid in withdrawal.cids if cid not in confirmed):
                    self._waiting.append(withdrawal._replace(cids=rest))

    def next_deadline(self) -> float:
        """Return when `settled` has something to return; infinity if there is no withdrawal."""
        return min((withdrawal.at for withdrawal in self._waiting), default=inf)

    def settled(self, now: float) -> list[Withdrawal]:
        """Remove the withdrawals whose time is over. Returns them without the chunks that have come, or are coming."""
        over = [withdrawal for withdrawal in self._waiting if withdrawal.at <= now]
        self._waiting = [withdrawal for withdrawal in self._waiting if withdrawal.at > now]
        found: list[Withdrawal] = []
        for withdrawal in over:
            self._cids.difference_update(withdrawal.cids)
            if cids := tuple(cid for cid in withdrawal.cids if self._is_over(cid, withdrawal, now)):
                found.append(withdrawal._replace(cids=cids))
        return found

    def _is_over(self, cid: Cid, withdrawal: Withdrawal, now: float) -> bool:
        """Whether a withdrawn chunk has its lease still, and will not come."""
        batch = withdrawal.batch
        held = self._leases.of_chunk(cid, batch.holder) is batch
        return held and (withdrawal.confirmed or not batch.holder.is_coming(cid, batch.estimate, now))


def _settle_seconds(batch: Batch, now: float) -> float:
    """Return the seconds until it is clear whether the holder had begun: first comes what it is sending here now."""
    holder = batch.holder
    size = min(FIRST_PART, batch.estimate)
    seconds = size / max(holder.rate, MIN_RATE) if holder.measured else SETTLE_UNKNOWN
    return min(max(seconds, SETTLE_MIN), SETTLE_MAX) + holder.free_in(batch.estimate, now)
