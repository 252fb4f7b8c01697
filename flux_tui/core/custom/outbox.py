"""The outbox of custom intents: a rate limit, and pushing again after a NO. Pure.

- What a program pushes leaves at a rate that every node admits from one origin (admission.py). Faster pushes
  wait here. Above MAX_WAITING the program is told so.
- A node that is told more than it admits answers `status_no` with `rate_limited` and a time. Nothing more is
  pushed to that node before this time. Then it is told again, alone, of the messages that it refused, with
  the same nonce. So a message that reached it another way meanwhile does not count twice.
- If a peer does not take a message for GIVE_UP_SECONDS, the message is given up for that peer. If a peer
  disconnects, all its messages are given up. One entry says so.

A custom message has no CID of its own. In a `status_no` it is named by `name_of`. Older nodes do not know
these names and ignore them; and they never send such a NO.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.limits import TokenBucket
from flux_tui.core.wire.messages import Custom

PUSH_BURST, PUSH_RATE = 384.0, 48.0
"""Custom intents at once, and per second in the long run: three quarters of what a node admits from one
origin."""
BYTES_BURST, BYTES_RATE = 256 * 1024.0, 16 * 1024.0
"""Bytes of them, likewise: half of the entry bytes that a stranger may cause at once, and two thirds of that
rate."""
OVERHEAD = 160
"""Bytes that a custom message costs besides its payload."""
MAX_WAITING, MAX_WAITING_BYTES = 16_384, 16 * 1024 * 1024
"""Custom messages that may wait to leave, and their bytes."""
MAX_SENT, MAX_SENT_BYTES = 4096, 4 * 1024 * 1024
"""Messages that have left and may still be refused, and their bytes. The oldest are forgotten first."""
GIVE_UP_SECONDS = 120.0
"""Seconds after the first push for which a NO leads to another push."""
MIN_SECONDS = 0.01
"""Least seconds between two turns in which waiting messages leave."""
FULL_SECONDS = 1.0
"""Seconds after a peer's queue here was full until something is pushed to it again."""


class Push(NamedTuple):
    """A message that a program pushed."""

    custom: Custom
    nonce: bytes
    """The nonce of its intent; empty for a direct message to one peer."""
    at: float
    """When it was pushed."""

    @property
    def size(self) -> int:
        """Bytes that it counts for."""
        return OVERHEAD + len(self.custom.kind) + len(self.custom.payload)


class _Again:
    """The messages that one peer is to be told again, and when."""

    __slots__ = ("at", "pushes")

    def __init__(self) -> None:
        self.at = 0.0
        self.pushes: deque[Push] = deque()


def name_of(custom: Custom) -> Cid:
    """The CID by which a NO names a custom message: the hash of its kind, a zero byte, and its payload."""
    return raw_cid(custom.kind.encode() + b"\0" + custom.payload)


class Outbox:
    """The outbox of this node."""

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
        """Queue a message. Returns False if too many wait already."""
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
        """The messages that leave now, to all."""
        found: list[Push] = []
        while self._waiting and self._may(now):
            push = self._waiting.popleft()
            self._waiting_bytes -= push.size
            self._spend(push, now)
            self.sent(push)
            found.append(push)
        return found

    def sent(self, push: Push) -> None:
        """A message left, and may still be refused."""
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
        """Whether nothing is pushed to this peer now."""
        return peer in self._again

    def put_off(self, peer: PeerId, push: Push, wait: float, now: float) -> bool:
        """Tell a peer of this message later. Returns False if it is to be told too many already."""
        again = self._again.setdefault(peer, _Again())
        again.at = max(again.at, now + wait)
        if len(again.pushes) >= MAX_SENT:
            return False
        if push not in again.pushes:
            again.pushes.append(push)
        return True

    def refused(self, peer: PeerId, names: Iterable[Cid], wait: float, now: float) -> tuple[Cid, ...]:
        """A peer refused messages: it is told of them again.

        Returns the names of messages that were pushed from here.
        """
        known: list[Cid] = []
        for name in names:
            pushes = self._sent.get(name, ())
            known += [name] if pushes else []
            told = self._again[peer].pushes if peer in self._again else ()
            if push := next((push for push in pushes if push not in told), None):
                self.put_off(peer, push, wait, now)
        return tuple(known)

    def due_again(self, now: float) -> tuple[list[tuple[PeerId, Push]], dict[PeerId, list[Push]]]:
        """The messages that leave now to peers that refused them, and those that are given up."""
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
        """A peer disconnected. Returns the messages that it was not told."""
        again = self._again.pop(peer, None)
        return list(again.pushes) if again is not None else []

    def _may(self, now: float) -> bool:
        return self._count.has(now) and self._bytes.has(now)

    def _spend(self, push: Push, now: float) -> None:
        self._count.take(1, now)
        self._bytes.take(push.size, now)
