"""Power losses: a file with its final name is on the device, and other files are checked after a new boot."""

import ctypes
import os
import sqlite3
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.database import StoreError
from flux_tui.store.disk import fsync
from flux_tui.store.store import Store

ROOT = dag_cid(b"root")
NOTE = (1.0, ev.NodeStopped(reason="x"))
LARGE = b"large" * 20_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")


class Watched:
    """Records what is flushed and renamed, in order, by name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acts: list[tuple[str, str]] = []
        real_fsync, link, rename = os.fsync, os.link, os.rename

        def name(descriptor: int) -> str:
            return Path(os.readlink(f"/proc/self/fd/{descriptor}")).name

        def watch_fsync(descriptor: int) -> None:
            self.acts.append(("flush", name(descriptor)))
            real_fsync(descriptor)

        def watch_syncfs(descriptor: int) -> int:
            self.acts.append(("flush all", name(descriptor)))
            return 0

        def watch_link(source: Path, target: Path, **options: bool) -> None:
            self.acts.append(("name", Path(target).name))
            link(source, target, **options)

        def watch_rename(source: Path, target: Path) -> None:
            self.acts.append(("name", Path(target).name))
            rename(source, target)

        monkeypatch.setattr(os, "fsync", watch_fsync)
        monkeypatch.setattr(os, "link", watch_link)
        monkeypatch.setattr(os, "rename", watch_rename)
        monkeypatch.setattr(fsync, "_syncfs", watch_syncfs)


def fetch(store: Store, path: Path, names: list[str]) -> Path:
    """Fetch an object of these files. Return its temporary name."""
    store.objects.open_tree(ROOT, path)
    part = store._trees.by_root[ROOT].part
    if names != [""]:
        store.objects.place_folder(ROOT, "")
    for name in names:
        data = name.encode() or b"x"
        store.objects.place_file(ROOT, name, len(data))
        store.objects.place_leaves(ROOT, name, [(raw_cid(data), 0, len(data))])
        store.commit([NOTE], [store.objects.land(raw_cid(data), data)])
    return part


def test_a_file_is_flushed_before_it_has_its_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = fetch(store, tmp_path / "film", [""])
    watched = Watched(monkeypatch)
    store.objects.finish_tree(ROOT)
    assert watched.acts == [("flush", part.name), ("name", "film"), ("flush", tmp_path.name)]


def test_a_folder_is_flushed_with_all_that_is_in_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = fetch(store, tmp_path / "album", ["a", "sub/b"])
    store.objects.place_symlink(ROOT, "sub/link", "b")
    watched = Watched(monkeypatch)
    store.objects.finish_tree(ROOT)
    flushed, renamed = watched.acts[:4], watched.acts[4:]
    assert sorted(flushed) == sorted(("flush", name) for name in ("a", "b", part.name, "sub"))
    assert renamed[-1] == ("flush", tmp_path.name)


def test_many_files_are_flushed_by_one_call(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = fetch(store, tmp_path / "album", [str(number) for number in range(fsync.MANY + 1)])
    watched = Watched(monkeypatch)
    store.objects.finish_tree(ROOT)
    assert watched.acts[0] == ("flush all", part.name)
    assert ("flush", "1") not in watched.acts
    assert watched.acts[-1] == ("flush", tmp_path.name)


def test_a_file_that_cannot_be_flushed_gets_no_final_name(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(store, tmp_path / "album", [str(number) for number in range(fsync.MANY + 1)])

    def full(_: int) -> int:
        ctypes.set_errno(28)
        return -1

    with monkeypatch.context() as patch:
        patch.setattr(fsync, "_syncfs", full)
        with pytest.raises(StoreError, match="the disk is full"):
            store.objects.finish_tree(ROOT)
    assert not (tmp_path / "album").exists()
    assert store.objects.finish_tree(ROOT).path.is_dir()


def test_the_real_flush_works(tmp_path: Path) -> None:
    for number in range(fsync.MANY + 1):
        (tmp_path / str(number)).write_text("x")
    fsync.flush(tmp_path, [str(number) for number in range(fsync.MANY + 1)])


def own_file(store: Store, cid: Cid) -> Path:
    return store.home / "chunks" / cid[-2:] / cid


def reboot(store: Store) -> None:
    db = sqlite3.connect(store.path)
    db.execute("UPDATE meta SET value = 'the boot before' WHERE name = 'boot'")
    db.commit()
    db.close()


def test_our_own_files_are_verified_after_a_power_loss(store: Store) -> None:
    cid, other = raw_cid(LARGE), raw_cid(LARGE + b"!")
    store.commit([NOTE], [store.objects.land(cid, LARGE), store.objects.land(other, LARGE + b"!")])
    store._db.close()  # as in a power loss, not closed in order
    own_file(store, cid).write_bytes(b"")
    reboot(store)
    again = Store.open(store.home)
    assert [lost.cids for lost in again.lost_at_open] == [(cid,)]
    again.close()


def test_files_of_an_orderly_stop_are_not_verified_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cid = raw_cid(LARGE)
    store.commit([NOTE], [store.objects.land(cid, LARGE)])
    watched = Watched(monkeypatch)
    store.close()
    assert ("flush", cid) in watched.acts
    reboot(store)
    looked: list[Path] = []
    with monkeypatch.context() as patch:
        patch.setattr("flux_tui.store.disk.file_io.holds", lambda path, *_: looked.append(path))
        again = Store.open(store.home)
    assert looked == []
    again._db.close()
    reboot(store)
    last = Store.open(store.home)
    assert last.lost_at_open == []
    assert last.chunks.rows("SELECT 1 FROM meta WHERE name = 'closed'") == [], "it counts for one life"
    last.close()
