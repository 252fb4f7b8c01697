"""Facts about a node, each read from its series, for captions and for conditions.

    noes                 a fact of the node that the scenario watches
    ada.sent             a fact of another node
    progress:film.mkv    a fact with its subject
    slow.span / fast.span                 one fact divided by another

    count:status_no >= 100                a condition: fact, comparison, number (or another fact)
    lapsed:bob +>= 1                      a condition on how much a fact grew since the step's actions began
    {+lapsed:bob}                         the same, in a caption
    {next:film.mkv}                       a fact in words: only for captions

In a caption, `{noes:busy}` becomes the number as a person reads it. A scenario never writes a number into a
caption that could be a fact. So a caption cannot report something that did not happen.
"""

import operator
import re
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

from flux_tui.config import SettingsError, parse_size
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import EVENT_KINDS, REASONS, ChunkReceived, ObjectCompleted, kind_of
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import ObjectState, PeerState, State
from flux_tui.core.series.why import why
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import human_seconds, human_size
from flux_tui.core.text.why import why_words
from flux_tui.demo.stages import Stages
from flux_tui.store.schema import StoreError
from flux_tui.store.series import SeriesReader

PAGE = 5_000
"""How many entries are read at a time."""

Style: TypeAlias = Literal["count", "percent", "size", "seconds", "ratio", "port"]


class BadFactError(ValueError):
    """A fact or condition cannot be parsed."""


class Made(NamedTuple):
    """Content that a scenario made."""

    path: Path
    cids: tuple[Cid, ...]
    """The chunks of a heap, or the root of a file."""
    size: int


class Scene(Protocol):
    """The nodes and the content of a scenario that is being played."""

    @property
    def contents(self) -> "dict[str, Made]":
        """The files that the scenario made, by name."""

    def watch(self, node: str) -> "Watch":
        """Return what is known of a node's series."""

    def alive(self, node: str) -> bool:
        """Return whether the process of a node runs."""

    def latency(self, node: str) -> float:
        """Return the one-way delay of a node's links, in seconds."""

    def port(self, node: str) -> int:
        """Return the TCP port at which a node listens. 0: at none."""

    @property
    def names(self) -> Mapping[PeerId, str]:
        """The names of the nodes, by peer id."""

    @property
    def everyone(self) -> tuple[str, ...]:
        """The names of all nodes."""


class Watch:
    """One node, seen through its series as the dashboard sees it.

    It is folded entry by entry, so that peaks are not missed.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._reader: SeriesReader | None = None
        self.state = State()
        self.counts: Counter[str] = Counter()
        self.first: dict[str, float] = {}
        """The time of the first entry of each kind."""
        self.last: dict[str, float] = {}
        self.received: Counter[Cid] = Counter()
        self.refetched = 0
        """How many chunks came again after they had been committed."""
        self.completed: dict[Cid, str | None] = {}
        self.stages = Stages()
        self.peak_pending = self.peak_pushed = self.peak_waiting = 0

    def poll(self) -> None:
        """Read new entries."""
        if self._reader is None:
            if not self._database.exists():
                return
            try:
                self._reader = SeriesReader.open(self._database)
            except StoreError:
                return  # the database is being made
        while page := self._reader.read(self.state.seq, PAGE):
            for entry in page:
                apply(self.state, entry)
                kind = kind_of(entry.event)
                self.counts[kind] += 1
                self.first.setdefault(kind, entry.at)
                self.last[kind] = entry.at
                match entry.event:
                    case ChunkReceived(cid=cid):
                        self.received[cid] += 1
                        self.refetched += self.received[cid] > 1
                    case ObjectCompleted(root=root, path=path):
                        self.completed[root] = path
                pending, pushed, queued = len(self.state.pending), self.state.pushed, self.state.queued
                self.stages.add(entry, len(self.state.leases), pushed)
                self.peak_pending = max(self.peak_pending, pending)
                self.peak_pushed = max(self.peak_pushed, pushed)
                self.peak_waiting = max(self.peak_waiting, queued)

    def close(self) -> None:
        """Close the series."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


class Fact(NamedTuple):
    """A fact as it was written."""

    node: str | None
    name: str
    about: str

    def value(self, scene: Scene, watch: Watch) -> float:
        """Return its value in the series now. `watch` is the watched node, used if the fact names no node."""
        if self.node is not None:
            watch = scene.watch(self.node)
        kind = FACTS[self.name]
        return float(kind.ask(Question(scene, watch, self.node, self.about)))

    def text(self, scene: Scene, watch: Watch) -> Plain:
        """Return a fact in words. `watch` is the watched node, used if the fact names no node."""
        if self.node is not None:
            watch = scene.watch(self.node)
        return TEXTS[self.name].ask(Question(scene, watch, self.node, self.about))


class Quotient(NamedTuple):
    """One fact divided by another; 0 while the other is 0."""

    upper: Fact
    lower: Fact

    def value(self, scene: Scene, watch: Watch) -> float:
        """Return its value in the series now, as `Fact.value` does."""
        lower = self.lower.value(scene, watch)
        return self.upper.value(scene, watch) / lower if lower else 0.0


Term: TypeAlias = Fact | Quotient


class Question(NamedTuple):
    """Everything that a fact is computed from."""

    scene: Scene
    watch: Watch
    node: str | None
    about: str

    @property
    def state(self) -> State:
        """The state of the node that is asked about."""
        return self.watch.state

    @property
    def made(self) -> Made:
        """The file that is asked about; an empty one, until it is made."""
        return self.scene.contents.get(self.about) or Made(Path(), (), 0)

    @property
    def root(self) -> Cid | None:
        """The root of a file, once a node has added it."""
        return self.made.cids[0] if self.made.cids else None

    @property
    def object(self) -> ObjectState | None:
        """The file as an object of that node; None: the node does not know it."""
        return self.state.objects.get(self.root) if self.root else None


class Kind(NamedTuple):
    """A kind of fact."""

    ask: Callable[[Question], float]
    style: Style = "count"
    about: "About" = "nothing"


class TextKind(NamedTuple):
    """A kind of fact in words."""

    ask: Callable[[Question], Plain]
    about: "About" = "nothing"


About: TypeAlias = Literal["nothing", "kind", "kinds", "reason", "content", "node"]
"""The subject that a fact has after its colon."""


def _span(question: Question) -> float:
    """Return the seconds from the first entry of one kind to the last entry of another, or of the same."""
    begin, _, end = question.about.partition("..")
    watch = question.watch
    if begin not in watch.first or (end or begin) not in watch.last:
        return 0.0
    return max(0.0, watch.last[end or begin] - watch.first[begin])


def _whole(question: Question) -> float:
    """Return 1 if the series says that the object is whole and its file equals the one that was made."""
    path = question.watch.completed.get(question.root) if question.root else None
    return float(path is not None and same_bytes(Path(path), question.made.path))


def _replicas(question: Question) -> float:
    """Return how many running nodes have the whole object, by their own series."""
    found = 0
    for name in question.scene.everyone:
        known = question.scene.watch(name).state.objects.get(question.root) if question.root else None
        whole = known is not None and (known.origin == "added" or known.completed_at is not None)
        found += whole and question.scene.alive(name)
    return found


def _peer(question: Question) -> PeerState:
    """Return another node as this one knows it."""
    peer = question.scene.watch(question.about).state.peer_id
    return (question.state.peers.get(peer) if peer else None) or PeerState(PeerId(""))


def _keepers(question: Question) -> float:
    """Return how many nodes told this one that they keep the whole object."""
    found = question.state.holds.get(question.root) if question.root else None
    return found.whole if found else 0


def _noes(question: Question) -> float:
    peers = question.state.peers.values()
    return sum(n for peer in peers for reason, n in peer.counts.items() if question.about in ("", reason))


def _owes(question: Question) -> float:
    peer = _peer(question).peer
    return sum(lease.peer == peer for lease in question.state.leases.values())


def _travel(question: Question) -> float:
    """Return the seconds that all waits of the node take at the least: there and back, to another node."""
    return question.watch.stages.waits * 2 * question.scene.latency(question.about)


class _SceneNames(StateNames):
    """Names peers as the scenario does."""

    def __init__(self, scene: Scene, state: State) -> None:
        super().__init__(state)
        self._scene = scene

    def peer(self, peer: PeerId) -> Plain:
        """Return the name of a node."""
        name = self._scene.names.get(peer)
        return super().peer(peer) if name is None else plain(name)


def _next(question: Question) -> Plain:
    """Return what comes next for a pending object: the sentence that the dashboard shows."""
    state, root = question.state, question.root
    if root is None or root not in state.pending:
        return plain("Nothing is pending.")
    now = time.time()
    told = why_words(why(state, root, now), _SceneNames(question.scene, state), now)
    return plain(" ".join(told.next))


def _refusals(question: Question) -> Plain:
    """Return who said NO, why, and when it is asked again: one peer for each reason, the most frequent one."""
    state, now = question.state, time.time()
    names = _SceneNames(question.scene, state)
    found = []
    for reason in REASONS:
        peers = [peer for peer in state.peers.values() if peer.counts.get(reason)]
        if not peers:
            continue
        # Of one whose wait runs, the time can be told.
        waiting = [peer for peer in peers if peer.reason == reason and (peer.until or 0.0) > now]
        peer = max(waiting or peers, key=lambda peer: peer.counts[reason])
        left = (peer.until or 0.0) - now
        if reason == "denied" and peer.denies:
            when = ", never again"
        elif waiting:
            when = f", again in {human_seconds(left)}"
        else:
            when = ""
        found.append(f"{names.peer(peer.peer)} {reason}{when}")
    return plain("; ".join(found[:MOST_REFUSALS]) or "nobody")


TEXTS: dict[str, TextKind] = {
    "next": TextKind(_next, "content"),
    "refusals": TextKind(_refusals),
}
"""All facts in words by name."""
MOST_REFUSALS = 3
"""Reasons that `refusals` names."""

FACTS: dict[str, Kind] = {
    "entries": Kind(lambda q: q.state.seq),
    "count": Kind(lambda q: q.watch.counts[q.about], about="kind"),
    "span": Kind(_span, "seconds", "kinds"),
    "running": Kind(lambda q: q.scene.alive(q.node) if q.node else q.state.running),
    "port": Kind(lambda q: q.scene.port(q.node) if q.node else 0, "port"),
    "latency": Kind(lambda q: q.scene.latency(q.node) if q.node else 0.0, "seconds"),
    "connected": Kind(lambda q: q.state.connected),
    "senders": Kind(lambda q: sum(1 for peer in q.state.peers.values() if peer.chunks_in)),
    "pending": Kind(lambda q: len(q.state.pending)),
    "pushed": Kind(lambda q: q.state.pushed),
    "waiting": Kind(lambda q: q.state.queued),
    "leases": Kind(lambda q: len(q.state.leases)),
    "granted": Kind(lambda q: _peer(q).granted, about="node"),
    "owes": Kind(_owes, about="node"),
    "asking": Kind(lambda q: q.watch.stages.seconds["asking"], "seconds"),
    "fetching": Kind(lambda q: q.watch.stages.seconds["fetching"], "seconds"),
    "between": Kind(lambda q: q.watch.stages.seconds["between"], "seconds"),
    "waits": Kind(lambda q: q.watch.stages.waits),
    "travel": Kind(_travel, "seconds", "node"),
    "sent_by": Kind(lambda q: _peer(q).chunks_in, about="node"),
    "lapsed": Kind(lambda q: _peer(q).lapsed, about="node"),
    "max_pending": Kind(lambda q: q.state.max_pending),
    "peak_pending": Kind(lambda q: q.watch.peak_pending),
    "peak_pushed": Kind(lambda q: q.watch.peak_pushed),
    "peak_waiting": Kind(lambda q: q.watch.peak_waiting),
    "noes": Kind(_noes, about="reason"),
    "refusers": Kind(lambda q: sum(1 for peer in q.state.peers.values() if peer.counts)),
    "chunks": Kind(lambda q: len(q.watch.received)),
    "refetched": Kind(lambda q: q.watch.refetched),
    "received": Kind(lambda q: q.state.received_bytes, "size"),
    "sent": Kind(lambda q: q.state.sent_bytes, "size"),
    "dup": Kind(lambda q: q.state.duplicate_factor, "ratio"),
    "size": Kind(lambda q: q.made.size, "size", "content"),
    "number": Kind(lambda q: len(q.made.cids), about="content"),
    "progress": Kind(lambda q: q.object.progress if q.object else 0.0, "percent", "content"),
    "have": Kind(lambda q: q.object.chunks_have if q.object else 0, about="content"),
    "total": Kind(lambda q: (q.object.chunks_total or 0) if q.object else 0, about="content"),
    "whole": Kind(_whole, about="content"),
    "keepers": Kind(_keepers, about="content"),
    "replicas": Kind(_replicas, about="content"),
}
"""All facts by name."""

_FACT = re.compile(r"(?:([a-z][a-z0-9-]*)\.)?([a-z_]+)(?::(.+))?")
_PLACE = re.compile(r"\{([^{}]+)\}")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class Condition(NamedTuple):
    """A comparison of two terms, or of a term and a number."""

    text: str
    left: Term
    compare: Callable[[float, float], bool]
    right: Term | float
    grown: bool = False
    """Whether it compares how much the left side grew."""

    @property
    def facts(self) -> list[Fact]:
        """The facts that it uses."""
        return _facts_of(self.left) + ([] if isinstance(self.right, float) else _facts_of(self.right))

    def holds(self, scene: Scene, watch: Watch, before: float = 0.0) -> bool:
        """Return whether it holds now. `before` is the left side when the actions of the step began."""
        right = self.right if isinstance(self.right, float) else self.right.value(scene, watch)
        left = self.left.value(scene, watch)
        return self.compare(left - before if self.grown else left, right)

    def left_words(self, scene: Scene, watch: Watch) -> str:
        """Return the value of its left side now, as a person reads it."""
        return words(self.left, self.left.value(scene, watch))


def nodes_of(facts: Sequence[Fact]) -> list[str]:
    """Return the nodes that facts name."""
    about = [fact.about for fact in facts if _about(fact) == "node"]
    return [*(fact.node for fact in facts if fact.node), *about]


def contents_of(facts: Sequence[Fact]) -> list[str]:
    """Return the content that facts name."""
    return [fact.about for fact in facts if _about(fact) == "content"]


def _about(fact: Fact) -> About:
    return TEXTS[fact.name].about if fact.name in TEXTS else FACTS[fact.name].about


def parse_fact(text: str, known: Collection[str] | None = None) -> Fact:
    """Parse the text. Raise BadFactError. `known`: the names of facts that are possible here; None: FACTS."""
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
    """Parse the text. Raise BadFactError."""
    upper, slash, lower = text.partition(" / ")
    return Quotient(parse_fact(upper), parse_fact(lower)) if slash else parse_fact(upper)


def parse_condition(text: str) -> Condition:
    """Parse the text. Raise BadFactError."""
    found = re.fullmatch(r"(.+?) (\+?)(=|!=|<=?|>=?) (.+)", text.strip())
    if found is None:
        raise BadFactError(f"{text!r} is no condition: write FACT >= NUMBER")
    left, grown, sign, right = found.groups()
    return Condition(
        text, parse_term(left), _COMPARISONS[sign], _number(right) or parse_term(right), bool(grown)
    )


def parse_text(text: str) -> list[Fact]:
    """Return the facts in a caption. Raise BadFactError."""
    return [fact for place in _PLACE.findall(text) for fact in _facts_of(_parse_place(place))]


def grown_in(text: str) -> list[str]:
    """Return the facts of a caption whose growth it shows, as they are written there."""
    return [place[1:] for place in _PLACE.findall(text) if place.startswith("+")]


def _parse_place(place: str) -> Term:
    if place.startswith("+"):
        return parse_term(place[1:])
    return parse_term(place) if " / " in place else parse_fact(place, (*FACTS, *TEXTS))


def fill(text: str, scene: Scene, watch: Watch, before: Mapping[str, float] | None = None) -> str:
    """Return a caption with the values of its facts now.

    `before` has the values of the facts in `grown_in(text)` when the actions of the step began.
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
    """Return the value of a fact, as a person reads it."""
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


def same_bytes(one: Path, other: Path) -> bool:
    """Return whether two files are the same, byte by byte."""
    try:
        with one.open("rb") as a, other.open("rb") as b:
            while True:
                left, right = a.read(1 << 20), b.read(1 << 20)
                if left != right:
                    return False
                if not left:
                    return True
    except OSError:
        return False


def _facts_of(term: Term) -> list[Fact]:
    return [term.upper, term.lower] if isinstance(term, Quotient) else [term]


class _Number(float):
    """A number that is true even if it is 0, for use with `or`."""

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
