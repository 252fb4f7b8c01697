"""Computes the state of a home's series when its store is opened."""

from flux_tui.core.series.fold import extend, restore
from flux_tui.core.series.state import State
from flux_tui.store.series_reader import first_state
from flux_tui.store.store import Store

FOLD_PAGE = 10_000
"""Entries read at a time when a node opens its series."""


def load_state(store: Store) -> State:
    """Compute the state of a store's series, from its newest checkpoint and the entries after that."""
    return load_and_count(store)[0]


def load_and_count(store: Store) -> tuple[State, int]:
    """Return the state of a store's series, and how many entries were folded after a checkpoint."""
    reader = store.reader()
    try:
        state = None
        found = reader.checkpoint(reader.last_seq())
        if found is not None:
            state = restore(found[1])
        state = state or first_state(reader)
        began = state.seq
        while page := reader.read(state.seq, FOLD_PAGE):
            extend(state, page)
        return state, state.seq - began
    finally:
        reader.close()
