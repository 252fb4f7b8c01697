"""The outbox of custom messages: a rate limit, and pushing again after a NO. Pure.

- The outbox sends at a rate that every node admits from one origin (core/peers/). If a program pushes
  faster, messages wait here. When MAX_WAITING messages wait, a new one is refused, and an entry says so.
- A node that gets more messages than it admits answers `status_no` with `rate_limited` and a time. Nothing is
  pushed to that node before this time. Then the refused messages are pushed again, to that node only, with
  the same nonce. So the node does not count a message twice that reached it another way meanwhile.
- If a peer refuses a message for GIVE_UP_SECONDS, the message is not pushed to this peer any more. If a peer
  disconnects, the messages that wait for it are given up. One entry says so.

A custom message has no CID of its own. In a `status_no` it is named by `name_of`. Older nodes do not know these
names: they ignore them, and never send such a NO.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from math import inf
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
"""Custom messages that may wait to be sent, and their bytes."""
MAX_SENT, MAX_SENT_BYTES = 4096, 4 * 1024 * 1024
"""Sent messages that are remembered because they may be refused, and their bytes. The oldest are forgotten first."""
GIVE_UP_SECONDS = 120.0
"""Seconds after the first push for which a NO leads to another push."""
MIN_SECONDS = 0.01
"""Least seconds between two turns in which waiting messages are sent."""
FULL_SECONDS = 1.0
"""Seconds to wait before pushing to a peer again, after this node's queue for it was full."""


class Outbound(NamedTuple):
    """A custom message that a program on this node pushed."""

    custom: Custom
    nonce: bytes
    """The nonce of its intent; empty for a direct message to one peer."""
    at: float
    """The time of the push, in steady seconds."""

    @property
    def size(self) -> int:
        """Bytes that this message takes from the rate limit."""
        return OVERHEAD + len(self.custom.kind) + len(self.custom.payload)


class _Retries:
    """The messages to push to one peer again, and the earliest time for the next push (`at`)."""

    __slots__ = ("at", "pushes")

    def __init__(self) -> None:
        self.at = 0.0
        self.pushes: deque[Outbound] = deque()

    def add(self, push: Outbound, at: float) -> bool:
        """Add a message, unless it is in the list already. No message of the list is pushed before the time `at`.

        Returns False, and adds nothing, if the list is full.
        """
        self.at = max(self.at, at)
        if len(self.pushes) >= MAX_SENT:
            return False
        if push not in self.pushes:
            self.pushes.append(push)
        return True

    def take(self) -> Outbound:
        """Remove and return the message that is pushed next."""
        return self.pushes.popleft()


def name_of(custom: Custom) -> Cid:
    """Return the CID by which a NO names a custom message: a hash of its kind, a zero byte, and its payload."""
    return raw_cid(custom.kind.encode() + b"\0" + custom.payload)


class Outbox:
    """The custom messages that wait to leave, and those that left and may be refused."""

    def __init__(self, now: float) -> None:
        self._waiting: deque[Outbound] = deque()
        self._waiting_bytes = 0
        self._count = TokenBucket(PUSH_BURST, PUSH_RATE, now)
        self._bytes = TokenBucket(BYTES_BURST, BYTES_RATE, now)
        self._sent: OrderedDict[Cid, list[Outbound]] = OrderedDict()
        self._sent_count = self._sent_bytes = 0
        self._retries: dict[PeerId, _Retries] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, push: Outbound) -> bool:
        """Queue a message for all nodes. Returns False if too many messages wait already."""
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + push.size > MAX_WAITING_BYTES:
            return False
        self._waiting.append(push)
        self._waiting_bytes += push.size
        return True

    def next_deadline(self, now: float) -> float:
        """Return the time at which `due` or `due_retries` returns messages; infinity if none wait."""
        if not self._waiting and not self._retries:
            return inf
        wait = max(self._count.wait(now), self._bytes.wait(now), MIN_SECONDS)
        ready = now if self._may(now) else now + wait
        if self._waiting:
            return ready
        return max(min(retries.at for retries in self._retries.values()), ready)

    def due(self, now: float) -> list[Outbound]:
        """Remove from the queue the messages that the rate limit lets leave now, and return them."""
        found: list[Outbound] = []
        while self._waiting and self._may(now):
            push = self._waiting.popleft()
            self._waiting_bytes -= push.size
            self._spend(push, now)
            self.sent(push)
            found.append(push)
        return found

    def sent(self, push: Outbound) -> None:
        """Remember a message that left, because a peer may still refuse it."""
        name = name_of(push.custom)
        self._sent.setdefault(name, []).append(push)
        self._sent.move_to_end(name)
        self._sent_count += 1
        self._sent_bytes += push.size
        while self._sent_count > MAX_SENT or self._sent_bytes > MAX_SENT_BYTES:
            _, oldest = self._sent.popitem(last=False)
            self._sent_count -= len(oldest)
            self._sent_bytes -= sum(push.size for push in oldest)

    def is_paused(self, peer: PeerId) -> bool:
        """Whether messages wait to be pushed to this peer again. Until they have left, it is pushed no new ones."""
        return peer in self._retries

    def postpone(self, peer: PeerId, push: Outbound, wait: float, now: float) -> bool:
        """Push this message to the peer after `wait` seconds. Returns False if too many wait for this peer already."""
        return self._retries.setdefault(peer, _Retries()).add(push, now + wait)

    def refused(self, peer: PeerId, names: Iterable[Cid], wait: float, now: float) -> tuple[Cid, ...]:
        """Plan to push refused messages again after `wait` seconds, to the peer that refused them.

        `names`: the names of the refused messages (`name_of`). Returns the names of messages that left this node
        and are remembered.
        """
        known: list[Cid] = []
        for name in names:
            pushes = self._sent.get(name, ())
            known += [name] if pushes else []
            told = self._retries[peer].pushes if peer in self._retries else ()
            if push := next((push for push in pushes if push not in told), None):
                self.postpone(peer, push, wait, now)
        return tuple(known)

    def due_retries(self, now: float) -> tuple[list[tuple[PeerId, Outbound]], dict[PeerId, list[Outbound]]]:
        """Remove and return two sets of refused messages: those to push again now, and those to give up, by peer.

        Of the first set, each comes with its peer, and the rate limit lets all of them leave now. A message is given
        up if its peer has refused it for more than GIVE_UP_SECONDS.
        """
        found: list[tuple[PeerId, Outbound]] = []
        given_up: dict[PeerId, list[Outbound]] = {}
        if not self._retries:
            return found, given_up
        for peer, retries in [(peer, one) for peer, one in self._retries.items() if one.at <= now]:
            while retries.pushes and self._may(now):
                push = retries.take()
                if now - push.at > GIVE_UP_SECONDS + len(retries.pushes) / PUSH_RATE:
                    given_up.setdefault(peer, []).append(push)
                    continue
                self._spend(push, now)
                found.append((peer, push))
            if not retries.pushes:
                del self._retries[peer]
        return found, given_up

    def forget(self, peer: PeerId) -> list[Outbound]:
        """Forget a peer that has disconnected. Returns the messages that still waited to be pushed to it again."""
        retries = self._retries.pop(peer, None)
        return list(retries.pushes) if retries is not None else []

    def _may(self, now: float) -> bool:
        return self._count.has(now) and self._bytes.has(now)

    def _spend(self, push: Outbound, now: float) -> None:
        self._count.take(1, now)
        self._bytes.take(push.size, now)
