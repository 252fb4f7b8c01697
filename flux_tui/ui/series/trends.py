"""Computes for the last minute how fast each peer sends and how soon it answers, and how fast each object comes.

Pure. The state (`core/series/state.py`) has totals of each peer, not their course over time. So the newest
entries, at most WINDOW, are read once more here. This costs the same at any place of any series.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import BoundedTable
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.flow_rate import RATE_SECONDS, eta_of, rate_of

SECONDS = 60
"""How many seconds of each peer are kept."""
WINDOW = 3_000
"""Entries read when the cursor jumps, in about 8 ms."""
WANTS = 256
"""How many wants are remembered to time their answers."""


class PeerTrend:
    """One peer's bytes by second in the last minute, and how soon it answers."""

    __slots__ = ("answer", "bytes_in", "bytes_out")

    def __init__(self) -> None:
        self.bytes_in: dict[int, int] = {}
        """Bytes by second."""
        self.bytes_out: dict[int, int] = {}
        self.answer: float | None = None
        """Seconds between this node's last want and the peer's first answer: a round trip, and the peer's own
        delay.
        """

    def series(self, now: float, seconds: int) -> list[float]:
        """Return the bytes of each of the last `seconds` seconds, received and sent together, the newest last.

        The current second is left out.
        """
        last = int(now)
        return [
            float(self.bytes_in.get(t, 0) + self.bytes_out.get(t, 0)) for t in range(last - seconds, last)
        ]

    def rate(self, now: float) -> tuple[float, float]:
        """Return the bytes per second that the peer sent to this node and got from it in the last RATE_SECONDS."""
        return rate_of(self.bytes_in, now), rate_of(self.bytes_out, now)


class Trends:
    """The rates of all peers and objects in the last minute, up to entry `seq`."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq
        self.since: float | None = None
        """The time of the first entry read."""
        self.peers: dict[PeerId, PeerTrend] = {}
        self._objects: dict[Cid, dict[int, int]] = {}
        self._wants: BoundedTable[Cid, float] = BoundedTable(WANTS, refresh=True)
        self._pruned = 0

    def of(self, peer: PeerId) -> PeerTrend:
        """Return one peer's trend in the last minute, or an empty trend if nothing is known of the peer."""
        return self.peers.get(peer) or PeerTrend()

    def object_rate(self, root: Cid, now: float, seconds: int = RATE_SECONDS) -> float:
        """Return the bytes per second that were received for one object in the last `seconds` seconds."""
        return rate_of(self._objects.get(root, {}), now, seconds)

    def object_eta(self, root: Cid, since: float, now: float, left: float) -> float | None:
        """Return the estimated seconds until an object is whole. None: unknown.

        `since`: the time when it was wanted. `left`: the bytes that are missing.
        """
        return eta_of(self._objects.get(root, {}), max(since, self.since or since), now, left)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Update the rates with the next entries, in their order."""
        for self.seq, at, event in entries:
            self.since = at if self.since is None else self.since
            match event:
                case ev.ChunkReceived() | ev.ChunkWasted():
                    _count(self._peer(event.peer).bytes_in, int(at), event.size)
                    if isinstance(event, ev.ChunkReceived):
                        for root in event.roots:
                            _count(self._objects.setdefault(root, {}), int(at), event.size)
                case ev.ChunksSent():
                    _count(self._peer(event.peer).bytes_out, int(at), event.size)
                case ev.PushedWant():
                    for cid in event.cids[:WANTS]:
                        self._wants[cid] = at
                case ev.DelayedYes() | ev.StatusNo():
                    self._answered(at, event)
                case ev.ClockStepped():
                    self._shift_times(event.seconds)
                case _:
                    continue
            if int(at) > self._pruned:
                self._prune(int(at))

    def _shift_times(self, seconds: float) -> None:
        """Add these seconds to all remembered times, because the clock was set forward (or back, if negative)."""
        for trend in self.peers.values():
            trend.bytes_in = {t + int(seconds): size for t, size in trend.bytes_in.items()}
            trend.bytes_out = {t + int(seconds): size for t, size in trend.bytes_out.items()}
        for root, buckets in self._objects.items():
            self._objects[root] = {t + int(seconds): size for t, size in buckets.items()}
        for cid, at in list(self._wants.items()):
            self._wants[cid] = at + seconds
        self._pruned = 0

    def _answered(self, at: float, event: ev.DelayedYes | ev.StatusNo) -> None:
        pushed = max((self._wants[cid] for cid in event.cids if cid in self._wants), default=None)
        if pushed is not None and at - pushed < SECONDS:
            self._peer(event.peer).answer = at - pushed

    def _peer(self, peer: PeerId) -> PeerTrend:
        found = self.peers.get(peer)
        if found is None:
            found = self.peers[peer] = PeerTrend()
        return found

    def _prune(self, now: int) -> None:
        self._pruned = now
        tables = [buckets for trend in self.peers.values() for buckets in (trend.bytes_in, trend.bytes_out)]
        for buckets in (*tables, *self._objects.values()):
            while buckets and (first := next(iter(buckets))) < now - SECONDS:
                del buckets[first]
        for root in [root for root, buckets in self._objects.items() if not buckets]:
            del self._objects[root]


def _count(buckets: dict[int, int], second: int, size: int) -> None:
    buckets[second] = buckets.get(second, 0) + size
