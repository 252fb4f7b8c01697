"""A token bucket that waits: limits how fast one peer's messages are read.

While this node waits here, it does not read the peer's stream, so the peer has to wait as well.
"""

import trio

NOT_ADMITTED = 16
"""Messages as which one message counts if its sender is not admitted, in addition to its size. Its stream is
read on, but slowly. In the attacks of `tests.bench.abuse`, a third of a node's processor time went into
messages that were dropped. The rate is not lower, because an honest peer that wanted too much at once has its
grants behind its wants."""


class Pace:
    """Tokens that arrive at a rate, up to a burst. It waits once they are spent, and never refuses."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._level = burst
        self._at = trio.current_time()

    def owe(self, amount: float) -> None:
        """Take tokens, even if there are too few."""
        self._level -= amount

    async def spend(self, amount: float) -> None:
        """Take tokens. Returns when they are there."""
        self.owe(amount)
        await self.settle()

    async def settle(self) -> None:
        """Return when nothing is owed."""
        if self._level >= 0:
            return
        now = trio.current_time()
        self._level = min(self._level + (now - self._at) * self._rate, self._burst)
        self._at = now
        if self._level < 0:
            await trio.sleep(-self._level / self._rate)
