"""Adds the user's files: worker threads read them, and their chunks are indexed before the entry about the object."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import trio

from flux_tui.core.api.inputs import Added, AddEnded, AddStepped
from flux_tui.core.content.nodes import Block
from flux_tui.core.ids import Cid
from flux_tui.node.disk.car_reader import walk_car
from flux_tui.node.disk.chunker import AddError, Done, Leaves, Same, Unchanged, total_size, walk
from flux_tui.node.engine import Engine
from flux_tui.store.store import Landed, SharedFile, Store, StoreError

STEP_SECONDS = 0.5
"""Seconds between two entries about progress."""
ROWS_AT_ONCE = 8192
"""Index rows that are committed together while a large folder is being read: 50 ms of a worker thread."""
INDEXED_AT_ONCE = 1024
"""Chunks that are indexed in one transaction: a GiB, or a thousand small files."""


class _Add:
    """An add that is running: its path, and whether it has to stop."""

    def __init__(self, path: Path, by: str | None, *, verify: bool, car: bool) -> None:
        self.path = path
        self.by = by
        self.verify = verify
        self.car = car
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

    def add(self, path: Path, by: str | None, *, verify: bool = False, car: bool = False) -> None:
        """Begin to add a path. The outcome is fed to the machine as an input.

        `by`: the mark of the command that wants this; None: the command has no mark. `verify`: whether files that
        are unchanged since the last add are read again. `car`: the path is a CAR file, and the object in it is added.
        """
        add = _Add(path, by, verify=verify, car=car)
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
                    self._engine.store,
                    path,
                    by,
                    step,
                    lambda: add.stopped,
                    add.begun,
                    verify=add.verify,
                    car=add.car,
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
    *,
    verify: bool = False,
    car: bool = False,
) -> tuple[Added, list[Landed]]:
    """Read a file or folder, and index its chunks where they are, without copying the user's bytes.

    Files that are unchanged since the last add of this path are not read again, unless `verify` is true.
    `car`: the path is a CAR file, of which the object in it is indexed.

    `by`: the mark of the command that wants this, or None. `step(done, size, rows)` is called from time to
    time: bytes read, bytes in all, and index rows to commit. `begun(share)` is called with the store's number
    for this add. Once `stop()` is true, reading ends with AddError. Returns the input about the added object,
    and the last index rows, to be committed together. Raises AddError, StoreError.
    """
    share = _Share(store, path, begun)
    unchanged: Unchanged | None = None
    if not (verify or car) and store.shared_before(path):
        unchanged = partial(store.unchanged, share.begin(), stop=stop)
    progress = _Progress(path, stop)
    seen: set[Cid] = set()
    rows: list[Landed] = []
    steps = walk_car(path, progress.read, stop) if car else walk(path, progress.read, stop, unchanged)
    for found in steps:
        match found:
            case Leaves():
                seen.update(leaf.cid for leaf in found.leaves)
                share.files.append(SharedFile(*found))
                share.waiting += len(found.leaves)
            case Same():
                seen.update(found.blocks)
            case Block():
                seen.add(found.cid)
                share.blocks.append((found.cid, found.data))
                share.waiting += 1
            case Done():
                rows += share.index()
                return (
                    Added(
                        root=found.root.cid,
                        name=found.root.name,
                        size=found.size,
                        chunks=len(seen),
                        path=str(path),
                        stored=share.stored,
                        stored_chunks=share.stored_chunks,
                        by=by,
                        notes=found.notes,
                        share=share.tree,
                    ),
                    rows,
                )
        if share.waiting >= INDEXED_AT_ONCE or progress.due():
            rows += share.index()
        if len(rows) >= ROWS_AT_ONCE or progress.due():
            step(progress.done, progress.size(), rows)
            rows = []
            progress.told()
    raise AssertionError("a walk ends with Done")


class _Share:
    """What of a path was found, and is not indexed yet; and how much of it the store did not have before."""

    def __init__(self, store: Store, path: Path, begun: Callable[[int], None]) -> None:
        self._store = store
        self._path = path
        self._begun = begun
        self.tree = 0
        """The store's number for the add; 0: it has not begun, because nothing was found."""
        self.files: list[SharedFile] = []
        self.blocks: list[tuple[Cid, bytes]] = []
        self.waiting = 0
        """Chunks and inner nodes that are not indexed yet."""
        self.stored = 0
        """Bytes of blocks that the store did not have before."""
        self.stored_chunks = 0

    def begin(self) -> int:
        """Begin the add in the store, if it has not begun. Return the store's number for it."""
        if not self.tree:
            self.tree = self._store.share_tree(self._path)
            self._begun(self.tree)
        return self.tree

    def index(self) -> list[Landed]:
        """Index what was found. Return the index rows, which the caller commits."""
        if not self.waiting:
            return []
        new = self._store.share(self.begin(), self.files, self.blocks)
        self.files, self.blocks, self.waiting = [], [], 0
        self.stored += sum(new.fresh.values())
        self.stored_chunks += len(new.fresh)
        return new.rows


class _Progress:
    """How much of a path was read, and when that was told last."""

    def __init__(self, path: Path, stop: Callable[[], bool]) -> None:
        self._path = path
        self._stop = stop
        self._size: int | None = None
        self._told = time.monotonic()
        self.done = 0

    def read(self, count: int) -> None:
        """Count bytes that were read, or that are known already."""
        self.done += count

    def due(self) -> bool:
        """Whether STEP_SECONDS have passed since the progress was told last, and some of the path is left to read."""
        return time.monotonic() - self._told >= STEP_SECONDS and self.done < self.size()

    def told(self) -> None:
        """Note that the progress was told now."""
        self._told = time.monotonic()

    def size(self) -> int:
        """Return the bytes of the whole path. They are added up when they are needed first: small paths need it not."""
        if self._size is None:
            try:
                self._size = total_size(self._path, self._stop)
            except (OSError, RecursionError):
                self._size = 0  # the walk will report the error
        return self._size
