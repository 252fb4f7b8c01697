"""Holders: what each peer promised, and how fast it delivers.

When a peer may be asked again is folded from the series (core/series/backoff.py). Rates are measured from the
chunks that come; no peer is ever probed for its rate.
"""

from collections import OrderedDict

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series.events import Waste

FIRST_RATE = 16 * 1024 * 1024
"""Bytes/s assumed of a holder that has not delivered yet. Its first window is then 4 MiB."""
MIN_RATE = 16 * 1024
"""Bytes/s. Below this a holder counts as stalled."""
WINDOW_SECONDS = 0.25
"""Seconds of work in a holder's queue, besides the round trip. It is enough that the queue never runs empty,
and little enough to be moved to another holder cheaply."""
WINDOW_MAX = 32 * 1024 * 1024
"""Bytes that may be under grant at one holder."""
WINDOW_CHUNKS = 1024
"""Chunks that may be under grant at one holder: for small chunks the count is the limit."""
SAMPLE_SECONDS = 0.05
"""Seconds over which a rate is measured, at least."""
SAMPLE_MIN_SECONDS = 0.005
"""Seconds that are enough once half a window has come. So the window of a fast holder grows within a few
round trips."""
LEASE_MIN, LEASE_MAX = 3.0, 60.0
"""Shortest and longest lease, in seconds. A short delay must not cost a duplicate, and a holder that hangs
must not keep its chunks for more than a minute."""
MAX_LAPSED = 4096
"""Chunks per peer that are remembered as once granted. A copy that comes late is still accepted."""
MAX_LEASE_FACTOR = 16.0
MAX_HOLDERS = 1024
"""Holders that are remembered. The oldest disconnected one is forgotten first."""
NORMAL_DELAY = 0.25
"""Seconds of delay that are normal: two commits and a scheduling delay at each end."""


class Holder:
    """One peer as a source of chunks."""

    __slots__ = (
        "came",
        "delivered_at",
        "faults",
        "idle_grant_at",
        "lapsed",
        "lease_factor",
        "measured",
        "outstanding",
        "outstanding_bytes",
        "peer",
        "ran_dry",
        "rate",
        "roots",
        "rtt",
        "said_yes",
        "sample_at",
        "sample_bytes",
        "snubbed",
    )  # fmt: skip

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.said_yes = False
        """It said yes in this session, so the next intents go to it first."""
        self.roots: OrderedDict[Cid, None] = OrderedDict()
        """Downloads that it offered and that may still have missing chunks."""
        self.outstanding = 0
        self.outstanding_bytes = 0
        self.rate: float = FIRST_RATE
        """Bytes/s, exponentially smoothed."""
        self.measured = False
        """Whether the rate was measured, or is still the first guess."""
        self.rtt = 0.0
        self.lease_factor = 1.0
        """Factor on the length of its leases. It doubles when a lease lapses and halves when a chunk comes."""
        self.delivered_at = 0.0
        self.snubbed = False
        """It let a lease lapse and has sent nothing since. It is granted one chunk at a time."""
        self.lapsed: BoundedTable[Cid, tuple[Waste, int]] = BoundedTable(MAX_LAPSED)
        """Chunks that were granted to it and are not expected any more. The value is the cause that a copy
        would be counted under, and how often the chunk was granted. Each grant may have crossed the lapse on
        the wire, so as many copies may come."""
        self.faults = 0
        self.idle_grant_at = 0.0
        self.sample_at = 0.0
        self.sample_bytes = 0
        self.came = 0
        """Chunks that it sent."""
        self.ran_dry = False
        """It was idle for a part of this sample."""

    @property
    def window(self) -> int:
        """Bytes that should be under grant at this holder."""
        return int(min(max(self.rate * (2 * self.rtt + WINDOW_SECONDS), 64 * 1024), WINDOW_MAX))

    def expected_seconds(self) -> float:
        """Seconds that all its granted chunks should take, at the measured rate."""
        return self.outstanding_bytes / max(self.rate, MIN_RATE)

    def lease_seconds(self) -> float:
        """Seconds that a lease granted now lasts."""
        expected = self.expected_seconds()
        return min(max((2 * expected + 4 * self.rtt + 0.3) * self.lease_factor, LEASE_MIN), LEASE_MAX)

    def due_seconds(self) -> float:
        """Seconds until chunks granted now are overdue: one and a half times what they should take, and a
        normal delay."""
        return 1.5 * self.expected_seconds() + 2 * self.rtt + NORMAL_DELAY

    def granted(self, count: int, size: int, now: float) -> None:
        """Chunks were granted: its queue grows."""
        if not self.outstanding:
            self.idle_grant_at = now
            if now - self.sample_at > 10 * SAMPLE_SECONDS:  # an idle time says nothing about its rate
                self.sample_at, self.sample_bytes = now, 0
        self.outstanding += count
        self.outstanding_bytes += size

    def released(self, estimate: int) -> None:
        """One granted chunk is no longer expected from it."""
        self.outstanding -= 1
        self.outstanding_bytes -= estimate
        self.ran_dry = self.ran_dry or not self.outstanding

    def delivered(self, size: int, now: float) -> None:
        """A chunk came: update the rate."""
        self.lease_factor = max(1.0, self.lease_factor / 2)
        self.snubbed = False
        self.delivered_at = now
        if self.idle_grant_at:
            # The time from a grant to an idle holder until its first chunk is the round trip and one
            # chunk's time.
            seen = max(now - self.idle_grant_at - size / self.rate, 0.0)
            self.rtt = seen if not self.rtt else min(self.rtt * 1.1, seen)
            self.idle_grant_at = 0.0
        self.came += 1
        self.sample_bytes += size
        elapsed = now - self.sample_at
        full = self.sample_bytes >= self.window // 2 and elapsed >= SAMPLE_MIN_SECONDS
        if full or elapsed >= SAMPLE_SECONDS:
            seen = max(self.sample_bytes / elapsed, MIN_RATE)
            # An idle holder shows no more than what it was given, for example an object's few inner nodes.
            if seen > self.rate or not self.ran_dry:
                self.rate += (0.5 if self.measured else 1.0) * (seen - self.rate)
                self.measured = True
            self.sample_at, self.sample_bytes, self.ran_dry = now, 0, False

    def awake(self, now: float, size: int) -> bool:
        """Whether it sent a chunk as recently as a working holder does that sends chunks of this size."""
        return now - self.delivered_at < 2 * NORMAL_DELAY + 1.5 * size / max(self.rate, MIN_RATE)

    def let_lapse(self, cid: Cid, cause: Waste) -> None:
        """Remember that this chunk was granted to it and has not been sent."""
        _, copies = self.lapsed.get(cid, (cause, 0))
        self.lapsed[cid] = cause, copies + 1

    def came_late(self, cid: Cid) -> Waste | None:
        """A copy came of a chunk that is not expected any more: the cause to count it under.

        None: it was not granted, or as many copies as grants have come.
        """
        if (found := self.lapsed.pop(cid, None)) is None:
            return None
        cause, copies = found
        if copies > 1:
            self.lapsed[cid] = cause, copies - 1
        return cause


class Holders:
    """All holders that this node knows."""

    def __init__(self, connected: ConnectedPeers) -> None:
        self.connected = connected
        self.by_peer: dict[PeerId, Holder] = {}

    def get(self, peer: PeerId) -> Holder:
        """The holder record of a peer; a new one if there is none."""
        holder = self.by_peer.get(peer)
        if holder is None:
            holder = self.by_peer[peer] = Holder(peer)
            if len(self.by_peer) > MAX_HOLDERS:
                self._forget_one()
        return holder

    def _forget_one(self) -> None:
        for peer, holder in self.by_peer.items():
            if peer not in self.connected and not holder.outstanding:
                del self.by_peer[peer]
                return

    def neighbours(self) -> tuple[list[PeerId], list[PeerId]]:
        """The connected peers: those that said yes in this session, and the others."""
        proven: list[PeerId] = []
        others: list[PeerId] = []
        for peer in self.connected:
            holder = self.by_peer.get(peer)
            (proven if holder is not None and holder.said_yes else others).append(peer)
        return proven, others
