"""Turns on a slow uplink: this node sends one peer a whole chunk before it sends the next peer anything.

Where several peers fetch by one slow line, TCP gives each of them a few bytes at a time. Then every chunk takes as
long as all chunks together, and no peer has anything to pass on to the others meanwhile. With turns the first chunk is
whole after one chunk's time. No peer gets its last chunk later for that. In a simulation with 256 kbit/s and sixteen
peers that are connected to each other, the last of them had the whole file after 2.8 times the time that the line takes
to send it once, instead of 16 times (tests/sim/test_slow_uplinks.py).

How fast the line is is measured: as the bytes of all streams together that the peers' systems acknowledged.

- A line that carries FAST_RATE or more needs no turns: every stream writes at will.
- On a slower one a stream may write if no other one does, or if those that do leave a good part of the line unused: the
  lines of their peers are slower than this one.
- What the line can carry is known only by trying. So from time to time one more stream may write. If the streams
  together are faster then, this was worth it and is tried again soon.
- A stream whose acknowledged bytes cannot be known writes at will: behind a relay, and where the operating system does
  not tell.

Pure: times are arguments, in seconds.
"""

from collections import OrderedDict
from collections.abc import Callable

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import Backoff, BoundedTable

FAST_RATE = 1024 * 1024
"""Bytes/s: a chunk takes a second at most."""
FAST_BYTES = 512 * 1024
"""Bytes that have to be acknowledged until the line counts as fast."""
MEASURE_SECONDS = 3.0
"""Seconds of one measurement of a slow line."""
USED = 0.6
"""The share of the line that has to be in use for other streams to wait."""
FADE = 0.8
"""What the line was seen to carry counts this much less with each slower measurement: lines change."""
BETTER = 1.25
"""How many times as fast the streams have to be for one more to have been worth it."""
TRY = Backoff(first=10.0, most=600.0, factor=6.0)
"""The wait until one more stream may write, and after each time that this was not worth it."""
MAX_MEASURED = 256
"""Peers whose rates are remembered."""
ASK_SECONDS = 0.25
"""Seconds after which a stream that waits for its turn asks again."""


class UploadTurns:
    """Decides which peers' push streams may write chunks now.

    `acknowledged`: returns how many bytes a peer's system has acknowledged on its connection so far; None: unknown.
    """

    def __init__(self, acknowledged: Callable[[PeerId], int | None]) -> None:
        self._acknowledged = acknowledged
        self._writing: dict[PeerId, int] = {}
        """The peers whose streams write, and what was acknowledged at the last look."""
        self._waiting: OrderedDict[PeerId, tuple[float, Callable[[], None]]] = OrderedDict()
        """The peers whose streams wait, the next one first: when each asked last, and how it is woken."""
        self._busy_since = 0.0
        """Since when some stream has been writing all the time."""
        self._busy_bytes = 0
        """Bytes that were acknowledged since then."""
        self._since = 0.0
        """When the measurement began: the same streams have been writing since."""
        self._bytes = 0
        self._rate: float | None = None
        """Bytes/s of the streams that are writing; None: they have not been measured yet."""
        self._alone: BoundedTable[PeerId, float] = BoundedTable(MAX_MEASURED, refresh=True)
        """Bytes/s of each peer's stream when it was the only one that wrote."""
        self.carried = 0.0
        """Bytes/s that the line was seen to carry."""
        self._tries = 0
        """How often one more stream was not worth it, in a row."""
        self._try_at: float | None = None
        self._before: float | None = None
        """The rate before one more stream was tried, until it is measured."""

    @property
    def is_fast(self) -> bool:
        """Whether the line is so fast that every stream may write at will (FAST_RATE)."""
        return self.carried >= FAST_RATE

    def takes_turns(self, peer: PeerId) -> bool:
        """Whether a peer's stream has to wait for its turn now: the line is slow, and what it carries is known."""
        return not self.is_fast and self._acknowledged(peer) is not None

    def begin(self, peer: PeerId, now: float, wake: Callable[[], None]) -> bool:
        """Ask whether a peer's stream may write its next chunks now.

        True: it may, and the caller calls `end` when they are written. False: it is not this stream's turn. The caller
        asks again when `wake` is called, and at least every ASK_SECONDS.
        """
        self._look(now)
        count = self._acknowledged(peer)
        if count is not None and not self._may_write(peer, now):
            self._waiting[peer] = now, wake
            return False
        self._waiting.pop(peer, None)
        if count is not None:
            if not self._writing:
                self._busy_since, self._busy_bytes = now, 0
            self._writing[peer] = count
            self._measure_anew(now)
        return True

    def end(self, peer: PeerId, now: float) -> None:
        """Note that a peer's stream has written its chunks, or has ended.

        Wake the stream that waits longest; all that wait if the line is fast.
        """
        self._look(now)
        if self._writing.pop(peer, None) is not None:
            self._measure_anew(now)
        wakes = [wake for _, wake in self._waiting.values()]
        for wake in wakes if self.is_fast else wakes[:1]:
            wake()

    def leave(self, peer: PeerId) -> None:
        """Note that a peer's stream does not wait for its turn any more: it has nothing to write, or has ended."""
        self._waiting.pop(peer, None)

    def _may_write(self, peer: PeerId, now: float) -> bool:
        if self.is_fast:
            return True
        asking = (other for other, (at, _) in self._waiting.items() if now - at <= 2 * ASK_SECONDS)
        if next(asking, peer) != peer:
            return False  # one that has not asked again is still writing something else
        if not self._writing or (self._rate is not None and self._rate < USED * self.carried):
            return True
        if self._before is not None:
            return False  # the last try is being measured
        if self._try_at is None:
            self._try_at = now + TRY.wait(self._tries + 1)
        if now < self._try_at or self._rate is None:
            return False
        self._before, self._try_at = self._rate, None
        return True

    def _measure_anew(self, now: float) -> None:
        self._since, self._bytes = now, 0
        known = [self._alone.get(peer) for peer in self._writing]
        self._rate = sum(rate for rate in known if rate is not None) if None not in known else None

    def _look(self, now: float) -> None:
        """Count the bytes that were acknowledged since the last call, and measure the speed of the line from them."""
        new = 0
        for peer, before in self._writing.items():
            count = self._acknowledged(peer)
            if count is not None:
                new += max(count - before, 0)  # less: it has another connection
                self._writing[peer] = count
        self._bytes += new
        self._busy_bytes += new
        if self._busy_bytes >= FAST_BYTES:
            rate = self._busy_bytes / max(now - self._busy_since, 0.001)
            self._busy_since, self._busy_bytes = now, 0
            self.carried = max(self.carried, rate)
        if self._writing and now - self._since >= MEASURE_SECONDS:
            self._measured(self._bytes / (now - self._since))
            self._since, self._bytes = now, 0

    def _measured(self, rate: float) -> None:
        self._rate = rate
        if len(self._writing) == 1:
            self._alone[next(iter(self._writing))] = rate
        self.carried = max(rate, FADE * self.carried)
        if self._before is not None:
            self._tries = 0 if rate > BETTER * self._before else self._tries + 1
            self._before = None
