"""Upload slots: which peers this node serves now, and when another peer may ask again. Pure.

- Up to `max_uploads` peers are served at once. Any other peer is answered `busy`, with a time to ask again.
- A peer whose chunk a limit would delay for too long is answered `rate_limited`, with a time to ask again.
- A peer that asks again at its time is served. A peer that has been served for TURN_SECONDS leaves its slot to
  other peers that wait (waiting_line.py).
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.serving.upload_queue import MAX_WAIT_SECONDS, PROMISED_SECONDS, UploadQueues
from flux_tui.core.serving.waiting_line import WaitingLine
from flux_tui.core.vocabulary import Refusal

FIRST_RATE = 50 * 1024 * 1024
"""Bytes/s that this node's uplink is assumed to carry until it was measured."""
MEASURE_SECONDS, WEIGHT = 0.5, 0.3
"""Seconds of sending that one measurement takes, and its weight in the average."""
BUSY_MIN, BUSY_MAX = 0.5, 30.0
"""Seconds: bounds of the `retry_after` of a busy node."""
LIMITED_MAX = 600.0
"""Seconds: the largest `retry_after` because of a limit."""


class UplinkRate:
    """Measures how many bytes a second this node sends while it has chunks to send."""

    def __init__(self) -> None:
        self.rate: float = FIRST_RATE
        """Bytes/s: a moving average."""
        self._since: float | None = None
        self._sent = 0

    def begin(self, now: float) -> None:
        """Start a measurement: this node has chunks to send again."""
        self._since, self._sent = now, 0

    def sent(self, size: int, now: float) -> None:
        """Count `size` bytes that were sent."""
        self._sent += size
        if self._since is not None and (elapsed := now - self._since) >= MEASURE_SECONDS:
            self.rate += WEIGHT * (self._sent / elapsed - self.rate)
            self.begin(now)


class UploadSlots:
    """Decides which peers are served now."""

    def __init__(
        self, policy: Policy, uploads: UploadQueues, waiting_line: WaitingLine, uplink: UplinkRate
    ) -> None:
        self._policy = policy
        self._uploads = uploads
        self._waiting_line = waiting_line
        self._uplink = uplink

    def change(self, policy: Policy) -> None:
        """Decide by a new policy from now on."""
        self._policy = policy

    def refusal(self, peer: PeerId, now: float) -> Refusal | None:
        """Return why this peer is not served now, whatever it asks for; None if it may be served."""
        if self._policy.refuses(peer):
            return Refusal("denied", None)
        others_served = len(self._uploads) - (peer in self._uploads)
        if others_served >= self._policy.max_uploads:
            return Refusal("busy", self._busy_seconds())
        last_slot = others_served + 1 >= self._policy.max_uploads
        if last_slot and (others := self._waiting_line.turn_over(peer, now)) is not None:
            return Refusal("busy", round(max(self._busy_seconds(), others), 3))
        if self._uploads.wait(peer, now) > self.max_wait(peer, now):
            return self.full(peer, now)
        return None

    def max_wait(self, peer: PeerId, now: float) -> float:
        """Return the seconds for which a limit may delay a chunk that this peer asks for now.

        They are more for a peer that asks again at its time.
        """
        return PROMISED_SECONDS if self._waiting_line.is_due(peer, now) else MAX_WAIT_SECONDS

    def full(self, peer: PeerId, now: float) -> Refusal:
        """Return the refusal: `rate_limited` if the peer's chunks would wait too long, `busy` if its queue is full."""
        wait = self._uploads.wait(peer, now)
        if wait > MAX_WAIT_SECONDS:
            # It comes back when half of the queue is gone: then the queue has not run empty.
            seconds = min(max(wait - MAX_WAIT_SECONDS / 2, BUSY_MIN), LIMITED_MAX)
            return Refusal("rate_limited", round(seconds, 3))
        return Refusal("busy", self._busy_seconds())

    def eta(self, peer: PeerId | None, now: float) -> float:
        """Return the seconds until this node can begin to send to a peer.

        Everything that is queued now is sent first, and the upload limits may add a delay. `peer` None: the limits
        for a single peer are left out.
        """
        limits = self._uploads.wait(peer, now) if peer is not None else 0.0
        return round(max(self._uploads.size / self._uplink.rate, limits), 3)

    def _busy_seconds(self) -> float:
        """Return the seconds until a slot is probably free: the shortest queue's bytes over its upload rate."""
        rate = self._uplink.rate
        share = min(rate, self._policy.upload_limit or rate) / max(1, len(self._uploads))
        share = min(share, self._policy.per_peer_limit or share)
        return round(min(max(self._uploads.shortest() / share, BUSY_MIN), BUSY_MAX), 3)
