"""Adds the user's files: worker threads read them, and their chunks are indexed before the entry about the object."""

import time
from collections.abc import Callable
from pathlib import Path

import trio

from flux_tui.core.api.inputs import Added, AddEnded, AddStepped
from flux_tui.core.content.nodes import Block
from flux_tui.core.ids import Cid
from flux_tui.node.disk.chunker import AddError, Done, Leaves, total_size, walk
from flux_tui.node.engine import Engine
from flux_tui.store.store import Landed, Store, StoreError

STEP_SECONDS = 0.5
"""Seconds between two entries about progress."""
ROWS_AT_ONCE = 4096
"""Index rows that are committed together while a large folder is being read."""


class _Add:
    """An add that is running: its path, and whether it has to stop."""

    def __init__(self, path: Path, by: str | None) -> None:
        self.path = path
        self.by = by
        self._stopped = False
        self._taken_back = False
        self._share = 0

    @property
    def stopped(self) -> bool:
        """Whether the worker thread has to stop reading."""
        return self._stopped

    def begun(self, share: int) -> None:
        """Note the number by which the store knows this add."""
        self._share = share

    def take_back(self) -> None:
        """Stop the add because a person cancelled it. So its end does not count as a failure."""
        self._stopped = self._taken_back = True

    def end(self) -> None:
        """Tell the worker thread to stop, if it still reads."""
        self._stopped = True

    def failed(self, error: Exception) -> AddEnded:
        """Return the input that tells the machine that this add ended without an object.

        Its text is that of `error`; None if a person cancelled the add.
        """
        text = None if self._taken_back else str(error)
        return AddEnded(path=str(self.path), by=self.by, text=text, share=self._share)


class AddTasks:
    """Carries out the AddPath effects: reads each path in a worker thread, two paths at a time."""

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._nursery = nursery
        self._threads = trio.CapacityLimiter(2)
        self._adds: dict[_Add, None] = {}

    def add(self, path: Path, by: str | None) -> None:
        """Begin to add a path. The outcome is fed to the machine as an input.

        `by`: the mark of the command that wants this; None: the command has no mark.
        """
        add = _Add(path, by)
        self._adds[add] = None
        self._nursery.start_soon(self._add, add)

    def stop(self, path: Path, mark: str | None) -> None:
        """Stop the adds of this path. `mark`: only the add with this mark; None: all adds of the path."""
        for add in self._adds:
            if add.path == path and mark in (None, add.by):
                add.take_back()

    async def _add(self, add: _Add) -> None:
        path, by = add.path, add.by

        def step(done: int, size: int, rows: list[Landed]) -> None:
            given = AddStepped(path=str(path), bytes_done=done, size=size, by=by)
            trio.from_thread.run_sync(self._engine.feed, given, rows)

        try:
            added, rows = await trio.to_thread.run_sync(
                lambda: read_and_reference(
                    self._engine.store, path, by, step, lambda: add.stopped, add.begun
                ),
                limiter=self._threads,
                abandon_on_cancel=True,  # type: ignore[call-arg]  # libp2p brings stubs of an older trio
            )
        except (AddError, StoreError) as error:
            self._engine.feed(add.failed(error))
            return
        finally:
            add.end()
            del self._adds[add]
        self._engine.feed(added, rows)


def read_and_reference(
    store: Store,
    path: Path,
    by: str | None,
    step: Callable[[int, int, list[Landed]], None],
    stop: Callable[[], bool],
    begun: Callable[[int], None] = lambda share: None,
) -> tuple[Added, list[Landed]]:
    """Read a file or folder, and index its chunks where they are, without copying the user's bytes.

    `by`: the mark of the command that wants this, or None. `step(done, size, rows)` is called from time to
    time: bytes read, bytes in all, and index rows to commit. `begun(share)` is called with the store's number
    for this add. Once `stop()` is true, reading ends with AddError. Returns the input about the added object,
    and the last index rows, to be committed together. Raises AddError, StoreError.
    """
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count

    try:
        size = total_size(path, stop)
    except (OSError, RecursionError):
        size = 0  # the walk will report the error
    tree: int | None = None
    rows: list[Landed] = []
    seen: set[Cid] = set()
    stored = stored_chunks = 0
    told = time.monotonic()
    for found in walk(path, progress, stop):
        if tree is None and not isinstance(found, Done):
            tree = store.share_tree(path)
            begun(tree)
        match found:
            case Leaves():
                assert tree is not None
                fresh = {leaf.cid: leaf.size for leaf in found.leaves if leaf.cid not in store.chunks}
                new = store.share_file(tree, found.rel, found.stat, found.leaves)
            case Block():
                fresh = {} if found.cid in store.chunks else {found.cid: len(found.data)}
                new = store.share_block(found.cid, found.data, tree or 0)
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
                        share=tree or 0,
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
