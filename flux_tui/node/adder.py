"""Sharing what the user has: read in a worker thread, its chunks in the index before the entry says so."""

import time
from collections.abc import Callable
from pathlib import Path

import trio

from flux_tui.core.effects import Added, AddStepped, Failed
from flux_tui.core.ids import Cid
from flux_tui.core.unixfs import Block
from flux_tui.node.adding import AddError, Done, Leaves, total_size, walk
from flux_tui.node.engine import Engine
from flux_tui.store.store import Landed, Store, StoreError

STEP_SECONDS = 0.5
"""Seconds between two entries that tell of progress."""
ROWS_AT_ONCE = 4096
"""Index rows that are committed together while a large folder is being read."""


class Adder:
    """Runs AddPath effects, one thread each, a few at a time."""

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._nursery = nursery
        self._places = trio.CapacityLimiter(2)

    def add(self, path: Path, by: str | None) -> None:
        """Begin; the outcome is an input."""
        self._nursery.start_soon(self._add, path, by)

    async def _add(self, path: Path, by: str | None) -> None:
        stopped = False

        def step(done: int, size: int, rows: list[Landed]) -> None:
            given = AddStepped(path=str(path), bytes_done=done, size=size, by=by)
            trio.from_thread.run_sync(self._engine.feed, given, rows)

        try:
            added, rows = await trio.to_thread.run_sync(
                lambda: read_and_reference(self._engine.store, path, by, step, lambda: stopped),
                limiter=self._places,
                abandon_on_cancel=True,  # type: ignore[call-arg]  # libp2p brings stubs of an older trio
            )
        except (AddError, StoreError) as error:
            self._engine.feed(Failed(text=str(error), path=str(path), by=by))
            return
        finally:
            stopped = True
        self._engine.feed(added, rows)


def read_and_reference(
    store: Store,
    path: Path,
    by: str | None,
    step: Callable[[int, int, list[Landed]], None],
    stop: Callable[[], bool],
) -> tuple[Added, list[Landed]]:
    """Read a file or folder and reference its chunks.

    `step(done, size, rows)` is called now and then with index rows to commit; the last ones are
    returned, to be committed with the entry. Raises AddError, StoreError.
    """
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count

    try:
        size = total_size(path)
    except (OSError, RecursionError):
        size = 0  # the walk will say what is wrong
    tree: int | None = None
    rows: list[Landed] = []
    seen: set[Cid] = set()
    stored = stored_chunks = 0
    told = time.monotonic()
    for found in walk(path, progress, stop):
        match found:
            case Leaves():
                if tree is None:
                    tree = store.share_tree(path)
                fresh = {leaf.cid: leaf.size for leaf in found.leaves if leaf.cid not in store}
                new = store.share_file(tree, found.rel, found.stat, found.leaves)
            case Block():
                fresh = {} if found.cid in store else {found.cid: len(found.data)}
                new = store.share_block(found.cid, found.data)
            case Done():
                return (
                    Added(
                        root=found.root.cid,
                        name=found.root.name,
                        size=found.size,
                        chunks=len(seen),
                        path=str(path),
                        stored=stored,
                        stored_chunks=stored_chunks,
                        by=by,
                        notes=found.notes,
                    ),
                    rows,
                )
        seen.update(row.cid for row in new)
        stored += sum(fresh.values())
        stored_chunks += len(fresh)
        rows += new
        if len(rows) >= ROWS_AT_ONCE or (done < size and time.monotonic() - told >= STEP_SECONDS):
            step(done, size, rows)
            rows = []
            told = time.monotonic()
    raise AssertionError("a walk ends with Done")
