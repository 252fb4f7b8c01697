"""Adding a path again: files that are unchanged by size, times and inode are not read, and the object is the same."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from flux_tui import regular_files
from flux_tui.core.api.inputs import Added
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.node.disk import add_task, chunker
from flux_tui.node.disk.add_task import read_and_reference
from flux_tui.node.disk.chunker import AddError
from flux_tui.store.disk import file_io
from flux_tui.store.store import Store

NOTE = ev.NodeStopped(reason="x")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(file_io, "TICK_NS", -(1 << 62))  # the files were not made just now
    opened = Store.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that an add opens."""
    names: list[str] = []
    open_regular = regular_files.open_regular

    def noting(path: str, *, looked: bool) -> int:
        names.append(os.path.basename(path))
        return open_regular(path, looked=looked)

    monkeypatch.setattr(chunker, "open_regular", noting)
    return names


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of all kinds: small, empty, of several chunks, of equal chunks, with permissions."""
    monkeypatch.setattr(chunker, "CHUNK_SIZE", 10)
    monkeypatch.setattr(chunker, "LEAVES_AT_ONCE", 2)
    folder = tmp_path / "tree"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "small").write_bytes(b"small")
    (folder / "empty").touch()
    (folder / "large").write_bytes(bytes(range(95)))
    (folder / "equal").write_bytes(bytes(100))
    (folder / "sub" / "private").write_bytes(b"private")
    (folder / "sub" / "private").chmod(0o600)
    (folder / "sub" / "deep" / "private and large").write_bytes(bytes(range(100, 145)))
    (folder / "sub" / "deep" / "private and large").chmod(0o700)
    (folder / "sub" / "link").symlink_to("private")
    return folder


def add(store: Store, path: Path, *, verify: bool = False) -> Added:
    added, rows = read_and_reference(store, path, None, lambda *_: None, lambda: False, verify=verify)
    store.commit([(1.0, NOTE)], rows)
    store.end_share(added.share, keep=True)
    return added


def same(one: Added, other: Added) -> bool:
    return (one.root, one.size, one.chunks, one.notes) == (other.root, other.size, other.chunks, other.notes)


FILES = ["empty", "equal", "large", "private", "private and large", "small"]


def test_unchanged_files_are_not_read_again(store: Store, tree: Path, opened: list[str]) -> None:
    first = add(store, tree)
    assert sorted(opened) == FILES
    opened.clear()
    again = add(store, tree)
    assert opened == []
    assert same(first, again)
    assert (again.stored, again.stored_chunks) == (0, 0)


def test_a_change_reads_only_its_file(store: Store, tree: Path, opened: list[str]) -> None:
    first = add(store, tree)
    opened.clear()
    (tree / "sub" / "private").write_bytes(b"another")
    (tree / "sub" / "new").write_bytes(b"new")
    changed = add(store, tree)
    assert sorted(opened) == ["new", "private"]
    assert changed.root != first.root
    opened.clear()
    assert same(add(store, tree, verify=True), changed), "an add that reads everything comes to the same"
    assert sorted(opened) == sorted([*FILES, "new"])


@pytest.mark.parametrize("name", ["large", "sub/deep/private and large"])
def test_a_file_by_itself(store: Store, tree: Path, opened: list[str], name: str) -> None:
    first = add(store, tree / name)
    opened.clear()
    assert same(add(store, tree / name), first)
    assert opened == []
    (tree / name).chmod(0o640)
    assert add(store, tree / name).root != first.root, "permissions are a part of it"
    assert len(opened) == 1


def test_a_file_that_was_just_changed_is_read(
    store: Store, tree: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes within one tick of the clock have the same time."""
    monkeypatch.setattr(file_io, "TICK_NS", 1 << 62)
    add(store, tree)
    opened.clear()
    add(store, tree)
    assert sorted(opened) == FILES


def test_a_replaced_file_of_the_same_size_and_time_is_read(
    store: Store, tree: Path, opened: list[str]
) -> None:
    first = add(store, tree)
    before = (tree / "small").stat()
    (tree / "other").write_bytes(b"other")
    (tree / "other").rename(tree / "small")
    os.utime(tree / "small", ns=(before.st_atime_ns, before.st_mtime_ns))
    opened.clear()
    assert add(store, tree).root != first.root
    assert opened == ["small"]


def test_files_whose_blocks_are_gone_are_read(store: Store, tree: Path, opened: list[str]) -> None:
    first = add(store, tree)
    store.free(first.root, 1, (), ())
    opened.clear()
    again = add(store, tree)
    assert sorted(opened) == FILES
    assert same(first, again)
    assert again.stored_chunks == first.stored_chunks


def test_a_lost_chunk_alone_is_read_again(store: Store, tree: Path, opened: list[str]) -> None:
    add(store, tree)
    store.commit([(1.0, NOTE)], lost=[raw_cid(bytes(range(10, 20)))])
    opened.clear()
    assert add(store, tree).stored == 10
    assert opened == ["large"]


def test_what_an_interrupted_add_did_not_commit_is_read_again(
    store: Store, tree: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(add_task, "INDEXED_AT_ONCE", 1)
    calls = iter(range(1000))
    shares: list[int] = []
    with pytest.raises(AddError):
        read_and_reference(store, tree, None, lambda *_: None, lambda: next(calls) > 12, shares.append)
    for share in shares:
        store.end_share(share, keep=False)
    opened.clear()
    added = add(store, tree)
    assert sorted(opened) == FILES
    assert added.chunks == store.chunks.counts()[0]


def test_a_home_of_an_earlier_version_gets_the_column(tmp_path: Path) -> None:
    Store.open(tmp_path / "home").close()
    db = sqlite3.connect(tmp_path / "home" / "flux.db")
    db.execute("ALTER TABLE file DROP COLUMN dag_root")
    db.close()
    (tmp_path / "file").write_bytes(b"x")
    store = Store.open(tmp_path / "home")
    assert add(store, tmp_path / "file").root == raw_cid(b"x")
    store.close()
