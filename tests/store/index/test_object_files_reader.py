"""The files of an object, read from a home's index while a store writes there."""

import time
from pathlib import Path

import pytest

from flux_tui.store.database import DATABASE, StoreError
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.index import object_files_reader
from flux_tui.store.index.object_files_reader import ObjectFile, ObjectFiles, ObjectFilesReader
from flux_tui.store.index.store_values import Leaf
from flux_tui.store.store import Store
from tests.support.blocks import NOTE, ROOT, chunk

ALBUM = "album"
SIZE = 100


def share(store: Store, folder: Path, rel: str) -> None:
    tree = store.share_tree(folder)
    stat = FileStat.of((folder / rel).stat(), time.time_ns())
    cid, data = chunk(7, 4)
    rows = store.share_file(tree, rel, stat, [Leaf(cid, 0, len(data))])
    store.commit([NOTE], rows)
    store.end_share(tree, keep=True)


def album(store: Store, path: Path, *, files: int = 3, land: tuple[int, ...] = ()) -> None:
    """Begin a folder of files of two chunks each, and write some of the chunks."""
    store.objects.open_tree(ROOT, path)
    store.objects.place_folder(ROOT, "")
    for number in range(files):
        rel = f"song {number}"
        one, other = chunk(2 * number, SIZE), chunk(2 * number + 1, SIZE)
        store.objects.place_file(ROOT, rel, 2 * SIZE)
        store.objects.place_leaves(ROOT, rel, [(one[0], 0, SIZE), (other[0], SIZE, SIZE)])
    store.commit([NOTE], [store.objects.land(*chunk(number, SIZE)) for number in land])


def read(home: Path, path: Path, limit: int = 10) -> ObjectFiles | None:
    reader = ObjectFilesReader.open(home / DATABASE)
    try:
        return reader.read(ROOT, str(path), limit)
    finally:
        reader.close()


def test_each_file_has_its_own_progress(store: Store, tmp_path: Path) -> None:
    album(store, tmp_path / ALBUM, land=(2, 4, 5))
    found = read(tmp_path / "home", tmp_path / ALBUM)
    assert found == ObjectFiles(
        (ObjectFile("song 1", 200, 100), ObjectFile("song 0", 200, 0), ObjectFile("song 2", 200, 200)), 3
    ), "one that has begun, one that has not, and then the whole one"


def test_of_many_files_those_that_are_written_come_first(store: Store, tmp_path: Path) -> None:
    album(store, tmp_path / ALBUM, files=5, land=(8,))
    found = read(tmp_path / "home", tmp_path / ALBUM, limit=2)
    assert found is not None
    assert (found.number, [file.rel for file in found.files]) == (5, ["song 4", "song 0"])


def test_a_whole_folder_has_whole_files(store: Store, tmp_path: Path) -> None:
    album(store, tmp_path / ALBUM, files=2, land=(0, 1, 2, 3))
    store.objects.finish_tree(ROOT)
    assert read(tmp_path / "home", tmp_path / ALBUM) == ObjectFiles(
        (ObjectFile("song 0", 200, 200), ObjectFile("song 1", 200, 200)), 2
    )


def test_a_shared_folder_is_found_by_its_path(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1234")
    share(store, folder, "a.jpg")
    (folder / "a.jpg").write_bytes(b"123456")
    share(store, folder, "a.jpg")
    assert read(tmp_path / "home", folder) == ObjectFiles((ObjectFile("a.jpg", 6, 6),), 1)


def test_a_single_file_has_no_files(store: Store, tmp_path: Path) -> None:
    store.objects.open_tree(ROOT, tmp_path / "film")
    store.objects.place_file(ROOT, "", 100)
    store.commit([NOTE], [])
    assert read(tmp_path / "home", tmp_path / "film") is None
    assert read(tmp_path / "home", tmp_path / "elsewhere") is None


def test_too_many_chunks_are_not_counted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(store, tmp_path / ALBUM, land=(0, 1, 2))
    monkeypatch.setattr(object_files_reader, "MAX_COUNTED", 2)
    found = read(tmp_path / "home", tmp_path / ALBUM)
    assert found is not None
    assert {file.have for file in found.files} == {None}
    monkeypatch.setattr(object_files_reader, "MAX_FILES", 2)
    found = read(tmp_path / "home", tmp_path / ALBUM, limit=2)
    assert found is not None
    assert ([file.rel for file in found.files], found.number) == (["song 0", "song 1"], 3)


def test_a_home_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        ObjectFilesReader.open(tmp_path / DATABASE)
