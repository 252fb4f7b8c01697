"""What the parts of the machine share during one turn: the time, the state, and what they produce.

`emit` folds each event at once, so that every part always sees the state that its own events made;
the node then makes the events durable before it runs the effects.
"""

from collections.abc import Callable
from typing import Protocol

from flux_tui.core.derive import apply
from flux_tui.core.effects import Effect
from flux_tui.core.events import Entry, Event
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.state import State


class Holdings(Protocol):
    """What the store holds: an argument of the core, like the clock."""

    def size_of(self, cid: Cid) -> int | None:
        """Bytes of a chunk that is held; None: it is not."""


class Ledger:
    """One per machine."""

    def __init__(self, me: PeerId, state: State, holdings: Holdings, random: Callable[[], float]) -> None:
        self.me = me
        self.state = state
        self.holdings = holdings
        self.random = random
        """Uniform in [0, 1): the only source of jitter, seeded in simulations."""
        self.now = state.at
        self._events: list[Entry] = []
        self._effects: list[Effect] = []

    def begin(self, now: float) -> None:
        """A turn begins. Time never runs backwards in a series, whatever the clock does."""
        self.now = max(now, self.state.at)

    def emit(self, event: Event) -> None:
        """Something happened."""
        entry = Entry(self.state.seq + 1, self.now, event)
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
