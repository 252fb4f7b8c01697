"""A backoff for objects that cannot be written here at the moment, mostly because the disk is full. Pure.

When a chunk cannot be written, no chunk of its object is granted for a while (a pause). Then one chunk is
granted as a test. When that chunk is written, the download continues as before. So a full disk costs the swarm
one chunk a minute, and the series a few entries.

Loose chunks all go to the same place, so they are paused together.
"""

from math import inf

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.ids import Cid
from flux_tui.core.limits import Backoff

PAUSE = Backoff(first=10.0, most=60.0)
"""How long nothing is granted after a chunk could not be written."""


class WriteBackoff:
    """The downloads whose grants are paused because nothing can be written, and until when."""

    def __init__(self) -> None:
        self._until: dict[Cid | None, float] = {}
        """When a chunk may be tried again; 0: now."""
        self._failures: dict[Cid | None, int] = {}
        """How many pauses began in a row."""
        self._tried: set[Cid | None] = set()
        """Keys for which one test chunk was granted that has neither failed nor been written yet."""

    @staticmethod
    def key(download: Download) -> Cid | None:
        """Return the key under which a download is paused: its root, or None for all loose chunks together."""
        return download.root if download.tree else None

    def is_failing(self, download: Download) -> bool:
        """Whether a chunk of this download could not be written, and no chunk was written since."""
        return self.key(download) in self._failures

    def begin(self, download: Download, now: float) -> float | None:
        """Start a pause, or a longer one after a test, because a chunk could not be written. Returns its seconds.

        None: a pause runs already, and no test was made in it.
        """
        key = self.key(download)
        if key not in self._tried and key in self._until:
            return None
        self._tried.discard(key)
        self._failures[key] = self._failures.get(key, 0) + 1
        wait = PAUSE.wait(self._failures[key])
        self._until[key] = now + wait
        return wait

    def end(self, download: Download) -> bool:
        """End the pause, because a chunk was written or the download has ended. Returns whether there was a pause."""
        if not self._failures:
            return False
        self._tried.discard(self.key(download))
        self._until.pop(self.key(download), None)
        return self._failures.pop(self.key(download), None) is not None

    def grant(self, download: Download, count: int, now: float) -> int:
        """Return how many of `count` chunks may be granted now: all, none, or one as a test.

        A test begins another pause, so that the next test comes only after it.
        """
        if not self._until or (until := self._until.get(self.key(download))) is None:
            return count
        if now < until:
            return 0
        self._tried.add(self.key(download))
        self._until[self.key(download)] = now + PAUSE.first
        return 1

    def together(self, download: Download, other: Download) -> bool:
        """Whether these two downloads share one pause."""
        return self.key(download) == self.key(other)

    def try_now(self, download: Download, now: float) -> None:
        """Allow a test chunk at once during a pause, because a person asked for the object again.

        Does nothing if there is no pause, or if a test was made since the pause began.
        """
        if (key := self.key(download)) in self._until and key not in self._tried:
            self._until[key] = now

    def due(self, download: Download, now: float) -> bool:
        """Whether the store should try again now what it had no room for.

        True if there is no pause. If a pause is over, this returns True once and begins another pause. Otherwise
        False.
        """
        key = self.key(download)
        if (until := self._until.get(key)) is not None and (now < until or key in self._tried):
            return False
        if key in self._until:
            self._tried.add(key)
            self._until[key] = now + PAUSE.first
        return True

    def next_deadline(self) -> float:
        """Return when the first pause is over; infinity if there is none."""
        if not self._until:
            return inf
        return min((until for until in self._until.values() if until), default=inf)

    def over(self, now: float) -> set[Cid | None]:
        """Return the keys of pauses that are over: roots, and None for all loose chunks. Each is returned only once."""
        if not self._until:
            return set()
        found = {key for key, until in self._until.items() if 0 < until <= now}
        self._until.update(dict.fromkeys(found, 0.0))
        return found
