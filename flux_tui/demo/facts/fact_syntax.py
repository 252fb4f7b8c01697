"""Parses the facts and conditions of a scenario file, and fills the values of facts into captions."""

import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from flux_tui.config import SettingsError, parse_size
from flux_tui.core.series.events import EVENT_KINDS, REASONS
from flux_tui.core.text.plain import Plain
from flux_tui.core.text.quantities import human_size
from flux_tui.demo.facts.fact_kinds import FACTS, TEXTS, About, Question, Style
from flux_tui.demo.facts.scene import Scene, Watch


class BadFactError(ValueError):
    """Raised if a fact or condition in a scenario file cannot be parsed."""


class Fact(NamedTuple):
    """A fact as a scenario file names it, such as `ada.sent`: the node, the fact's name, and its subject."""

    node: str | None
    name: str
    about: str

    def value(self, scene: Scene, watch: Watch) -> float:
        """Return the fact's value in the series now. `watch`: the node to use if the fact names no node."""
        if self.node is not None:
            watch = scene.watch(self.node)
        kind = FACTS[self.name]
        return float(kind.ask(Question(scene, watch, self.node, self.about)))

    def text(self, scene: Scene, watch: Watch) -> Plain:
        """Return a fact in words, as of now. `watch`: the node to use if the fact names no node."""
        if self.node is not None:
            watch = scene.watch(self.node)
        return TEXTS[self.name].ask(Question(scene, watch, self.node, self.about))


class Quotient(NamedTuple):
    """One fact divided by another. The result is 0 while the second fact is 0."""

    upper: Fact
    lower: Fact

    def value(self, scene: Scene, watch: Watch) -> float:
        """Return the quotient's value now. `watch`: the node to use if a fact names no node."""
        lower = self.lower.value(scene, watch)
        return self.upper.value(scene, watch) / lower if lower else 0.0


Term: TypeAlias = Fact | Quotient


_FACT = re.compile(r"(?:([a-z][a-z0-9-]*)\.)?([a-z_]+)(?::(.+))?")
_PLACE = re.compile(r"\{([^{}]+)\}")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Condition(NamedTuple):
    """A condition of a step, such as `pending = 0`: compares a fact with a number or with another fact."""

    text: str
    left: Term
    compare: Callable[[float, float], bool]
    right: Term | float
    grown: bool = False
    """Whether it compares how much the left side grew."""

    @property
    def facts(self) -> list[Fact]:
        """The facts that this condition compares."""
        return _facts_of(self.left) + ([] if isinstance(self.right, float) else _facts_of(self.right))

    def holds(self, scene: Scene, watch: Watch, before: float = 0.0) -> bool:
        """Whether the condition is true now.

        `before`: the left side's value when the step's actions began. Only a condition on growth (`grown`) uses it.
        """
        right = self.right if isinstance(self.right, float) else self.right.value(scene, watch)
        left = self.left.value(scene, watch)
        return self.compare(left - before if self.grown else left, right)

    def left_words(self, scene: Scene, watch: Watch) -> str:
        """Return the present value of the left side, written for people."""
        return words(self.left, self.left.value(scene, watch))


def nodes_of(facts: Sequence[Fact]) -> list[str]:
    """Return the names of the nodes that these facts mention."""
    about = [fact.about for fact in facts if _about(fact) == "node"]
    return [*(fact.node for fact in facts if fact.node), *about]


def contents_of(facts: Sequence[Fact]) -> list[str]:
    """Return the names of the content that these facts mention."""
    return [fact.about for fact in facts if _about(fact) == "content"]


def _about(fact: Fact) -> About:
    return TEXTS[fact.name].about if fact.name in TEXTS else FACTS[fact.name].about


def parse_fact(text: str, known: Collection[str] | None = None) -> Fact:
    """Parse a fact, such as `ada.sent`. Raises BadFactError.

    `known`: the fact names that are allowed here; None: all names in FACTS.
    """
    known = FACTS if known is None else known
    found = _FACT.fullmatch(text.strip())
    if found is None or found.group(2) not in known:
        raise BadFactError(f"{text!r} is no fact: there are {', '.join(known)}")
    fact = Fact(found.group(1), found.group(2), found.group(3) or "")
    match _about(fact):
        case "kind":
            _known(text, fact.about, EVENT_KINDS)
        case "kinds":
            for kind in fact.about.split(".."):
                _known(text, kind, EVENT_KINDS)
        case "reason":
            _known(text, fact.about, ("", *REASONS))
        case "content" | "node" as what:
            if not fact.about:
                raise BadFactError(f"{text!r} does not say of which {what}")
        case "nothing":
            _known(text, fact.about, ("",))
    return fact


def parse_term(text: str) -> Term:
    """Parse a fact, or two facts with ` / ` between them. Raises BadFactError."""
    upper, slash, lower = text.partition(" / ")
    return Quotient(parse_fact(upper), parse_fact(lower)) if slash else parse_fact(upper)


def parse_condition(text: str) -> Condition:
    """Parse a condition, such as `pending = 0`. Raises BadFactError."""
    found = re.fullmatch(r"(.+?) (\+?)(=|!=|<=?|>=?) (.+)", text.strip())
    if found is None:
        raise BadFactError(f"{text!r} is no condition: write FACT >= NUMBER")
    left, grown, sign, right = found.groups()
    return Condition(
        text, parse_term(left), _COMPARISONS[sign], _number(right) or parse_term(right), bool(grown)
    )


def parse_text(text: str) -> list[Fact]:
    """Return all facts that a caption contains in braces. Raises BadFactError."""
    return [fact for place in _PLACE.findall(text) for fact in _facts_of(_parse_place(place))]


def grown_in(text: str) -> list[str]:
    """Return the facts that a caption shows as growth, such as `sent` for `{+sent}`."""
    return [place[1:] for place in _PLACE.findall(text) if place.startswith("+")]


def _parse_place(place: str) -> Term:
    if place.startswith("+"):
        return parse_term(place[1:])
    return parse_term(place) if " / " in place else parse_fact(place, (*FACTS, *TEXTS))


def fill(text: str, scene: Scene, watch: Watch, before: Mapping[str, float] | None = None) -> str:
    """Replace each fact in braces in a caption by its value now.

    `before`: the values of the facts in `grown_in(text)` when the actions of the step began.
    """

    def say(place: re.Match[str]) -> str:
        written = place.group(1)
        term = _parse_place(written)
        if isinstance(term, Fact) and term.name in TEXTS:
            return term.text(scene, watch)
        was = (before or {}).get(written[1:], 0.0) if written.startswith("+") else 0.0
        return words(term, term.value(scene, watch) - was)

    return _PLACE.sub(say, text)


def words(term: Term, value: float) -> str:
    """Return the value of a fact or quotient, written for people with its unit."""
    style: Style = "ratio" if isinstance(term, Quotient) else FACTS[term.name].style
    match style:
        case "count":
            return f"{value:,.0f}"
        case "percent":
            return f"{value:.0%}"
        case "size":
            return human_size(value)
        case "seconds":
            if value < 0.1:
                return f"{value * 1000:.0f} ms"
            return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"
        case "port":
            return f"{value:.0f}"
        case "ratio":
            return f"{value:,.0f}" if value >= 10 else f"{value:.3f}"


def _facts_of(term: Term) -> list[Fact]:
    return [term.upper, term.lower] if isinstance(term, Quotient) else [term]


class _Number(float):
    """A float that counts as true even if it is 0, so that `or` does not skip it."""

    def __bool__(self) -> bool:
        return True


def _number(text: str) -> _Number | None:
    text = text.strip()
    try:
        if text.endswith("%"):
            return _Number(float(text[:-1]) / 100)
        return (
            _Number(float(text)) if text[:1].isdigit() and text[-1:].isdigit() else _Number(parse_size(text))
        )
    except (ValueError, SettingsError):
        return None


def _known(text: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise BadFactError(f"{text!r}: {word!r} is none of {', '.join(filter(None, known))}")
