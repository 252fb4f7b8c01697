"""Rows of chunks are staged, seen by every reader, and merged into the index in large steps."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from flux_tui.core.ids import raw_cid
from flux_tui.store.database import SCHEMA_VERSION, UNSTAGED_VERSION, open_reader
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.index import staged_chunks
from flux_tui.store.index.block_reader import BlockReader
from flux_tui.store.index.object_files_reader import ObjectFilesReader
from flux_tui.store.store import Landed, Leaf, SharedFile, Store, StoreError
from tests.support.blocks import NOTE

MANY = 100
"""Chunks: enough to be staged."""
ROOT = raw_cid(b"root")


def data_of(number: int) -> bytes:
    return b"chunk %d" % number


CIDS = [raw_cid(data_of(number)) for number in range(MANY)]
CHUNKS = [(raw_cid(data_of(number)), data_of(number)) for number in range(MANY)]


def share(store: Store, folder: Path) -> list[Landed]:
    """Index the chunks where they are, each in a file of its own. Return the rows, which are not committed."""
    folder.mkdir()
    files = []
    for number, (cid, data) in enumerate(CHUNKS):
        path = folder / f"{number:03}"
        path.write_bytes(data)
        files.append(SharedFile(path.name, FileStat.of(path.stat(), 2**62), [Leaf(cid, 0, len(data))]))
    return store.share(store.share_tree(folder), files).rows


def staged(store: Store, folder: Path) -> Store:
    """Share a folder with the chunks, so that their rows are staged."""
    store.commit([NOTE], share(store, folder))
    assert rows_of(store.path) == (0, MANY)
    return store


def rows_of(path: Path) -> tuple[int, int]:
    """Return the number of rows in the index, and of staged rows."""
    with closing(open_reader(path)) as db:
        chunks, staged_rows = (
            int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            for table in ("chunk", "chunk_staged")
        )
        return chunks, staged_rows


def version(path: Path) -> int:
    with closing(open_reader(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def killed(store: Store, folder: Path) -> Path:
    """Return a copy of a home as a kill leaves it now: the store is not closed."""
    home = folder / "killed"
    shutil.copytree(store.home, home)
    return home


def test_the_store_reads_staged_chunks(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    store.chunks._sizes.clear()
    assert store.chunks.read(CIDS) == (CHUNKS, [])
    assert store.chunks.lacking([*CIDS, ROOT], committed=True) == {ROOT}
    assert store.chunks.size_of(CIDS[7]) == len(data_of(7))
    assert store.chunks.file_of(CIDS[7]) == tmp_path / "folder/007"
    assert rows_of(store.path) == (0, MANY)
    assert store.chunks.counts() == (MANY, sum(len(data) for _, data in CHUNKS))
    assert rows_of(store.path) == (MANY, 0), "they are counted where they belong"
    assert set(store.chunks.cids()) == set(CIDS)


def test_other_processes_read_staged_chunks(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    reader = BlockReader.open(store.home)
    assert reader.read(CIDS) == dict(CHUNKS)
    assert reader.size_of(CIDS[3]) == len(data_of(3))
    assert len(reader.extents(CIDS)) == MANY
    store.chunks.merge_staged()
    assert reader.read(CIDS) == dict(CHUNKS)
    reader.close()


def test_a_reader_of_a_home_of_an_earlier_version_needs_no_staged_rows(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    store.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("DROP TABLE chunk_staged")
    reader = BlockReader.open(store.home)
    assert reader.read(CIDS) == dict(CHUNKS)
    reader.close()


def test_an_object_that_is_fetched_shows_its_staged_bytes(store: Store, tmp_path: Path) -> None:
    store.objects.open_tree(ROOT, tmp_path / "out")
    store.objects.place_folder(ROOT, "")
    store.objects.place_files(ROOT, [(str(number), len(data)) for number, (_, data) in enumerate(CHUNKS)])
    for number, (cid, data) in enumerate(CHUNKS):
        store.objects.place_leaves(ROOT, str(number), [(cid, 0, len(data))])
    store.commit([NOTE], [store.objects.land(cid, data) for cid, data in CHUNKS[:50]])
    assert rows_of(store.path) == (0, 50)
    reader = ObjectFilesReader.open(store.path)
    found = reader.read(ROOT, str(tmp_path / "out"), MANY)
    assert found is not None
    assert sum(file.have or 0 for file in found.files) == sum(len(data) for _, data in CHUNKS[:50])
    store.objects.drop_tree(ROOT)
    assert (tmp_path / ".out.flux-part").exists() or list(tmp_path.glob("*out*")), (
        "chunks of it came, so it stays"
    )
    store.objects.open_tree(ROOT, tmp_path / "out")
    assert store.objects._tree(ROOT).here == sum(len(data) for _, data in CHUNKS[:50])
    reader.close()


def test_a_killed_home_merges_what_was_staged(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    home = killed(store, tmp_path)
    assert version(home / "flux.db") == SCHEMA_VERSION, "an earlier program would not see the staged rows"
    again = Store.open(home)
    assert rows_of(again.path) == (MANY, 0)
    assert version(again.path) == UNSTAGED_VERSION
    assert again.chunks.read(CIDS) == (CHUNKS, [])


def test_a_closed_home_has_no_staged_rows(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    store.close()
    assert (rows_of(store.path), version(store.path)) == ((MANY, 0), UNSTAGED_VERSION)


def test_a_kill_within_a_merge_loses_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staged_chunks, "STEP", 30)
    staged(store, tmp_path / "folder")
    reader = BlockReader.open(store.home)
    store._staged._step()
    assert rows_of(store.path) == (30, MANY)
    assert reader.read(CIDS) == dict(CHUNKS)
    assert store.chunks.read(CIDS) == (CHUNKS, [])
    again = Store.open(killed(store, tmp_path))
    assert again.chunks.read(CIDS) == (CHUNKS, [])
    assert again.chunks.counts()[0] == MANY
    # Rows that come meanwhile wait for the next merge.
    more = [raw_cid(b"more %d" % number) for number in range(40)]
    store.commit([NOTE], [Landed(cid, 7, data=b"more %02d" % number) for number, cid in enumerate(more)])
    while store._staged._rows is not None:
        store._staged._step()
    assert rows_of(store.path) == (MANY, 40)
    assert not store.chunks.lacking([*CIDS, *more], committed=True)
    reader.close()


def test_the_newest_of_staged_places_comes_first_and_others_are_found(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "a")
    store.commit([NOTE], share(store, tmp_path / "b"))
    assert rows_of(store.path) == (0, 2 * MANY)
    assert store.chunks.file_of(CIDS[5]) == tmp_path / "b/005"
    (tmp_path / "b/005").unlink()
    assert store.chunks.read([CIDS[5]]) == ([CHUNKS[5]], [])
    reader = BlockReader.open(store.home)
    assert reader.read([CIDS[5]]) == dict([CHUNKS[5]])
    reader.close()
    store.chunks.merge_staged()
    assert store.chunks.file_of(CIDS[6]) == tmp_path / "b/006"
    shutil.rmtree(tmp_path / "b")
    assert store.chunks.read(CIDS) == (CHUNKS, [])


def test_a_staged_chunk_with_its_bytes_stays_inline(store: Store, tmp_path: Path) -> None:
    store.commit([NOTE], [store.objects.land(cid, data) for cid, data in CHUNKS])
    assert rows_of(store.path) == (0, MANY)
    store.commit([NOTE], share(store, tmp_path / "folder"))
    shutil.rmtree(tmp_path / "folder")
    reader = BlockReader.open(store.home)
    for _ in range(2):
        assert store.chunks.read(CIDS) == (CHUNKS, [])
        assert reader.read(CIDS) == dict(CHUNKS)
        store.chunks.merge_staged()
    reader.close()


def test_chunks_that_are_in_the_index_are_not_staged(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "a")
    store.chunks.merge_staged()
    store.commit([NOTE], share(store, tmp_path / "b"))
    assert rows_of(store.path) == (MANY, 0)


def test_large_inline_chunks_and_single_chunks_are_not_staged(store: Store) -> None:
    large = [bytes([number]) * 5000 for number in range(MANY)]
    store.commit([NOTE], [store.objects.land(raw_cid(data), data) for data in large])
    store.commit([NOTE], [store.objects.land(*CHUNKS[0])])
    assert rows_of(store.path) == (MANY + 1, 0)


def test_a_lost_staged_chunk_is_gone(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    (tmp_path / "folder/004").unlink()
    (lost,) = store.chunks.read(CIDS).lost
    assert lost.cids == (CIDS[4],)
    store.commit([NOTE], lost=lost.cids)
    assert CIDS[4] not in store.chunks
    assert store.chunks.counts()[0] == MANY - 1


def test_a_cancelled_add_forgets_its_staged_chunks(store: Store, tmp_path: Path) -> None:
    rows = share(store, tmp_path / "folder")
    store.commit([NOTE], rows)
    tree = store._trees.shared(tmp_path / "folder")
    assert tree is not None
    store.end_share(tree, keep=False)
    assert store.chunks.counts() == (0, 0)
    assert store.chunks.lacking(CIDS) == set(CIDS)


def test_nothing_is_staged_while_rows_are_removed(store: Store, tmp_path: Path) -> None:
    with store._staged.paused():
        store.commit([NOTE], share(store, tmp_path / "folder"))
        assert rows_of(store.path) == (MANY, 0)


def test_many_rows_are_merged(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store._staged._enough = MANY
    store.commit([NOTE], share(store, tmp_path / "folder"))
    assert rows_of(store.path) == (MANY, 0)


def test_rows_are_merged_when_no_more_come(store: Store, tmp_path: Path) -> None:
    staged(store, tmp_path / "folder")
    for _ in range(staged_chunks.QUIET_LOOKS - 1):
        store.merge_staged()
    assert rows_of(store.path) == (0, MANY)
    store.merge_staged()
    assert rows_of(store.path) == (MANY, 0)
    assert not store.has_staged


def test_a_commit_does_not_fail_with_the_merge_after_it(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON chunk BEGIN SELECT raise(ABORT, 'no room'); END")
    store._staged._enough = MANY
    store.commit([NOTE], share(store, tmp_path / "folder"))
    assert rows_of(store.path) == (0, MANY)
    assert store.chunks.read(CIDS) == (CHUNKS, [])
    with pytest.raises(StoreError, match="no room"):
        store.chunks.counts()
    again = Store.open(killed(store, tmp_path))
    assert again.chunks.read(CIDS) == (CHUNKS, []), "it opens, and reads what is staged"
    with closing(sqlite3.connect(again.path)) as db:
        db.execute("DROP TRIGGER full")
    assert again.chunks.counts()[0] == MANY


def test_a_commit_of_many_chunks_writes_few_pages(store: Store) -> None:
    """The index has 300 pages, and a commit of 300 rows would change most of them."""
    rows = [Landed(raw_cid(b"%d" % number), 1024, 1, 0) for number in range(20_300)]
    store.commit([NOTE], rows[:20_000])
    store.chunks.merge_staged()
    pages: list[int] = []
    for part in (rows[20_000:], [Landed(raw_cid(b"other"), 1024, 1, 0)] * 40):
        store.chunks.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        store.commit([NOTE], part)
        pages.append(store.chunks.rows("PRAGMA wal_checkpoint")[0][1])
    assert max(pages) < 20


def test_a_home_of_the_version_before_is_taken_over(store: Store, tmp_path: Path) -> None:
    store.commit([NOTE], share(store, tmp_path / "folder"))
    store.close()
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("DROP TABLE chunk_staged")
        db.execute("DROP INDEX file_by_path")
        db.execute("DROP INDEX file_of_tree")
        db.execute("CREATE INDEX file_by_tree ON file (tree, rel)")
    again = Store.open(store.home)
    assert again.chunks.read(CIDS) == (CHUNKS, [])
    files = [(path.name, path.stat()) for path in sorted((tmp_path / "folder").iterdir())]
    tree = again.share_tree(tmp_path / "folder")
    assert set(again.unchanged(tree, files)) <= {name for name, _ in files}
    indexes = {row[0] for row in again.chunks.rows("SELECT name FROM sqlite_master WHERE type = 'index'")}
    assert {"file_by_path", "file_of_tree"} <= indexes
    assert "file_by_tree" not in indexes
    plan = again.chunks.rows(
        "EXPLAIN QUERY PLAN SELECT id FROM file WHERE tree = 2 AND rel IN ('a', 'b') AND size IS NOT NULL"
    )
    assert "file_by_path (tree=? AND rel=?)" in str(plan)


def test_rows_that_cannot_be_merged_at_the_start_keep_their_files(store: Store, tmp_path: Path) -> None:
    """The files of staged rows are not files without chunks: their row numbers must not be used again."""
    staged(store, tmp_path / "folder")
    store.chunks.rows("INSERT INTO meta VALUES ('untidy', '1')")
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON chunk BEGIN SELECT raise(ABORT, 'no room'); END")
    again = Store.open(killed(store, tmp_path))
    assert again.chunks.rows("SELECT count(*) FROM file") == [(MANY,)]
    assert again.chunks.read(CIDS) == (CHUNKS, [])
