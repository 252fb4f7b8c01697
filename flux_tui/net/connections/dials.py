"""The table of dials that are under way: how many there may be, and when each is tried again.

Three kinds share the work, and none may starve another:

- what other peers named (hearsay) is dialled once. It has MAX_HEARSAY places; what is one too many is refused;
- what this node itself wants once has MAX_DIALS places;
- what a person named is kept: it is tried until its peer is there. It is never refused. When there are more than
  MAX_KEPT, the address that failed most often is given up for the new one. Retries take RETRIES_AT_ONCE places,
  so hundreds of dead addresses do not delay the first try of a new one.
"""

import random

import trio

MAX_DIALS = 128
"""Addresses that this node dials once, at the same time."""
MAX_HEARSAY = 64
"""Addresses that other peers named, likewise."""
MAX_KEPT = 1024
"""Addresses that are kept."""
RETRIES_AT_ONCE = 16
"""Kept addresses that are tried again at the same time."""
REDIAL_MIN, REDIAL_MAX = 0.5, 30.0
"""Seconds between two tries to reach a peer that is to be kept; doubling, with jitter."""
REDIAL_EACH = 0.5
"""Seconds by which each address that fails lengthens the longest wait: all of them together are two dials a second."""


class Dial:
    """An address that is being dialled."""

    def __init__(self, *, keep: bool, hearsay: bool) -> None:
        self.keep = keep
        """Whether to go on until the peer is there, and whenever it is gone."""
        self.hearsay = hearsay
        """Another peer named the address, no person."""
        self.failures = 0
        """Tries in a row that failed."""
        self.again = trio.Event()
        """Somebody asked for the address once more: now is a good time to try."""
        self.scope = trio.CancelScope()


class Dials:
    """All of them, by address."""

    def __init__(self) -> None:
        self._dials: dict[str, Dial] = {}
        self.retries = trio.CapacityLimiter(RETRIES_AT_ONCE)
        """What is tried again takes a place here."""

    def __len__(self) -> int:
        return len(self._dials)

    def get(self, addr: str) -> Dial | None:
        """The dial of an address that is under way."""
        return self._dials.get(addr)

    def add(self, addr: str, *, keep: bool, hearsay: bool) -> Dial | None:
        """One more. None: there are too many of its kind."""
        if keep:
            self._make_room()
        else:
            others = [one for one in self._dials.values() if not one.keep]
            of_peers = sum(one.hearsay for one in others)
            if of_peers >= MAX_HEARSAY if hearsay else len(others) - of_peers >= MAX_DIALS:
                return None
        dial = self._dials[addr] = Dial(keep=keep, hearsay=hearsay)
        return dial

    def remove(self, addr: str) -> None:
        """It is over."""
        del self._dials[addr]

    def wait(self, addr: str, dial: Dial) -> float:
        """Seconds until a kept address is tried again."""
        peer = addr.rpartition("/p2p/")[2]
        doors = sum(one.endswith(f"/p2p/{peer}") for one in self._dials)  # each is tried the more rarely
        failing = sum(one.failures > 0 for one in self._dials.values())
        most = max(REDIAL_MAX, failing * REDIAL_EACH)
        wait = min(REDIAL_MIN * doors * 2.0 ** min(dial.failures, 16), most)
        return wait * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret

    def _make_room(self) -> None:
        """Give up the kept address that failed most often, if there are too many."""
        kept = [one for one in self._dials.values() if one.keep and not one.scope.cancel_called]
        if len(kept) >= MAX_KEPT:
            max(kept, key=lambda one: one.failures).scope.cancel()
