"""The disk work for objects, outside the event loop: opens, fills, finishes and removes their files, in order.

The effects `OpenTree`, `Place` and `FinishTree` of one object must be carried out in this order. A queue keeps the
order, and a worker thread does the work.
"""

from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import trio

from flux_tui.core.api.effects import (
    Claim,
    Discard,
    DropTree,
    EndAdd,
    Evict,
    FinishTree,
    Free,
    OpenTree,
    Place,
    ReadNode,
)
from flux_tui.core.api.inputs import (
    Discarded,
    Evicted,
    Failed,
    Finished,
    FinishFailed,
    Freed,
    Input,
    NodeRead,
    Placed,
)
from flux_tui.core.ids import Cid
from flux_tui.node.disk.chunk_reader import chunks_gone
from flux_tui.node.engine import Engine
from flux_tui.store.database import ImpossibleError, explain_os
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.disk.object_trees import HELD
from flux_tui.store.store import Lost, NoRoomError, Store, StoreError

TreeWork = OpenTree | Place | FinishTree | DropTree | ReadNode | Evict | Discard | Claim | Free | EndAdd


class ObjectFiles:
    """The queue of disk work for objects, and the task that carries it out."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self._engine = engine
        self._objects = home / KEPT
        """Where an object goes that has no path of the user's."""
        self._held = home / HELD
        """Where replicas go that are held for others."""
        self._send, self._receive = trio.open_memory_channel[TreeWork](float("inf"))
        # Unbounded, but never long: each fetch has at most one node's worth of placements outstanding.

    def queue(self, work: TreeWork) -> None:
        """Queue an effect, to be carried out after everything queued before."""
        self._send.send_nowait(work)

    async def run(self) -> None:
        """Carry out the queued effects one by one, until cancelled."""
        async for work in self._receive:
            lost: list[Lost] = []
            outcome = await trio.to_thread.run_sync(self._do, self._engine.store, work, lost)
            for gone in lost:
                self._engine.feed(chunks_gone(gone), lost=gone.cids)
            if outcome is not None:
                self._engine.feed(outcome)

    def _do(self, store: Store, work: TreeWork, lost: list[Lost]) -> Input | None:
        """Carry out one effect, in a worker thread. Returns its outcome as an input; None: nothing to report.

        `lost`: chunks that turned out to be lost are appended to this list.
        """
        match work:
            case OpenTree():
                return self._open(store, work)
            case Place():
                return self._place(store, work, lost)
            case ReadNode():
                chunks, gone = store.chunks.read([work.cid])
                lost += gone
                return NodeRead(root=work.root, cid=work.cid, data=chunks[0][1] if chunks else None)
            case FinishTree():
                return self._finish(store, work)
            case DropTree():
                return _failure(lambda: store.objects.drop_tree(work.root), cid=work.root)
            case Claim():
                return _failure(lambda: store.claim(work.cid), cid=work.cid)
            case Discard():
                return self._discard(store, work)
            case Evict():
                return self._evict(store, work)
            case Free():
                return self._free(store, work)
            case EndAdd():
                return self._end_add(store, work)
            case _:
                assert_never(work)

    def _open(self, store: Store, work: OpenTree) -> Input | None:
        path = self._path_of(work.root, work.path, held=work.held)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            store.objects.open_tree(work.root, path, work.limit)
        except (StoreError, OSError) as error:
            # Report it at once, before the node waits for any peer.
            return FinishFailed(root=work.root, text=_why(error, path.parent))
        return None

    def _finish(self, store: Store, work: FinishTree) -> Input:
        try:
            path, left_out = store.objects.finish_tree(work.root)
        except StoreError as error:
            return FinishFailed(root=work.root, text=str(error), later=isinstance(error, NoRoomError))
        return Finished(root=work.root, path=str(path), left_out=left_out)

    def _discard(self, store: Store, work: Discard) -> Input:
        path = self._path_of(work.root, work.path, held=False)
        try:
            went = store.discard(work.root, path, work.others)
        except (StoreError, OSError) as error:
            text = f"the blocks of {work.root} cannot be removed now, but at the next start: {_why(error, path.parent)}"
            return Failed(text=text, cid=work.root)
        return Discarded(root=work.root, chunks=went.chunks, size=went.size)

    def _evict(self, store: Store, work: Evict) -> Input:
        try:
            went = store.evict(work.root, self._held / work.root, work.others)
        except (StoreError, OSError) as error:
            why = _why(error, self._held)
            text = f"the replica of {work.root} cannot be removed now, but at the next start: {why}"
            return Failed(text=text, cid=work.root)
        return Evicted(root=work.root, chunks=went.chunks, size=went.size)

    def _free(self, store: Store, work: Free) -> Input:
        try:
            freed = store.free(work.root, work.mark, work.others, work.paths)
        except (StoreError, OSError) as error:
            why = _why(error, store.home)
            text = f"the blocks of {work.root} cannot be freed now, but at the next start: {why}"
            return Failed(text=text, cid=work.root)
        return Freed(root=work.root, cids=freed.cids, chunks=freed.chunks, size=freed.size)

    def _end_add(self, store: Store, work: EndAdd) -> Input | None:
        try:
            store.end_share(work.share, keep=work.keep, others=work.others, path=work.path)
        except (StoreError, OSError) as error:
            return Failed(text=f"the blocks of an add that ended cannot be freed: {error}")
        return None

    def _path_of(self, root: Cid, path: str | None, *, held: bool) -> Path:
        """Return the path of an object's file or folder: `path`, if the user chose one.

        With `path` None, it is in the home: in the folder of replicas if the object is `held`, else in the
        folder of objects.
        """
        return Path(path) if path is not None else (self._held if held else self._objects) / root

    def _place(self, store: Store, work: Place, lost: list[Lost]) -> Placed:
        root = work.root
        present: list[Cid] = []
        missing: list[Cid] = []
        try:
            store.objects.check_room(root, work.size, work.names)
            for folder in work.folders:
                store.objects.place_folder(root, folder)
            modes = dict(work.modes)
            if work.files:
                store.objects.place_files(root, [(file.rel, file.size) for file in work.files])
            for file in work.files:
                if (mode := modes.pop(file.rel, None)) is not None:
                    # before its content is there for all to read
                    store.objects.place_mode(root, file.rel, mode)
                if file.data:
                    store.objects.place_data(root, file.rel, file.data_at, file.data)
            leaves = [(file.rel, file.leaves) for file in work.files]
            present, missing, gone = store.objects.place_leaves_of(root, leaves)
            lost += gone
            for rel, mode in modes.items():
                store.objects.place_mode(root, rel, mode)
            for link in work.symlinks:
                store.objects.place_symlink(root, link.rel, link.target)
            if work.blocks:
                present, missing, gone = store.objects.place_blocks(root, work.blocks)
                lost += gone
        except NoRoomError as error:
            return Placed(root=root, present=(), missing=(), error=str(error), later=work)
        except ImpossibleError as error:
            text = f"the object {root} cannot be fetched: {error}"
            return Placed(root=root, present=(), missing=(), error=text, impossible=True)
        except StoreError as error:
            return Placed(root=root, present=(), missing=(), error=str(error))
        return Placed(root=root, present=tuple(present), missing=tuple(missing))


def _failure(act: Callable[[], None], cid: Cid) -> Failed | None:
    """Call `act` on a chunk or object. Returns the failure as an input; None on success."""
    try:
        act()
    except (StoreError, OSError) as error:
        return Failed(text=str(error), cid=cid)
    return None


def _why(error: StoreError | OSError, path: Path) -> str:
    """Return an error as a sentence. `path`: where an OSError happened."""
    return str(explain_os(error, path) if isinstance(error, OSError) else error)
