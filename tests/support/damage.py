"""A store with a damaged file."""

from flux_tui.core.ids import raw_cid
from flux_tui.store.store import Landed, Store


def damaged(store: Store) -> None:
    """Overwrite the first page of the chunk index in the file."""
    many = [Landed(raw_cid(b"%d" % number), 1000, data=bytes(1000)) for number in range(200)]
    store.commit([], many)  # no entry: it would collide with those of a node that writes there
    store.chunks.merge_staged()
    (page,) = store.chunks.rows("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_chunk_1'")
    (size,) = store.chunks.rows("PRAGMA page_size")
    store.chunks.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    with store.path.open("r+b") as file:
        file.seek((page[0] - 1) * size[0])
        file.write(b"\xff" * size[0])
    store.chunks.rows("PRAGMA shrink_memory")
