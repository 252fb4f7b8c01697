"""The fold: applies entries to a state. The state follows from the entries alone.

    derive(entries)            from nothing
    extend(state, entries)     continue from a state, in place
    snapshot(state) / restore  a checkpoint: the state as bytes

Each family of events (core/series/events/) is folded by the module of the same name. `pending_wants` and
`peers` have the tables that several families change.

Laws (tests/core/series/test_fold.py): derive(a + b) == extend(derive(a), b) for every split;
restore(snapshot(s)) == s; folding never raises, whatever the order of entries, because another version may have
written the series. The fold asks no clock: an entry carries its time. The cost of an entry depends only on the
number of things that it names, never on the size of the state.
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from flux_tui.core.series import clock_steps
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import content, fetching, node, replication, serving
from flux_tui.core.series.state import RECENT_SECONDS, Second, State

STATE_VERSION = 16
"""Raised whenever State or the fold changes its meaning. Older checkpoints are then folded anew."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[tuple[int, State]] = msgspec.msgpack.Decoder(tuple[int, State])


def derive(entries: Iterable[Entry]) -> State:
    """Return the state that follows from these entries, from the beginning of a series."""
    return extend(State(), entries)


def extend(state: State, entries: Iterable[Entry]) -> State:
    """Apply more entries to `state`, in place, and return it."""
    for entry in entries:
        apply(state, entry)
    return state


def snapshot(state: State) -> bytes:
    """Return the state as bytes, to be stored as a checkpoint."""
    return _encoder.encode((STATE_VERSION, state))


def restore(data: bytes, *, any_version: bool = False) -> State | None:
    """Return the state of a checkpoint; None if another version of the fold made it, or if it cannot be decoded.

    `any_version`: use the state of an older version, too, where the entries before it are gone (they were
    pruned). So a field that is added to State needs a default, and one that changes its meaning a new name.
    """
    try:
        version, state = _decoder.decode(data)
    except msgspec.MsgspecError:
        return None
    return state if version == STATE_VERSION or (any_version and version < STATE_VERSION) else None


def copy(state: State) -> State:
    """Return a separate copy of a state (takes about 1 µs for each object, want or peer in it)."""
    duplicate = restore(snapshot(state))
    if duplicate is None:
        raise AssertionError("a snapshot of this version restores")
    return duplicate


def apply(state: State, entry: Entry) -> None:
    """Apply one entry to a state, in place."""
    state.seq, state.at, event = entry
    if type(event) is ev.ClockStepped:
        clock_steps.shift(state, event.seconds)
    recent = state.recent
    if not recent or recent[-1].t < int(state.at):
        _begin_second(state)
    recent[-1].entries += 1
    match event:
        case ev.ChunkReceived():  # the two most frequent ones, before the families
            fetching.chunk_received(state, event)
        case ev.ChunksSent():
            serving.chunks_sent(state, event)
        case ev.FetchingBase():
            fetching.fold(state, event)
        case ev.ServingBase():
            serving.fold(state, event)
        case ev.ContentBase():
            content.fold(state, event)
        case ev.NodeBase():
            node.fold(state, event)
        case ev.ReplicationBase():
            replication.fold(state, event)
        case ev.Unknown():
            pass  # a newer version wrote it
        case _:
            assert_never(event)


def _begin_second(state: State) -> None:
    """Begin to count in `recent` for the second of this entry. Remove the counts of seconds that are too old."""
    t = int(state.at)
    recent = state.recent
    recent.append(Second(t=t))
    while recent[0].t <= t - RECENT_SECONDS:
        del recent[0]
