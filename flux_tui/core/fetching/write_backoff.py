"""Objects that cannot be written here at the moment: a full disk, above all. Nothing of them is granted until a
while has passed; then one chunk is, to see whether it is better now, and only when that has its place
all goes on as before. So a full disk costs the swarm a chunk a minute, and the series a few entries.

Loose chunks all go to the same place, so they are paused together.
"""

from flux_tui.core.fetching.download import Fetch
from flux_tui.core.ids import Cid

PAUSE, PAUSE_MAX = 10.0, 60.0
"""Seconds without grants after a chunk could not be written: doubled each time, up to the second."""


class Pauses:
    """What is paused, and until when."""

    def __init__(self) -> None:
        self._until: dict[Cid | None, float] = {}
        """When it may be tried again; 0: now."""
        self._waits: dict[Cid | None, float] = {}
        """Seconds of the last pause."""
        self._tried: set[Cid | None] = set()
        """A chunk was granted, and has neither failed nor come yet."""

    @staticmethod
    def key(fetch: Fetch) -> Cid | None:
        """What is paused together has the same."""
        return fetch.root if fetch.tree else None

    def known(self, fetch: Fetch) -> bool:
        """Whether it could not be written before, and nothing of it could be since."""
        return self.key(fetch) in self._waits

    def begin(self, fetch: Fetch, now: float) -> float | None:
        """A chunk of it could not be written: the seconds to wait; None if that is known already."""
        key = self.key(fetch)
        if key not in self._tried and key in self._until:
            return None
        self._tried.discard(key)
        wait = min(self._waits.get(key, PAUSE / 2) * 2, PAUSE_MAX)
        self._waits[key] = wait
        self._until[key] = now + wait
        return wait

    def end(self, fetch: Fetch) -> bool:
        """A chunk of it was written, or it is no longer wanted. Returns whether it was paused."""
        if not self._waits:
            return False
        self._tried.discard(self.key(fetch))
        self._until.pop(self.key(fetch), None)
        return self._waits.pop(self.key(fetch), None) is not None

    def grant(self, fetch: Fetch, count: int, now: float) -> int:
        """How many chunks of it may be granted now. What tries it again is one, and then none for a while."""
        if not self._until or (until := self._until.get(self.key(fetch))) is None:
            return count
        if now < until:
            return 0
        self._tried.add(self.key(fetch))
        self._until[self.key(fetch)] = now + PAUSE
        return 1

    def alike(self, fetch: Fetch, other: Fetch) -> bool:
        """Whether what stops one stops the other."""
        return self.key(fetch) == self.key(other)

    def hurry(self, fetch: Fetch, now: float) -> None:
        """Somebody asks for it again: it is tried at once, whatever was to be waited for."""
        if (key := self.key(fetch)) in self._until and key not in self._tried:
            self._until[key] = now

    def due(self, fetch: Fetch, now: float) -> bool:
        """Whether what could not be done for it may be tried again now; then the next try is later."""
        key = self.key(fetch)
        if (until := self._until.get(key)) is not None and (now < until or key in self._tried):
            return False
        if key in self._until:
            self._tried.add(key)
            self._until[key] = now + PAUSE
        return True

    def next_deadline(self) -> float:
        """When the first of them is over."""
        return min((until for until in self._until.values() if until), default=float("inf"))

    def over(self, now: float) -> set[Cid | None]:
        """Those that are over: roots, and None for all loose chunks. Each is returned once."""
        found = {key for key, until in self._until.items() if 0 < until <= now}
        self._until.update(dict.fromkeys(found, 0.0))
        return found
