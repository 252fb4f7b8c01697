"""Computes the state of a home's series when its store is opened.

A series has checkpoints, so that is quick. The checkpoints of another version may say something else, and are not used:
after an update, all entries may have to be read, some 100,000 a second. Meanwhile the state so far is saved now and
then, so that a start that is ended goes on where it was.
"""

import time
from collections.abc import Callable

from flux_tui.core.series.fold import extend, restore, snapshot
from flux_tui.core.series.state import State
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader, first_state
from flux_tui.store.store import Store

FOLD_PAGE = 10_000
"""Entries read at a time when a node opens its series."""
SAVED_ENTRIES = 500_000
"""Entries between two states that are saved while a long series is read: some seconds of reading."""
TOLD_SECONDS = 0.5
"""Seconds between two calls that tell how much of a long series was read."""

Told = Callable[[int, int], None]
"""Is told how many entries were read, and how many there are."""


def load_state(store: Store) -> State:
    """Compute the state of a store's series, from its newest checkpoint and the entries after that."""
    return _load(store, lambda done, total: None)[0]


def load_for_node(home: Home, store: Store, told: Told | None = None) -> tuple[State, int]:
    """Return the state of a home's series, and how many entries were folded after a checkpoint.

    While a long series is read, other programs find in the home how far it is, and `told` is called now and then.
    """

    def tell(done: int, total: int) -> None:
        home.note_opening(done, total)
        if told is not None:
            told(done, total)

    try:
        return _load(store, tell)
    finally:
        home.end_opening()


def _load(store: Store, told: Told) -> tuple[State, int]:
    reader = store.reader()
    try:
        state = _begun(store, reader)
        began, saved, told_at = state.seq, state.seq, time.monotonic()
        while page := reader.read(state.seq, FOLD_PAGE):
            extend(state, page)
            if state.seq >= saved + SAVED_ENTRIES:
                store.save_partial(snapshot(state))
                saved = state.seq
            if (now := time.monotonic()) >= told_at + TOLD_SECONDS:
                told(state.seq, reader.last_seq())
                told_at = now
        return state, state.seq - began
    finally:
        reader.close()


def _begun(store: Store, reader: SeriesReader) -> State:
    """Return the newest saved state that this version reads, or that before the first entry."""
    found = reader.checkpoint(reader.last_seq())
    state = (None if found is None else restore(found[1])) or first_state(reader)
    saved = store.partial()
    partial = None if saved is None else restore(saved)
    if partial is not None and state.seq < partial.seq <= reader.last_seq():
        return partial
    if saved is not None:
        store.save_partial(None)
    return state
