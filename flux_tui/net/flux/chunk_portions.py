"""Takes the chunks for one peer's stream from the receiver, a portion at a time.

A portion that is in memory is taken when the stream can write it. Otherwise the next portion is read from the disk
while the one before is being written. On a slow line, where the streams take turns, a portion is taken when its turn
has come: only then is it known which chunks the other streams have sent meanwhile.
"""

from collections.abc import Iterator, Sequence

import trio

from flux_tui.core.ids import PeerId
from flux_tui.net.port import LoadedChunk, Receiver


class Portions:
    """The portions of chunks for one peer's stream."""

    def __init__(self, peer: PeerId, receiver: Receiver) -> None:
        self._peer = peer
        self._receiver = receiver
        self._may_have_more = False
        """Whether the receiver may have chunks that were not taken."""
        self._loading: trio.MemoryReceiveChannel[Sequence[LoadedChunk]] | None = None
        """Gives the portion that is being read from a disk."""
        self._waited = False
        """Whether the last such portion had to be waited for."""

    def serve(self) -> None:
        """Note that the receiver has chunks again."""
        self._may_have_more = True

    @property
    def has_more(self) -> bool:
        """Whether there may be another portion."""
        return self._may_have_more or self._loading is not None

    def begin(self) -> None:
        """Begin to write to a stream. A portion that was being read for the last one is dropped."""
        self._loading = None

    async def next(self, nursery: trio.Nursery, *, takes_turns: bool) -> Sequence[LoadedChunk]:
        """Return the next portion; an empty sequence if the receiver has none now.

        `nursery`: runs the task that reads ahead. `takes_turns`: the line is slow.
        """
        if self._loading is None and takes_turns:
            self._may_have_more = False
            return await self._take(spread=True)
        if self._loading is None:
            if (chunks := self._take_from_memory()) is not None:
                return chunks
            self._loading = self._read_ahead(nursery)
        chunks = await self._loading.receive()
        goes_on = self._waited and self._may_have_more and not takes_turns
        self._loading = self._read_ahead(nursery) if goes_on else None
        return chunks

    def _take_from_memory(self) -> Sequence[LoadedChunk] | None:
        """Take the next portion at once. None: it has to be waited for."""
        chunks = self._receiver.chunks_in_memory(self._peer)
        if chunks is not None:
            self._may_have_more = bool(chunks)
        return chunks

    def _read_ahead(self, nursery: trio.Nursery) -> "trio.MemoryReceiveChannel[Sequence[LoadedChunk]]":
        send, receive = trio.open_memory_channel[Sequence[LoadedChunk]](1)
        self._may_have_more = False
        nursery.start_soon(self._load, send)
        return receive

    async def _load(self, send: "trio.MemorySendChannel[Sequence[LoadedChunk]]") -> None:
        async with send:
            chunks = self._take_from_memory()
            self._waited = chunks is None
            await send.send(await self._take(spread=False) if chunks is None else chunks)

    async def _take(self, *, spread: bool) -> Sequence[LoadedChunk]:
        """Take the next portion, and wait for it. `spread`: see `Receiver.next_chunks`."""
        chunks = await self._receiver.next_chunks(self._peer, spread=spread)
        if chunks:
            self._may_have_more = True
        return chunks


def parts_of(portion: Sequence[LoadedChunk], most: int) -> Iterator[Sequence[LoadedChunk]]:
    """Return the chunks of a portion in parts of `most` bytes at most, or of one chunk."""
    begin, size = 0, 0
    for at, chunk in enumerate(portion):
        size += len(chunk.data)
        if size > most and at > begin:
            yield portion[begin:at]
            begin, size = at, len(chunk.data)
    if begin < len(portion):
        yield portion[begin:]
