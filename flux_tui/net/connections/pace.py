"""How fast something of one peer is taken: at once as long as it does not take too much, then slowly.

Waiting here means that the peer's stream is not read on, so the peer has to wait as well.
"""

import trio

UNHEEDED = 16
"""Messages that one counts as, besides its size, which comes from a peer that is not heeded: it is read on, but slowly.
Under attack by all that is in `tests.bench.abuse`, a third of a node's processor went into messages that were left
out. Not slower: an honest peer that wanted too much at once has its grants behind its wants."""


class Pace:
    """Tokens that come at a rate, up to a burst. Waits once they are spent; never refuses."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._level = burst
        self._at = trio.current_time()

    def owe(self, amount: float) -> None:
        """Take tokens, whether they are there or not."""
        self._level -= amount

    async def spend(self, amount: float) -> None:
        """Take tokens; returns when they are there."""
        self.owe(amount)
        await self.settle()

    async def settle(self) -> None:
        """Returns when nothing is owed."""
        if self._level >= 0:
            return
        now = trio.current_time()
        self._level = min(self._level + (now - self._at) * self._rate, self._burst)
        self._at = now
        if self._level < 0:
            await trio.sleep(-self._level / self._rate)
