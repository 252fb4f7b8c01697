"""Adding while no node runs: the same reading, the same entries, without a network."""

import time
from collections.abc import Callable
from pathlib import Path

from flux_tui.core import events as ev
from flux_tui.home import Home
from flux_tui.node.adder import read_and_reference
from flux_tui.store.store import Landed, Store


def add_offline(
    home: Home, path: Path, by: str, progress: Callable[[int, int], None], tell: Callable[[str], None]
) -> ev.ObjectAdded:
    """Share a path under the home's lock; `tell` is told what others will not get of it.

    Raises AddError, HomeError (busy), StoreError.
    """
    with home.lock():
        store = Store.open(home.path)
        try:

            def step(done: int, size: int, rows: list[Landed]) -> None:
                event = ev.AddProgressed(path=str(path), bytes_done=done, size=size, by=by)
                store.commit([(time.time(), event)], rows)
                progress(done, size)

            added, rows = read_and_reference(store, path, by, step, lambda: False)
            event = ev.ObjectAdded(
                root=added.root,
                name=added.name,
                size=added.size,
                chunks=added.chunks,
                path=added.path,
                stored=added.stored,
                stored_chunks=added.stored_chunks,
                by=by,
            )
            notes: list[ev.Event] = [
                ev.ErrorOccurred(text=note, cid=added.root, path=added.path) for note in added.notes
            ]
            store.commit([(time.time(), told) for told in [*notes, event]], rows)
        finally:
            store.close()
    for note in added.notes:
        tell(note)
    return event
