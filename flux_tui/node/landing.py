"""Chunks that come in: verified, written to their places, and only then told to the machine.

Small chunks are hashed and placed at once (a thread's hand-over would cost more than the hash). Large
ones go through worker threads, a few at a time, while their peer's stream is read on.
"""

import trio

from flux_tui.core.effects import ChunkCorrupt, ChunkLanded, LandFailed
from flux_tui.core.ids import Cid, PeerId, is_leaf, matches
from flux_tui.node.engine import Engine
from flux_tui.store.store import Landed, StoreError

INLINE = 64 * 1024
"""Bytes; hashing this takes 40 µs, as long as the hand-over to a thread."""
PARALLEL = 4
"""Chunks that are hashed and written at the same time: at most 8 MiB of memory."""


class Landing:
    """Where payloads go."""

    def __init__(self, engine: Engine, nursery: trio.Nursery) -> None:
        self._engine = engine
        self._nursery = nursery
        self._places = trio.Semaphore(PARALLEL)

    async def take(self, peer: PeerId, cid: Cid, payload: bytes | bytearray) -> None:
        """Returns when the stream may be read on: at once, unless all places are taken."""
        if len(payload) <= INLINE:
            self._tell(peer, cid, payload, self._verify_and_write(cid, payload))
            return
        await self._places.acquire()
        self._nursery.start_soon(self._take_large, peer, cid, payload)

    async def _take_large(self, peer: PeerId, cid: Cid, payload: bytes | bytearray) -> None:
        try:
            outcome = await trio.to_thread.run_sync(self._verify_and_write, cid, payload)
            self._tell(peer, cid, payload, outcome)
        finally:
            self._places.release()

    def _verify_and_write(self, cid: Cid, payload: bytes | bytearray) -> Landed | StoreError | None:
        if not matches(cid, payload):
            return None
        try:
            return self._engine.store.land(cid, payload)
        except StoreError as error:
            return error

    def _tell(
        self, peer: PeerId, cid: Cid, payload: bytes | bytearray, outcome: Landed | StoreError | None
    ) -> None:
        size = len(payload)
        if outcome is None:
            self._engine.feed(ChunkCorrupt(peer=peer, cid=cid, size=size))
        elif isinstance(outcome, StoreError):
            self._engine.feed(LandFailed(peer=peer, cid=cid, text=str(outcome)))
        else:
            data = None if is_leaf(cid) else bytes(payload)
            self._engine.feed(ChunkLanded(peer=peer, cid=cid, size=size, data=data), [outcome])
