"""The end of a download: all chunks are granted, some holders are idle, and others are slow or late. Pure.

An idle holder takes over the end of the queue of a much slower holder. An overdue chunk is also granted once to
an idle holder (a hedge). A chunk stays with a slow holder that is sending it now, or will send it before a
cancel could arrive. Where each chunk takes long, there are no hedges but withdrawals (withdrawals.py).

This module chooses the chunks; the scheduler grants them.
"""

from collections.abc import Callable
from math import ceil

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.leases import Batch, Leases
from flux_tui.core.fetching.grants.withdrawals import Withdrawals
from flux_tui.core.fetching.holders import NORMAL_DELAY, Holder, Holders
from flux_tui.core.ids import Cid, PeerId

MOVE_SECONDS = 2.0
"""Seconds of work: a shorter queue is not moved to another holder."""
MOVE_AFTER = 1.0
"""Seconds for which the oldest grant of a queue is left alone. Before that, its duration is only a guess, and
the chunks may be on their way."""
MOVE_SHARE = 0.6
"""Chunks are moved only if they then come within this share of the time that they would take where they are."""
BUFFERED_BYTES = 384 * 1024
"""Bytes of a chunk that have still to come when its holder begins to write the next one: its system has them. On a line
of 256 kbit/s, 256 KiB were seen."""
SENDING_SECONDS = 180.0
"""Seconds. A chunk that a holder is sending is hedged only if its rest would take longer than this: it comes twice,
because no cancel stops it any more."""
HEDGES = 4
"""The most overdue chunks that an idle holder is granted as hedges at a time."""


class Endgame:
    """Chooses the chunks that an idle holder sends in place of a slow or late holder."""

    def __init__(self, holders: Holders, leases: Leases, withdrawals: Withdrawals) -> None:
        self.holders = holders
        self.leases = leases
        self.withdrawals = withdrawals

    # ── moves ───────────────────────────────────────────────────────────────────────────────────

    def slowest(self, idle: Holder) -> Holder | None:
        """Return the holder, other than `idle`, that needs longest for its granted chunks.

        None: no other holder needs more than MOVE_SECONDS.
        """
        queues = [other for other in self.holders.by_peer.values() if other.outstanding and other is not idle]
        slow = max(queues, key=Holder.expected_seconds, default=None)
        return None if slow is None or slow.expected_seconds() <= MOVE_SECONDS else slow

    def movable_at(self, slow: Holder, now: float) -> float:
        """Return the time from which this holder's granted chunks may be moved: MOVE_AFTER after its oldest grant."""
        batches = self.leases.of(slow)
        return MOVE_AFTER + min((b.deadline - b.seconds for b in batches if not b.hedge), default=now)

    def moves(self, slow: Holder, idle: Holder, now: float, most: int) -> list[Cid]:
        """Return up to `most` chunks from the end of the slow holder's queue that the idle holder would send sooner.

        The idle holder offers all of them. The list is empty if the slow holder has stopped sending.
        """
        batches = sorted(self.leases.of(slow), key=lambda batch: batch.number)
        if not all(batch.hedge or slow.is_sending(now, batch.estimate) for batch in batches):
            return []  # it has stopped sending: its chunks are hedged or lapse
        queue = [(cid, batch) for batch in batches if not batch.hedge for cid in batch.chunks]
        queue.sort(key=lambda item: not slow.begun(item[0]))  # the chunk that is coming stays
        stays = _stays(slow, idle, len(queue))
        moved = [
            cid
            for cid, batch in queue[stays:]
            if cid not in self.withdrawals and batch.chunks[cid].is_offered(idle.peer, cid)
        ]
        # Not more than it can be granted: the rest would only go back to the slow holder.
        return moved[max(len(moved) - most, 0) :]

    def may_have_begun(self, slow: Holder, now: float) -> bool:
        """Whether a slow holder may just have begun to send any of its chunks, without a sign of it here."""
        return any(
            batch.waits and slow.free_in(batch.estimate, now) * slow.rate < BUFFERED_BYTES
            for batch in self.leases.of(slow)
        )

    def offered_elsewhere(self, batch: Batch, usable: Callable[[PeerId], bool], now: float) -> list[Cid]:
        """Return the chunks of a late batch that another holder can send now, and that are not coming.

        `usable`: whether a peer may be granted chunks now. Chunks that are withdrawn already are left out.
        """
        peers = {peer for download in batch.chunks.values() for peer in download.holders}
        others = [peer for peer in peers if peer != batch.holder.peer and usable(peer)]
        return [
            cid
            for cid, download in batch.chunks.items()
            if cid not in self.withdrawals
            and not batch.holder.is_coming(cid, batch.estimate, now)
            and any(download.is_offered(peer, cid) for peer in others)
        ]

    # ── hedges ──────────────────────────────────────────────────────────────────────────────────

    def holders_of_overdue(self) -> list[Holder]:
        """Return the holders that offered an object with overdue chunks, the fastest first."""
        downloads = {id(d): d for batch in self.leases.overdue.values() for d in batch.chunks.values()}
        peers = dict.fromkeys(peer for download in downloads.values() for peer in download.holders)
        known = [holder for peer in peers if (holder := self.holders.by_peer.get(peer))]
        return sorted(known, key=lambda holder: -holder.rate)

    def hedges(self, idle: Holder, now: float) -> dict[Cid, Download]:
        """Choose overdue chunks of other holders that this idle holder should send as well, and mark them as hedged.

        Returns up to HEDGES chunks, each with its download.
        """
        chosen: dict[Cid, Download] = {}
        for batch in sorted(self.leases.overdue.values(), key=lambda batch: batch.due):
            left = len(batch.chunks)
            # From the end: the next chunks come soon anyway, unless the holder has stopped altogether.
            for cid, download in reversed(batch.in_order()):
                seconds = idle.rtt + (len(chosen) + 1) * batch.estimate / idle.rate
                if len(chosen) == HEDGES or batch.holder is idle or not _is_sooner(seconds, batch, left, now):
                    break
                if self._can_hedge(cid, download, idle):
                    chosen[cid] = download
                left -= 1
        return chosen

    def _can_hedge(self, cid: Cid, download: Download, idle: Holder) -> bool:
        if download.missing or cid in self.leases.hedges:
            return False
        return download.is_offered(idle.peer, cid) and download.hedge(cid)


def _stays(slow: Holder, fast: Holder, chunks: int) -> int:
    """Return how many of the slow holder's `chunks` stay with it, so that both holders finish at about the same time.

    All stay if moving the others would save too little time (MOVE_SHARE).
    """
    each = slow.outstanding_bytes / max(slow.outstanding, 1)
    begun = slow.outstanding_bytes - slow.expected_seconds() * slow.rate
    both = slow.rate + fast.rate
    under_way = 1 + int(slow.rate * (slow.rtt + NORMAL_DELAY) / max(each, 1))
    stays = max(under_way, ceil(chunks * slow.rate / both))
    then = max((stays * each - begun) / slow.rate, fast.rtt + (chunks - stays) * each / fast.rate)
    return stays if then <= MOVE_SHARE * slow.expected_seconds() else chunks


def _is_sooner(seconds: float, batch: Batch, left: int, now: float) -> bool:
    """Whether it is worth letting another holder send one chunk of a late batch.

    The chunk is the `left`-th of those that the batch's holder still has to send. The other holder needs
    `seconds` for it.

    - The batch's holder has stopped sending: True, unless the chunks probably wait in its queue.
    - It is sending this chunk now: True only if the rest would take very long (SENDING_SECONDS).
    - Otherwise: True if the other holder sends the chunk sooner, and a cancel still reaches the batch's holder
      in time.
    """
    holder = batch.holder
    if not holder.is_sending(now, batch.estimate):
        return not batch.waits  # then the scheduler withdraws it
    if left == 1:  # the holder is sending it now, and would not stop
        rest = holder.rest_seconds(batch.estimate)
        return rest > SENDING_SECONDS and 4 * seconds < rest
    if batch.waits:
        return False  # the same
    each = batch.estimate / holder.rate
    if left * each < 2 * NORMAL_DELAY:
        return False
    starts = (left - 1) * each - (now - holder.delivered_at)
    return seconds < left * each and starts >= seconds + holder.rtt / 2
