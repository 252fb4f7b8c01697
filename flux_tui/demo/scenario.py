"""A scenario as data: its nodes, its content, and its steps in order.

It is read from TOML into frozen structures. All errors in a file are found when it is read, before any node
starts: unknown names, unknown facts, steps without a condition.
"""

import tomllib
from importlib import resources
from typing import Literal, TypeAlias, assert_never

import msgspec

from flux_tui.config import Settings, SettingsError, parse_rate, parse_size
from flux_tui.core.text.names import WHO_WIDTH
from flux_tui.demo.facts.fact_syntax import (
    BadFactError,
    Condition,
    contents_of,
    grown_in,
    nodes_of,
    parse_condition,
    parse_text,
)

READ_MIN, READ_PER_CHARACTER = 1.2, 0.035
"""The least seconds for a caption, and more per character: people read about 30 characters a second at ease."""


class ScenarioError(Exception):
    """Raised if a scenario cannot be played. The message says which file, and why."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base class of all parts of a scenario file."""


class Nodes(_Part, frozen=True, kw_only=True):
    """One node, or several equal nodes: `name = "h", count = 3` makes h1, h2, h3."""

    name: str
    count: int = 1
    settings: dict[str, object] = {}
    """Settings as in settings.toml of a home."""
    latency: float = 0.0
    """Seconds that each byte takes to this node, one way, for a peer that joins it through a relay (delay.py)."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of these nodes."""
        return (self.name,) if self.count == 1 else tuple(f"{self.name}{n + 1}" for n in range(self.count))


class Content(_Part, frozen=True, kw_only=True):
    """A file of random bytes, or, if `count` is above 0, a set of `count` separate chunks of `size` each.

    The content is made when the demo starts.
    """

    name: str
    size: str
    count: int = 0

    @property
    def bytes(self) -> int:
        """The size of the file, or of each chunk, in bytes."""
        return parse_size(self.size)


class Join(_Part, tag="join", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes connect to other nodes."""

    nodes: list[str]
    to: list[str]


class Add(_Part, tag="add", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes share a file, or a set of chunks."""

    nodes: list[str]
    content: str


class Get(_Part, tag="get", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes push a want for a file, which they know only by its root."""

    nodes: list[str]
    content: str


class Want(_Part, tag="want", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes push a want for every chunk of a set, all at once or one after the other."""

    nodes: list[str]
    content: str
    every: float = 0.0
    """Seconds between two wants. 0: all in one push."""


class OneByOne(_Part, tag="one_by_one", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes fetch a set of chunks in the blocking way, each chunk after the one before has come."""

    nodes: list[str]
    content: str


class Limit(_Part, tag="limit", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes limit their upload to `rate`, such as `2MB/s`, from now on. 0: no limit."""

    nodes: list[str]
    rate: str


class Kill(_Part, tag="kill", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes are killed with SIGKILL."""

    nodes: list[str]


class Freeze(_Part, tag="freeze", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes are stopped with SIGSTOP. The process stays, and does nothing."""

    nodes: list[str]


class Thaw(_Part, tag="thaw", tag_field="do", frozen=True, kw_only=True):
    """An action: frozen nodes continue (SIGCONT)."""

    nodes: list[str]


class Start(_Part, tag="start", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes start. A node that was killed starts again in its old home."""

    nodes: list[str]


class Leave(_Part, tag="leave", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes stop in order, with a last entry in the series."""

    nodes: list[str]


class Hold(_Part, tag="hold", tag_field="do", frozen=True, kw_only=True):
    """An action: nodes ask other nodes to keep replicas of a file."""

    nodes: list[str]
    content: str
    replicas: int


Action: TypeAlias = Join | Add | Get | Want | OneByOne | Limit | Kill | Freeze | Thaw | Start | Leave | Hold


Panel: TypeAlias = Literal["series", "pending", "noes", "retries", "peers", "throughput", "flow", "objects"]
"""The panels of the dashboard."""


class Look(_Part, frozen=True, kw_only=True):
    """The view that the screen shows together with a caption: a node, a panel, a selected line."""

    look: str | None = None
    """The node whose home the screen shows from now on."""
    panel: Panel | None = None
    """The panel that shows the subject of the caption."""
    select: str = ""
    """The line that is selected there: a content or a node."""
    about: str = ""
    """The content whose lanes Flow shows. Empty: all."""
    picture: bool = False
    """Whether Flow shows its picture, the node among its peers."""
    from_start: bool = False
    """Whether Flow shows all the time since the node started."""
    filter: str = ""
    """The filter of the panel, as a person types it."""


class Step(Look, frozen=True, kw_only=True):
    """A step of a scenario: it shows a caption, runs actions, and waits until conditions hold."""

    caption: str
    """The caption: what is about to happen.

    `{fact}` is replaced by its value in the series at that moment. Lines are not broken at U+00A0, as between
    the words of a command.
    """
    press: str = ""
    """The effect of the enter key, in words: the caption then waits for that key. Empty: it does not wait."""
    inspects: bool = False
    """Whether enter inspects the selected line. The story then goes on when that window is closed."""
    when: list[str] = []
    """Conditions that have to hold before the actions run, for a moment that shows what the caption says."""
    actions: list[Action] = []
    until: list[str] = []
    """Conditions that all have to hold at the same time; see facts/__init__.py for their notation."""
    within: float = 60.0
    """The most seconds without progress until they hold, on a machine that is not busy."""
    seen: str = ""
    """The caption after the conditions held: what was observed."""


class Lane(_Part, frozen=True, kw_only=True):
    """A progress bar under the captions: a label, and two facts: how much is done, and how much there is in all."""

    label: str
    fact: str
    of: str


class Scenario(_Part, frozen=True, kw_only=True):
    """A whole scenario, as its file describes it."""

    title: str
    about: str
    """One line for the menu and `--list`: what a person will see."""
    watch: str
    """The node whose home the screen shows."""
    nodes: list[Nodes]
    content: list[Content] = []
    lanes: list[Lane] = []
    steps: list[Step]
    outcome: list[str]
    """The conditions of the stated outcome, checked at the end."""
    stated: str
    """The outcome in words."""
    end: Look = Look(panel="objects")
    """What the screen shows with the outcome. Flow and Objects fill it."""
    lasts: str
    """How long the scenario takes to watch, in words."""
    later: list[str] = []
    """Nodes that do not start at the beginning."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all nodes."""
        return tuple(name for nodes in self.nodes for name in nodes.names)


def names() -> tuple[str, ...]:
    """Return the names of all scenarios, in the order in which a person should watch them."""
    found = [item.name[:-5] for item in _folder().iterdir() if item.name.endswith(".toml")]
    return tuple(name for name in ORDER if name in found) + tuple(sorted(set(found) - set(ORDER)))


ORDER = ("hello", "stuck", "storm", "race", "blackout", "roam", "hold", "ten-thousand")


def load(name: str) -> Scenario:
    """Load a scenario by its name. Raises ScenarioError."""
    if name not in names():
        raise ScenarioError(f"there is no scenario {name!r}: there are {', '.join(names())}")
    return parse(name, (_folder() / f"{name}.toml").read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Scenario:
    """Parse the text of a scenario file. `name` is used in errors. Raises ScenarioError."""
    try:
        found = msgspec.convert(tomllib.loads(text), Scenario)
        _check(found)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, BadFactError, SettingsError) as error:
        raise ScenarioError(f"the scenario {name}: {error}") from None
    return found


def conditions(texts: list[str]) -> list[Condition]:
    """Parse the conditions before or at the end of a step, as `you.connected = 3`. Raises BadFactError."""
    return [parse_condition(text) for text in texts]


def reading_time(text: str) -> float:
    """Return the seconds that a person needs to read a caption."""
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
        _check_step(step, names, contents)
    _check_look(scenario.end, names, contents)
    _check_text(scenario.stated, names, contents)
    if not scenario.outcome:
        raise BadFactError("no outcome is stated")
    _check_conditions(scenario.outcome, names)


def _check_step(step: Step, names: set[str], contents: set[str]) -> None:
    for text in (step.caption, step.press, step.seen):
        _check_text(text, names, contents)
    if grown_in(step.caption):
        raise BadFactError(f"nothing can have grown before {step.caption[:40]!r}")
    _check_conditions([*step.when, *step.until], names)
    if step.actions and not step.until:
        raise BadFactError(f"nothing has to be seen after {step.caption[:40]!r}")
    if step.inspects and not (step.press and step.select):
        raise BadFactError(f"no line is selected to inspect at {step.caption[:40]!r}")
    _check_look(step, names, contents)
    for action in step.actions:
        _check_action(action, names, contents)


def _check_text(text: str, names: set[str], contents: set[str]) -> None:
    facts = parse_text(text)
    _among(names, nodes_of(facts))
    _among(contents, contents_of(facts))


def _check_look(look: Look, names: set[str], contents: set[str]) -> None:
    if look.look is not None:
        _among(names, [look.look])
    if look.select:
        _among(names | contents, [look.select])
    if look.about:
        _among(contents, [look.about])
    if (look.about or look.picture or look.from_start) and look.panel != "flow":
        raise BadFactError("only Flow shows one content, or a picture, or all the time")


def _check_action(action: Action, names: set[str], contents: set[str]) -> None:
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
        case _:
            assert_never(action)


def _check_conditions(texts: list[str], names: set[str]) -> None:
    for condition in conditions(texts):
        _among(names, nodes_of(condition.facts))


def _among(names: set[str], used: list[str]) -> None:
    for name in used:
        if name not in names:
            raise BadFactError(f"{name!r} is not among {', '.join(sorted(names))}")


def _folder() -> "resources.abc.Traversable":
    return resources.files("flux_tui.demo") / "scenarios"
