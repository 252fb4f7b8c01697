"""The store: no entry claims a chunk that is not there, changed files are noticed, and nothing is lost."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from flux_tui.core.ids import matches
from flux_tui.core.series import events as ev
from flux_tui.store.database import StoreError
from flux_tui.store.disk.file_io import FileStat, rename_new
from flux_tui.store.store import Store
from tests.support.blocks import MIB, NOTE, ROOT, chunk, shared


def test_files_of_a_home_are_private_from_the_start(store: Store) -> None:
    assert store.home.stat().st_mode & 0o777 == 0o700
    assert store.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("size", [0, 1, 1024, 64 * 1024, 64 * 1024 + 1, MIB])
def test_loose_chunks_of_any_size(store: Store, size: int) -> None:
    cid, data = chunk(1, size)
    landed = store.objects.land(cid, data)
    assert store.chunks.size_of(cid) == size, "held as soon as its bytes are in place"
    store.commit([NOTE], [landed])
    store.close()
    again = Store.open(store.home)
    assert again.chunks.size_of(cid) == size
    assert again.chunks.read([cid]).chunks == [(cid, data)]
    assert again.chunks.counts() == (1, size)
    assert list(again.chunks.cids()) == [cid]
    again.close()


def test_uncommitted_data_is_gone_after_a_crash(store: Store) -> None:
    cid, data = chunk(1)
    store.objects.land(cid, data)
    store.close()
    again = Store.open(store.home)
    assert again.chunks.size_of(cid) is None
    again.close()


def test_a_download_is_the_file(store: Store, tmp_path: Path) -> None:
    pieces = [chunk(n) for n in range(3)] + [chunk(9, 1000)]
    target = tmp_path / "film.mkv"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", 3 * MIB + 1000)
    leaves = [(cid, n * MIB, len(data)) for n, (cid, data) in enumerate(pieces)]
    placed = store.objects.place_leaves(ROOT, "", leaves)
    assert placed.missing == [cid for cid, _ in pieces]
    for cid, data in reversed(pieces):
        store.commit([NOTE], [store.objects.land(cid, data)])
    assert not target.exists(), "it has its name only when it is whole"
    assert store.objects.finish_tree(ROOT).path == target
    assert target.read_bytes() == b"".join(data for _, data in pieces)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert store.chunks.read([pieces[2][0]]).chunks == [pieces[2]], "and it is served from there"
    assert sum(path.stat().st_size for path in store.home.rglob("*") if path.is_file()) < MIB, (
        "no second copy"
    )


def test_a_chunk_in_many_places_is_fetched_once(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "zeros")
    store.objects.place_file(ROOT, "", 5 * MIB)
    store.objects.place_leaves(ROOT, "", [(cid, n * MIB, MIB) for n in range(5)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    assert store.objects.finish_tree(ROOT).path.read_bytes() == data * 5


def test_an_existing_chunk_is_copied_into_place(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1)
    shared(store, tmp_path / "mine", data, cid)
    store.objects.open_tree(ROOT, tmp_path / "theirs")
    store.objects.place_file(ROOT, "", 2 * MIB)
    other, _ = chunk(2)
    placed = store.objects.place_leaves(ROOT, "", [(cid, 0, MIB), (other, MIB, MIB)])
    assert (placed.present, placed.missing) == ([cid], [other])


def test_a_download_goes_on_where_it_was(store: Store, tmp_path: Path) -> None:
    one, two = chunk(1), chunk(2)
    leaves = [(one[0], 0, MIB), (two[0], MIB, MIB)]
    target = tmp_path / "film.mkv"
    for life in range(2):
        store.objects.open_tree(ROOT, target)
        store.objects.place_file(ROOT, "", 2 * MIB)
        placed = store.objects.place_leaves(ROOT, "", leaves)
        assert placed.missing == ([one[0], two[0]] if life == 0 else [two[0]])
        if life == 0:
            store.commit([NOTE], [store.objects.land(*one)])
            store.close()
            store = Store.open(store.home)
    store.commit([NOTE], [store.objects.land(*two)])
    assert store.objects.finish_tree(ROOT).path.read_bytes() == one[1] + two[1]


def test_a_removed_part_file_is_fetched_again(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1)
    target = tmp_path / "x"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    store.close()
    next(path for path in tmp_path.iterdir() if path.name.startswith(".x.")).unlink()
    again = Store.open(store.home)
    again.objects.open_tree(ROOT, target)
    again.objects.place_file(ROOT, "", MIB)
    assert again.objects.place_leaves(ROOT, "", [(cid, 0, MIB)]).missing == [cid]
    again.close()


def test_the_crash_between_the_rename_and_its_row(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1)
    target = tmp_path / "x"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    part = next(path for path in tmp_path.iterdir() if path.name.startswith(".x."))
    store.close()
    part.rename(target)
    again = Store.open(store.home)
    again.objects.open_tree(ROOT, target)
    again.objects.place_file(ROOT, "", MIB)
    assert again.objects.place_leaves(ROOT, "", [(cid, 0, MIB)]).present == [cid]
    assert again.objects.finish_tree(ROOT).path.read_bytes() == data
    again.close()


def test_a_file_can_be_read_while_it_is_renamed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is between the rename and its row, or for ever if the node was killed there."""
    (cid, data), target = chunk(1), tmp_path / "x"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    store.commit([], [store.objects.land(cid, data)])
    found = []

    def renamed(part: Path, path: Path) -> None:
        rename_new(part, path)
        found.append(store.chunks.read([cid]))
        raise OSError("killed here")

    monkeypatch.setattr("flux_tui.store.disk.object_trees.rename_new", renamed)
    with pytest.raises(StoreError):
        store.objects.finish_tree(ROOT)
    for result in (*found, store.chunks.read([cid])):
        assert result.chunks == [(cid, data)]
        assert not result.lost
    target.write_bytes(b"?" * MIB)
    assert store.chunks.read([cid]).lost, "it is believed only as long as it is what it was"


def test_files_of_the_user_are_never_overwritten(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "x"
    target.write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        store.objects.open_tree(ROOT, target)
    target.unlink()
    cid, data = chunk(1, 100)
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", 100)
    store.objects.place_leaves(ROOT, "", [(cid, 0, 100)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    target.write_text("mine, just now")
    with pytest.raises(StoreError, match="exists already"):
        store.objects.finish_tree(ROOT)
    assert target.read_text() == "mine, just now"


def test_two_homes_that_fetch_one_object_to_one_place_do_not_share_a_file(
    store: Store, tmp_path: Path
) -> None:
    """One emptied what the other had written, which then served wrong bytes and was taken for a liar."""
    (cid, data), target = chunk(1), tmp_path / "x"
    other = Store.open(tmp_path / "other")
    for one in (store, other):
        one.objects.open_tree(ROOT, target)
        one.objects.place_file(ROOT, "", MIB)
        assert one.objects.place_leaves(ROOT, "", [(cid, 0, MIB)]).missing == [cid]
        one.commit([NOTE], [one.objects.land(cid, data)])
    assert store.chunks.read([cid]).chunks == [(cid, data)]
    assert store.objects.finish_tree(ROOT).path.read_bytes() == data
    with pytest.raises(StoreError, match="exists already"):
        other.objects.finish_tree(ROOT)
    assert other.chunks.read([cid]).chunks == [(cid, data)], "it has the bytes all the same"
    other.close()


def test_an_unfinished_object_of_an_earlier_version_goes_on(store: Store, tmp_path: Path) -> None:
    """Its temporary name had no sign of the home."""
    (cid, data), target = chunk(1), tmp_path / "x"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    store.commit([NOTE], [store.objects.land(cid, data)])
    store.close()
    part = next(path for path in tmp_path.iterdir() if path.name.startswith(".x."))
    older = part.rename(tmp_path / f".x.{ROOT[-8:]}.flux-part")
    with closing(sqlite3.connect(store.home / "flux.db")) as db, db:
        db.execute("UPDATE tree SET part = ? WHERE part = ?", (str(older), str(part)))
    again = Store.open(store.home)
    again.objects.open_tree(ROOT, target)
    again.objects.place_file(ROOT, "", MIB)
    assert again.objects.place_leaves(ROOT, "", [(cid, 0, MIB)]).present == [cid]
    assert again.objects.finish_tree(ROOT).path.read_bytes() == data
    again.close()


def test_folders_and_links(store: Store, tmp_path: Path) -> None:
    cid, data = chunk(1, 10)
    store.objects.open_tree(ROOT, tmp_path / "album")
    store.objects.place_folder(ROOT, "")
    store.objects.place_folder(ROOT, "empty")
    store.objects.place_file(ROOT, "sub/song", None)
    store.objects.place_leaves(ROOT, "sub/song", [(cid, 0, None)])
    store.objects.place_symlink(ROOT, "sub/link", "song")
    store.objects.place_symlink(ROOT, "sub/up", "../empty")
    store.commit([NOTE], [store.objects.land(cid, data)])
    album = store.objects.finish_tree(ROOT).path
    assert (album / "sub" / "song").read_bytes() == data
    assert (album / "sub" / "link").read_bytes() == data
    assert (album / "empty").is_dir()
    assert store.chunks.read([cid]).chunks == [(cid, data)]


@pytest.mark.parametrize("rel", ["../x", "/etc/x", "a/../../x", "a\0b"])
def test_no_path_leads_out_of_the_tree(store: Store, tmp_path: Path, rel: str) -> None:
    store.objects.open_tree(ROOT, tmp_path / "album")
    with pytest.raises(StoreError, match="leads out"):
        store.objects.place_folder(ROOT, rel)
    with pytest.raises(StoreError, match="leads out"):
        store.objects.place_file(ROOT, rel, 1)
    with pytest.raises(StoreError, match="leads out"):
        store.objects.place_symlink(ROOT, rel, "x")


@pytest.mark.parametrize("how", ["bytes", "same size, old time", "shorter", "gone", "another file"])
def test_a_file_that_changed_is_not_served(store: Store, tmp_path: Path, how: str) -> None:
    path = tmp_path / "mine"
    cid, data = chunk(1)
    shared(store, path, data, cid)
    before = path.stat()
    match how:
        case "bytes":
            path.write_bytes(b"?" + data[1:])
        case "same size, old time":
            path.write_bytes(b"?" + data[1:])
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        case "shorter":
            path.write_bytes(data[:-1])
        case "gone":
            path.unlink()
        case _:
            (tmp_path / "new").write_bytes(b"?" * MIB)
            (tmp_path / "new").rename(path)
    result = store.chunks.read([cid])
    assert result.chunks == []
    assert [(lost.path, lost.cids, lost.size) for lost in result.lost] == [(path, (cid,), MIB)]
    assert str(path) in result.lost[0].why
    store.commit([NOTE], lost=[cid])
    assert store.chunks.size_of(cid) is None


def test_a_file_that_was_only_touched_is_served(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    cid, data = chunk(1)
    shared(store, path, data, cid)
    os.utime(path)
    assert store.chunks.read([cid]).chunks == [(cid, data)]


def test_a_change_within_the_clocks_tick_is_noticed(store: Store, tmp_path: Path) -> None:
    """The stat came so soon after the last change that it proves nothing: the bytes are hashed."""
    path = tmp_path / "mine"
    path.write_bytes(b"just now")
    stat = FileStat.of(path.stat(), path.stat().st_ctime_ns + 1)
    assert not stat.proves(path.stat())
    assert FileStat.of(path.stat(), path.stat().st_ctime_ns + 3 * 10**9).proves(path.stat())


def test_a_file_that_was_added_again_after_a_change(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    old, new = chunk(1), chunk(2)
    shared(store, path, old[1], old[0])
    shared(store, path, new[1], new[0])
    result = store.chunks.read([old[0], new[0]])
    assert result.chunks == [new]
    assert [lost.cids for lost in result.lost] == [(old[0],)]


def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be used"):
        Store.open(tmp_path / "file" / "home")


def test_a_full_database_loses_nothing(store: Store) -> None:
    store.commit([NOTE])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = [(2.0, ev.ErrorOccurred(text="x" * 4000))] * 10
    with pytest.raises(StoreError, match="disk is full"):
        store.commit(big)
    assert store.last_seq == 1
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert store.commit(big) == 11
    reader = store.reader()
    assert [entry.seq for entry in reader.read(0, 99)] == list(range(1, 12))
    reader.close()


def test_a_full_disk_under_a_download(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cid, data = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "x")
    store.objects.place_file(ROOT, "", MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(StoreError, match="disk is full"):
            store.objects.land(cid, data)
    assert store.chunks.size_of(cid) is None
    store.commit([NOTE], [store.objects.land(cid, data)])
    assert store.objects.finish_tree(ROOT).path.read_bytes() == data


WRITER = """
import random, sys
from pathlib import Path
from flux_tui.core.series import events as ev
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.store.store import Store
store = Store.open(Path(sys.argv[1]))
root, chance = dag_cid(b"root"), random.Random(int(sys.argv[3]))
store.objects.open_tree(root, Path(sys.argv[2]))
store.objects.place_file(root, "", 64 << 16)
print("go", flush=True)
for number in range(64):
    data = random.Random(number).randbytes(1 << 16)
    cid = raw_cid(data)
    if store.objects.place_leaves(root, "", [(cid, number << 16, 1 << 16)]).missing:
        landed = store.objects.land(cid, data)
        store.commit([(1.0, ev.ChunkReceived(cid=cid, size=len(data), peer="p"))] * chance.choice([1, 3]), [landed])
store.objects.finish_tree(root)
print("done", flush=True)
"""


def test_killed_at_any_moment_every_row_is_true(tmp_path: Path) -> None:
    """After many kill -9, the series has no gap, and no entry claims a chunk that is not there."""
    home, target = tmp_path / "home", tmp_path / "film"
    chance = random.Random(7)
    rounds = 0
    while not target.exists():
        rounds += 1
        assert rounds < 200, "it does not get on"
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(home), str(target), str(rounds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        store = Store.open(home)
        reader = store.reader()
        entries = reader.read(0, 10_000)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        for entry in entries:
            assert isinstance(entry.event, ev.ChunkReceived)
            result = store.chunks.read([entry.event.cid])
            assert matches(*result.chunks[0])
        reader.close()
        store.close()
        if rounds > 12 and not target.exists():
            subprocess.run(
                [sys.executable, "-c", WRITER, str(home), str(target), "0"], check=True, timeout=60
            )
    assert rounds >= 3
    assert target.read_bytes() == b"".join(random.Random(n).randbytes(1 << 16) for n in range(64))


def test_unfinished_files_are_verified_after_a_power_loss(store: Store, tmp_path: Path) -> None:
    good, bad = chunk(1), chunk(2)
    target = tmp_path / "x"
    store.objects.open_tree(ROOT, target)
    store.objects.place_file(ROOT, "", 2 * MIB)
    store.objects.place_leaves(ROOT, "", [(good[0], 0, MIB), (bad[0], MIB, MIB)])
    store.commit([NOTE], [store.objects.land(*good), store.objects.land(*bad)])
    assert store.lost_at_open == []
    part = store._trees.by_root[ROOT].part
    store.close()
    with part.open("r+b") as file:
        file.seek(MIB)
        file.write(bytes(MIB))
    db = sqlite3.connect(store.path)
    db.execute("UPDATE meta SET value = 'the boot before' WHERE name = 'boot'")
    db.commit()
    db.close()
    again = Store.open(store.home)
    assert [lost.cids for lost in again.lost_at_open] == [(bad[0],)]
    again.close()
