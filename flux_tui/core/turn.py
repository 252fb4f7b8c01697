"""What the parts of the machine share during one turn: the time, the state, and what they produce.

`emit` folds each event at once, so that every part always sees the state that its own events made;
the node then makes the events durable before it runs the effects.
"""

from collections.abc import Callable
from typing import Protocol

from flux_tui.core.api.effects import Effect
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import ClockStepped, Entry, Event, moved
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State


class Holdings(Protocol):
    """What the store holds: an argument of the core, like the clock."""

    def size_of(self, cid: Cid) -> int | None:
        """Bytes of a chunk that is held; None: it is not."""


STEP_SECONDS = 0.5
"""A clock that goes on from so much less or more than it said was set, and an entry says so."""


class Ledger:
    """One per machine."""

    def __init__(self, me: PeerId, state: State, holdings: Holdings, random: Callable[[], float]) -> None:
        self.me = me
        self.state = state
        self.holdings = holdings
        self.random = random
        """Uniform in [0, 1): the only source of jitter, seeded in simulations."""
        self.now = state.at
        """Steady time (clock.py): what timers are set by."""
        self.skew = 0.0
        """Seconds by which the wall clock is ahead of it."""
        self._events: list[Entry] = []
        self._effects: list[Effect] = []

    def begin(self, now: float) -> None:
        """A turn begins."""
        self.now = max(now, self.now)

    @property
    def wall(self) -> float:
        """What the clock on the wall says."""
        return self.now + self.skew

    def steady(self, wall: float) -> float:
        """When that is, in steady time. What is read from the state is told by the clock on the wall."""
        return wall - self.skew

    def clock_stepped(self, seconds: float) -> None:
        """The wall clock was set, and is ahead by so many seconds more than before."""
        if abs(seconds) >= STEP_SECONDS:
            self.skew += seconds
            self._append(self.wall, ClockStepped(seconds=seconds))

    def emit(self, event: Event) -> None:
        """Something happened. The points in time that it names are steady time here, wall time in the series."""
        self._append(max(self.wall, self.state.at), moved(event, self.skew))

    def _append(self, at: float, event: Event) -> None:
        entry = Entry(self.state.seq + 1, at, event)
        apply(self.state, entry)
        self._events.append(entry)

    def do(self, effect: Effect) -> None:
        """Something is to be done, once the events so far are durable."""
        self._effects.append(effect)

    def take(self) -> tuple[list[Entry], list[Effect]]:
        """End of the turn: what happened and what is to be done."""
        turn = self._events, self._effects
        self._events, self._effects = [], []
        return turn
