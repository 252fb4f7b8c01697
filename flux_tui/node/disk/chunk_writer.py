"""Writes the chunks that arrive: verifies each chunk, writes it to its place on disk, and then feeds the machine.

Small chunks are verified and written by the event loop, because handing them to a thread would cost more: those that
arrived together are written together. Large chunks go to
a few worker threads, and the peer's stream is read on meanwhile.
"""

import queue
import threading
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import trio

from flux_tui.core.api.inputs import ChunkCorrupt, ChunkLanded, ChunksLanded, ChunkUnfit, LandFailed
from flux_tui.core.ids import Cid, PeerId, is_leaf, matches
from flux_tui.net.connections.yamux_read_buffer import Piece
from flux_tui.node.engine import Engine
from flux_tui.store.disk.file_io import aligned
from flux_tui.store.store import Landed, StoreError, UnfitError

INLINE = 64 * 1024
"""Bytes; hashing them takes 40 µs, as long as handing them to a thread."""
TOGETHER, TOGETHER_BYTES = 256, 1024 * 1024
"""Small chunks, and their bytes, that are written together at most. They come to rest within the same turn of the
event loop."""
THREADS = 2
"""Worker threads. One hashes while the other waits for the disk. More of them only wait for each other."""
MAX_WAITING = 8
"""Chunks that wait for a thread: at most 16 MiB of memory. Above this, streams are not read."""


class _Work(NamedTuple):
    peer: PeerId
    cid: Cid
    payload: Sequence[Piece]
    size: int


_Outcome = Landed | StoreError | None


class ChunkWriter:
    """Verifies and writes the chunks that arrive. `run` has to run meanwhile, as it owns the worker threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._room = trio.Semaphore(MAX_WAITING)
        self._small: list[_Work] = []
        """Small chunks that wait until the tasks that read streams have read what is there."""
        self._small_bytes = 0
        self._came = trio.Event()
        """Set when a small chunk waits."""
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._done: deque[tuple[_Work, _Outcome]] = deque()

    async def take(self, peer: PeerId, cid: Cid, payload: Sequence[Piece]) -> None:
        """Verify and write a chunk that `peer` sent, and report the outcome to the machine.

        A large chunk is handed to a worker thread. Returns when the next chunk may be read from the peer's
        stream. So it waits while too many chunks are queued for the threads.
        """
        work = _Work(peer, cid, payload, sum(map(len, payload)))
        if work.size <= INLINE:
            self._small.append(work)
            self._small_bytes += work.size
            if self._small_bytes >= TOGETHER_BYTES or len(self._small) >= TOGETHER:
                self._land_small()
            else:
                self._came.set()
            return
        await self._room.acquire()
        self._work.put(work)

    def _land_small(self) -> None:
        """Verify and write the small chunks that wait, and report the outcomes to the machine."""
        works, self._small, self._small_bytes = self._small, [], 0
        chunks = [(work.cid, b"".join(work.payload)) for work in works]
        right = [matches(cid, data) for cid, data in chunks]
        outcomes = iter(
            self._engine.store.objects.land_small(
                [chunk for chunk, is_right in zip(chunks, right, strict=True) if is_right]
            )
        )
        landed: list[tuple[ChunkLanded, Landed]] = []
        for work, (cid, data), is_right in zip(works, chunks, right, strict=True):
            outcome = next(outcomes) if is_right else None
            if isinstance(outcome, Landed):
                node = None if is_leaf(cid) else data
                landed.append((ChunkLanded(work.peer, cid, work.size, node), outcome))
            else:
                self._tell_landed(landed)
                landed = []
                self._tell(work, outcome)
        self._tell_landed(landed)

    async def run(self) -> None:
        """Write the chunks that come, and run the worker threads that verify and write large ones, until cancelled."""
        token = trio.lowlevel.current_trio_token()
        for number in range(THREADS):
            threading.Thread(
                target=self._thread, args=(token,), name=f"flux landing {number}", daemon=True
            ).start()
        try:
            while True:
                await self._came.wait()
                self._came = trio.Event()
                if self._small:
                    self._land_small()
        finally:
            for _ in range(THREADS):
                self._work.put(None)

    def _thread(self, token: trio.lowlevel.TrioToken) -> None:
        while (work := self._work.get()) is not None:
            outcome = self._verify_and_write(work)
            first = not self._done
            self._done.append((work, outcome))
            if first:  # one wake-up serves all chunks that landed meanwhile
                try:
                    token.run_sync_soon(self._collect, idempotent=True)
                except trio.RunFinishedError:
                    return

    def _collect(self) -> None:
        while self._done:
            work, outcome = self._done.popleft()
            self._room.release()
            self._tell(work, outcome)

    def _verify_and_write(self, work: _Work) -> _Outcome:
        data = b"".join(work.payload) if work.size <= INLINE else aligned(work.payload)
        if not matches(work.cid, data):
            return None
        try:
            return self._engine.store.objects.land(work.cid, data)
        except StoreError as error:
            return error

    def _tell_landed(self, landed: Sequence[tuple[ChunkLanded, Landed]]) -> None:
        """Report chunks that were written, each with the row to commit, to the machine."""
        if landed:
            chunks, rows = zip(*landed, strict=True)
            self._engine.feed(ChunksLanded(chunks), rows)

    def _tell(self, work: _Work, outcome: _Outcome) -> None:
        peer, cid, payload, size = work
        if outcome is None:
            self._engine.feed(ChunkCorrupt(peer=peer, cid=cid, size=size))
        elif isinstance(outcome, UnfitError):
            root = Cid(outcome.root)
            self._engine.feed(ChunkUnfit(peer=peer, cid=cid, size=size, root=root, text=str(outcome)))
        elif isinstance(outcome, StoreError):
            self._engine.feed(LandFailed(peer=peer, cid=cid, size=size, text=str(outcome)))
        else:
            data = None if is_leaf(cid) else b"".join(payload)
            self._engine.feed(ChunkLanded(peer=peer, cid=cid, size=size, data=data), [outcome])
