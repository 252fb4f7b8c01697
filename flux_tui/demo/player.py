"""Plays a scenario: says, does, and goes on when what was to be seen has been seen.

A step stands for as long as it takes to read, and until its condition holds; `speed` shortens the reading
only: the swarm is real and takes the time it takes. It runs in a thread of its own and is asked from
others: `telling` is replaced as a whole, never changed.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

from flux_tui.config import parse_rate
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series.policy import PolicyChange
from flux_tui.demo.facts import Condition, fill, parse_term
from flux_tui.demo.scenario import (
    Action,
    Add,
    Freeze,
    Get,
    Hold,
    Join,
    Kill,
    Leave,
    Limit,
    OneByOne,
    Scenario,
    Start,
    Step,
    Thaw,
    Want,
    conditions,
    reading_time,
)
from flux_tui.demo.swarm import Swarm
from flux_tui.home import HomeError

LOOK_SECONDS = 0.04
"""Between two looks at the series."""
OUTCOME_SECONDS = 10.0
"""For what was stated to be seen, after the last step."""
START_SECONDS = 30.0
"""For a node to listen on a busy machine."""
MARK = "demo"
"""On the commands that the demo pushes."""


class NotSeenError(Exception):
    """What was to be seen was not: the demo failed, and says at which step."""


class StoppedError(Exception):
    """Nobody looks any more."""


class Lane(NamedTuple):
    """A bar of a lane: how far of how many."""

    label: str
    done: int
    of: int


class Telling(NamedTuple):
    """What is said at a moment."""

    text: str
    step: int
    """From 1; the outcome is the last."""
    steps: int
    look: str
    """Whose home to show."""
    panel: str | None = None
    """Where to look."""
    lanes: tuple[Lane, ...] = ()
    seen: bool = False
    """Whether this step's condition was observed."""
    over: bool = False
    failed: bool = False


class Shown(NamedTuple):
    """What a person sees of it."""

    telling: Telling
    held: bool
    """Whether it stays until a key is pressed."""
    back: int
    """How many captions before the newest it is."""


def plain(text: str) -> str:
    """A caption for where no line is broken."""
    return text.replace("\u00a0", " ")


class Observed(NamedTuple):
    """A step that is done."""

    text: str
    seconds: float
    conditions: tuple[str, ...]


class Player:
    """One playing of one scenario on one swarm."""

    def __init__(self, scenario: Scenario, swarm: Swarm, *, speed: float = 1.0, read: bool = True) -> None:
        self.scenario = scenario
        self.swarm = swarm
        self.speed = speed
        self._read = read
        """Whether captions stand until they can have been read."""
        self._told: list[Telling] = []
        """The last telling of each caption that was reached."""
        self._page = (0, "")
        """The newest caption: its step, and its words as the scenario has them."""
        self._at: int | None = None
        """Which of those that were told is looked at; None: the newest."""
        self._held = False
        self._stayed = False
        """Whether the person held the story, while the swarm went on."""
        self._skip = threading.Event()
        self._stop = threading.Event()
        self._look = scenario.watch
        self._last = (1, "")
        self.telling = Telling(scenario.about, 1, len(scenario.steps) + 1, scenario.watch)
        self.error: str | None = None

    # ── from other threads ──────────────────────────────────────────────────────────────────────

    def shown(self) -> Shown:
        """What to show now."""
        at = self._at
        if at is not None:
            return Shown(self._told[at], True, len(self._told) - 1 - at)
        return Shown(self.telling, self._held, 0)

    def move(self, by: int) -> None:
        """One caption on (at the newest: do not wait until it can have been read), or one back."""
        newest = len(self._told) - 1
        if by < 0:
            at = max(0, (newest if self._at is None else self._at) - 1)
            self._at = at if at < newest else None
        elif self._at is not None:
            self._at = self._at + 1 if self._at + 1 < newest else None
        else:
            self._held = False
            self._skip.set()

    def hold(self) -> None:
        """Stay at this step when it is over, or go on; from a caption before: to the newest."""
        if self._at is not None:
            self._at = None
        else:
            self._held = not self._held

    def stop(self) -> None:
        """Play no further."""
        self._stop.set()

    # ── playing ─────────────────────────────────────────────────────────────────────────────────

    def play(self, on_step: Callable[[Observed], None] = lambda _: None) -> None:
        """From start to end. Raises NotSeenError where something was not seen in time."""
        try:
            for name in self.swarm.everyone:
                if name not in self.scenario.later:
                    self.swarm.start(name)
            self.swarm.make()  # before a caption says how much there is of it
            for number, step in enumerate(self.scenario.steps, 1):
                on_step(self._step(number, step))
            on_step(self._outcome())
        except NotSeenError as error:
            self.error = str(error)
            self._put(self.telling._replace(text=str(error), over=True, failed=True), str(error))
            raise

    def _step(self, number: int, step: Step) -> Observed:
        self._look = step.look or self._look
        self._skip.clear()
        began = time.monotonic()
        self._say(number, step.caption)
        if number == 1:
            self._until_up([name for name in self.swarm.everyone if name not in self.scenario.later])
        self._stand(number, step.caption, began)
        began = time.monotonic()
        wanted = conditions(step.until)
        self.swarm.poll()
        watch = self.swarm.watch(self.scenario.watch)
        before = [condition.left.value(self.swarm, watch) for condition in wanted]
        for action in step.actions:
            self._do(action)
        self._see(number, step.caption, wanted, step.within, before)
        seconds = time.monotonic() - began
        said = step.seen or step.caption
        if step.seen:
            self._skip.clear()
            self._stand(number, step.seen, time.monotonic(), seen=True)
        while self._held or self._at is not None:
            self._stayed = True
            self._pause()
            self._say(number, said, seen=True)
        return Observed(plain(self._fill(said)), seconds, tuple(step.until))

    def _outcome(self) -> Observed:
        number = len(self.scenario.steps) + 1
        began = time.monotonic()
        last = self.scenario.steps[-1]
        wanted = conditions(self.scenario.outcome)
        before = [0.0] * len(wanted)
        self._see(number - 1, last.seen or last.caption, wanted, OUTCOME_SECONDS, before)
        self._say(number, self.scenario.stated, seen=True, over=True)
        self._held = False
        return Observed(plain(self.telling.text), time.monotonic() - began, tuple(self.scenario.outcome))

    def _stand(self, number: int, text: str, since: float, *, seen: bool = False) -> None:
        """Say this until it can have been read."""
        until = since + (reading_time(self._fill(text)) / self.speed if self._read else 0.0)
        while True:
            self._say(number, text, seen=seen)
            if time.monotonic() >= until or self._skip.is_set():
                return
            self._pause()

    def _see(
        self, number: int, text: str, wanted: list[Condition], within: float, before: list[float]
    ) -> None:
        """Go on saying it until the conditions hold."""
        deadline = time.monotonic() + within
        watch = self.swarm.watch(self.scenario.watch)
        while True:
            missing = [
                condition
                for condition, was in zip(wanted, before, strict=True)
                if not condition.holds(self.swarm, watch, was)
            ]
            if not missing:
                return
            if time.monotonic() > deadline:
                found = missing[0].left_words(self.swarm, watch)
                sentence = f"not seen within {within:g} s: {missing[0].text} (it is {found})"
                if self._stayed:
                    sentence += ". The story was held, and the swarm did not wait for it: begin again"
                raise NotSeenError(sentence)
            self._say(number, text)
            self._pause()

    def _until_up(self, names: list[str]) -> None:
        """Wait until nodes listen and take commands."""
        deadline = time.monotonic() + START_SECONDS
        for name in names:
            member = self.swarm.members[name]
            while not (member.addrs and member.home.listening()):
                if time.monotonic() > deadline:
                    raise NotSeenError(f"the node {name} did not start within {START_SECONDS:g} s")
                self._pause()

    def _pause(self, seconds: float = LOOK_SECONDS) -> None:
        if self._stop.wait(seconds):
            raise StoppedError
        if (trouble := self.swarm.trouble) is not None:
            raise NotSeenError(trouble)
        self.swarm.poll(first=self.scenario.watch)

    # ── saying ──────────────────────────────────────────────────────────────────────────────────

    def _fill(self, text: str) -> str:
        return fill(text, self.swarm, self.swarm.watch(self.scenario.watch))

    def _again(self) -> None:
        """The same, with its facts as they are now."""
        self._say(*self._last)

    def _say(self, number: int, text: str, *, seen: bool = False, over: bool = False) -> None:
        self._last = (number, text)
        self._put(
            Telling(
                self._fill(text),
                number,
                len(self.scenario.steps) + 1,
                self._look,
                self._panel(number),
                self._lanes(),
                seen,
                over,
            ),
            text,
        )

    def _put(self, telling: Telling, words: str) -> None:
        """`words`: of its caption, without facts: the same caption with newer facts takes its place."""
        page = (telling.step, words)
        if self._page == page:
            self._told[-1] = telling
        else:
            self._told.append(telling)
            self._page = page
        self.telling = telling

    def _panel(self, number: int) -> str | None:
        """Where to look at a step; at the outcome, as at the last."""
        return self.scenario.steps[min(number, len(self.scenario.steps)) - 1].panel

    def _lanes(self) -> tuple[Lane, ...]:
        watch = self.swarm.watch(self.scenario.watch)
        return tuple(
            Lane(
                lane.label,
                int(parse_term(lane.fact).value(self.swarm, watch)),
                int(parse_term(lane.of).value(self.swarm, watch)),
            )
            for lane in self.scenario.lanes
        )

    # ── doing ───────────────────────────────────────────────────────────────────────────────────

    def _do(self, action: Action) -> None:
        swarm = self.swarm
        for name in action.nodes:
            match action:
                case Join():
                    addrs = [
                        addr for other in action.to if other != name for addr in swarm.members[other].addrs
                    ]
                    self._push(name, *(cmd.Join(addr, MARK) for addr in addrs))
                case Add():
                    self._push(name, cmd.Add(str(swarm.contents[action.content].path), MARK))
                case Get():
                    made = swarm.contents[action.content]
                    path = str(swarm.place_for(name, action.content))
                    self._push(name, cmd.Get(made.cids[0], path, action.content, made.size, (), MARK))
                case Want(every=0):
                    self._push(name, cmd.WantMany(swarm.contents[action.content].cids, MARK))
                case Want():
                    self._push_by_and_by(name, swarm.contents[action.content].cids, action.every)
                case OneByOne():
                    swarm.one_by_one(name, action.content)
                case Hold():
                    made = swarm.contents[action.content]
                    hold = cmd.Hold(made.cids[0], action.replicas, action.content, made.size, (), MARK)
                    self._push(name, hold)
                case Limit():
                    change = PolicyChange(upload_limit=parse_rate(action.rate))
                    self._push(name, cmd.Configure(change, MARK))
                case Kill():
                    swarm.kill(name)
                case Freeze():
                    swarm.freeze(name)
                case Thaw():
                    swarm.thaw(name)
                case Start():
                    swarm.start(name)
                case Leave():
                    self._push(name, cmd.Stop(MARK))
                case _:
                    assert_never(action)
        if isinstance(action, Start):
            self._until_up(action.nodes)

    def _push_by_and_by(self, name: str, cids: Sequence[Cid], every: float) -> None:
        """Wants one after the other. Never several at once, even when late: they would become one intent."""
        for cid in cids:
            self._push(name, cmd.Want(cid, MARK))
            self._pause(every)
            self._again()

    def _push(self, name: str, *commands: cmd.Command) -> None:
        try:
            self.swarm.push(name, *commands)
        except HomeError as error:
            raise NotSeenError(str(error)) from None
