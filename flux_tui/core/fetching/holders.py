"""Holders: what each peer offers, and how fast it sends.

The time at which a peer may be asked again is folded from the series (core/series/peer_backoff.py). Rates are
measured from the chunks that come, and from the parts of those that come slowly. No peer is ever probed for its
rate.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series.events import Waste

FIRST_RATE = 16 * 1024 * 1024
"""Bytes/s assumed of a holder that has not delivered yet. Its first window is then 4 MiB."""
MIN_RATE = 1024
"""Bytes/s. No holder counts as slower: the network ends a link on which a chunk comes slower than this."""
WINDOW_SECONDS = 0.25
"""Seconds of work in a holder's queue, besides the round trip. It is enough that the queue never runs empty,
and little enough to be moved to another holder cheaply."""
WINDOW_MAX = 32 * 1024 * 1024
"""Bytes that may be under grant at one holder."""
WINDOW_CHUNKS = 1024
"""Chunks that may be under grant at one holder: for small chunks the count is the limit."""
NEXT_SECONDS = 1.5
"""Seconds before a holder's last chunk has come at which it is granted the next one: two reports of progress, and
two commits. A slow holder gets one chunk at a time, so that another holder can send the others."""
SAMPLE_SECONDS = 0.05
"""Seconds over which a rate is measured, at least."""
SAMPLE_MIN_SECONDS = 0.005
"""Seconds that are enough once half a window has come. So the window of a fast holder grows within a few
round trips."""
LEASE_MIN, LEASE_MAX = 3.0, 60.0
"""Shortest and longest lease, in seconds. A short delay must not cost a duplicate, and a holder that hangs
must not keep its chunks for more than a minute."""
RTT_MAX = 3.0
"""Seconds. A longer time from a grant to its first byte is a wait in the holder's queue, not a round trip."""
MAX_LAPSED = 4096
"""Chunks per peer that are remembered as once granted. A copy that comes late is still accepted."""
MAX_LEASE_FACTOR = 16.0
MAX_HOLDERS = 1024
"""Holders that are remembered. The oldest disconnected one is forgotten first."""
UNKNOWN_DUE = 1.0
"""Seconds until nothing is overdue at a holder whose rate is not known yet."""
SILENT_SECONDS = 30.0
"""Seconds without a byte after which no holder counts as sending, however slow it is."""
NORMAL_DELAY = 0.25
"""Seconds of delay that are normal: two commits and a scheduling delay at each end."""


class Holder:
    """One peer as a source of chunks: what it offers, what it was granted, and how fast it sends."""

    __slots__ = (
        "_coming", "_coming_bytes", "_lapsed", "_roots", "chunks_in", "delivered_at", "faults", "idle_grant_at",
        "lease_factor", "measured", "outstanding", "outstanding_bytes", "peer", "rate", "reached", "rtt",
        "said_yes", "sample_at", "sample_bytes", "snubbed", "was_idle",
    )  # fmt: skip

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.said_yes = False
        """Whether this holder said yes in this session. If so, the next intents go to it first."""
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
        """Whether this holder let a lease lapse and has sent nothing since. It is granted one chunk at a time."""
        self._lapsed: BoundedTable[Cid, tuple[Waste, int]] = BoundedTable(MAX_LAPSED)
        """By chunk: the cause that a copy would be counted under, and how often the chunk was granted."""
        self.faults = 0
        """Chunks with wrong bytes that it sent."""
        self.idle_grant_at = 0.0
        self.sample_at = 0.0
        self.sample_bytes = 0
        self._coming: Cid | None = None
        """The chunk of which a part has come."""
        self._coming_bytes = 0
        self.reached = 0
        """The number of the latest grant of which something came."""
        self.chunks_in = 0
        """Chunks that it sent."""
        self.was_idle = False
        """Whether this holder was idle for a part of the current sample, or a grant was on its way to it."""

    # ── what it offers ──────────────────────────────────────────────────────────────────────────

    @property
    def roots(self) -> Collection[Cid]:
        """The downloads that this holder offers and that may miss chunks.

        The first one is the one of which this holder was granted chunks longest ago.
        """
        return self._roots

    def says_yes(self) -> None:
        """Record that this holder said yes to a want."""
        self.said_yes = True

    def add_root(self, root: Cid) -> None:
        """Record that this holder can be granted chunks of this download."""
        self._roots[root] = None

    def drop_root(self, root: Cid) -> None:
        """Record that this holder cannot be granted chunks of this download for now."""
        self._roots.pop(root, None)

    def root_to_end(self, root: Cid) -> None:
        """Move a download to the end of `roots`, because chunks of it were granted.

        So the next grant to this holder begins with another download.
        """
        if root in self._roots:
            self._roots.move_to_end(root)

    def drop_all_roots(self) -> None:
        """Forget all downloads that this holder offers, because it refuses everything from now on."""
        self._roots.clear()

    # ── what it is granted ──────────────────────────────────────────────────────────────────────

    @property
    def window(self) -> int:
        """Bytes of chunks that should be granted to this holder at a time, so that it never waits."""
        return int(min(max(self.rate * (2 * self.rtt + WINDOW_SECONDS), 64 * 1024), WINDOW_MAX))

    def expected_seconds(self) -> float:
        """Return the seconds that all chunks granted to this holder should take, at the measured rate."""
        return max(self.outstanding_bytes - self._coming_bytes, 0) / max(self.rate, MIN_RATE)

    def rest_seconds(self, size: int) -> float:
        """Return the seconds until the chunk that this holder is sending has come. `size`: the bytes of that chunk."""
        return max(size - self._coming_bytes, 0) / max(self.rate, MIN_RATE)

    def lease_seconds(self) -> float:
        """Return how many seconds a lease that is granted now should last."""
        expected = self.expected_seconds()
        return min(max((2 * expected + 4 * self.rtt + 0.3) * self.lease_factor, LEASE_MIN), LEASE_MAX)

    def due_seconds(self) -> float:
        """Return the seconds after which chunks that are granted now are overdue.

        This is one and a half times their expected time, plus a normal delay.
        """
        usual = 1.5 * self.expected_seconds() + 2 * self.rtt + NORMAL_DELAY
        return usual if self.measured else max(usual, UNKNOWN_DUE)

    def least(self, estimate: int) -> int:
        """Return the fewest chunks to grant to this holder when it is idle. `estimate`: bytes of one chunk."""
        return 1 if estimate > self.rate * NEXT_SECONDS else 2

    def needs_next(self) -> bool:
        """Whether one more chunk should be granted now, because this holder has only one chunk left to send.

        True if that chunk should have come within a round trip and NEXT_SECONDS.
        """
        return self.outstanding == 1 and self.expected_seconds() <= self.rtt + NEXT_SECONDS

    def granted(self, count: int, size: int, now: float) -> None:
        """Count `count` chunks with `size` bytes together as granted to this holder."""
        if not self.outstanding:
            self.idle_grant_at = now
            self.was_idle = True  # the next sample contains a round trip
            if now - self.sample_at > 10 * SAMPLE_SECONDS:  # an idle time says nothing about its rate
                self.sample_at, self.sample_bytes = now, 0
        self.outstanding += count
        self.outstanding_bytes += size

    def inherited(self) -> None:
        """Count a chunk that was granted before the restart. It is not used to measure the rate."""
        self.outstanding += 1

    def sends(self, number: int) -> None:
        """Note that a chunk of the grant with this number came, or a part of one.

        A holder sends its grants in order. So chunks of earlier grants that have not come were passed over.
        """
        self.reached = max(self.reached, number)

    def released(self, estimate: int) -> None:
        """Count one granted chunk less: it came or is not expected any more. `estimate`: its assumed bytes."""
        self.outstanding -= 1
        self.outstanding_bytes -= estimate
        self.was_idle = self.was_idle or not self.outstanding

    def coming(self, cid: Cid, received: int, seconds: float, now: float) -> None:
        """Update the measured rate, because a part of a chunk came: `received` bytes in `seconds` so far."""
        before = self._coming_bytes if cid == self._coming else 0
        if received <= before:
            return
        self._coming, self._coming_bytes = cid, received
        self.delivered_at = now
        began = now - seconds
        self._answered(began)
        if self.sample_at < began:  # until then this node waited for its turn
            self.sample_at, self.sample_bytes = began, 0
        self.was_idle = False
        self.sample_bytes += received - before
        self._sample(now)

    def delivered(self, size: int, now: float, cid: Cid | None = None) -> None:
        """Handle a chunk of `size` bytes that came from this holder. `cid`: the chunk, if it is known.

        Updates the measured rate, and shortens the next leases if they were long because of a lapse. The holder is
        no longer limited to one chunk at a time.
        """
        self.lease_factor = max(1.0, self.lease_factor / 2)
        self.snubbed = False
        self.delivered_at = now
        # The time from a grant to an idle holder until its first chunk is the round trip and one chunk's time.
        if self.idle_grant_at:
            self._answered(now - size / self.rate)
        self.chunks_in += 1
        self.sample_bytes += size
        if cid is not None and cid == self._coming:
            self.sample_bytes -= self._coming_bytes
            self._coming, self._coming_bytes = None, 0
        self._sample(now)

    def _answered(self, at: float) -> None:
        """Measure the round trip from a grant to an idle holder to the first bytes that came after it.

        `at`: when these bytes came, in steady time. Does nothing if the round trip of that grant is measured already.
        """
        if self.idle_grant_at:
            seen = min(max(at - self.idle_grant_at, 0.0), RTT_MAX)
            self.rtt = seen if not self.rtt else min(self.rtt * 1.1, seen)
            self.idle_grant_at = 0.0

    def _sample(self, now: float) -> None:
        """Update the measured rate from the bytes that came since the last update.

        Does nothing if too few bytes came in too short a time.
        """
        elapsed = now - self.sample_at
        if elapsed < SAMPLE_MIN_SECONDS:
            return
        if elapsed >= SAMPLE_SECONDS or self.sample_bytes >= self.window // 2:
            seen = max(self.sample_bytes / elapsed, MIN_RATE)
            # An idle holder shows no more than what it was given, for example an object's few inner nodes.
            if seen > self.rate or not self.was_idle:
                self.rate += (0.5 if self.measured else 1.0) * (seen - self.rate)
                self.measured = True
            self.sample_at, self.sample_bytes, self.was_idle = now, 0, False

    def missed_deadline(self) -> None:
        """Record a lapsed lease. The next leases last longer. Until a chunk comes, one chunk is granted at a time."""
        self.lease_factor = min(self.lease_factor * 2, MAX_LEASE_FACTOR)
        self.snubbed = True

    def sent_wrong_bytes(self) -> None:
        """Record a chunk that does not match its CID. Until a good one comes, one chunk is granted at a time."""
        self.faults += 1
        self.snubbed = True

    def is_sending(self, now: float, size: int) -> bool:
        """Whether this holder is still sending.

        True if its last bytes came no longer ago than a chunk of `size` bytes may take at the measured rate, and
        less than SILENT_SECONDS ago.
        """
        usual = 2 * NORMAL_DELAY + 1.5 * size / max(self.rate, MIN_RATE)
        return now - self.delivered_at < min(usual, SILENT_SECONDS)

    def is_coming(self, cid: Cid, size: int, now: float) -> bool:
        """Whether a part of this chunk of `size` bytes has come from this holder, and the rest is coming."""
        return cid == self._coming and self.is_sending(now, size)

    def free_in(self, size: int, now: float) -> float:
        """Return the seconds until this holder can begin to send another chunk here; 0 if none is coming.

        `size`: the bytes of the chunk that is coming.
        """
        return self.rest_seconds(size) if self._coming_bytes and self.is_sending(now, size) else 0.0

    def begun(self, cid: Cid) -> int:
        """Return the bytes of this chunk that have come from this holder; 0 if it is not the chunk that came last."""
        return self._coming_bytes if cid == self._coming else 0

    # ── what may come late ──────────────────────────────────────────────────────────────────────

    @property
    def lapsed(self) -> Mapping[Cid, tuple[Waste, int]]:
        """Chunks that were granted to this holder and whose leases have ended without the chunk.

        For each chunk: the cause to count a late copy under, and how many grants of the chunk ended. As many
        copies may still come, because each grant may have been on its way when its lease ended.
        """
        return self._lapsed

    def let_lapse(self, cid: Cid, cause: Waste) -> None:
        """Remember that this holder may still send this chunk, whose lease has ended.

        `cause`: if a copy comes, its bytes are counted as wasted for this cause.
        """
        _, copies = self._lapsed.get(cid, (cause, 0))
        self._lapsed[cid] = cause, copies + 1

    def came_late(self, cid: Cid) -> Waste | None:
        """Handle a copy of a chunk whose lease has ended. Returns the cause to count it under.

        None: no lease of the chunk has ended at this holder, or a late copy has come for each lease that ended.
        """
        if (found := self._lapsed.pop(cid, None)) is None:
            return None
        cause, copies = found
        if copies > 1:
            self._lapsed[cid] = cause, copies - 1
        return cause


class Holders:
    """The records of all peers that are or were sources of chunks."""

    def __init__(self, connected: ConnectedPeers) -> None:
        self.connected = connected
        self._by_peer: dict[PeerId, Holder] = {}
        self._ready: OrderedDict[PeerId, None] = OrderedDict()

    @property
    def by_peer(self) -> Mapping[PeerId, Holder]:
        """The record of each peer, the oldest first."""
        return self._by_peer

    def get(self, peer: PeerId) -> Holder:
        """Return the record of a peer. Makes a new one if there is none."""
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
        """Peers that the scheduler looks at soon, because they may have room for another grant in their queues."""
        return self._ready

    def may_have_room(self, peer: PeerId) -> None:
        """Add a peer to `ready`: the scheduler looks soon whether it can be granted more."""
        self._ready[peer] = None

    def looked_at(self, peer: PeerId) -> None:
        """Remove a peer from `ready`, because the scheduler is about to grant it as much as it can be granted now."""
        self._ready.pop(peer, None)

    def wake(self, root: Cid, peers: Iterable[PeerId]) -> None:
        """Let the scheduler look at these holders of a download again, because chunks of it can be granted."""
        for peer in peers:
            self.get(peer).add_root(root)  # also for holders that are gone, for when they come back
            if peer in self.connected:
                self._ready[peer] = None

    def neighbours(self) -> tuple[list[PeerId], list[PeerId]]:
        """Return two lists of connected peers: peers that said yes in this session, and all others."""
        proven: list[PeerId] = []
        others: list[PeerId] = []
        for peer in self.connected:
            holder = self._by_peer.get(peer)
            (proven if holder is not None and holder.said_yes else others).append(peer)
        return proven, others
