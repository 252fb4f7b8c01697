"""The bytes of the stored chunks, as a mapping."""

from collections.abc import Iterator, Mapping

from flux_tui.core.ids import Cid
from flux_tui.store.store import Store


class StoredChunks(Mapping[Cid, bytes]):
    """A mapping from CIDs to the bytes of the stored chunks."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getitem__(self, cid: Cid) -> bytes:
        result = self._store.chunks.read([cid])
        if not result.chunks:
            raise KeyError(cid)
        return bytes(result.chunks[0][1])

    def __contains__(self, cid: object) -> bool:
        return isinstance(cid, str) and self._store.chunks.size_of(Cid(cid)) is not None

    def __iter__(self) -> Iterator[Cid]:
        return iter(self._store.chunks.cids())

    def __len__(self) -> int:
        return self._store.chunks.counts()[0]
