"""Who could send us something: what each peer promised, and how fast it delivers. When it may be asked again is
folded from the series (backoff.py).

Rates are learned from what flows in; nothing is ever probed.
"""

from collections import OrderedDict

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Waste

FIRST_RATE = 16 * 1024 * 1024
"""Bytes/s assumed of a holder that has not delivered yet: its first window is then 4 MiB."""
MIN_RATE = 16 * 1024
"""Bytes/s; below this a holder counts as stalled."""
WINDOW_SECONDS = 0.25
"""Beyond the round trip, so much work lies in a holder's queue: enough to never run dry, little enough
to be moved elsewhere cheaply."""
WINDOW_MAX = 32 * 1024 * 1024
"""Bytes under grant at one holder."""
WINDOW_CHUNKS = 1024
"""Chunks under grant at one holder: small ones are counted, not weighed."""
SAMPLE_SECONDS = 0.05
"""A rate is measured over at least this long."""
SAMPLE_MIN_SECONDS = 0.005
"""Or this long, once half a window came: so a fast holder's window grows within a few round trips."""
LEASE_MIN, LEASE_MAX = 3.0, 60.0
"""Seconds a lease lasts: never so short that a hiccup costs a duplicate, never so long that a holder
that hangs keeps its chunks for more than a minute."""
MAX_LAPSED = 4096
"""Chunks per peer remembered as granted once: what comes late is still taken."""
MAX_PATIENCE = 16.0
MAX_HOLDERS = 1024
"""Peers remembered as sources; the longest unheard of those that are gone is forgotten first."""
HICCUP = 0.25
"""Seconds that nobody is hurried for: two commits and a scheduler's whim at either end."""


class Holder:
    """One peer, seen as a source."""

    __slots__ = (
        "came", "connected", "delivered_at", "faults", "idle_grant_at", "lapsed", "measured", "outstanding",
        "outstanding_bytes", "patience", "peer", "ran_dry", "rate", "roots", "rtt", "said_yes", "sample_at",
        "sample_bytes", "snubbed",
    )  # fmt: skip

    def __init__(self, peer: PeerId) -> None:
        self.peer = peer
        self.connected = False
        self.said_yes = False
        """In this session; the next intents go there first."""
        self.roots: OrderedDict[Cid, None] = OrderedDict()
        """Fetches that it offered and that may still miss something."""
        self.outstanding = 0
        self.outstanding_bytes = 0
        self.rate: float = FIRST_RATE
        """Bytes/s, exponentially smoothed."""
        self.measured = False
        """Whether the rate was seen, or is still the first guess."""
        self.rtt = 0.0
        self.patience = 1.0
        """Factor on its leases: doubles when one lapses, halves when something comes."""
        self.delivered_at = 0.0
        self.snubbed = False
        """It let a lease lapse and has sent nothing since: it is granted one chunk at a time."""
        self.lapsed: OrderedDict[Cid, tuple[Waste, int]] = OrderedDict()
        """What was granted to it and is not expected any more: what it would be if it came all the same, and how
        often it was granted. Each grant may have crossed the lapse, so as many copies may come."""
        self.faults = 0
        self.idle_grant_at = 0.0
        self.sample_at = 0.0
        self.sample_bytes = 0
        self.came = 0
        """Chunks that it sent."""
        self.ran_dry = False
        """It had nothing to do for a part of this sample."""

    @property
    def window(self) -> int:
        """Bytes that should be under grant here."""
        return int(min(max(self.rate * (2 * self.rtt + WINDOW_SECONDS), 64 * 1024), WINDOW_MAX))

    def expected_seconds(self) -> float:
        """How long what is granted should take, at the rate that was seen."""
        return self.outstanding_bytes / max(self.rate, MIN_RATE)

    def lease_seconds(self) -> float:
        """How long what is granted now may take."""
        expected = self.expected_seconds()
        return min(max((2 * expected + 4 * self.rtt + 0.3) * self.patience, LEASE_MIN), LEASE_MAX)

    def due_seconds(self) -> float:
        """When what is granted now is overdue: half more than it should take, and a hiccup."""
        return 1.5 * self.expected_seconds() + 2 * self.rtt + HICCUP

    def granted(self, count: int, size: int, now: float) -> None:
        """More work lies in its queue."""
        if not self.outstanding:
            self.idle_grant_at = now
            if now - self.sample_at > 10 * SAMPLE_SECONDS:  # it was idle: that says nothing of its rate
                self.sample_at, self.sample_bytes = now, 0
        self.outstanding += count
        self.outstanding_bytes += size

    def released(self, estimate: int) -> None:
        """One granted chunk is no longer expected from it."""
        self.outstanding -= 1
        self.outstanding_bytes -= estimate
        self.ran_dry = self.ran_dry or not self.outstanding

    def delivered(self, size: int, now: float) -> None:
        """A chunk came: learn the rate."""
        self.patience = max(1.0, self.patience / 2)
        self.snubbed = False
        self.delivered_at = now
        if self.idle_grant_at:
            # From a grant to an idle holder until its first chunk: the round trip, and one chunk's time.
            seen = max(now - self.idle_grant_at - size / self.rate, 0.0)
            self.rtt = seen if not self.rtt else min(self.rtt * 1.1, seen)
            self.idle_grant_at = 0.0
        self.came += 1
        self.sample_bytes += size
        elapsed = now - self.sample_at
        full = self.sample_bytes >= self.window // 2 and elapsed >= SAMPLE_MIN_SECONDS
        if full or elapsed >= SAMPLE_SECONDS:
            seen = max(self.sample_bytes / elapsed, MIN_RATE)
            # With nothing to do it shows no more than what it was given: an object's few inner nodes, say.
            if seen > self.rate or not self.ran_dry:
                self.rate += (0.5 if self.measured else 1.0) * (seen - self.rate)
                self.measured = True
            self.sample_at, self.sample_bytes, self.ran_dry = now, 0, False

    def awake(self, now: float, size: int) -> bool:
        """Whether something came from it as lately as it can be, of a holder that sends chunks of this size."""
        return now - self.delivered_at < 2 * HICCUP + 1.5 * size / max(self.rate, MIN_RATE)

    def let_lapse(self, cid: Cid, cause: Waste) -> None:
        """Remember that this was granted to it once more, and not sent so far."""
        _, copies = self.lapsed.get(cid, (cause, 0))
        self.lapsed[cid] = cause, copies + 1
        if len(self.lapsed) > MAX_LAPSED:
            self.lapsed.popitem(last=False)

    def came_late(self, cid: Cid) -> Waste | None:
        """A copy came of something that is not expected any more; None: it never was, or has come as often."""
        if (found := self.lapsed.pop(cid, None)) is None:
            return None
        cause, copies = found
        if copies > 1:
            self.lapsed[cid] = cause, copies - 1
        return cause


class Holders:
    """All peers as sources."""

    def __init__(self) -> None:
        self.by_peer: dict[PeerId, Holder] = {}

    def get(self, peer: PeerId) -> Holder:
        """The holder record of a peer, new if need be."""
        holder = self.by_peer.get(peer)
        if holder is None:
            holder = self.by_peer[peer] = Holder(peer)
            if len(self.by_peer) > MAX_HOLDERS:
                self._forget_one()
        return holder

    def _forget_one(self) -> None:
        for peer, holder in self.by_peer.items():
            if not holder.connected and not holder.outstanding:
                del self.by_peer[peer]
                return

    def connected(self) -> tuple[list[PeerId], list[PeerId]]:
        """Peers with an open stream: those that said yes in this session, and the others."""
        proven: list[PeerId] = []
        others: list[PeerId] = []
        for peer, holder in self.by_peer.items():
            if holder.connected:
                (proven if holder.said_yes else others).append(peer)
        return proven, others
