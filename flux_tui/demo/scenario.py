"""A scenario as data: who takes part, what there is to share, and what happens in which order.

Read from TOML into frozen structures. Everything that can be wrong with a file is found when it is read,
before any node is started: names that nobody has, facts that do not exist, steps without a condition.
"""

import tomllib
from importlib import resources
from typing import Literal, TypeAlias

import msgspec

from flux_tui.config import Settings, SettingsError, parse_rate, parse_size
from flux_tui.core.text.describe import WHO_WIDTH
from flux_tui.demo.facts import BadFactError, Condition, nodes_of, parse_condition, parse_text

READ_MIN, READ_PER_CHARACTER = 1.2, 0.035
"""Seconds that a caption stands at least: a person reads some 30 characters a second when at ease."""


class ScenarioError(Exception):
    """A scenario that cannot be played: which file, and what is wrong with it."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what a scenario is made of."""


class Nodes(_Part, frozen=True, kw_only=True):
    """One node, or several alike: `name = "h", count = 3` makes h1, h2, h3."""

    name: str
    count: int = 1
    settings: dict[str, object] = {}
    """As in a home's settings.toml."""
    latency: float = 0.0
    """Seconds that each byte takes to this node, one way, for whoever joins it: by a relay (delay.py)."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes, one by one."""
        return (self.name,) if self.count == 1 else tuple(f"{self.name}{n + 1}" for n in range(self.count))


class Content(_Part, frozen=True, kw_only=True):
    """A file of random bytes, or a heap of loose chunks (`count` of `size`), made when the demo starts."""

    name: str
    size: str
    count: int = 0

    @property
    def bytes(self) -> int:
        """Of the file, or of each chunk."""
        return parse_size(self.size)


class Join(_Part, tag="join", tag_field="do", frozen=True, kw_only=True):
    """Nodes connect to others."""

    nodes: list[str]
    to: list[str]


class Add(_Part, tag="add", tag_field="do", frozen=True, kw_only=True):
    """Nodes share a file or heap."""

    nodes: list[str]
    content: str


class Get(_Part, tag="get", tag_field="do", frozen=True, kw_only=True):
    """Nodes push an intent for a file, by its root alone."""

    nodes: list[str]
    content: str


class Want(_Part, tag="want", tag_field="do", frozen=True, kw_only=True):
    """Nodes push an intent for every chunk of a heap, all at once; or one after the other."""

    nodes: list[str]
    content: str
    every: float = 0.0
    """Seconds between two; 0: all in one push."""


class OneByOne(_Part, tag="one_by_one", tag_field="do", frozen=True, kw_only=True):
    """Nodes fetch a heap the blocking way: want one, wait until it is there, then the next."""

    nodes: list[str]
    content: str


class Limit(_Part, tag="limit", tag_field="do", frozen=True, kw_only=True):
    """Nodes let others have so many bytes a second from now on; 0: as many as there are."""

    nodes: list[str]
    rate: str


class Kill(_Part, tag="kill", tag_field="do", frozen=True, kw_only=True):
    """kill -9."""

    nodes: list[str]


class Freeze(_Part, tag="freeze", tag_field="do", frozen=True, kw_only=True):
    """SIGSTOP: the process is there, and does nothing."""

    nodes: list[str]


class Thaw(_Part, tag="thaw", tag_field="do", frozen=True, kw_only=True):
    """SIGCONT."""

    nodes: list[str]


class Start(_Part, tag="start", tag_field="do", frozen=True, kw_only=True):
    """Start nodes that were killed, on the homes that they left; or that were kept for later."""

    nodes: list[str]


class Leave(_Part, tag="leave", tag_field="do", frozen=True, kw_only=True):
    """Nodes stop in order."""

    nodes: list[str]


class Hold(_Part, tag="hold", tag_field="do", frozen=True, kw_only=True):
    """Nodes push an intent that others keep replicas of a file."""

    nodes: list[str]
    content: str
    replicas: int


Action: TypeAlias = Join | Add | Get | Want | OneByOne | Limit | Kill | Freeze | Thaw | Start | Leave | Hold


Panel: TypeAlias = Literal["series", "pending", "noes", "retries", "peers", "throughput"]
"""The dashboard's panels."""


class Step(_Part, frozen=True, kw_only=True):
    """Something is said, something is done, something is seen."""

    caption: str
    """What is about to happen. `{fact}` is replaced by what the series says at that moment; lines are not broken at
    U+00A0, as between the words of a command.
    """
    actions: list[Action] = []
    until: list[str] = []
    """Conditions, all of which have to hold at the same time; see facts.py."""
    within: float = 20.0
    """Seconds for that, on a busy machine."""
    seen: str = ""
    """What was observed."""
    look: str | None = None
    """Whose home the screen shows from here on."""
    panel: Panel | None = None
    """Where what is told can be seen."""


class Lane(_Part, frozen=True, kw_only=True):
    """A bar under the captions."""

    label: str
    fact: str
    of: str


class Scenario(_Part, frozen=True, kw_only=True):
    """All of a file."""

    title: str
    about: str
    """One line for `--list`."""
    watch: str
    """The node whose home the screen shows."""
    nodes: list[Nodes]
    content: list[Content] = []
    lanes: list[Lane] = []
    steps: list[Step]
    outcome: list[str]
    """Conditions of the stated outcome, checked at the end."""
    stated: str
    """The outcome in words."""
    later: list[str] = []
    """Nodes that are not started at the beginning."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of all nodes."""
        return tuple(name for nodes in self.nodes for name in nodes.names)


def names() -> tuple[str, ...]:
    """The scenarios that there are, in the order in which to see them."""
    found = [item.name[:-5] for item in _folder().iterdir() if item.name.endswith(".toml")]
    return tuple(name for name in ORDER if name in found) + tuple(sorted(set(found) - set(ORDER)))


ORDER = ("hello", "storm", "blackout", "race", "ten-thousand", "hold")


def load(name: str) -> Scenario:
    """A scenario by its name. Raises ScenarioError."""
    if name not in names():
        raise ScenarioError(f"there is no scenario {name!r}: there are {', '.join(names())}")
    return parse(name, (_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Scenario:
    """A scenario from its text. Raises ScenarioError."""
    try:
        found = msgspec.convert(tomllib.loads(text), Scenario)
        _check(found)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, BadFactError, SettingsError) as error:
        raise ScenarioError(f"the scenario {name}: {error}") from None
    return found


def conditions(texts: list[str]) -> list[Condition]:
    """Conditions, ready to be asked."""
    return [parse_condition(text) for text in texts]


def reading_time(text: str) -> float:
    """Seconds for a caption to be read."""
    return READ_MIN + READ_PER_CHARACTER * len(text)


def _check(scenario: Scenario) -> None:
    names = set(scenario.names)
    if len(names) != len(scenario.names):
        raise BadFactError("two nodes have the same name")
    for name in names:
        if len(name) > WHO_WIDTH:
            raise BadFactError(f"the name {name!r} is longer than the {WHO_WIDTH} columns that panels have")
    contents = {content.name for content in scenario.content}
    for nodes in scenario.nodes:
        Settings().merged(nodes.settings, f"node {nodes.name}")
    for content in scenario.content:
        if not content.bytes > 0:
            raise BadFactError(f"{content.name} has no size")
    _among(names, [scenario.watch, *scenario.later])
    for step in scenario.steps:
        for text in (step.caption, step.seen):
            _among(names, nodes_of(parse_text(text)))
        _check_conditions(step.until, names)
        if step.actions and not step.until:
            raise BadFactError(f"nothing has to be seen after {step.caption[:40]!r}")
        if step.look is not None:
            _among(names, [step.look])
        for action in step.actions:
            _among(names, action.nodes)
            match action:
                case Join():
                    _among(names, action.to)
                case Add() | Get() | Want() | OneByOne() | Hold():
                    _among(contents, [action.content])
                case Limit():
                    parse_rate(action.rate)
                case Kill() | Freeze() | Thaw() | Start() | Leave():
                    pass
    if not scenario.outcome:
        raise BadFactError("no outcome is stated")
    _check_conditions(scenario.outcome, names)


def _check_conditions(texts: list[str], names: set[str]) -> None:
    for condition in conditions(texts):
        _among(names, nodes_of(condition.facts))


def _among(names: set[str], used: list[str]) -> None:
    for name in used:
        if name not in names:
            raise BadFactError(f"{name!r} is not among {', '.join(sorted(names))}")


def _folder() -> "resources.abc.Traversable":
    return resources.files("flux_tui.demo") / "scenarios"
