"""Custom intents on their way out: as fast as others take them, and again if they say NO. Pure.

- What a program pushes leaves at a rate that every node admits from one origin (admission.py). What is pushed faster
  waits here; above MAX_WAITING the program hears of it.
- A node that is told more than it admits answers `status_no` with `rate_limited` and a time. Nothing more is pushed to
  that node before this time; then it is told again of what it refused, alone, with the same nonce, so that what reached
  it another way meanwhile does not count twice.
- A peer that does not take something for GIVE_UP_SECONDS, or goes, does not hear of it any more, and one entry says so.

A custom has no CID of its own. In a `status_no` it is named by `name_of`. Older nodes do not know these names and pass
over them; and they never send such a NO.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.limits import TokenBucket
from flux_tui.core.wire.messages import Custom

PUSH_BURST, PUSH_RATE = 384.0, 48.0
"""Custom intents at once, and per second in the long run: three quarters of what is admitted of one origin."""
BYTES_BURST, BYTES_RATE = 256 * 1024.0, 16 * 1024.0
"""Bytes of them, likewise: half of what a stranger may cause in entries at once, and two thirds of that per second."""
OVERHEAD = 160
"""Bytes that a custom costs besides its payload."""
MAX_WAITING, MAX_WAITING_BYTES = 16_384, 16 * 1024 * 1024
"""Customs that wait to leave, and their bytes."""
MAX_SENT, MAX_SENT_BYTES = 4096, 4 * 1024 * 1024
"""Customs that left and may be refused still, and their bytes: the oldest are forgotten first."""
GIVE_UP_SECONDS = 120.0
"""A NO leads to another push for so long."""
MIN_SECONDS = 0.01
"""Between two times that something leaves, of what waits."""
FULL_SECONDS = 1.0
"""After a peer's queue here was full, until something is pushed to it again."""


class Push(NamedTuple):
    """Something that a program pushed."""

    custom: Custom
    nonce: bytes
    """Of its intent; empty: it is a direct message to one peer."""
    at: float
    """When it was pushed."""

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return OVERHEAD + len(self.custom.kind) + len(self.custom.payload)


class _Again:
    """What one peer is to be told again."""

    __slots__ = ("at", "pushes")

    def __init__(self) -> None:
        self.at = 0.0
        self.pushes: deque[Push] = deque()


def name_of(custom: Custom) -> Cid:
    """The CID by which a NO names a custom: of the bytes of its kind, a zero byte, and its payload."""
    return raw_cid(custom.kind.encode() + b"\0" + custom.payload)


class Outbox:
    """Of one node."""

    def __init__(self, now: float) -> None:
        self._waiting: deque[Push] = deque()
        self._waiting_bytes = 0
        self._count = TokenBucket(PUSH_BURST, PUSH_RATE, now)
        self._bytes = TokenBucket(BYTES_BURST, BYTES_RATE, now)
        self._sent: OrderedDict[Cid, list[Push]] = OrderedDict()
        self._sent_count = self._sent_bytes = 0
        self._again: dict[PeerId, _Again] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, push: Push) -> bool:
        """Something is to leave. False: too much waits already."""
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + push.size > MAX_WAITING_BYTES:
            return False
        self._waiting.append(push)
        self._waiting_bytes += push.size
        return True

    def next_deadline(self, now: float) -> float:
        """When `due` or `due_again` has something; infinity if nothing waits."""
        at = min((again.at for again in self._again.values()), default=float("inf"))
        wait = max(self._count.wait(now), self._bytes.wait(now), MIN_SECONDS)
        ready = now if self._may(now) else now + wait
        if self._waiting:
            return ready
        return max(at, ready)

    def due(self, now: float) -> list[Push]:
        """What leaves now, to all."""
        found: list[Push] = []
        while self._waiting and self._may(now):
            push = self._waiting.popleft()
            self._waiting_bytes -= push.size
            self._spend(push, now)
            self.sent(push)
            found.append(push)
        return found

    def sent(self, push: Push) -> None:
        """It left, and may be refused still."""
        name = name_of(push.custom)
        self._sent.setdefault(name, []).append(push)
        self._sent.move_to_end(name)
        self._sent_count += 1
        self._sent_bytes += push.size
        while self._sent_count > MAX_SENT or self._sent_bytes > MAX_SENT_BYTES:
            _, oldest = self._sent.popitem(last=False)
            self._sent_count -= len(oldest)
            self._sent_bytes -= sum(push.size for push in oldest)

    def holds_back(self, peer: PeerId) -> bool:
        """Whether this peer is told nothing just now."""
        return peer in self._again

    def put_off(self, peer: PeerId, push: Push, wait: float, now: float) -> bool:
        """A peer is told of this later. False: too much is to be told to it already."""
        again = self._again.setdefault(peer, _Again())
        again.at = max(again.at, now + wait)
        if len(again.pushes) >= MAX_SENT:
            return False
        if push not in again.pushes:
            again.pushes.append(push)
        return True

    def refused(self, peer: PeerId, names: Iterable[Cid], wait: float, now: float) -> tuple[Cid, ...]:
        """A peer did not take these: it is told again. Returns those that were pushed from here."""
        known: list[Cid] = []
        for name in names:
            pushes = self._sent.get(name, ())
            known += [name] if pushes else []
            told = self._again[peer].pushes if peer in self._again else ()
            if push := next((push for push in pushes if push not in told), None):
                self.put_off(peer, push, wait, now)
        return tuple(known)

    def due_again(self, now: float) -> tuple[list[tuple[PeerId, Push]], dict[PeerId, list[Push]]]:
        """What leaves now, to a peer that refused it; and what is given up."""
        found: list[tuple[PeerId, Push]] = []
        given_up: dict[PeerId, list[Push]] = {}
        for peer, again in [(peer, again) for peer, again in self._again.items() if again.at <= now]:
            while again.pushes and self._may(now):
                push = again.pushes.popleft()
                if now - push.at > GIVE_UP_SECONDS + len(again.pushes) / PUSH_RATE:
                    given_up.setdefault(peer, []).append(push)
                    continue
                self._spend(push, now)
                found.append((peer, push))
            if not again.pushes:
                del self._again[peer]
        return found, given_up

    def forget(self, peer: PeerId) -> list[Push]:
        """A peer is gone. Returns what it was not told."""
        again = self._again.pop(peer, None)
        return list(again.pushes) if again is not None else []

    def _may(self, now: float) -> bool:
        return self._count.has(now) and self._bytes.has(now)

    def _spend(self, push: Push, now: float) -> None:
        self._count.take(1, now)
        self._bytes.take(push.size, now)
