"""Holders: what each peer promised, and how fast it delivers.

When a peer may be asked again is folded from the series (core/series/backoff.py). Rates are measured from the
chunks that come; no peer is ever probed for its rate.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

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
        "_lapsed", "_roots", "chunks_in", "delivered_at", "faults", "idle_grant_at", "lease_factor", "measured",
        "outstanding", "outstanding_bytes", "peer", "rate", "rtt", "said_yes", "sample_at", "sample_bytes", "snubbed",
        "was_idle",
    )  # fmt: skip

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.said_yes = False
        """It said yes in this session, so the next intents go to it first."""
        self._roots: OrderedDict[Cid, None] = OrderedDict()
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
        self._lapsed: BoundedTable[Cid, tuple[Waste, int]] = BoundedTable(MAX_LAPSED)
        """By chunk: the cause that a copy would be counted under, and how often the chunk was granted."""
        self.faults = 0
        """Chunks with wrong bytes that it sent."""
        self.idle_grant_at = 0.0
        self.sample_at = 0.0
        self.sample_bytes = 0
        self.chunks_in = 0
        """Chunks that it sent."""
        self.was_idle = False
        """It was idle for a part of this sample."""

    # ── what it offers ──────────────────────────────────────────────────────────────────────────

    @property
    def roots(self) -> Collection[Cid]:
        """Downloads that it offered and that may still have missing chunks, those granted longest ago first."""
        return self._roots

    def says_yes(self) -> None:
        """This holder said yes to a want."""
        self.said_yes = True

    def add_root(self, root: Cid) -> None:
        """It can be granted chunks of this download."""
        self._roots[root] = None

    def drop_root(self, root: Cid) -> None:
        """Nothing of this download can be granted to it for now."""
        self._roots.pop(root, None)

    def root_to_end(self, root: Cid) -> None:
        """It was granted chunks of this download: the next grant begins with another one."""
        if root in self._roots:
            self._roots.move_to_end(root)

    def drop_all_roots(self) -> None:
        """It refuses everything from now on."""
        self._roots.clear()

    # ── what it is granted ──────────────────────────────────────────────────────────────────────

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
        """Seconds until chunks granted now are overdue.

        One and a half times what they should take, and a normal delay.
        """
        return 1.5 * self.expected_seconds() + 2 * self.rtt + NORMAL_DELAY

    def granted(self, count: int, size: int, now: float) -> None:
        """Chunks were granted: its queue grows."""
        if not self.outstanding:
            self.idle_grant_at = now
            if now - self.sample_at > 10 * SAMPLE_SECONDS:  # an idle time says nothing about its rate
                self.sample_at, self.sample_bytes = now, 0
        self.outstanding += count
        self.outstanding_bytes += size

    def inherited(self) -> None:
        """A chunk was granted before this node was restarted: its size and time say nothing about the rate."""
        self.outstanding += 1

    def released(self, estimate: int) -> None:
        """One granted chunk is no longer expected from it."""
        self.outstanding -= 1
        self.outstanding_bytes -= estimate
        self.was_idle = self.was_idle or not self.outstanding

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
        self.chunks_in += 1
        self.sample_bytes += size
        elapsed = now - self.sample_at
        full = self.sample_bytes >= self.window // 2 and elapsed >= SAMPLE_MIN_SECONDS
        if full or elapsed >= SAMPLE_SECONDS:
            seen = max(self.sample_bytes / elapsed, MIN_RATE)
            # An idle holder shows no more than what it was given, for example an object's few inner nodes.
            if seen > self.rate or not self.was_idle:
                self.rate += (0.5 if self.measured else 1.0) * (seen - self.rate)
                self.measured = True
            self.sample_at, self.sample_bytes, self.was_idle = now, 0, False

    def missed_deadline(self) -> None:
        """It let a lease lapse: its next leases last longer, and it gets one chunk at a time until it sends."""
        self.lease_factor = min(self.lease_factor * 2, MAX_LEASE_FACTOR)
        self.snubbed = True

    def sent_wrong_bytes(self) -> None:
        """A chunk came that does not match its CID: it gets one chunk at a time until a good one comes."""
        self.faults += 1
        self.snubbed = True

    def is_sending(self, now: float, size: int) -> bool:
        """Whether it sent a chunk as recently as a working holder does that sends chunks of this size."""
        return now - self.delivered_at < 2 * NORMAL_DELAY + 1.5 * size / max(self.rate, MIN_RATE)

    # ── what may come late ──────────────────────────────────────────────────────────────────────

    @property
    def lapsed(self) -> Mapping[Cid, tuple[Waste, int]]:
        """Chunks that were granted to it and are not expected any more.

        By chunk: the cause that a copy would be counted under, and how often the chunk was granted. Each
        grant may have crossed the lapse on the wire, so as many copies may come.
        """
        return self._lapsed

    def let_lapse(self, cid: Cid, cause: Waste) -> None:
        """Remember that this chunk was granted to it and has not been sent."""
        _, copies = self._lapsed.get(cid, (cause, 0))
        self._lapsed[cid] = cause, copies + 1

    def came_late(self, cid: Cid) -> Waste | None:
        """A copy came of a chunk that is not expected any more: the cause to count it under.

        None: it was not granted, or as many copies as grants have come.
        """
        if (found := self._lapsed.pop(cid, None)) is None:
            return None
        cause, copies = found
        if copies > 1:
            self._lapsed[cid] = cause, copies - 1
        return cause


class Holders:
    """All holders that this node knows."""

    def __init__(self, connected: ConnectedPeers) -> None:
        self.connected = connected
        self._by_peer: dict[PeerId, Holder] = {}
        self._ready: OrderedDict[PeerId, None] = OrderedDict()

    @property
    def by_peer(self) -> Mapping[PeerId, Holder]:
        """The holder records, the oldest first."""
        return self._by_peer

    def get(self, peer: PeerId) -> Holder:
        """The holder record of a peer; a new one if there is none."""
        holder = self._by_peer.get(peer)
        if holder is None:
            holder = self._by_peer[peer] = Holder(peer)
            if len(self._by_peer) > MAX_HOLDERS:
                self._forget_one()
        return holder

    def _forget_one(self) -> None:
        for peer, holder in self._by_peer.items():
            if peer not in self.connected and not holder.outstanding:
                del self._by_peer[peer]
                return

    @property
    def ready(self) -> Collection[PeerId]:
        """Peers that may have room for another grant."""
        return self._ready

    def may_have_room(self, peer: PeerId) -> None:
        """Look soon whether this peer can be granted more."""
        self._ready[peer] = None

    def looked_at(self, peer: PeerId) -> None:
        """This peer is granted now what it has room for."""
        self._ready.pop(peer, None)

    def wake(self, root: Cid, peers: Iterable[PeerId]) -> None:
        """Chunks of a download can be granted: each of its holders may have work."""
        for peer in peers:
            self.get(peer).add_root(root)  # also for holders that are gone, for when they come back
            if peer in self.connected:
                self._ready[peer] = None

    def neighbours(self) -> tuple[list[PeerId], list[PeerId]]:
        """Return the connected peers in two lists: those that said yes in this session, and the others."""
        proven: list[PeerId] = []
        others: list[PeerId] = []
        for peer in self.connected:
            holder = self._by_peer.get(peer)
            (proven if holder is not None and holder.said_yes else others).append(peer)
        return proven, others
