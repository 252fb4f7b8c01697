"""Plays a scenario: shows a caption, runs the actions, and waits until the conditions were observed.

A step lasts until its caption can be read and its conditions hold. A caption that asks for a key waits for that
key, unless the player runs by itself (`auto`). `speed` shortens only the reading time, because the swarm is real.
The player has its own thread, and other threads read `state`. So `state` is replaced as a whole, never changed.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

from flux_tui.config import parse_rate
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.demo.facts.fact_syntax import Condition, fill, grown_in, parse_term
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
    Look,
    OneByOne,
    Scenario,
    Start,
    Step,
    Thaw,
    Want,
    conditions,
    reading_time,
)
from flux_tui.demo.swarm_control import Swarm
from flux_tui.home import HomeError

LOOK_SECONDS = 0.04
"""Seconds between two reads of the series."""
OUTCOME_SECONDS = 30.0
"""Seconds for the stated outcome to be seen, after the last step."""
START_SECONDS = 120.0
"""Seconds without any progress, after which a node that does not listen has failed."""
LONGEST_SECONDS = 900.0
"""The most seconds for the conditions of a step, with progress."""
MOST_NAMED = 4
"""Nodes that are named while they start."""
MARK = "demo"
"""The mark of the commands that the demo pushes."""


class NotSeenError(Exception):
    """Raised if a condition was not observed in time. The demo failed, and the message says at which step."""


class StoppedError(Exception):
    """Raised in the player's thread if it was stopped, because nobody watches any more."""


class Lane(NamedTuple):
    """A progress bar under the captions: its label, how much is done, and out of how many."""

    label: str
    done: int
    of: int


class StoryState(NamedTuple):
    """The progress of the demo: the caption, the view that the screen shows with it, and whether it waits for a key."""

    text: str
    step: int
    """The step, from 1. The outcome is the last."""
    steps: int
    node: str
    """The node whose home to show."""
    look: Look = Look()
    """The view of that node that the screen shows."""
    starting: str = ""
    """The content and nodes that are being made or started now, in words."""
    press: str = ""
    """The effect of the enter key at this caption, in words. Empty: the demo does not wait for that key."""
    inspects: bool = False
    """Whether enter inspects the selected line first."""
    lanes: tuple[Lane, ...] = ()
    seen: bool = False
    """Whether the conditions of this step were observed."""
    over: bool = False
    failed: bool = False


class ShownState(NamedTuple):
    """The state of the demo that is on the screen: the newest one, or that of an earlier caption."""

    state: StoryState
    paused: bool
    """Whether the demo stays at this caption until a key is pressed."""
    back: int
    """How many captions this one is before the newest."""


def busy() -> float:
    """Return how many times slower this machine is than an idle one: the load average per processor, at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def plain(text: str) -> str:
    """Return a caption with normal spaces in place of no-break spaces, for output without line breaks."""
    return text.replace("\u00a0", " ")


class Observed(NamedTuple):
    """A finished step: its caption, how long its conditions took, and the conditions."""

    text: str
    seconds: float
    conditions: tuple[str, ...]


class Player:
    """Plays one scenario once, on one swarm of nodes."""

    def __init__(
        self, scenario: Scenario, swarm: Swarm, *, speed: float = 1.0, read: bool = True, auto: bool = False
    ) -> None:
        self.scenario = scenario
        self.swarm = swarm
        self.speed = speed
        self.auto = auto or not read
        """Whether it goes on where it would wait for a key."""
        self._read = read
        """Whether each caption stays until a person can have read it."""
        self._told: list[StoryState] = []
        """The last state of each caption so far, the oldest first."""
        self._page = (0, "")
        """The newest caption: its step, and its text without facts."""
        self._at: int | None = None
        """The index of the state that is shown. None: the newest."""
        self._paused = False
        self._stayed = False
        """Whether the person paused the story while the swarm went on."""
        self._skip = threading.Event()
        self._pressed = threading.Event()
        self._before: dict[str, float] = {}
        """The values of facts when the actions of this step began, by the text of the fact."""
        self._stop = threading.Event()
        self._node = scenario.watch
        self._last = (1, "")
        self.state = StoryState(scenario.about, 1, len(scenario.steps) + 1, scenario.watch, scenario.steps[0])
        self.error: str | None = None

    # ── from other threads ──────────────────────────────────────────────────────────────────────

    def shown(self) -> ShownState:
        """Return what the screen has to show now."""
        at = self._at
        if at is not None:
            return ShownState(self._told[at], True, len(self._told) - 1 - at)
        return ShownState(self.state, self._paused, 0)

    def move(self, by: int) -> None:
        """Go back by one caption (`by` < 0), else forward. At the newest caption, forward skips the reading time."""
        newest = len(self._told) - 1
        if by < 0:
            at = max(0, (newest if self._at is None else self._at) - 1)
            self._at = at if at < newest else None
        elif self._at is not None:
            self._at = self._at + 1 if self._at + 1 < newest else None
        else:
            self._paused = False
            self._skip.set()
            self._pressed.set()

    def press(self) -> None:
        """Act on the enter key: do what the caption offers for it, and go to the newest caption."""
        self._at = None
        self._paused = False
        self._pressed.set()

    def toggle_pause(self) -> None:
        """Pause or resume the demo. If an earlier caption is shown, go to the newest one instead."""
        if self._at is not None:
            self._at = None
        else:
            self._paused = not self._paused

    def stop(self) -> None:
        """End the demo early, from another thread. The player notices at its next wait."""
        self._stop.set()

    # ── playing ─────────────────────────────────────────────────────────────────────────────────

    def play(self, on_step: Callable[[Observed], None] = lambda _: None) -> None:
        """Play all steps. Calls `on_step` after each. Raises NotSeenError if a condition was not observed in time."""
        first = [name for name in self.swarm.everyone if name not in self.scenario.later]
        # The watched node starts first: its series is on the screen.
        first.sort(key=lambda name: name != self.scenario.watch)
        try:
            for name in first:
                self.swarm.start(name)
            if made := [content.name for content in self.scenario.content]:
                self.state = self.state._replace(
                    starting=f"making {', '.join(made)}; starting {len(first)} nodes"
                )
            self.swarm.make()  # before a caption shows the size of the content
            for number, step in enumerate(self.scenario.steps, 1):
                on_step(self._step(number, step, first if number == 1 else ()))
            on_step(self._outcome())
        except NotSeenError as error:
            self.error = str(error)
            self._put(
                self.state._replace(text=str(error), press="", starting="", over=True, failed=True),
                str(error),
            )
            raise

    def _step(self, number: int, step: Step, starting: Sequence[str] = ()) -> Observed:
        """Play one step. `starting`: nodes that have to run before the step's actions."""
        self._node = step.look or self._node
        self._skip.clear()
        self._pressed.clear()
        self._before = {}
        began = time.monotonic()
        self._say(number, step.caption)
        if starting:
            # The nodes start while the caption is read. The actions run as soon as the nodes are up.
            self._until_up(starting)
        if step.press and not self.auto:
            self._wait_for_press(number, step)
        elif not starting or step.press:
            self._show_until_read(number, step.caption, began)
        watch = self.swarm.watch(self.scenario.watch)
        self._wait_for_conditions(number, step.caption, conditions(step.when), step.within, None)
        acted = time.monotonic()
        wanted = conditions(step.until)
        self.swarm.poll()
        self._before = {text: parse_term(text).value(self.swarm, watch) for text in grown_in(step.seen)}
        before = [condition.left.value(self.swarm, watch) for condition in wanted]
        for action in step.actions:
            self._do(action)
        self._wait_for_conditions(number, step.caption, wanted, step.within, before)
        seconds = time.monotonic() - acted
        if starting and not step.press:
            self._show_until_read(number, step.caption, began)
        said = step.seen or step.caption
        if step.seen:
            self._skip.clear()
            self._show_until_read(number, step.seen, time.monotonic(), seen=True)
        while self._paused or self._at is not None:
            self._stayed = True
            self._wait()
            self._say(number, said, seen=True)
        return Observed(plain(self._fill(said)), seconds, tuple(step.until))

    def _wait_for_press(self, number: int, step: Step) -> None:
        """Wait until a person presses the key that the caption asks for. The key counts during the reading time too."""
        while not self._pressed.is_set():
            self._say(number, step.caption, press=step.press, inspects=step.inspects)
            self._wait()
        self._say(number, step.caption)

    def _outcome(self) -> Observed:
        number = len(self.scenario.steps) + 1
        began = time.monotonic()
        last = self.scenario.steps[-1]
        wanted = conditions(self.scenario.outcome)
        self._wait_for_conditions(number - 1, last.seen or last.caption, wanted, OUTCOME_SECONDS, None)
        self._node = self.scenario.end.look or self._node
        self._before = {}
        self._say(number, self.scenario.stated, seen=True, over=True)
        self._paused = False
        return Observed(plain(self.state.text), time.monotonic() - began, tuple(self.scenario.outcome))

    def _show_until_read(self, number: int, text: str, since: float, *, seen: bool = False) -> None:
        """Show a caption until a person has had time to read it, counted from `since`, or has skipped it.

        `seen`: the step's conditions were observed already.
        """
        until = since + (reading_time(self._fill(text)) / self.speed if self._read else 0.0)
        while True:
            self._say(number, text, seen=seen)
            if time.monotonic() >= until or self._skip.is_set():
                return
            self._wait()

    def _wait_for_conditions(
        self,
        number: int,
        text: str,
        wanted: list[Condition],
        within: float,
        before: Sequence[float] | None,
    ) -> None:
        """Show a caption until all `wanted` conditions hold. Raises NotSeenError if they do not hold in time.

        `within`: seconds without any progress after which this fails, longer on a busy machine; LONGEST_SECONDS in all.
        `before`: the value of each condition's left side when the step's actions began; None: 0 for all.
        """
        before = before or [0.0] * len(wanted)
        began = moved = time.monotonic()
        watch = self.swarm.watch(self.scenario.watch)
        found: list[float] = []
        while True:
            missing = [
                condition
                for condition, was in zip(wanted, before, strict=True)
                if not condition.holds(self.swarm, watch, was)
            ]
            if not missing:
                return
            now = time.monotonic()
            values = [condition.left.value(self.swarm, watch) for condition in missing]
            if values != found:
                found, moved = values, now
            if now - moved > within * busy() or now - began > LONGEST_SECONDS:
                left = missing[0].left_words(self.swarm, watch)
                sentence = f"not seen within {now - began:.0f} s: {missing[0].text} (it is {left})"
                if self._stayed:
                    sentence += ". The story was paused, and the swarm did not wait for it: begin again"
                raise NotSeenError(sentence)
            self._say(number, text)
            self._wait()

    def _until_up(self, names: Sequence[str]) -> None:
        """Wait until these nodes listen and accept commands. Any progress of any node extends the deadline.

        Raises NotSeenError if no node makes progress for START_SECONDS.
        """
        seen, since = -1, time.monotonic()
        while True:
            missing = [name for name in names if not self._is_up(name)]
            if not missing:
                return
            progress = self.swarm.reports + self.swarm.entries
            if progress != seen:
                seen, since = progress, time.monotonic()
            if time.monotonic() - since > START_SECONDS:
                raise NotSeenError(f"the node {missing[0]} did not start within {START_SECONDS:g} s")
            self._show_again()
            self._wait()

    def _until_gone(self, name: str) -> None:
        """Wait until a killed node's process has ended. Raises NotSeenError if it still runs after START_SECONDS."""
        began = time.monotonic()
        while self.swarm.alive(name):
            if time.monotonic() - began > START_SECONDS:
                raise NotSeenError(f"the node {name} still runs, {START_SECONDS:g} s after it was killed")
            self._wait()

    def _is_up(self, name: str) -> bool:
        member = self.swarm.members[name]
        return bool(member.addrs) and member.home.listening()

    def _wait(self, seconds: float = LOOK_SECONDS) -> None:
        if self._stop.wait(seconds):
            raise StoppedError
        if (trouble := self.swarm.trouble) is not None:
            raise NotSeenError(trouble)
        self.swarm.poll(first=self.scenario.watch)

    # ── saying ──────────────────────────────────────────────────────────────────────────────────

    def _fill(self, text: str) -> str:
        return fill(text, self.swarm, self.swarm.watch(self.scenario.watch), self._before)

    def _show_again(self) -> None:
        """Show the last caption again, with the present values of its facts."""
        self._say(*self._last)

    def _say(
        self,
        number: int,
        text: str,
        *,
        seen: bool = False,
        over: bool = False,
        press: str = "",
        inspects: bool = False,
    ) -> None:
        self._last = (number, text)
        state = StoryState(
            self._fill(text), number, len(self.scenario.steps) + 1, self._node, self._look(number), self._starting(),
            self._fill(press), inspects, self._lanes(), seen, over,
        )  # fmt: skip
        self._put(state, text)

    def _starting(self) -> str:
        """Return the names of the nodes that are starting, in words; an empty text if there are none."""
        starting = self.swarm.starting
        if not starting:
            return ""
        named = ", ".join(starting[:MOST_NAMED]) + (" …" if len(starting) > MOST_NAMED else "")
        return f"starting: {named}"

    def _put(self, state: StoryState, words: str) -> None:
        """Show a state. `words`: its caption before facts were filled in.

        If only the values of facts changed, the new state replaces the last one in the list of captions.
        """
        page = (state.step, words)
        if self._page == page:
            self._told[-1] = state
        else:
            self._told.append(state)
            self._page = page
        self.state = state

    def _look(self, number: int) -> Look:
        steps = self.scenario.steps
        return steps[number - 1] if number <= len(steps) else self.scenario.end

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

    def _do(self, action: Action) -> None:  # noqa: C901 - a flat match: one line a case
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
                    self._until_gone(name)
                    swarm.start(name)
                case Leave():
                    self._push(name, cmd.Stop(MARK))
                case _:
                    assert_never(action)
        if isinstance(action, Start):
            self._until_up(action.nodes)

    def _push_by_and_by(self, name: str, cids: Sequence[Cid], every: float) -> None:
        """Push one want for each chunk, with `every` seconds between two wants.

        The wants are never pushed together, even when late: several at once would become one intent.
        """
        for cid in cids:
            self._push(name, cmd.Want(cid, MARK))
            self._wait(every)
            self._show_again()

    def _push(self, name: str, *commands: cmd.Command) -> None:
        """Push commands into a node, until it takes them. If it takes them twice, the result is the same as once.

        Raises NotSeenError if the node has ended, or does not take them within START_SECONDS.
        """
        began = time.monotonic()
        while True:
            try:
                self.swarm.push(name, *commands)
            except HomeError as error:
                if time.monotonic() - began > START_SECONDS or not self.swarm.alive(name):
                    raise NotSeenError(str(error)) from None
                self._wait()
            else:
                return
