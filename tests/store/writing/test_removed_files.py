"""Unfinished files that somebody removes: no object is finished with holes where its first chunks were."""

from pathlib import Path

import pytest

from flux_tui.core.ids import raw_cid
from flux_tui.store.database import StoreError
from flux_tui.store.disk.part_names import PART
from flux_tui.store.store import Landed, Store
from tests.support.blocks import NOTE, ROOT

SIZE = 64 * 1024
FIRST, SECOND = b"1" * SIZE, b"2" * SIZE
LEAVES = [(raw_cid(FIRST), 0, SIZE), (raw_cid(SECOND), SIZE, SIZE)]


def begin(store: Store, path: Path, rel: str) -> list[str]:
    """Begin to fetch an object of one file of two leaves, or go on with it. Return which leaves are missing."""
    store.objects.open_tree(ROOT, path)
    store.objects.place_file(ROOT, rel, 2 * SIZE)
    placed = store.objects.place_leaves(ROOT, rel, LEAVES)
    for lost in placed.lost:
        store.commit([NOTE], lost=lost.cids)
    return [*placed.missing]


def part_of(path: Path) -> Path:
    (part,) = (found for found in path.parent.iterdir() if found.name.endswith(PART))
    return part


@pytest.mark.parametrize("rel", ["", "file"])
@pytest.mark.parametrize("small", [False, True])
def test_a_removed_file_is_not_made_again_by_a_chunk(
    store: Store, tmp_path: Path, rel: str, *, small: bool
) -> None:
    begin(store, tmp_path / "out", rel)
    store.commit([NOTE], [store.objects.land(raw_cid(FIRST), FIRST)])
    removed = part_of(tmp_path / "out") / rel
    removed.unlink()
    if small:
        (outcome,) = store.objects.land_small([(raw_cid(SECOND), SECOND)])
        assert isinstance(outcome, StoreError)
    else:
        with pytest.raises(StoreError, match="no such file"):
            store.objects.land(raw_cid(SECOND), SECOND)
    assert not removed.exists()


@pytest.mark.parametrize("rel", ["", "file"])
def test_what_a_removed_file_had_is_fetched_again(store: Store, tmp_path: Path, rel: str) -> None:
    path = tmp_path / "out"
    begin(store, path, rel)
    store.commit([NOTE], [store.objects.land(raw_cid(FIRST), FIRST)])
    (part_of(path) / rel).unlink()
    assert begin(store, path, rel) == [raw_cid(FIRST), raw_cid(SECOND)]
    rows: list[Landed] = [store.objects.land(raw_cid(data), data) for data in (FIRST, SECOND)]
    store.commit([NOTE], rows)
    store.objects.finish_tree(ROOT)
    assert (path / rel).read_bytes() == FIRST + SECOND
    assert [bytes(data) for _, data in store.chunks.read([raw_cid(FIRST)]).chunks] == [FIRST]
