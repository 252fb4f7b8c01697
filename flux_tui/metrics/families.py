"""The metrics of a state, as plain data. Pure.

Everything is read from the state that follows from the series, so a home that nobody runs has the same metrics. A
scrape costs as much as the state is large, whatever the series is. Counters come from `State.totals` and other fields
that only grow. What is counted for each peer goes when the peer is forgotten, so these are gauges: the PEERS busiest
peers have a sample each, and all others together have one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

from flux_tui.core.series.state import PeerState, State
from flux_tui.core.vocabulary import REASONS, WASTES, LapseCause, Way

PEERS = 10
"""Peers that have samples of their own."""
OTHERS = "others"
"""The label of all other peers together."""

FamilyKind: TypeAlias = Literal["counter", "gauge", "info"]
WAYS: tuple[Way, ...] = get_args(Way)
LAPSES: tuple[LapseCause, ...] = get_args(LapseCause)


class Sample(NamedTuple):
    """One number of a family, and the values of the family's labels."""

    labels: tuple[str, ...]
    value: float


class Family(NamedTuple):
    """One metric with all its samples."""

    kind: FamilyKind
    """counter: it only grows (its samples end in `_total`); gauge: any number; info: facts, as labels of a 1."""
    name: str
    """The name, with its unit at the end, without `_total` or `_info`."""
    meaning: str
    labels: tuple[str, ...]
    samples: tuple[Sample, ...]


def gauge(name: str, meaning: str, value: float) -> Family:
    """Return a gauge with one sample."""
    return Family("gauge", f"flux_tui_{name}", meaning, (), (Sample((), value),))


def counter(name: str, meaning: str, value: float) -> Family:
    """Return a counter with one sample."""
    return Family("counter", f"flux_tui_{name}", meaning, (), (Sample((), value),))


def _by(kind: FamilyKind, name: str, meaning: str, label: str, values: Mapping[str, float]) -> Family:
    samples = tuple(Sample((key,), value) for key, value in values.items())
    return Family(kind, f"flux_tui_{name}", meaning, (label,), samples)


def state_families(state: State, now: float, *, running: bool) -> list[Family]:
    """Return the metrics of a state.

    `now`: seconds since 1970 by the clock that the entries' times are of. `running`: whether the node runs; a killed
    node could not write that it ended.
    """
    facts = (state.version, state.peer_id or "")
    return [
        Family("info", "flux_tui_node", "The node.", ("version", "peer_id"), (Sample(facts, 1.0),)),
        gauge("up", "Whether the node runs.", float(running)),
        gauge("started_timestamp_seconds", "When the node started last.", state.started_at or 0.0),
        *_traffic(state),
        *_answers(state),
        *_wants(state, now),
        *_peers(state, running=running),
        *_objects(state),
        counter("entries", "Entries of the series.", state.seq),
        gauge("last_entry_age_seconds", "Time since the last entry of the series.", max(0.0, now - state.at)),
        counter("errors", "Errors of this node that stand in its series.", state.errors),
    ]


def _traffic(state: State) -> Iterator[Family]:
    totals = state.totals
    yield counter("received_bytes", "Bytes of chunks that came, useful or not.", state.received_bytes)
    yield counter("unique_bytes", "Bytes of chunks that came and were of use.", state.unique_bytes)
    yield _by("counter", "wasted_bytes", "Bytes of chunks that came and were of no use, by cause.", "cause",
              {cause: state.wasted_bytes.get(cause, 0) for cause in WASTES})  # fmt: skip
    yield counter("sent_bytes", "Bytes of chunks that were sent.", state.sent_bytes)
    yield gauge(
        "duplicate_factor", "Received bytes divided by unique bytes; 1 is perfect.", state.duplicate_factor
    )
    yield counter("received_chunks", "Chunks that came and were of use.", totals.chunks_in)
    yield counter("wasted_chunks", "Chunks that came and were of no use.", totals.chunks_wasted)
    yield counter("sent_chunks", "Chunks that were sent.", totals.chunks_out)


def _answers(state: State) -> Iterator[Family]:
    totals = state.totals
    noes = tuple(
        Sample((direction, reason), counts.get(reason, 0))
        for direction, counts in (("in", totals.noes_in), ("out", totals.noes_out))
        for reason in REASONS
    )
    meaning = "NOs that peers gave to this node (in) and that it gave to them (out), by reason."
    yield Family("counter", "flux_tui_noes", meaning, ("direction", "reason"), noes)
    yield _by("counter", "yes", "Wants that were answered with yes, by a peer (in) or this node (out).",
              "direction", {"in": totals.yes_in, "out": totals.yes_out})  # fmt: skip
    yield counter("pushes", "Intents with wants that this node pushed.", totals.pushes)
    yield counter("retries", "Pushed intents that wanted something again.", totals.retries)
    yield counter("granted_chunks", "Chunks that a holder was told to send.", totals.granted)
    yield _by("counter", "lapsed_chunks", "Granted chunks that did not come, by cause.", "cause",
              {cause: totals.lapsed.get(cause, 0) for cause in LAPSES})  # fmt: skip


def _wants(state: State, now: float) -> Iterator[Family]:
    places = {"in_network": state.pushed, "dormant": state.dormant, "queued": state.queued}
    yield _by(
        "gauge",
        "pending",
        "Wants that are not whole: in the network, without a place, or queued for one.",
        "place",
        places,
    )
    due = [pending.next_push_at for pending in state.pending.values() if pending.next_push_at is not None]
    yield gauge("waiting_retries", "Wants that are pushed again at a time that is known.", len(due))
    yield gauge("next_retry_seconds", "Time until the next of them; 0: now, or none.",
                max(0.0, min(due) - now) if due else 0.0)  # fmt: skip
    yield gauge("stuck", "Wants that an error of this node stops.",
                sum(1 for pending in state.pending.values() if pending.trouble is not None))  # fmt: skip
    yield gauge("leases", "Chunks that a holder has to send by a deadline.", len(state.leases))
    yield gauge("overdue_leases", "Those of them whose deadline is over.",
                sum(1 for lease in state.leases.values() if lease.deadline < now))  # fmt: skip


def _peers(state: State, *, running: bool) -> Iterator[Family]:
    ways: dict[str, float] = dict.fromkeys(WAYS, 0.0)
    for peer in state.peers.values():
        if peer.connected and running:
            ways[peer.way] += 1
    yield _by("gauge", "peers", "Connected peers, by the way of their links.", "way", ways)
    yield gauge("known_peers", "Peers that the state has, connected or not.", len(state.peers))
    yield counter("connects", "Times that a peer connected.", state.totals.connects)
    yield counter("faults", "Times that a peer broke the protocol.", state.totals.faults)
    shown, others = _busiest(state.peers.values())
    yield _of_peers("peer_received_bytes", "Bytes that came from a peer.", shown, others, "bytes_in")
    yield _of_peers("peer_sent_bytes", "Bytes that a peer took.", shown, others, "bytes_out")
    yield _of_peers("peer_granted_chunks", "Chunks that a peer was granted.", shown, others, "granted")
    yield _of_peers("peer_broken_chunks", "Granted chunks that a peer neither sent nor refused in time.",
                    shown, others, "broken")  # fmt: skip


def _busiest(peers: Iterable[PeerState]) -> tuple[list[PeerState], list[PeerState]]:
    """Return the peers that exchanged the most bytes with this node, and all others."""
    ordered = sorted(peers, key=lambda peer: (-peer.bytes_in - peer.bytes_out, peer.peer))
    return ordered[:PEERS], ordered[PEERS:]


def _of_peers(
    name: str, meaning: str, shown: Sequence[PeerState], others: Sequence[PeerState], field: str
) -> Family:
    values: dict[str, float] = {peer.peer: getattr(peer, field) for peer in shown}
    if others:
        values[OTHERS] = sum(getattr(peer, field) for peer in others)
    return _by("gauge", name, f"{meaning} The {PEERS} busiest, and all others together.", "peer", values)


def _objects(state: State) -> Iterator[Family]:
    counts = {"whole": 0.0, "partial": 0.0}
    for found in state.objects.values():
        counts["partial" if found.completed_at is None else "whole"] += 1
    yield _by("gauge", "objects", "Files and folders that are shared, wanted, or kept here.", "state", counts)
    yield gauge("stored_chunks", "Chunks in the store.", state.chunk_count)
    yield gauge("stored_bytes", "Bytes of the chunks in the store.", state.chunk_bytes)
    yield gauge("kept_bytes", "Bytes of the quota that replicas for others take.", state.kept_bytes)
    yield gauge("quota_bytes", "Bytes of replicas that this node keeps at most.", state.policy.quota)
    yield gauge("lacking_replicas", "Replicas that others were asked for and that nobody keeps yet.",
                sum(hold.lacking for hold in state.holds.values()))  # fmt: skip
