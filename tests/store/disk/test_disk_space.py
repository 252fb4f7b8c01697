"""Part of each disk stays free, a replica is one file, and a refused object leaves no trace."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.store.disk import disk_space
from flux_tui.store.disk.disk_space import KEEP_NAMES, NAME_BYTES, UNLOOKED, DiskSpace
from flux_tui.store.disk.object_trees import HELD
from flux_tui.store.store import NoRoomError, Store, UnfitError
from tests.support.blocks import NOTE, chunk

MIB = 1 << 20
ROOT = dag_cid(b"an object")


class Disk:
    """Simulates the size and free space of a disk."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, free: int, size: int = 100 << 30, names: int = 10**6
    ) -> None:
        self.free, self.size, self.names = free, size, names
        self.looks = 0
        monkeypatch.setattr(disk_space, "os", SimpleNamespace(statvfs=self._statvfs))

    def _statvfs(self, _: Path) -> SimpleNamespace:
        self.looks += 1
        return SimpleNamespace(
            f_bavail=self.free, f_frsize=1, f_blocks=self.size, f_files=10**7, f_favail=self.names
        )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")


def test_a_part_of_each_disk_stays_free(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 300 * MIB)
    here = DiskSpace(256 * MIB)
    here.check(Path("/x"), 44 * MIB)
    with pytest.raises(
        NoRoomError, match=r"44\.0 MiB may be written .* keeps 256 MiB free .* 45\.0 MiB are needed"
    ):
        here.check(Path("/x"), 45 * MIB)
    with pytest.raises(NoRoomError, match="are needed"):
        here.check(Path("/x"), 0, 44 * MIB // NAME_BYTES + 1)
    disk.size = 1000 * MIB
    here.check(Path("/x"), 200 * MIB)  # of a small disk no more than a tenth
    with pytest.raises(NoRoomError, match=r"keeps 100 MiB free"):
        here.check(Path("/x"), 900 * MIB)
    disk.size = 1000 * MIB
    disk.names = KEEP_NAMES + 5
    here.check(Path("/x"), 0, 5)
    with pytest.raises(NoRoomError, match="takes 1,005 more files, and 6 are needed"):
        here.check(Path("/x"), 0, 6)


def test_a_file_system_without_a_known_size_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, 0, size=0)
    DiskSpace(256 * MIB).check(Path("/x"), 1 << 50)
    DiskSpace(256 * MIB).check(Path("/nowhere"), 1 << 50)


def test_the_free_space_is_read_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 300 * MIB)
    here = DiskSpace()
    for _ in range(100):
        here.take(Path("/x"), UNLOOKED // 100)
    assert disk.looks < 8
    disk.free = MIB // 2
    with pytest.raises(NoRoomError):
        here.take(Path("/x"), 2 * MIB)
    disk.free = 10 * MIB
    here.take(Path("/x"), 2 * MIB)


def test_a_chunk_without_room_is_not_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid, data = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "x", MIB)
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    disk = Disk(monkeypatch, MIB // 2)
    for _ in range(2):
        with pytest.raises(NoRoomError):
            store.objects.land(cid, data)
    assert store.chunks.size_of(cid) is None
    disk.free = 100 * MIB
    store.commit([NOTE], [store.objects.land(cid, data)])  # the check did not use up the limit
    assert store.objects.finish_tree(ROOT).path.read_bytes() == data


def test_existing_data_needs_no_room(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cid, data = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "x")
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    Disk(monkeypatch, MIB)
    store.objects.check_room(ROOT, 2 * MIB - 10, 1)
    store.objects.drop_tree(ROOT)
    store.objects.open_tree(ROOT, tmp_path / "x")
    store.objects.check_room(ROOT, 2 * MIB - 10, 1)
    with pytest.raises(NoRoomError):
        store.objects.check_room(ROOT, 3 * MIB, 1)


def test_a_leaf_is_written_only_if_it_fits(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1, 1000)
    store.objects.open_tree(ROOT, tmp_path / "x", 2500)
    store.objects.place_file(ROOT, "a", None)
    store.objects.place_leaves(ROOT, "a", [(cid, 0, 999)])
    with pytest.raises(UnfitError, match="has 1,000 bytes, and should have 999"):
        store.objects.land(cid, data)
    store.objects.drop_tree(ROOT)
    store.objects.open_tree(ROOT, tmp_path / "x", 2500)
    for name in "abc":
        store.objects.place_file(ROOT, name, None)
        store.objects.place_leaves(ROOT, name, [(cid, 0, None)])
    with pytest.raises(UnfitError, match=r"it has 2\.9 KiB, and its ticket says 2\.4 KiB"):
        store.objects.land(cid, data)
    assert sum(path.stat().st_size for path in tmp_path.glob(".x*/*")) == 0


# ── replicas ────────────────────────────────────────────────────────────────────────────────────


def held(store: Store, leaves: list[tuple[Cid, bytes]]) -> Path:
    """Make a whole replica of these leaves."""
    path = store.home / HELD / ROOT
    path.parent.mkdir(exist_ok=True)
    store.objects.open_tree(ROOT, path)
    cids = [raw_cid(data) for _, data in leaves]
    placed = store.objects.place_blocks(ROOT, [(cid, 0, None) for cid in cids])
    rows = [store.objects.land(raw_cid(data), data) for _, data in leaves if raw_cid(data) in placed.missing]
    store.commit([NOTE], rows)
    store.objects.finish_tree(ROOT)
    return path


def test_a_replica_is_one_file_and_goes_without_a_trace(store: Store) -> None:
    leaves = [chunk(1, 10), chunk(2), chunk(3, 5000), chunk(4)]
    path = held(store, leaves)
    assert os.listdir(path.parent) == [ROOT]
    assert path.stat().st_size <= sum(len(data) for _, data in leaves) + 2 * 4096
    for cid, data in leaves:
        assert bytes(store.chunks.read([cid]).chunks[0][1]) == data
    assert store.evict(ROOT, path, ()).chunks == 4
    assert os.listdir(path.parent) == []
    assert store.chunks.counts() == (0, 0)
    assert store._db.execute("SELECT count(*) FROM tree WHERE id != 0").fetchone() == (0,)


def test_a_replica_without_a_leaf(store: Store) -> None:
    path = held(store, [])
    assert path.read_bytes() == b""
    store.evict(ROOT, path, ())
    assert not path.exists()


def test_a_half_fetched_replica_goes_on_after_a_restart(store: Store, tmp_path: Path) -> None:
    path = store.home / HELD / ROOT
    path.parent.mkdir()
    (one, first), (two, second) = chunk(1), chunk(2)
    store.objects.open_tree(ROOT, path)
    store.objects.place_blocks(ROOT, [(one, 0, MIB), (two, 0, MIB)])
    store.commit([NOTE], [store.objects.land(one, first)])
    store.close()
    again = Store.open(tmp_path / "home")
    again.objects.open_tree(ROOT, path)
    placed = again.objects.place_blocks(ROOT, [(one, 0, MIB), (two, 0, MIB)])
    assert (placed.present, placed.missing) == ([one], [two])
    again.commit([NOTE], [again.objects.land(two, second)])
    again.objects.finish_tree(ROOT)
    assert path.read_bytes() == first + second


def test_a_replica_begun_as_a_folder_by_an_older_version_goes_on(store: Store) -> None:
    path = store.home / HELD / ROOT
    path.parent.mkdir()
    (one, first), (two, second) = chunk(1), chunk(2)
    store.objects.open_tree(ROOT, path)
    store.objects.place_file(ROOT, "sub/one", MIB)
    store.objects.place_leaves(ROOT, "sub/one", [(one, 0, MIB)])
    store.commit([NOTE], [store.objects.land(one, first)])
    store.objects.open_tree(ROOT, path)
    placed = store.objects.place_blocks(ROOT, [(one, 0, MIB), (two, 0, MIB)])
    assert (placed.present, placed.missing) == ([one], [two])
    store.commit([NOTE], [store.objects.land(two, second)])
    store.objects.finish_tree(ROOT)
    assert [bytes(data) for _, data in store.chunks.read([one, two]).chunks] == [first, second]
    store.evict(ROOT, path, ())
    assert not path.exists()


def test_chunks_of_a_removed_replica_are_read_from_the_users_file(store: Store, tmp_path: Path) -> None:
    (one, first), (two, second) = chunk(1), chunk(2)
    path = held(store, [(two, second), (one, first)])
    mine = dag_cid(b"another object")
    store.objects.open_tree(mine, tmp_path / "mine")
    store.objects.place_file(mine, "", 2 * MIB)
    assert store.objects.place_leaves(mine, "", [(one, 0, MIB), (two, MIB, MIB)]).missing == []
    store.objects.finish_tree(mine)
    assert (tmp_path / "mine").read_bytes() == first + second
    store.evict(ROOT, path, (one, two))
    assert [bytes(data) for _, data in store.chunks.read([one, two]).chunks] == [first, second]
    assert store.chunks.file_of(one) == store.chunks.file_of(two) == tmp_path / "mine"


def test_partial_data_of_a_refused_object_goes_and_nothing_else(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    (one, first) = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "x")
    for number in range(100):
        store.objects.place_folder(ROOT, f"{number}")
    store.objects.place_file(ROOT, "one", MIB)
    store.objects.place_leaves(ROOT, "one", [(one, 0, MIB)])
    store.commit([NOTE], [store.objects.land(one, first)])
    gone = store.discard(ROOT, tmp_path / "x", ())
    assert (gone.chunks, gone.size) == (1, MIB)
    assert store.discard(ROOT, tmp_path / "x", ()) == gone, "done again after a crash"
    assert {path.name for path in tmp_path.iterdir()} == {"home", "mine.txt"}
    assert store.chunks.counts() == (0, 0)
