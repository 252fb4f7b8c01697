"""Limits on the intents that this node decodes and verifies. Pure.

Decoding an intent and checking its signature costs 0.2 ms. So the node asks here first. Only an intent that
passes becomes an input of the machine. Each intent is counted twice:

- for the neighbour that pushed it here, before it is decoded;
- for the node that it names as origin. Only a valid signature is charged to the origin, so no node can
  silence another.

The time is an argument. Every table is bounded.
"""

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import TokenBuckets

SENDER_BURST, SENDER_RATE = 1024.0, 256.0
"""Intents from one neighbour, at once and per second: it may forward those of a whole swarm."""
ORIGIN_BURST, ORIGIN_RATE = 512.0, 64.0
"""Intents that one node signed, at once and per second. Ten thousand loose wants are forty intents; a
program's own kinds may be many."""
MAX_BUCKETS = 1024
"""Neighbours, and origins, whose bucket is remembered. The one that was silent longest is forgotten first."""


class IntentLimits:
    """Counts how many more intents this node decodes and verifies, for each neighbour and each origin."""

    def __init__(self) -> None:
        self._senders: TokenBuckets[PeerId] = TokenBuckets(MAX_BUCKETS, SENDER_BURST, SENDER_RATE)
        self._origins: TokenBuckets[PeerId] = TokenBuckets(MAX_BUCKETS, ORIGIN_BURST, ORIGIN_RATE)

    def __len__(self) -> int:
        return max(len(self._senders), len(self._origins))

    def admits_sender(self, sender: PeerId, now: float) -> bool:
        """Whether to decode one more intent from this neighbour. If so, takes a token."""
        bucket = self._senders.of(sender, now)
        if not bucket.has(now):
            return False
        bucket.take(1, now)
        return True

    def admits_origin(self, origin: PeerId, now: float) -> bool:
        """Whether to check the signature of one more intent that names the node `origin` as its origin.

        Takes no token: if the signature is valid, `signed` takes it.
        """
        bucket = self._origins.get(origin)
        return bucket is None or bucket.has(now)

    def signed(self, origin: PeerId, now: float) -> None:
        """Count an intent with a valid signature against its `origin`."""
        self._origins.of(origin, now).take(1, now)
