"""Chunks in several files, lost chunks and when they are lost, and a damaged index."""

import time
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, cid_bytes, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.database import StoreError
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.store import Leaf, Lost, SharedFile, Store
from tests.support.damage import damaged

ROOT, OTHER = dag_cid(b"root"), dag_cid(b"other")
NOTE = (1.0, ev.NodeStopped(reason="x"))
DATA = b"the same bytes" * 10_000
CID = raw_cid(DATA)


def share(store: Store, path: Path, data: bytes = DATA) -> None:
    path.write_bytes(data)
    stat = FileStat.of(path.stat(), time.time_ns() + 10**10)
    rows = store.share_file(store.share_tree(path), "", stat, [Leaf(raw_cid(data), 0, len(data))])
    store.commit([NOTE], rows)


def get(store: Store, root: Cid, path: Path) -> Path:
    store.objects.open_tree(root, path)
    store.objects.place_file(root, "", len(DATA))
    if store.objects.place_leaves(root, "", [(CID, 0, len(DATA))]).missing:
        store.commit([NOTE], [store.objects.land(CID, DATA)])
    return store.objects.finish_tree(root).path


def again(store: Store) -> Store:
    store.close()
    return Store.open(store.home)


@pytest.mark.parametrize("gone", [["b"], ["a"], ["a", "b"], ["c", "b"]])
def test_other_copies_are_served_if_one_goes(store: Store, tmp_path: Path, gone: list[str]) -> None:
    for name in "abc":
        share(store, tmp_path / name)
    for name in gone:
        (tmp_path / name).unlink()
        assert store.chunks.read([CID]) == ([(CID, DATA)], [])
        store = again(store)
    assert store.chunks.counts() == (1, len(DATA)), "one chunk, wherever it stands"
    for name in {*"abc"} - {*gone}:
        (tmp_path / name).write_bytes(b"changed")
    chunks, lost = store.chunks.read([CID])
    assert (chunks, [found.cids for found in lost]) == ([], [(CID,)])
    store.commit([NOTE], lost=[CID])
    assert store.chunks.size_of(CID) is None
    share(store, tmp_path / "a", DATA)
    assert store.chunks.read([CID]).chunks == [(CID, DATA)]


def test_a_copy_is_found_at_once_the_second_time(store: Store, tmp_path: Path) -> None:
    share(store, tmp_path / "a")
    share(store, tmp_path / "b")
    (tmp_path / "b").unlink()
    store.chunks.read([CID])
    where = store.chunks.where(CID)
    assert where is not None
    assert store.chunks._locate(where.file or 0)[0] == tmp_path / "a"


def test_any_number_of_copies_costs_a_few_rows(store: Store, tmp_path: Path) -> None:
    for number in range(20):
        share(store, tmp_path / str(number))
    assert store.chunks.rows("SELECT count(*) FROM spare") == [(8,)]
    for number in range(8, 20):
        (tmp_path / str(number)).unlink()
    assert store.chunks.read([CID]).chunks == [(CID, DATA)]


def test_an_object_fetched_twice_has_two_copies(store: Store, tmp_path: Path) -> None:
    first = get(store, ROOT, tmp_path / "first")
    get(store, ROOT, tmp_path / "second")
    first.unlink()
    assert again(store).chunks.read([CID]) == ([(CID, DATA)], [])


def test_a_chunk_that_landed_in_two_objects_at_once(store: Store, tmp_path: Path) -> None:
    for root, name in ((ROOT, "first"), (OTHER, "second")):
        store.objects.open_tree(root, tmp_path / name)
        store.objects.place_file(root, "", len(DATA))
        store.objects.place_leaves(root, "", [(CID, 0, len(DATA))])
    store.commit([NOTE], [store.objects.land(CID, DATA)])
    for root in (ROOT, OTHER):
        store.objects.finish_tree(root)
    (tmp_path / "first").unlink()
    assert store.chunks.read([CID]) == ([(CID, DATA)], [])


def test_an_inline_chunk_stays_inline(store: Store, tmp_path: Path) -> None:
    small = b"small"
    store.commit([NOTE], [store.objects.land(raw_cid(small), small)])
    share(store, tmp_path / "a", small)
    (tmp_path / "a").unlink()
    assert store.chunks.read([raw_cid(small)]) == ([(raw_cid(small), small)], [])


def test_a_chunk_lost_and_fetched_again_in_one_commit_is_here(store: Store, tmp_path: Path) -> None:
    share(store, tmp_path / "a")
    (tmp_path / "a").unlink()
    assert store.chunks.read([CID]).lost
    store.commit([NOTE, NOTE], [store.objects.land(CID, DATA)], lost=[CID])
    assert store.chunks.size_of(CID) == len(DATA)
    assert again(store).chunks.read([CID]).chunks == [(CID, DATA)]


def test_only_the_chunk_that_cannot_be_copied_is_reported_lost(store: Store, tmp_path: Path) -> None:
    share(store, tmp_path / "a")
    (tmp_path / "a").write_bytes(b"changed")
    store.objects.open_tree(ROOT, tmp_path / "b")
    store.objects.place_file(ROOT, "", 2 * len(DATA))
    leaves = [(CID, 0, len(DATA)), (CID, len(DATA), len(DATA))]
    present, missing, lost = store.objects.place_leaves(ROOT, "", leaves)
    why = f"{tmp_path / 'a'} was changed since it was shared: its changed parts are not sent any more"
    assert (present, missing) == ([], [CID, CID])
    assert lost == [Lost(tmp_path / "a", (CID,), len(DATA), why)], "once"
    assert store.chunks.size_of(CID) is None
    assert store.chunks.counts()[0] == 1, "its row goes with the entry that tells of it"
    store.commit([NOTE], lost=[CID])
    assert store.chunks.counts()[0] == 0
    store.commit([NOTE], [store.objects.land(CID, DATA)])
    assert store.objects.finish_tree(ROOT).path.read_bytes() == DATA * 2


def test_our_own_files_are_verified_when_they_are_read(store: Store) -> None:
    store.commit([NOTE], [store.objects.land(CID, DATA)])
    (file,) = (path for path in (store.home / "chunks").rglob("*") if path.is_file())
    file.write_bytes(bytes(len(DATA)))
    assert [lost.cids for lost in store.chunks.read([CID]).lost] == [(CID,)]


def test_a_damaged_index_is_one_sentence(store: Store, tmp_path: Path) -> None:
    damaged(store)
    for number in range(3):
        cid = raw_cid(b"%d" % number)
        store.chunks._sizes.clear()
        assert store.chunks.size_of(cid) is None
        assert cid not in store.chunks
        assert store.chunks.read([cid]) == ([], []), "what cannot be looked up is not lost"
        assert store.chunks.read_block(cid) is None
    assert [str(damage) for damage in store.chunks.take_damages()] == [
        f"{store.path} is damaged (database disk image is malformed): move it away to begin anew;"
        " fetched files stay where they are"
    ]
    assert not store.chunks.take_damages(), "the same damage is told once"
    store.objects.open_tree(ROOT, tmp_path / "x")
    store.objects.place_file(ROOT, "", 1)
    assert store.objects.place_leaves(ROOT, "", [(CID, 0, 1)]) == ([], [CID], [])


def test_a_file_without_a_row_is_damage_too(store: Store, tmp_path: Path) -> None:
    share(store, tmp_path / "a")
    store.chunks.rows("DELETE FROM file")
    assert store.chunks.read([CID]) == ([], [])
    assert ["is damaged" in str(damage) for damage in store.chunks.take_damages()] == [True]


def test_many_chunks_of_many_files_are_read_with_few_queries(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    datas = [b"%d" % number for number in range(1_200)]
    files = []
    for data in datas:
        (folder / data.decode()).write_bytes(data)
        stat = FileStat.of((folder / data.decode()).stat(), time.time_ns() + 10**10)
        files.append(SharedFile(data.decode(), stat, [Leaf(raw_cid(data), 0, len(data))]))
    store.commit([NOTE], store.share(store.share_tree(folder), files, ()).rows)
    uncommitted = store.objects.land(CID, DATA)
    store.chunks.mark_lost(raw_cid(b"0"))
    (folder / "1").unlink()
    asked = [raw_cid(b"nowhere"), *map(raw_cid, datas), CID]
    queries: list[str] = []
    store.chunks._db.set_trace_callback(queries.append)
    chunks, lost = store.chunks.read(asked)
    store.chunks._db.set_trace_callback(None)
    assert uncommitted.cid == CID
    assert chunks == [(raw_cid(data), data) for data in datas[2:]] + [(CID, DATA)]
    assert [(one.path, one.cids) for one in lost] == [(folder / "1", (raw_cid(b"1"),))]
    assert len(queries) < 12, "three for the chunks, three for the files, and a few for the one that is gone"


def test_chunks_that_a_damage_does_not_affect_are_read_with_those_that_it_does(
    store: Store, tmp_path: Path
) -> None:
    share(store, tmp_path / "a")
    share(store, tmp_path / "b", b"other bytes")
    other = raw_cid(b"other bytes")
    store.chunks.rows("DELETE FROM file WHERE id = (SELECT file FROM chunk WHERE cid = ?)", cid_bytes(CID))
    assert store.chunks.read([CID, other]) == ([(other, b"other bytes")], [])
    assert len(store.chunks.take_damages()) == 1
    damaged(store)
    assert store.chunks.read([CID, other]) == ([], []), "what cannot be looked up is not lost"


def test_counting_in_a_damaged_index_raises_one_sentence(store: Store) -> None:
    store.chunks.rows("DROP TABLE chunk")
    with pytest.raises(StoreError, match="cannot be used: no such table: chunk"):
        store.chunks.counts()
    with pytest.raises(StoreError, match="cannot be used"):
        store.chunks.cids()
