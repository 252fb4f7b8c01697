"""A store with a replica that can be evicted."""

from pathlib import Path

from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.store.disk.object_trees import HELD
from flux_tui.store.store import Store
from tests.support.blocks import MIB, NOTE, chunk


class Film:
    """A file as the exchange sees it: blocks under one root."""

    def __init__(self, *seeds: int) -> None:
        builder = FileBuilder()
        self.leaves = [chunk(seed) for seed in seeds]
        for cid, data in self.leaves:
            builder.add_leaf(cid, len(data))
        root = builder.finish()
        self.root = root.cid
        self.inner = [(block.cid, block.data) for block in root.blocks]
        self.data = b"".join(data for _, data in self.leaves)

    @property
    def size(self) -> int:
        return len(self.data) + sum(len(data) for _, data in self.inner)


def held_path(store: Store, film: Film) -> Path:
    path = store.home / HELD / film.root
    path.parent.mkdir(exist_ok=True)
    return path


def fetch(store: Store, film: Film, path: Path, *, finish: bool = True, count: int | None = None) -> None:
    """Land blocks as a fetch does: the inner nodes, then the missing leaves."""
    store.objects.open_tree(film.root, path)
    for cid, data in film.inner:
        if store.chunks.size_of(cid) is None:
            store.commit([NOTE], [store.objects.land(cid, data)])
    store.objects.place_file(film.root, "", len(film.data))
    placed = store.objects.place_leaves(
        film.root, "", [(cid, number * MIB, MIB) for number, (cid, _) in enumerate(film.leaves)]
    )
    for cid, data in film.leaves[:count]:
        if cid in placed.missing and store.chunks.size_of(cid) is None:
            store.commit([NOTE], [store.objects.land(cid, data)])
    if finish:
        store.objects.finish_tree(film.root)
