"""Limits how fast one peer's messages are read: a token bucket whose user waits until there are tokens.

While this node waits, it does not read the peer's stream, so the peer has to wait as well.
"""

import trio

from flux_tui.core.limits import TokenBucket

NOT_ADMITTED = 16
"""Messages as which one message counts if its sender is not admitted, in addition to its size. Its stream is
read on, but slowly. In the attacks of `tests.bench.abuse`, a third of a node's processor time went into
messages that were dropped. The rate is not lower, because an honest peer that wanted too much at once has its
grants behind its wants."""


class Pace:
    """A token bucket that makes its user wait when the tokens are spent, instead of refusing.

    `burst`: the most tokens in the bucket. `rate`: new tokens a second.
    """

    __slots__ = ("_bucket",)

    def __init__(self, burst: float, rate: float) -> None:
        self._bucket = TokenBucket(burst, rate, trio.current_time())

    def owe(self, amount: float) -> None:
        """Take tokens at once, even if there are too few. The missing ones are a debt."""
        self._bucket.take(amount, trio.current_time())

    async def spend(self, amount: float) -> None:
        """Take tokens, and wait until they are all there."""
        self.owe(amount)
        await self.settle()

    async def settle(self) -> None:
        """Wait until new tokens have paid the debt that `owe` made."""
        if self._bucket.level >= 0:
            return
        if wait := self._bucket.wait(trio.current_time()):
            await trio.sleep(wait)
