"""Reads the chunks to send to peers. A chunk is read from disk only when the peer's stream can soon send it.

So a gigabyte that is granted costs a few kilobytes of memory here, and a slow peer costs the others nothing. The
upload queues (core/serving/upload_queue.py) are the only record of what is still to be sent.
"""

from collections.abc import Sequence

import trio

from flux_tui.core.api.inputs import ChunksGone
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.machine import Machine
from flux_tui.net.port import LoadedChunk, Network
from flux_tui.node.engine import Engine
from flux_tui.store.store import Lost, ReadResult

LOAD_BYTES = 1024 * 1024
"""Bytes read for one stream at a time, from a disk."""
CACHED_BYTES = 2 * 1024 * 1024
"""The same from memory. Nothing is read ahead then, so a stream has no more bytes of chunks than with a disk."""
LOAD_CHUNKS = 256
"""Chunks read at a time, where they are small."""


def chunks_gone(lost: Lost, peer: PeerId | None = None) -> ChunksGone:
    """Return the input that tells the machine which chunks the store lost.

    `peer`: the peer to which they were to be sent; None: no peer.
    """
    return ChunksGone(
        path=str(lost.path), cids=lost.cids, size=lost.size, text=lost.why, peer=peer, replica=lost.replica
    )


class _Position:
    """The position of one peer's stream in the peer's upload queue."""

    __slots__ = ("_before", "_taken", "_through")

    def __init__(self) -> None:
        self._taken = self._before = 0
        """The number of the chunk that was read last, and of the one before the last portion."""
        self._through = 0
        """The number of the last chunk that may be sent, because the entry about it is durable."""

    def allow(self, through: int) -> None:
        """Allow the chunks up to the number `through` to be sent."""
        self._through = through

    def take(self, machine: Machine, peer: PeerId, max_bytes: int = LOAD_BYTES, *, spread: bool) -> list[Cid]:
        """Return the CIDs of the next chunks to read, and move past them; an empty list if there are none.

        They are `max_bytes` at most, or one chunk. With `spread`, their order is another one, and there is nothing to
        move past: the caller writes them now.
        """
        found = machine.next_chunks(
            peer,
            after=self._taken,
            through=self._through,
            max_bytes=max_bytes,
            max_chunks=LOAD_CHUNKS,
            spread=spread,
        )
        if found and not spread:
            self._before, self._taken = self._taken, found[-1].number
        return [chunk.cid for chunk in found]

    def give_back(self) -> None:
        """Move back before the chunks that were taken last."""
        self._taken = self._before


class ChunkReader:
    """Reads the granted chunks for the streams of all peers."""

    def __init__(self, engine: Engine, network: Network) -> None:
        self._engine = engine
        self._network = network
        self._positions: dict[PeerId, _Position] = {}

    def serve(self, peer: PeerId, through: int) -> None:
        """Allow the peer's stream to send the chunks of its upload queue up to the number `through`.

        If the peer has no stream any more, nothing is sent. The core empties the queue when it learns of that.
        """
        self._positions.setdefault(peer, _Position()).allow(through)
        if not self._network.serve(peer):
            self.forget(peer)

    def forget(self, peer: PeerId) -> None:
        """Forget the position of a peer whose stream has ended, so that its next stream starts anew."""
        self._positions.pop(peer, None)

    async def next_chunks(self, peer: PeerId, *, spread: bool = False) -> Sequence[LoadedChunk]:
        """Read and return the next chunks of the peer's upload queue; an empty list if none may be sent now.

        Chunks whose bytes are lost are left out, and reported to the machine, which takes them out of the queue.
        `spread`: see `Receiver.next_chunks`.
        """
        position = self._positions.get(peer)
        while position is not None and (cids := position.take(self._engine.machine, peer, spread=spread)):
            # Chunks in the page cache are read at once. A thread waits for the disk.
            result = self._engine.store.chunks.read(cids, wait=False)
            if result is None:
                result = await trio.to_thread.run_sync(self._engine.store.chunks.read, cids)
            if chunks := self._loaded(peer, result):
                return chunks
        return []

    def chunks_in_memory(self, peer: PeerId) -> Sequence[LoadedChunk] | None:
        """Do the same at once, for chunks in the page cache. None: they have to be read by `next_chunks`."""
        position = self._positions.get(peer)
        while position is not None and (
            cids := position.take(self._engine.machine, peer, CACHED_BYTES, spread=False)
        ):
            result = self._engine.store.chunks.read(cids, wait=False)
            if result is None:
                position.give_back()
                return None
            if chunks := self._loaded(peer, result):
                return chunks
        return []

    def _loaded(self, peer: PeerId, result: ReadResult) -> list[LoadedChunk]:
        """Return the chunks that were read. Report those that are lost to the machine."""
        for lost in result.lost:
            self._engine.feed(chunks_gone(lost, peer), lost=lost.cids)
        return [LoadedChunk(cid, data) for cid, data in result.chunks]

    def still_granted(self, peer: PeerId, chunks: Sequence[LoadedChunk]) -> Sequence[LoadedChunk]:
        """Return those of `chunks` whose grant to `peer` was not cancelled since they were read."""
        granted = self._engine.machine.is_granted
        return [chunk for chunk in chunks if granted(peer, chunk.cid)]
