"""The table of addresses that are being dialled: how many there may be, and when each is tried again.

There are three kinds of dials, and none may starve another:

- An address that another peer named is dialled once. At most MAX_FROM_PEERS of them are dialled at the same time. Any
  further address is refused.
- An address that this node itself wants to dial is dialled once too. At most MAX_DIALS of them at the same time.
- An address that a person named is kept: it is tried until its peer is connected, and never refused. Above
  MAX_KEPT, the address that failed most often is given up for the new one. At most RETRIES_AT_ONCE addresses are
  tried again at the same time, so hundreds of dead addresses do not delay the first try of a new one.
"""

import random

import trio
from msgspec.structs import replace

from flux_tui.core.limits import Backoff

MAX_DIALS = 128
"""Addresses that this node dials once, at the same time."""
MAX_FROM_PEERS = 64
"""Addresses that other peers named, dialled at the same time."""
MAX_KEPT = 1024
"""Addresses that are kept."""
RETRIES_AT_ONCE = 16
"""Kept addresses that are tried again at the same time."""
REDIAL = Backoff(first=0.5, most=30.0, jitter=(0.8, 1.2))
"""The wait between two tries to reach a kept address."""
REDIAL_EACH = 0.5
"""Seconds by which each failing address lengthens the longest wait: all of them together make two dials a
second."""


class Dial:
    """An address that is being dialled, and how often that failed."""

    def __init__(self, *, keep: bool, from_peers: bool) -> None:
        self.keep = keep
        """Whether to try until the peer is connected, and again whenever it is gone."""
        self.from_peers = from_peers
        """Whether another peer named the address, not a person."""
        self.failures = 0
        """Tries in a row that failed."""
        self.asked_again = trio.Event()
        """Set when the address is asked for once more: now is a good time to try."""
        self.scope = trio.CancelScope()


class Dials:
    """All addresses that are being dialled."""

    def __init__(self) -> None:
        self._dials: dict[str, Dial] = {}
        self.retries = trio.CapacityLimiter(RETRIES_AT_ONCE)
        """Each retry takes a place here."""

    def __len__(self) -> int:
        return len(self._dials)

    def get(self, addr: str) -> Dial | None:
        """Return the dial of an address; None if the address is not being dialled."""
        return self._dials.get(addr)

    def add(self, addr: str, *, keep: bool, from_peers: bool) -> Dial | None:
        """Add a dial, and return it. Returns None if there are too many dials of the same kind.

        `keep`: dial until the peer is connected; such a dial is always added, if necessary in place of another one.

        `from_peers`: another peer named the address, not a person.
        """
        if keep:
            self._make_room()
        else:
            others = [one for one in self._dials.values() if not one.keep]
            of_peers = sum(one.from_peers for one in others)
            if of_peers >= MAX_FROM_PEERS if from_peers else len(others) - of_peers >= MAX_DIALS:
                return None
        dial = self._dials[addr] = Dial(keep=keep, from_peers=from_peers)
        return dial

    def new_ones(self, addr: str) -> list[str]:
        """Return the addresses of the same peer that people named as well and that were not tried yet, in their order.

        `addr` is one of them. If `addr` was tried before, or a peer named it, the result is only `addr`.
        """
        peer = addr.rpartition("/p2p/")[2]
        found = [
            one
            for one, dial in self._dials.items()
            if one.endswith(f"/p2p/{peer}") and not dial.failures and not dial.from_peers
        ]
        return found if addr in found else [addr]

    def ask_again(self) -> None:
        """Make the tasks that dial the kept addresses try again now, without the rest of their wait."""
        for dial in self._dials.values():
            if dial.keep:
                dial.asked_again.set()

    def forget(self, peer: str) -> None:
        """Make the tasks that dial a peer's addresses end. An address that is added after that is dialled anew."""
        for addr in [addr for addr in self._dials if addr.endswith(f"/p2p/{peer}")]:
            self._dials.pop(addr).scope.cancel()

    def remove(self, addr: str, dial: Dial) -> None:
        """Remove a dial that has ended, unless the address is dialled anew already."""
        if self._dials.get(addr) is dial:
            del self._dials[addr]

    def wait(self, addr: str, dial: Dial) -> float:
        """Return the seconds until a kept address is dialled again."""
        peer = addr.rpartition("/p2p/")[2]
        addrs = sum(one.endswith(f"/p2p/{peer}") for one in self._dials)  # the more, the less often each
        failing = sum(one.failures > 0 for one in self._dials.values())
        most = max(REDIAL.most, failing * REDIAL_EACH)
        backoff = replace(REDIAL, first=REDIAL.first * addrs, most=most)
        return backoff.wait(dial.failures + 1, random.random)

    def _make_room(self) -> None:
        """If there are too many kept addresses, stop dialling the one that failed most often."""
        kept = [one for one in self._dials.values() if one.keep and not one.scope.cancel_called]
        if len(kept) >= MAX_KEPT:
            max(kept, key=lambda one: one.failures).scope.cancel()
