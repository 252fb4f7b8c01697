"""A token bucket: a burst at once, and a rate in the long run. Pure."""


class TokenBucket:
    """Tokens come at a rate, up to a burst. One spending may put the bucket into debt, which is paid back first.

    `burst`: tokens at most; `rate`: tokens a second. A rate of 0 is no limit to `wait`, and nothing comes back.
    """

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst, self.rate = burst, rate
        self.level, self.at = burst, now

    def has(self, now: float) -> bool:
        """Whether any tokens are there."""
        if now > self.at:
            self.level = min(self.level + (now - self.at) * self.rate, self.burst)
            self.at = now
        return self.level > 0

    def take(self, amount: float, now: float) -> None:
        """Spend tokens, even if there are not enough."""
        self.has(now)
        self.level -= amount

    def spend(self, amount: float, now: float) -> bool:
        """Spend tokens if there are enough; otherwise spend none and return False."""
        self.has(now)
        if self.level < amount:
            return False
        self.level -= amount
        return True

    def wait(self, now: float, amount: float = 0.0) -> float:
        """Return the seconds until any debt is paid back and `amount` tokens are there."""
        self.has(now)
        return max(0.0, (amount - self.level) / self.rate) if self.rate else 0.0
