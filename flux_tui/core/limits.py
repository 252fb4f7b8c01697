"""Limits that are used everywhere: token bucket, backoff, tables with a maximum, batches. Pure.

- `TokenBucket`: a burst at once, and a rate in the long run.
- `Backoff`: the wait after the n-th failure in a row.
- `BoundedTable`, `BoundedSet`: a dict and a set with a maximum. When one more item is added, the oldest is removed.
- `TokenBuckets`: a token bucket for each key, at most so many.
- `batches`: a long list in parts of at most so many items.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableSet
from itertools import islice
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TokenBucket:
    """A token bucket, filled at a rate up to a burst. It may go into debt, which new tokens pay back first.

    `burst`: tokens at most; `rate`: tokens a second. With a rate of 0, `wait` is always 0, and the bucket never
    fills.
    """

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst, self.rate = burst, rate
        self.level, self.at = burst, now

    def has(self, now: float) -> bool:
        """Whether the bucket has any tokens. Changes nothing."""
        return self.level > 0 or self.level_at(now) > 0

    def level_at(self, now: float) -> float:
        """Return the number of tokens at time `now`; negative if in debt. Changes nothing."""
        if now <= self.at:
            return self.level
        level = self.level + (now - self.at) * self.rate
        return level if level < self.burst else self.burst

    def wait(self, now: float, amount: float = 0.0) -> float:
        """Return the seconds until any debt is paid back and the bucket has `amount` tokens. Changes nothing."""
        if not self.rate or self.level >= amount:
            return 0.0
        return max(0.0, (amount - self.level_at(now)) / self.rate)

    def take(self, amount: float, now: float) -> None:
        """Take tokens, even if the bucket has too few. A negative amount gives tokens back."""
        level = self.level_at(now) - amount
        self.level = level if level < self.burst else self.burst
        if now > self.at:
            self.at = now

    def spend(self, amount: float, now: float) -> bool:
        """Take tokens and return True if the bucket has enough. Otherwise take none and return False."""
        if self.level_at(now) < amount:
            return False
        self.take(amount, now)
        return True


class Backoff(msgspec.Struct, frozen=True):
    """Computes how long to wait after failures in a row. The time grows by a factor with each, up to a maximum.

    It has no state: the caller counts the failures, and sets the count to 0 on a success.
    """

    first: float
    """The wait after the first failure, in seconds. Greater than 0."""
    most: float
    """The longest wait, in seconds, before jitter."""
    factor: float = 2.0
    """How many times longer each wait is than the one before. At least 1."""
    jitter: tuple[float, float] = (1.0, 1.0)
    """The lowest and the highest number that a wait is multiplied by. It is drawn anew for each wait."""

    def wait(self, failures: int, random: Callable[[], float] | None = None) -> float:
        """Return the seconds to wait after this number of failures in a row. 0 failures count as 1.

        `random`: returns a number from 0 to 1, for the jitter. Without it, there is no jitter.
        """
        try:
            wait = min(self.first * self.factor ** max(failures - 1, 0), self.most)
        except OverflowError:
            wait = self.most
        if random is None:
            return wait
        low, high = self.jitter
        return wait * (low + (high - low) * random())


class BoundedTable(OrderedDict[K, V]):
    """A dict that holds at most `maximum` items. When a new key is one too many, the oldest item is removed.

    Iteration begins with the oldest item. With `refresh`, setting a key again (also by `setdefault`) makes its
    item the newest. Without it, the item keeps its age. Reading changes nothing in either case: to count a read
    as use, call `move_to_end`.
    """

    __slots__ = ("maximum", "refresh")

    def __init__(self, maximum: int, *, refresh: bool = False) -> None:
        """Make an empty table. `maximum`: items at most; at least 1."""
        super().__init__()
        self.maximum, self.refresh = maximum, refresh

    def __setitem__(self, key: K, value: V) -> None:
        OrderedDict.__setitem__(self, key, value)  # faster than super() in 3.11
        if self.refresh:
            self.move_to_end(key)
        if len(self) > self.maximum:
            self.popitem(last=False)

    def setdefault(self, key: K, default: V) -> V:
        """Return the value of a key. If the key is missing, it is first set to `default`."""
        if key not in self:
            self[key] = default
        elif self.refresh:
            self.move_to_end(key)
        return self[key]

    def put(self, key: K, value: V) -> tuple[K, V] | None:
        """Set a key. Returns the item (key, value) that was removed to make room, or None."""
        oldest = None
        if key not in self and len(self) >= self.maximum:
            oldest = self.popitem(last=False)
        self[key] = value
        return oldest


class TokenBuckets(Generic[K]):
    """A token bucket for each key, in a bounded table. All buckets have the same burst and rate.

    A key that is not in the table has a full bucket. When there is one key too many, the bucket that was longest not
    asked for by `of` is removed.
    """

    __slots__ = ("_table", "burst", "rate")

    def __init__(self, maximum: int, burst: float, rate: float) -> None:
        """Make an empty table. `maximum`: buckets at most; `burst`, `rate`: those of `TokenBucket`."""
        self._table: BoundedTable[K, TokenBucket] = BoundedTable(maximum, refresh=True)
        self.burst, self.rate = burst, rate

    def __len__(self) -> int:
        return len(self._table)

    def get(self, key: K) -> TokenBucket | None:
        """Return the bucket of a key; None: it is not in the table. Changes nothing."""
        return self._table.get(key)

    def of(self, key: K, now: float) -> TokenBucket:
        """Return the bucket of a key, and make it the newest. If it is not in the table, add a full one."""
        bucket = self._table.get(key)
        if bucket is None:
            bucket = self._table[key] = TokenBucket(self.burst, self.rate, now)
        else:
            self._table.move_to_end(key)
        return bucket


class BoundedSet(MutableSet[T]):
    """A set that holds at most `maximum` items. When one more is added, the oldest is removed.

    Iteration begins with the oldest item. With `refresh`, adding an item again makes it the newest. Without it,
    the item keeps its age.
    """

    __slots__ = ("_table",)

    def __init__(self, maximum: int, *, refresh: bool = False) -> None:
        """Make an empty set. `maximum`: items at most; at least 1."""
        self._table: BoundedTable[T, None] = BoundedTable(maximum, refresh=refresh)

    def __contains__(self, item: object) -> bool:
        return item in self._table

    def __iter__(self) -> Iterator[T]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def add(self, item: T) -> None:
        """Add an item. If there is one too many now, remove the oldest."""
        self._table[item] = None

    def discard(self, item: T) -> None:
        """Remove an item if it is there."""
        self._table.pop(item, None)


def batches(items: Iterable[T], maximum: int) -> Iterator[tuple[T, ...]]:
    """Yield the items in order, in tuples of `maximum` items. The last tuple may be shorter; none is empty.

    `items` is read only as far as the tuples are taken. `maximum`: at least 1.
    """
    rest = iter(items)
    while batch := tuple(islice(rest, maximum)):
        yield batch
