"""The fold of the events about objects: added, mapped, whole, removed, lost."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import replication, stored_totals, want_tables
from flux_tui.core.series.fold.want_tables import wanted_object
from flux_tui.core.series.state import Adding, ObjectState, Removing, State


def fold(state: State, event: ev.ContentEvent) -> None:
    """Apply one event about an object to the state."""
    match event:
        case ev.AddProgressed():
            state.adding[event.path] = Adding(path=event.path, bytes_done=event.bytes_done, size=event.size)
        case ev.AddCancelled():
            state.adding.pop(event.path, None)
        case ev.ObjectAdded():
            _added(state, event)
        case ev.ObjectMapped():
            _mapped(state, event)
        case ev.ObjectCompleted():
            _completed(state, event)
        case ev.ObjectRefused():
            state.refused[event.root] = event.path
        case ev.ObjectDiscarded():
            state.refused.pop(event.root, None)
            stored_totals.freed(state, event.chunks, event.size)
        case ev.ObjectRemoved():
            _removed(state, event)
        case ev.ObjectFreed():
            state.removing.pop(event.root, None)
            stored_totals.freed(state, event.chunks, event.size)
        case ev.ChunksLost():
            _lost(state, event)
        case _:
            assert_never(event)


def _added(state: State, event: ev.ObjectAdded) -> None:
    known = state.objects.get(event.root)
    state.objects[event.root] = ObjectState(
        root=event.root,
        origin="added",
        since=state.at,
        name=event.name,
        size=event.size,
        chunks_have=event.chunks,
        chunks_total=event.chunks,
        have_bytes=event.size,
        path=event.path,
        completed_at=state.at,
        sent_bytes=0 if known is None else known.sent_bytes,
    )
    state.adding.pop(event.path, None)
    stored_totals.stored(state, event.stored_chunks, event.stored)


def _mapped(state: State, event: ev.ObjectMapped) -> None:
    if found := state.objects.get(event.root):
        found.size = event.size
        found.chunks_total = event.chunks
        found.chunks_have = event.have
        found.have_bytes = event.have_bytes
    if kept := state.kept.get(event.root):
        kept.size = max(kept.size, event.size)


def _completed(state: State, event: ev.ObjectCompleted) -> None:
    pending = state.pending.get(event.root)
    block = pending is not None and pending.block
    if event.path is not None or (event.root in state.objects and not block):
        found = wanted_object(state, event.root)
        found.size = found.have_bytes = event.size
        found.path = event.path or found.path
        found.completed_at = state.at
    want_tables.drop(state, event.root)
    replication.completed(state, event.root)


def _lost(state: State, event: ev.ChunksLost) -> None:
    stored_totals.freed(state, len(event.cids), event.size)
    for root in event.roots:
        if found := state.objects.get(root):
            found.broken = True


def _removed(state: State, event: ev.ObjectRemoved) -> None:
    state.objects.pop(event.root, None)
    state.fetchers.pop(event.root, None)
    state.removing[event.root] = Removing(mark=state.seq, name=event.name, path=event.path, by=event.by)
    if (kept := state.kept.get(event.root)) and kept.own:
        kept.own = kept.whole = False  # the replica that others were promised needs a copy of its own
