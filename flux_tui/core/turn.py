"""The ledger of a turn, which the parts of the machine share.

It has the time, the state, and the events and effects so far.

`emit` folds each event at once, so every part sees the state after its own events. The node then makes the
events durable before it runs the effects.
"""

from collections.abc import Callable
from typing import Protocol

from flux_tui.core.api.effects import Effect
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import ClockStepped, Entry, Event, moved
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State


class Holdings(Protocol):
    """The content of the store. Like the clock, it is an argument of the core."""

    def size_of(self, cid: Cid) -> int | None:
        """Bytes of a chunk that is in the store; None if it is not."""


STEP_SECONDS = 0.5
"""A jump of the wall clock by this much or more is an entry."""


class Ledger:
    """Collects the events and effects of one turn. A machine has one ledger."""

    def __init__(self, me: PeerId, state: State, holdings: Holdings, random: Callable[[], float]) -> None:
        self.me = me
        self.state = state
        self.holdings = holdings
        self.random = random
        """Uniform in [0, 1). It is the only source of jitter, and seeded in simulations."""
        self.now = state.at
        """Steady time (core/series/clock_steps.py), by which timers are set."""
        self.skew = 0.0
        """Seconds by which the wall clock is ahead of steady time."""
        self._events: list[Entry] = []
        self._effects: list[Effect] = []

    def begin(self, now: float) -> None:
        """Begin a turn."""
        if now > self.now:
            self.now = now

    @property
    def wall(self) -> float:
        """What the wall clock says."""
        return self.now + self.skew

    def steady(self, wall: float) -> float:
        """Convert a wall time, as it stands in the state, to steady time."""
        return wall - self.skew

    def clock_stepped(self, seconds: float) -> None:
        """The wall clock was set: it is ahead by so many more seconds than before."""
        if abs(seconds) >= STEP_SECONDS:
            self.skew += seconds
            self._append(self.wall, ClockStepped(seconds=seconds))

    def emit(self, event: Event) -> None:
        """Record an event. Points in time in it are steady time here, and wall time in the series."""
        wall, last = self.now + self.skew, self.state.at
        self._append(wall if wall > last else last, moved(event, self.skew) if self.skew else event)

    def _append(self, at: float, event: Event) -> None:
        entry = Entry(self.state.seq + 1, at, event)
        apply(self.state, entry)
        self._events.append(entry)

    def do(self, effect: Effect) -> None:
        """Record an effect. It runs once the events so far are durable."""
        self._effects.append(effect)

    def take(self) -> tuple[list[Entry], list[Effect]]:
        """End the turn: take its events and effects."""
        turn = self._events, self._effects
        self._events, self._effects = [], []
        return turn
