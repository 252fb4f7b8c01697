"""The ledger of a turn: one turn is what the machine does for one input. All parts of the machine share the ledger.

The ledger has the time, the state, and the events and effects of the turn so far.

`emit` applies each event to the state at once, so every part sees the effect of its own events. The node makes the
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
    """The content of the store, as the core sees it. Like the clock, it is an argument of the core."""

    def size_of(self, cid: Cid) -> int | None:
        """Return the bytes of a chunk in the store; None if the chunk is not there."""


STEP_SECONDS = 0.5
"""A jump of the wall clock by this much or more is an entry."""


class Ledger:
    """Collects the entries and effects of one turn, the handling of one input. A machine has one ledger."""

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
        """Begin a turn at the steady time `now`, in seconds. Time never goes back."""
        if now > self.now:
            self.now = now

    @property
    def wall(self) -> float:
        """The time of the wall clock, in seconds since 1970."""
        return self.now + self.skew

    def steady(self, wall: float) -> float:
        """Convert a time of the wall clock, as the state contains it, to steady time."""
        return wall - self.skew

    def clock_stepped(self, seconds: float) -> None:
        """Record that somebody set the wall clock forward by so many seconds. Negative: it was set back.

        A step of less than STEP_SECONDS is ignored.
        """
        if abs(seconds) >= STEP_SECONDS:
            self.skew += seconds
            self._append(self.wall, ClockStepped(seconds=seconds))

    def emit(self, event: Event) -> None:
        """Record an event, and apply it to the state.

        Times in the event are in steady time. The series stores them in wall-clock time.
        """
        wall, last = self.now + self.skew, self.state.at
        self._append(wall if wall > last else last, moved(event, self.skew) if self.skew else event)

    def _append(self, at: float, event: Event) -> None:
        entry = Entry(self.state.seq + 1, at, event)
        apply(self.state, entry)
        self._events.append(entry)

    def do(self, effect: Effect) -> None:
        """Record an effect. The node runs it once all events of the turn so far are durable."""
        self._effects.append(effect)

    def take(self) -> tuple[list[Entry], list[Effect]]:
        """End the turn, and return its entries and effects."""
        turn = self._events, self._effects
        self._events, self._effects = [], []
        return turn
