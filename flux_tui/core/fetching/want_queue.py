"""Which wants are in the network, and which one gets the next place. Pure.

At most `max_pending` wants are in the network at once. What else may be hoped for has no bound.

- A want takes a place when it is pushed. It keeps the place while somebody sends it, or is about to.
- A want that nobody has (it heard `not_held`, or nothing) gives its place up after ANSWER_SECONDS. It is dormant until
  its next push is due, and then queues for a place.
- The queue has three lines: what a person asks for now; new wants; and dormant wants that are due. The first line
  goes first. Of the other two, new wants go NEW_TURNS times before due ones go once, so neither waits for ever.
- What a person asks for now is not kept waiting: if there is no room, the want that has been in the network longest,
  and that nobody is sending, gives its place up; but not within GIVE_WAY_SECONDS of its own push.

The cost of every call is independent of how many wants are dormant.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal, TypeAlias

from flux_tui.core.ids import Cid
from flux_tui.core.wire.messages import MAX_CIDS_WANT

ANSWER_SECONDS = 5.0
"""After a push, so long a want keeps its place though nobody has it. A thousand places are then 200 wants a second:
half of what a peer admits from one neighbour (admission.py), so a long list of dead wants costs nobody his bucket."""
GIVE_WAY_SECONDS = 1.0
"""After a push, so long a want does not make way for another: it could not be answered yet."""
NEW_TURNS = 3
"""Batches of new wants for each batch of dormant wants that are due."""
MAX_LOOKS = 64
"""Places that are looked at for one that can be given up."""

Line: TypeAlias = Literal["urgent", "new", "due"]
"""What a person asks for now; what was not pushed yet; and what was, and is due again."""


class WantQueue:
    """Places, and the lines before them. Who calls it holds the wants themselves."""

    def __init__(self, max_pending: int) -> None:
        self.max_pending = max_pending
        self._inside: OrderedDict[Cid, float] = OrderedDict()
        """Wants in the network, and when each was pushed, the longest ago first."""
        self._look_at: dict[Cid, float] = {}
        """When it is looked at whether they keep their place."""
        self._looks: deque[tuple[float, Cid]] = deque()
        """The same times in order: all waits are equally long."""
        self._urgent: OrderedDict[Cid, None] = OrderedDict()
        self._fresh: OrderedDict[Cid, None] = OrderedDict()
        self._due: OrderedDict[Cid, None] = OrderedDict()
        self._new_turns = 0
        """Batches of new wants since due ones had their turn."""

    def __len__(self) -> int:
        """Wants that queue for a place."""
        return len(self._urgent) + len(self._fresh) + len(self._due)

    def __contains__(self, root: Cid) -> bool:
        return root in self._urgent or root in self._fresh or root in self._due

    @property
    def room(self) -> int:
        """Free places."""
        return self.max_pending - len(self._inside)

    def takes(self, now: float) -> int:
        """Places that may be taken now, by what queues for one."""
        if self._urgent and self.room <= 0:
            return int(self.gives_way_at() <= now)
        # Not one intent for each chunk that comes in: wait until a good handful fits.
        enough = 1 if self._urgent else min(len(self), MAX_CIDS_WANT, max(1, self.max_pending // 4))
        return self.room if len(self) and self.room >= enough else 0

    def is_inside(self, root: Cid) -> bool:
        """Whether this want has a place."""
        return root in self._inside

    def inside(self) -> Iterator[Cid]:
        """The wants in the network, the latest pushed first."""
        return reversed(self._inside)

    # ── the lines ───────────────────────────────────────────────────────────────────────────────

    def add(self, root: Cid, line: Line) -> None:
        """A want queues for a place, if it does not yet."""
        if root not in self:
            {"urgent": self._urgent, "new": self._fresh, "due": self._due}[line][root] = None

    def hurry(self, root: Cid) -> None:
        """A person asks for it now."""
        self._fresh.pop(root, None)
        self._due.pop(root, None)
        self._urgent[root] = None

    def forget(self, root: Cid) -> None:
        """It is not wanted any more."""
        self.leave(root)
        for line in (self._urgent, self._fresh, self._due):
            line.pop(root, None)

    def take(self, most: int) -> tuple[list[Cid], bool]:
        """Up to so many wants of one line; and whether they were pushed before."""
        if self._urgent:
            return _first(self._urgent, most), False
        due = bool(self._due) and (self._new_turns >= NEW_TURNS or not self._fresh)
        self._new_turns = 0 if due else self._new_turns + 1
        return _first(self._due if due else self._fresh, most), due

    # ── places ──────────────────────────────────────────────────────────────────────────────────

    def enter(self, root: Cid, now: float) -> None:
        """It was pushed: it has a place, and is looked at after a while."""
        self._inside[root] = now
        self._inside.move_to_end(root)
        self._look_later(root, now)

    def leave(self, root: Cid) -> None:
        """It gives its place up."""
        self._inside.pop(root, None)
        self._look_at.pop(root, None)

    def _look_later(self, root: Cid, now: float) -> None:
        self._look_at[root] = now + ANSWER_SECONDS
        self._looks.append((now + ANSWER_SECONDS, root))

    def next_look(self) -> float:
        """When `looks` has something; infinity if no want is in the network."""
        while self._looks and self._look_at.get(self._looks[0][1]) != self._looks[0][0]:
            self._looks.popleft()
        return self._looks[0][0] if self._looks else float("inf")

    def looks(self, now: float, keeps: Callable[[Cid], bool]) -> list[Cid]:
        """Wants that give their place up now. `keeps` tells whether somebody sends a want, or is about to."""
        gone: list[Cid] = []
        while self.next_look() <= now:
            _, root = self._looks.popleft()
            if keeps(root):
                self._look_later(root, now)
            else:
                self.leave(root)
                gone.append(root)
        return gone

    def gives_way_at(self) -> float:
        """When the first want may make way for an urgent one; infinity if none waits for that."""
        if not self._urgent or not self._inside:
            return float("inf")
        return next(iter(self._inside.values())) + GIVE_WAY_SECONDS

    def give_way(self, now: float, sent: Callable[[Cid], bool]) -> Cid:
        """One want leaves for an urgent one: the oldest that nobody is sending (`sent`), or else the oldest."""
        chosen = next(iter(self._inside))
        for root, pushed_at in islice(self._inside.items(), MAX_LOOKS):
            if pushed_at + GIVE_WAY_SECONDS > now:
                break
            if not sent(root):
                chosen = root
                break
        self.leave(chosen)
        return chosen


def _first(line: OrderedDict[Cid, None], most: int) -> list[Cid]:
    return [line.popitem(last=False)[0] for _ in range(min(most, len(line)))]
