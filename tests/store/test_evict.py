"""Removing a replica: all of it goes, from the disk and the index, and nothing of any other object."""

import os
import random
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.disk.object_trees import HELD
from flux_tui.store.index.replica_removal import RemovalCounts
from flux_tui.store.store import Store
from tests.support.blocks import MIB, NOTE, chunk, shared
from tests.support.evicting import Film, fetch, held_path


def readable(store: Store, film: Film) -> bool:
    blocks = [*film.inner, *film.leaves]
    return store.chunks.read([cid for cid, _ in blocks]).chunks == blocks


def test_a_replica_goes_completely(store: Store) -> None:
    film = Film(1, 2, 3)
    path = held_path(store, film)
    fetch(store, film, path)
    assert path.read_bytes() == film.data
    assert store.evict(film.root, path, ()) == RemovalCounts(4, film.size)
    assert store.chunks.counts() == (0, 0)
    assert all(store.chunks.size_of(cid) is None for cid, _ in (*film.inner, *film.leaves))
    assert list(path.parent.iterdir()) == []
    fetch(store, film, path)
    assert readable(store, film), "it may be kept again"
    store.close()
    again = Store.open(store.home)
    assert readable(again, film)
    again.close()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_half_fetched_replica_goes_completely(store: Store, count: int) -> None:
    film = Film(1, 2, 3)
    path = held_path(store, film)
    fetch(store, film, path, finish=False, count=count)
    gone = store.evict(film.root, path, ())
    assert gone.chunks == 1 + count
    assert store.chunks.counts() == (0, 0)
    assert list(path.parent.iterdir()) == []
    cid, data = film.leaves[0]
    assert store.objects.land(cid, data).file is not None, "what still comes is a loose chunk"
    assert not path.exists()


def test_an_eviction_repeated_after_a_crash_reports_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = Film(1, 2)
    path = held_path(store, film)
    fetch(store, film, path)
    with monkeypatch.context() as patch:
        patch.setattr("flux_tui.store.index.replica_removal.remove", _die)
        with pytest.raises(KeyboardInterrupt):
            store.evict(film.root, path, ())
    store.close()
    again = Store.open(store.home)
    assert again.chunks.counts() == (0, 0)
    assert path.exists(), "killed between the rows and the files"
    assert again.evict(film.root, path, ()) == RemovalCounts(3, film.size)
    assert not path.exists()
    assert again.evict(film.root, path, ()) == RemovalCounts(3, film.size), (
        "killed before the entry was written"
    )
    fetch(again, film, path, finish=False, count=0)
    assert again.evict(film.root, path, ()) == RemovalCounts(1, len(film.inner[0][1])), "another life of it"
    again.close()


def _die(path: Path) -> None:
    raise KeyboardInterrupt


def test_an_object_that_the_user_added_stays(store: Store, tmp_path: Path) -> None:
    """It may have been there before the replica, or come after it."""
    film = Film(1, 2, 3)
    path = held_path(store, film)
    shared(store, tmp_path / "before", film.leaves[0][1], film.leaves[0][0])
    fetch(store, film, path)
    shared(store, tmp_path / "after", film.leaves[1][1], film.leaves[1][0])
    gone = store.evict(film.root, path, (film.leaves[0][0], film.leaves[1][0]))
    assert gone.chunks == 2
    assert store.chunks.read([film.leaves[0][0], film.leaves[1][0]]).chunks == film.leaves[:2]
    assert store.chunks.size_of(film.leaves[2][0]) is None
    assert (tmp_path / "before").exists()
    assert (tmp_path / "after").exists()


def test_an_object_that_the_user_got_can_still_be_served(store: Store, tmp_path: Path) -> None:
    """The user gets another object that shares chunks with the replica, while the replica is there."""
    replica, mine = Film(1, 2, 3), Film(2, 9)
    path = held_path(store, replica)
    fetch(store, replica, path)
    fetch(store, mine, tmp_path / "mine.mkv")
    assert (tmp_path / "mine.mkv").read_bytes() == mine.data
    gone = store.evict(replica.root, path, (mine.root,))
    assert gone.chunks == 3, "its node and two leaves"
    assert readable(store, mine)
    store.close()
    again = Store.open(store.home)
    assert readable(again, mine)
    assert (tmp_path / "mine.mkv").read_bytes() == mine.data
    again.close()


def test_the_users_copy_of_the_object_replaces_the_replica(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2, 3)
    path = held_path(store, film)
    fetch(store, film, path)
    fetch(store, film, tmp_path / "mine.mkv")
    assert store.evict(film.root, path, (film.root,)) == RemovalCounts(0, 0)
    assert not path.exists()
    assert readable(store, film)
    size = sum(found.stat().st_size for found in store.home.rglob("*") if found.is_file())
    assert size < MIB, "and nothing is kept twice"


def test_a_running_fetch_of_the_same_object_loses_nothing(store: Store, tmp_path: Path) -> None:
    film = Film(1, 2, 3)
    path = held_path(store, film)
    fetch(store, film, path)
    fetch(store, film, tmp_path / "mine.mkv", finish=False)
    store.evict(film.root, path, (film.root,))
    assert readable(store, film)
    store.objects.finish_tree(film.root)
    assert (tmp_path / "mine.mkv").read_bytes() == film.data
    assert readable(store, film)


@pytest.mark.parametrize("finish", [False, True])
def test_lost_chunks_of_a_replica_name_it(store: Store, tmp_path: Path, finish: bool) -> None:
    film, mine = Film(1, 2, 3), Film(4, 5)
    path = held_path(store, film)
    fetch(store, film, path, finish=finish)
    (tmp_path / HELD).mkdir()
    fetch(store, mine, tmp_path / HELD / mine.root)
    for content in (film, mine):
        place = store.chunks.file_of(content.leaves[0][0])
        assert place is not None
        place.unlink()
        lost = store.chunks.read([cid for cid, _ in content.leaves]).lost
        assert [(one.cids, one.replica) for one in lost] == [
            (tuple(cid for cid, _ in content.leaves), film.root if content is film else None)
        ]


@pytest.mark.parametrize("size", [1000, MIB])
def test_a_loose_chunk_of_the_user_stays(store: Store, size: int) -> None:
    cid, data = chunk(4, size)
    path = store.home / HELD / cid
    path.parent.mkdir()
    store.objects.open_tree(cid, path)
    store.objects.place_file(cid, "", None)
    store.objects.place_leaves(cid, "", [(cid, 0, size)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    store.objects.finish_tree(cid)
    assert path.read_bytes() == data
    store.claim(cid)
    assert store.evict(cid, path, ()) == RemovalCounts(0, 0)
    assert store.chunks.read([cid]).chunks == [(cid, data)]
    store.claim(raw_cid(b"not here"))


def test_one_of_two_replicas_that_share_chunks(store: Store) -> None:
    one, two = Film(1, 2), Film(2, 3)
    for film in (one, two):
        fetch(store, film, held_path(store, film))
    store.evict(one.root, held_path(store, one), (two.root,))
    assert readable(store, two)
    assert store.chunks.size_of(one.leaves[0][0]) is None
    store.evict(two.root, held_path(store, two), ())
    assert not readable(store, two)


def test_a_replica_folder_goes_and_no_link_is_followed(store: Store, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(b"mine")
    film = Film(1, 2)
    path = held_path(store, film)
    store.objects.open_tree(film.root, path)
    store.objects.place_folder(film.root, "deep/er")
    store.objects.place_file(film.root, "deep/er/film.mkv", 10)
    part = next(found for found in path.parent.iterdir())
    os.symlink(precious, part / "deep" / "link")
    store.evict(film.root, path, ())
    assert list(path.parent.iterdir()) == []
    assert (precious / "file").read_bytes() == b"mine"


def test_a_chunk_that_was_landing_meanwhile_is_not_claimed(store: Store) -> None:
    """Its row would be committed with an entry; its file went before."""
    film = Film(1, 2)
    path = held_path(store, film)
    fetch(store, film, path, finish=False, count=1)
    late = store.objects.land(*film.leaves[1])
    store.evict(film.root, path, ())
    store.commit([(2.0, ev.NodeStopped(reason="late"))], [late])
    assert store.chunks.size_of(film.leaves[1][0]) is None
    assert store.chunks.counts() == (0, 0)
    other = Film(5)
    fetch(store, other, held_path(store, other))
    assert readable(store, other), "and no other file is taken for it"


def test_eviction_never_loses_chunks_of_other_objects(tmp_path: Path) -> None:
    """Objects have a few chunks from the same small set. Some replicas are removed in any order."""
    for seed in range(6):
        chance = random.Random(seed)
        store = Store.open(tmp_path / f"home{seed}")
        films = {film.root: film for film in (Film(*chance.choices(range(6), k=3)) for _ in range(5))}
        mine: dict[Cid, Film] = {}
        held: dict[Cid, Film] = {}
        for film in films.values():
            if chance.random() < 0.5:
                fetch(store, film, tmp_path / f"{seed}-{film.root}")
                mine[film.root] = film
            else:
                fetch(store, film, held_path(store, film))
                held[film.root] = film
        for root in chance.sample(sorted(held), len(held)):
            film = held.pop(root)
            store.evict(root, held_path(store, film), (*mine, *held))
            assert all(readable(store, other) for other in (*mine.values(), *held.values()))
        stay = {cid for film in mine.values() for cid, _ in (*film.inner, *film.leaves)}
        assert stay <= set(store.chunks.cids())
        store.close()
