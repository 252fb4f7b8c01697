"""All kinds of facts about a node: numbers, and words for captions. Each is computed from the node's series."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.state import ObjectState, PeerState, State
from flux_tui.core.series.want_explanation import why
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import human_seconds
from flux_tui.core.text.why import why_words
from flux_tui.demo.facts.scene import Made, Scene, Watch

Style: TypeAlias = Literal["count", "percent", "size", "seconds", "ratio", "port"]
"""How a number is written."""


class Question(NamedTuple):
    """One question about a node: the data from which a fact is computed."""

    scene: Scene
    watch: Watch
    node: str | None
    about: str

    @property
    def state(self) -> State:
        """The state of the node that the question is about."""
        return self.watch.state

    @property
    def made(self) -> Made:
        """The content that the question names. Until the demo has made it: a Made without chunks."""
        return self.scene.contents.get(self.about) or Made(Path(), (), 0)

    @property
    def root(self) -> Cid | None:
        """The root of the named content; None until a node has added it."""
        return self.made.cids[0] if self.made.cids else None

    @property
    def object(self) -> ObjectState | None:
        """The named content as an object of this node; None: the node does not know it."""
        return self.state.objects.get(self.root) if self.root else None


class Kind(NamedTuple):
    """A kind of fact with a number as its value: how it is computed, written, and what it is about."""

    ask: Callable[[Question], float]
    style: Style = "count"
    about: "About" = "nothing"


class TextKind(NamedTuple):
    """A kind of fact with words as its value: how it is computed, and what it is about."""

    ask: Callable[[Question], Plain]
    about: "About" = "nothing"


About: TypeAlias = Literal["nothing", "kind", "kinds", "reason", "content", "node"]
"""The subject that a fact has after its colon."""


def _span(question: Question) -> float:
    """Return the seconds from the first entry of one kind to the last entry of the same or another kind.

    The fact names the kinds, as `KIND` or `KIND..KIND`. 0 if there is no such entry yet.
    """
    begin, _, end = question.about.partition("..")
    watch = question.watch
    if begin not in watch.first or (end or begin) not in watch.last:
        return 0.0
    return max(0.0, watch.last[end or begin] - watch.first[begin])


def _whole(question: Question) -> float:
    """Return 1 if the node has the complete file, equal to the file that the demo made; else 0."""
    path = question.watch.completed.get(question.root) if question.root else None
    return float(path is not None and same_bytes(Path(path), question.made.path))


def _replicas(question: Question) -> float:
    """Return how many running nodes have the named content complete, by their own series."""
    found = 0
    for name in question.scene.everyone:
        known = question.scene.watch(name).state.objects.get(question.root) if question.root else None
        whole = known is not None and (known.origin == "added" or known.completed_at is not None)
        found += whole and question.scene.alive(name)
    return found


def _peer(question: Question) -> PeerState:
    """Return what this node knows about the other node that the fact names; an empty state if it knows nothing."""
    peer = question.scene.watch(question.about).state.peer_id
    return (question.state.peers.get(peer) if peer else None) or PeerState(PeerId(""))


def _keepers(question: Question) -> float:
    """Return how many nodes told this node that they keep a complete replica of the named content."""
    found = question.state.holds.get(question.root) if question.root else None
    return found.whole if found else 0


def _noes(question: Question) -> float:
    peers = question.state.peers.values()
    return sum(n for peer in peers for reason, n in peer.counts.items() if question.about in ("", reason))


def _owes(question: Question) -> float:
    peer = _peer(question).peer
    return sum(lease.peer == peer for lease in question.state.leases.values())


def _travel(question: Question) -> float:
    """Return the time in seconds that distance alone costs this node's download.

    This is one round trip to the node that the fact names, for each time that the download had to wait.
    """
    return question.watch.stages.waits * 2 * question.scene.latency(question.about)


class _SceneNames(StateNames):
    """Names peers as the scenario file names its nodes."""

    def __init__(self, scene: Scene, state: State) -> None:
        super().__init__(state)
        self._scene = scene

    def peer(self, peer: PeerId) -> Plain:
        """Return the name of a node in the scenario; for other peers, the short form of the id."""
        name = self._scene.names.get(peer)
        return super().peer(peer) if name is None else plain(name)


def _next(question: Question) -> Plain:
    """Return what this node does next for the named content, in the sentences that the dashboard shows.

    "Nothing is pending." if the node does not want the content, or has all of it.
    """
    state, root = question.state, question.root
    if root is None or root not in state.pending:
        return plain("Nothing is pending.")
    now = time.time()
    told = why_words(why(state, root, now), _SceneNames(question.scene, state), now)
    return plain(" ".join(told.next))


def _stands(peer: PeerState, now: float) -> bool:
    """Whether the last NO of a peer holds now: its time is not over, or the peer denies this node for good."""
    return peer.reason is not None and (_for_good(peer) or (peer.until or 0.0) - now >= SHOWN_SECONDS)


def _for_good(peer: PeerState) -> bool:
    return peer.reason == "denied" and peer.denies


def _refusing(question: Question) -> float:
    """Return how many peers refuse this node now, by a NO that holds."""
    now = time.time()
    return sum(_stands(peer, now) for peer in question.state.peers.values())


def _refusals(question: Question) -> Plain:
    """Return in words who refuses this node, by the last answer of each peer.

    For each reason of a NO, at most MOST_REFUSALS: one peer that gave it, and whether or when that peer may be
    asked again. A peer that has said yes since is not named. `nobody` if no last answer is a NO.
    """
    state, now = question.state, time.time()
    names = _SceneNames(question.scene, state)
    chosen: dict[Reason, PeerState] = {}
    for peer in state.peers.values():
        if (reason := peer.reason) is not None:
            other = chosen.get(reason, peer)
            if (_stands(peer, now), peer.counts.get(reason, 0)) >= (
                _stands(other, now),
                other.counts.get(reason, 0),
            ):
                chosen[reason] = peer
    # NOs that hold come first. `not_held` comes last: a peer without the object refuses nothing.
    order = sorted(
        chosen, key=lambda reason: (reason == "not_held", not _stands(chosen[reason], now), reason)
    )
    found = [f"{names.peer(chosen[reason].peer)} {reason}{_when(chosen[reason], now)}" for reason in order]
    return plain("; ".join(found[:MOST_REFUSALS]) or "nobody")


def _when(peer: PeerState, now: float) -> str:
    """Return in words when a peer is asked again after its last NO; empty if that is not known."""
    if _for_good(peer):
        return ", never again"
    if _stands(peer, now):
        return f", again in {human_seconds((peer.until or 0.0) - now)}"
    return "" if peer.until is None else ", may be asked now"


TEXTS: dict[str, TextKind] = {
    "next": TextKind(_next, "content"),
    "refusals": TextKind(_refusals),
}
"""All facts in words by name."""
SHOWN_SECONDS = 0.05
"""A shorter wait would be shown as 0.0 s."""
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
    "refusing": Kind(_refusing),
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


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files have the same content, byte by byte."""
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
