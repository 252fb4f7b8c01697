"""The queue of wants: which wants are in the network, and which wants enter it next. Pure.

At most `max_pending` wants are in the network at once: each of them takes one of so many places. The number
of other wants is not limited.

- A want takes a place when it is pushed. It keeps the place while a holder sends its object, or is about to.
- A want that no peer has (it was answered `not_held`, or not at all) gives up its place after ANSWER_SECONDS.
  It is dormant until its next push is due. Then it queues for a place.
- A queued want has one of three priorities: urgent (a person asks for it now), new, or due (it was dormant).
  Urgent wants go first. Of the other two, NEW_TURNS batches of new wants go for each batch of due wants, so
  neither waits for ever.
- An urgent want does not wait for a free place. If there is none, another want gives up its place: the one
  that has been in the network longest and that no holder is sending. A want never gives up its place within
  GIVE_WAY_SECONDS of its own push.

The cost of every call is independent of the number of dormant wants.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import islice
from math import inf
from typing import Literal, TypeAlias

from flux_tui.core.ids import Cid
from flux_tui.core.wire.messages import MAX_CIDS_WANT

ANSWER_SECONDS = 5.0
"""Seconds after a push for which a want keeps its place although nobody has it. A thousand places are then
200 wants a second. That is half of what a peer admits from one neighbour (push_admission.py), so a long list of
dead wants empties nobody's bucket."""
GIVE_WAY_SECONDS = 1.0
"""Seconds after a push for which a want does not make way for another: there was no time to answer it."""
NEW_TURNS = 3
"""Batches of new wants for each batch of dormant wants that are due."""
MAX_CHECKS = 64
"""Places that are checked to find one that can be given up."""

WantPriority: TypeAlias = Literal["urgent", "new", "due"]
"""Wants that a person asks for now; wants that were not pushed yet; wants that were pushed and are due again."""


class WantQueue:
    """The wants that are in the network (at most max_pending), and those that queue to enter it, by priority.

    It knows only the roots of wants.
    """

    def __init__(self, max_pending: int) -> None:
        self.max_pending = max_pending
        self._in_network: OrderedDict[Cid, float] = OrderedDict()
        """Wants in the network and when each was pushed, the oldest push first."""
        self._check_at: dict[Cid, float] = {}
        """By want: when to check whether it keeps its place."""
        self._checks: deque[tuple[float, Cid]] = deque()
        """The times and wants of `_check_at`, the earliest first. All waits are equally long, so a new one goes
        to the end."""
        self._urgent: OrderedDict[Cid, None] = OrderedDict()
        self._fresh: OrderedDict[Cid, None] = OrderedDict()
        self._due: OrderedDict[Cid, None] = OrderedDict()
        self._new_turns = 0
        """Batches of new wants since the due wants had their turn."""

    def __len__(self) -> int:
        """The number of wants that queue to enter the network."""
        return len(self._urgent) + len(self._fresh) + len(self._due)

    def __contains__(self, root: Cid) -> bool:
        return root in self._urgent or root in self._fresh or root in self._due

    @property
    def room(self) -> int:
        """How many more wants may be in the network at once now."""
        return self.max_pending - len(self._in_network)

    def places_to_take(self, now: float) -> int:
        """Return how many queued wants should be pushed now.

        0 while only a few could be pushed: wants are collected, so that one intent carries many of them. Urgent
        wants are not held back. For them, a want in the network may have to make way first (`give_way`).
        """
        queued = len(self)
        if not queued:
            return 0
        room = self.room
        if self._urgent:
            return room if room > 0 else int(self.gives_way_at() <= now)
        # Wait until a good number fits, instead of one intent for each chunk that comes.
        enough = min(queued, MAX_CIDS_WANT, max(1, self.max_pending // 4))
        return room if room >= enough else 0

    def is_in_network(self, root: Cid) -> bool:
        """Whether this want is in the network: it was pushed, and is one of at most max_pending such wants."""
        return root in self._in_network

    def in_network(self) -> Iterator[Cid]:
        """Yield the wants in the network, the latest push first."""
        return reversed(self._in_network)

    # ── the queue ───────────────────────────────────────────────────────────────────────────────

    def add(self, root: Cid, priority: WantPriority) -> None:
        """Queue a want, to be pushed when the network has room for it. Does nothing if it is queued already."""
        if root not in self:
            {"urgent": self._urgent, "new": self._fresh, "due": self._due}[priority][root] = None

    def move_to_front(self, root: Cid) -> None:
        """Queue this want as urgent, because a person asks for it now. It may be queued already, or not."""
        self._fresh.pop(root, None)
        self._due.pop(root, None)
        self._urgent[root] = None

    def forget(self, root: Cid) -> None:
        """Remove a want that has ended."""
        self.leave(root)
        for queue in (self._urgent, self._fresh, self._due):
            queue.pop(root, None)

    def take(self, most: int) -> tuple[list[Cid], bool]:
        """Remove up to `most` wants of one priority from the queue: of the one that goes next.

        Returns the wants, and whether they have the priority `due`: these were pushed before.
        """
        if self._urgent:
            return _first(self._urgent, most), False
        due = bool(self._due) and (self._new_turns >= NEW_TURNS or not self._fresh)
        self._new_turns = 0 if due else self._new_turns + 1
        return _first(self._due if due else self._fresh, most), due

    # ── places ──────────────────────────────────────────────────────────────────────────────────

    def enter(self, root: Cid, now: float) -> None:
        """Record that a want was pushed, so that it is in the network. Later, `give_up` checks whether it stays."""
        self._in_network[root] = now
        self._in_network.move_to_end(root)
        self._check_later(root, now)

    def leave(self, root: Cid) -> None:
        """Record that this want is not in the network any more, so that another one can be."""
        self._in_network.pop(root, None)
        self._check_at.pop(root, None)

    def _check_later(self, root: Cid, now: float) -> None:
        self._check_at[root] = now + ANSWER_SECONDS
        self._checks.append((now + ANSWER_SECONDS, root))

    def next_check(self) -> float:
        """Return the time of the next check by `give_up`; infinity if no want is in the network."""
        while self._checks and self._check_at.get(self._checks[0][1]) != self._checks[0][0]:
            self._checks.popleft()
        return self._checks[0][0] if self._checks else inf

    def give_up(self, now: float, keeps: Callable[[Cid], bool]) -> list[Cid]:
        """Remove the wants that have been in the network for ANSWER_SECONDS and that no peer sends. Returns them.

        `keeps(root)`: whether a want stays, because a holder sends its object or is about to. A want that stays is
        checked again after ANSWER_SECONDS.
        """
        gone: list[Cid] = []
        while self.next_check() <= now:
            _, root = self._checks.popleft()
            if keeps(root):
                self._check_later(root, now)
            else:
                self.leave(root)
                gone.append(root)
        return gone

    def gives_way_at(self) -> float:
        """Return when an urgent want may replace a want in the network.

        Infinity: no urgent want is queued, or no want is in the network.
        """
        if not self._urgent or not self._in_network:
            return inf
        return next(iter(self._in_network.values())) + GIVE_WAY_SECONDS

    def give_way(self, now: float, sent: Callable[[Cid], bool]) -> Cid:
        """Remove one want from the network, so that an urgent want can enter it. Returns the removed want.

        The wants are checked in the order of their last push, the oldest push first. The first one that no holder is
        sending is removed. If the checks find none, the very first is removed. Checked are at most MAX_CHECKS wants
        that were pushed at least GIVE_WAY_SECONDS ago. `sent(root)`: whether a holder is sending the object.
        """
        chosen = next(iter(self._in_network))
        for root, pushed_at in islice(self._in_network.items(), MAX_CHECKS):
            if pushed_at + GIVE_WAY_SECONDS > now:
                break
            if not sent(root):
                chosen = root
                break
        self.leave(chosen)
        return chosen


def _first(queue: OrderedDict[Cid, None], most: int) -> list[Cid]:
    return [queue.popitem(last=False)[0] for _ in range(min(most, len(queue)))]
