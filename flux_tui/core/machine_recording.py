"""Recordings of machines. A recording gives the same series again, entry for entry.

    recorder = Recorder()
    machine = recorder.machine(me, state, holdings, random)     # in place of Machine(...)
    ...
    assert replay(recorder.recordings[0]) == the series of that run

A recording holds the inputs and their times. It also holds the answers that the machine got while it handled
each input: from the store, and random numbers. So a replay needs no store, and the random numbers need no seed.

A recording is kept in memory. It is meant for finding out why a machine did something, not for a node that runs
for weeks.
"""

from collections.abc import Callable
from typing import NamedTuple

from flux_tui.core.api.effects import Effect
from flux_tui.core.api.inputs import Input, Tick
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import restore, snapshot
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.state import State
from flux_tui.core.turn import Holdings


class ReplayError(ValueError):
    """A replay differs from the recording: the machine asked for another chunk or another random number."""


class Turn(NamedTuple):
    """One input, and the answers that the machine got from the store and the random numbers during it."""

    given: Input
    now: float
    """Steady time in seconds."""
    sizes: list[tuple[Cid, int | None]]
    """Chunks that were looked up in the store, and their sizes in bytes; None: the store did not have it."""
    chances: list[float]
    """Random numbers from 0 to 1."""


class Recording(NamedTuple):
    """The recording of one run of a machine, from its start to its end."""

    me: PeerId
    state: bytes
    """A snapshot of the state that the machine was made from."""
    max_pending: int
    policy: Policy | None
    turns: list[Turn]


class Recorder:
    """Makes machines, and keeps a recording of each in `recordings`, in memory.

    A recording holds the state at the start, each input with its time, and for each input the answers of the store
    and the random numbers that the machine got.
    """

    def __init__(self) -> None:
        self.recordings: list[Recording] = []

    def machine(
        self,
        me: PeerId,
        state: State,
        holdings: Holdings,
        random: Callable[[], float],
        *,
        max_pending: int = 1000,
        policy: Policy | None = None,
    ) -> Machine:
        """Make a machine that is recorded. The arguments are those of `Machine`."""
        recording = Recording(me, snapshot(state), max_pending, policy, [])
        self.recordings.append(recording)
        return _RecordedMachine(recording, state, holdings, random)


class _RecordedMachine(Machine):
    """A machine that records its inputs and the answers that it gets."""

    def __init__(
        self, recording: Recording, state: State, holdings: Holdings, random: Callable[[], float]
    ) -> None:
        self._turns = recording.turns
        self._holdings, self._random = holdings, random
        super().__init__(
            recording.me,
            state,
            self,
            self._chance,
            max_pending=recording.max_pending,
            policy=recording.policy,
        )

    def handle(self, given: Input, now: float) -> tuple[list[Entry], list[Effect]]:
        self._turns.append(Turn(given, now, [], []))
        return super().handle(given, now)

    def size_of(self, cid: Cid) -> int | None:
        """Ask the store for the size of a chunk in bytes (None: it does not have it), and record the answer."""
        size = self._holdings.size_of(cid)
        self._turns[-1].sizes.append((cid, size))
        return size

    def _chance(self) -> float:
        chance = self._random()
        self._turns[-1].chances.append(chance)
        return chance


class _Answers:
    """Gives a replaying machine the recorded answers, in the recorded order."""

    def __init__(self) -> None:
        self._turn = Turn(Tick(), 0.0, [], [])
        self._sizes = iter(self._turn.sizes)
        self._chances = iter(self._turn.chances)

    def begin(self, turn: Turn) -> None:
        """From now on, give the answers that were recorded for this input (`turn`)."""
        self._turn = turn
        self._sizes, self._chances = iter(turn.sizes), iter(turn.chances)

    def size_of(self, cid: Cid) -> int | None:
        """Return the recorded size of a chunk. Raises ReplayError if another chunk was asked for in the recording."""
        asked, size = next(self._sizes, (None, None))
        if asked != cid:
            raise ReplayError(f"it looks up {cid} during {self._turn.given}; {asked} was looked up then")
        return size

    def random(self) -> float:
        """Return the next recorded random number. Raises ReplayError if there is none."""
        if (chance := next(self._chances, None)) is None:
            raise ReplayError(f"it draws another random number during {self._turn.given}")
        return chance


def replay(recording: Recording) -> list[Entry]:
    """Give the inputs of a recording to a new machine. Returns all entries that the machine makes.

    Raises ReplayError if the new machine asks for other data than the recorded machine did, or if the recording is of
    another version.
    """
    state = restore(recording.state)
    if state is None:
        raise ReplayError("the state of this recording is of another version")
    answers = _Answers()
    machine = Machine(
        recording.me,
        state,
        answers,
        answers.random,
        max_pending=recording.max_pending,
        policy=recording.policy,
    )
    entries: list[Entry] = []
    for turn in recording.turns:
        answers.begin(turn)
        entries += machine.handle(turn.given, turn.now)[0]
    return entries
