"""Removing a shared object from the store: only chunks that no other object has go."""

import time
from pathlib import Path

import pytest

from flux_tui.core.content.nodes import FolderEntry
from flux_tui.core.content.unixfs_trees import build_folder
from flux_tui.core.ids import Cid
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.index.unshared_removal import FreedBlocks
from flux_tui.store.store import Leaf, Store
from tests.support.blocks import MIB, NOTE, chunk
from tests.support.evicting import Film, fetch, held_path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")


def share(store: Store, path: Path, film: Film) -> None:
    """Share as an add does."""
    path.write_bytes(film.data)
    tree = store.share_tree(path)
    stat = FileStat.of(path.stat(), time.time_ns() + 10**10)
    leaves = [Leaf(cid, number * MIB, MIB) for number, (cid, _) in enumerate(film.leaves)]
    rows = store.share_file(tree, "", stat, leaves)
    for cid, data in film.inner:
        rows += store.share_block(cid, data, tree)
    store.commit([NOTE], rows)
    store.end_share(tree, keep=True)


def blocks(*films: Film) -> list[Cid]:
    return [cid for film in films for cid, _ in (*film.inner, *film.leaves)]


def reads(store: Store, film: Film) -> bool:
    return store.chunks.read(blocks(film)).chunks == [*film.inner, *film.leaves]


def test_a_removed_object_is_forgotten_and_its_file_stays(store: Store, tmp_path: Path) -> None:
    film, path = Film(1, 2), tmp_path / "film"
    share(store, path, film)
    went = store.free(film.root, 7, (), ())
    assert (set(went.cids), went.chunks, went.size) == (set(blocks(film)), 3, film.size)
    assert store.chunks.counts() == (0, 0)
    assert all(store.chunks.size_of(cid) is None for cid in blocks(film))
    assert path.read_bytes() == film.data
    assert store.free(film.root, 7, (), ()) == FreedBlocks((), 3, film.size), "done again after a crash"
    assert store.free(film.root, 9, (), ()) == FreedBlocks((), 0, 0), "another removal"
    store.close()
    again = Store.open(store.home)
    share(again, path, film)
    assert reads(again, film), "it can be added again"
    again.close()


def test_chunks_of_another_object_stay(store: Store, tmp_path: Path) -> None:
    one, other = Film(1, 2), Film(2, 3)
    share(store, tmp_path / "other", other)
    share(store, tmp_path / "one", one)
    went = store.free(one.root, 7, (other.root,), (str(tmp_path / "other"),))
    assert went.chunks == 2
    (tmp_path / "one").unlink()
    assert reads(store, other)
    assert store.chunks.file_of(other.leaves[0][0]) == tmp_path / "other"


def test_a_chunk_without_another_place_is_copied_and_goes_with_its_last_object(
    store: Store, tmp_path: Path
) -> None:
    one = Film(1, 2)
    whole = build_folder([FolderEntry("a", one.leaves[0][0], MIB)])
    share(store, tmp_path / "one", one)
    store.commit([NOTE], store.share_block(whole.cid, whole.blocks[0].data))
    went = store.free(one.root, 7, (whole.cid,), ())
    assert went.chunks == 2
    (tmp_path / "one").unlink()
    assert store.chunks.read([one.leaves[0][0]]).chunks == [one.leaves[0]]
    place = store.chunks.file_of(one.leaves[0][0])
    assert place is not None
    assert place.is_relative_to(store.home)
    store.free(whole.cid, 8, (), ())
    assert store.chunks.counts() == (0, 0)
    assert not place.exists()


def test_a_replica_of_the_same_blocks_is_unharmed(store: Store, tmp_path: Path) -> None:
    mine, kept = Film(1, 2), Film(2, 1, 3)
    share(store, tmp_path / "mine", mine)
    path = held_path(store, kept)
    fetch(store, kept, path)
    store.free(mine.root, 7, (kept.root,), (str(path),))
    (tmp_path / "mine").unlink()
    assert reads(store, kept)


def test_a_download_that_copied_its_blocks_goes_on(store: Store, tmp_path: Path) -> None:
    mine, wanted = Film(1, 2), Film(2, 3)
    share(store, tmp_path / "mine", mine)
    fetch(store, wanted, tmp_path / "wanted", finish=False, count=0)
    store.free(mine.root, 7, (wanted.root,), (str(tmp_path / "wanted"),))
    (tmp_path / "mine").unlink()
    assert store.chunks.read([wanted.leaves[0][0]]).chunks == [wanted.leaves[0]]
    store.commit([NOTE], [store.objects.land(*wanted.leaves[1])])
    store.objects.finish_tree(wanted.root)
    assert (tmp_path / "wanted").read_bytes() == wanted.data
    assert reads(store, wanted)


def test_a_wanted_loose_chunk_stays(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2)
    store.commit([NOTE], [store.objects.land(*film.leaves[0])])
    share(store, tmp_path / "film", film)
    small = chunk(5, 1000)
    store.commit([NOTE], [store.objects.land(*small)])
    assert store.free(small[0], 6, (), ()).chunks == 1, "by itself it can be removed"
    store.free(film.root, 7, (), ())
    assert store.chunks.size_of(film.leaves[1][0]) is None


def test_files_made_by_the_store_are_deleted(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2)
    objects = store.home / "objects"
    objects.mkdir()
    fetch(store, film, objects / film.root)
    assert (objects / film.root).exists()
    store.free(film.root, 7, (), ())
    assert list(objects.iterdir()) == []
    mine = Film(3)
    fetch(store, mine, tmp_path / "mine")
    store.free(mine.root, 8, (), ())
    assert (tmp_path / "mine").read_bytes() == mine.data, "what has a path is the user's"


def test_an_unfinished_download_goes_with_its_part(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2)
    fetch(store, film, tmp_path / "film", finish=False, count=1)
    store.objects.drop_tree(film.root)
    assert len(list(tmp_path.glob(".film*"))) == 1
    store.free(film.root, 7, (), ())
    assert not list(tmp_path.glob(".film*"))
    (tmp_path / "film").write_bytes(b"the user's own")
    with pytest.raises(Exception, match="exists already"):
        store.objects.open_tree(film.root, tmp_path / "film")
    assert (tmp_path / "film").read_bytes() == b"the user's own"


def test_an_older_form_of_a_file_goes_alone(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "film"
    old, new = Film(1, 2), Film(1, 3)
    share(store, path, old)
    share(store, path, new)
    went = store.free(old.root, 7, (new.root,), (str(path),))
    assert went.chunks == 2
    assert reads(store, new)


def test_chunks_found_by_a_running_add_stay(store: Store, tmp_path: Path) -> None:
    film, path = Film(1, 2), tmp_path / "film"
    share(store, path, film)
    again = store.share_tree(path)
    stat = FileStat.of(path.stat(), time.time_ns() + 10**10)
    rows = store.share_file(again, "", stat, [Leaf(film.leaves[0][0], 0, MIB)])
    assert set(store.free(film.root, 7, (), ()).cids) == {film.root, film.leaves[1][0]}
    store.commit([NOTE], rows)
    assert store.chunks.read([film.leaves[0][0]]).chunks == [film.leaves[0]]
    store.end_share(again, keep=False)
    assert store.chunks.size_of(film.leaves[0][0]) is not None, "it was here before that add"


def begin_to_share(store: Store, path: Path, film: Film) -> int:
    """Share a film's chunks, but not its root. Returns the number of the add."""
    path.write_bytes(film.data)
    tree = store.share_tree(path)
    stat = FileStat.of(path.stat(), time.time_ns() + 10**10)
    leaves = [Leaf(cid, number * MIB, MIB) for number, (cid, _) in enumerate(film.leaves)]
    store.commit([NOTE], store.share_file(tree, "", stat, leaves))
    return tree


def test_a_cancelled_add_leaves_nothing(store: Store, tmp_path: Path) -> None:
    film, other = Film(1, 2), Film(2)
    share(store, tmp_path / "other", other)
    path = tmp_path / "film"
    tree = begin_to_share(store, path, film)
    store.end_share(tree, keep=False, others=(other.root,))
    assert store.chunks.size_of(film.leaves[0][0]) is None
    path.unlink()
    assert reads(store, other)
    store.close()
    Store.open(store.home).close()


def test_blocks_of_a_cancelled_add_that_were_not_committed_do_not_count_as_here(
    store: Store, tmp_path: Path
) -> None:
    film, other = Film(1, 2), Film(2, 3)
    trees = []
    for name, one in (("film", film), ("other", other)):
        path = tmp_path / name
        path.write_bytes(one.data)
        trees.append(store.share_tree(path))
        leaves = [Leaf(cid, number * MIB, MIB) for number, (cid, _) in enumerate(one.leaves)]
        store.share_file(trees[-1], "", FileStat.of(path.stat(), time.time_ns() + 10**10), leaves)
    first, both = (cid for cid, _ in film.leaves)
    assert store.chunks.size_of(first) == store.chunks.size_of(both) == MIB
    store.end_share(trees[0], keep=False)
    assert store.chunks.size_of(first) is None
    assert store.chunks.size_of(both) == MIB, "another add has found it"


def test_remains_of_a_killed_add_go(store: Store, tmp_path: Path) -> None:
    film, other = Film(1, 2), Film(2)
    share(store, tmp_path / "other", other)
    path = tmp_path / "film"
    begin_to_share(store, path, film)
    store.close()
    again = Store.open(store.home)
    again.end_share(0, keep=False, others=(other.root,), path=str(path))
    assert again.chunks.size_of(film.leaves[0][0]) is None
    assert reads(again, other)
    again.close()


def test_rows_of_empty_files_go_at_the_next_start(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2)
    share(store, tmp_path / "film", film)
    store.free(film.root, 7, (), ())
    store.close()
    again = Store.open(store.home)
    assert again.chunks.rows("SELECT count(*) FROM file") == [(0,)]
    assert again.chunks.rows("SELECT count(*) FROM tree") == [(1,)]
    again.close()
