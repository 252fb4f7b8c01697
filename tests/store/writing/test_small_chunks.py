"""Small chunks that arrive together are written together: each gets the outcome that it would have alone."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, raw_cid
from flux_tui.store.database import StoreError, UnfitError
from flux_tui.store.disk.safe_path import OpenFolder
from flux_tui.store.store import Landed, Store
from tests.support.blocks import NOTE, ROOT

OTHER = raw_cid(b"another object")
FILES = ("a", "b", "sub/c", "sub/deep/d", "e")


def content(rel: str) -> bytes:
    return f"content of {rel}".encode()


def begin(store: Store, root: Cid, path: Path, rels: Sequence[str] = FILES) -> None:
    """Begin to fetch an object with these files, each of one leaf."""
    store.objects.open_tree(root, path)
    store.objects.place_files(root, [(rel, None) for rel in rels])
    leaves = [(rel, [(raw_cid(content(rel)), 0, len(content(rel)))]) for rel in rels]
    assert store.objects.place_leaves_of(root, leaves).missing == [raw_cid(content(rel)) for rel in rels]


def land(store: Store, rels: Sequence[str] = FILES) -> list[Landed | StoreError]:
    return store.objects.land_small([(raw_cid(content(rel)), content(rel)) for rel in rels])


def commit(store: Store, outcomes: Sequence[Landed | StoreError]) -> None:
    rows = [row for row in outcomes if isinstance(row, Landed)]
    assert len(rows) == len(outcomes), outcomes
    store.commit([NOTE], rows)


def test_they_are_in_their_files_and_in_the_index(store: Store, tmp_path: Path) -> None:
    begin(store, ROOT, tmp_path / "out")
    commit(store, land(store))
    path, _ = store.objects.finish_tree(ROOT)
    assert {rel: (path / rel).read_bytes() for rel in FILES} == {rel: content(rel) for rel in FILES}
    cids = [raw_cid(content(rel)) for rel in FILES]
    assert store.chunks.read(cids).chunks == [
        (cid, content(rel)) for cid, rel in zip(cids, FILES, strict=True)
    ]


def test_a_chunk_of_two_objects_and_one_of_none(store: Store, tmp_path: Path) -> None:
    begin(store, ROOT, tmp_path / "one", ("a", "b"))
    begin(store, OTHER, tmp_path / "two", ("b", "e"))
    commit(store, land(store, ("a", "b", "e", "loose")))
    for root, folder, rels in ((ROOT, "one", ("a", "b")), (OTHER, "two", ("b", "e"))):
        assert store.objects.finish_tree(root).path == tmp_path / folder
        assert {rel: (tmp_path / folder / rel).read_bytes() for rel in rels} == {
            rel: content(rel) for rel in rels
        }
    assert store.chunks.read_block(raw_cid(content("loose"))) == content("loose")


def test_the_same_chunk_twice(store: Store, tmp_path: Path) -> None:
    begin(store, ROOT, tmp_path / "out", ("a",))
    commit(store, land(store, ("a", "a")))
    assert (store.objects.finish_tree(ROOT).path / "a").read_bytes() == content("a")
    assert store.chunks.counts() == (1, len(content("a")))


def test_one_of_a_wrong_size_spoils_no_other(store: Store, tmp_path: Path) -> None:
    begin(store, ROOT, tmp_path / "out", ("a",))
    store.objects.place_files(ROOT, [("wrong", None)])
    store.objects.place_leaves_of(ROOT, [("wrong", [(raw_cid(content("wrong")), 0, 3)])])
    right, wrong = land(store, ("a", "wrong"))
    assert isinstance(right, Landed)
    assert isinstance(wrong, UnfitError)
    assert wrong.root == ROOT


def test_zeros_leave_a_hole(store: Store, tmp_path: Path) -> None:
    data = bytes(60_000)
    store.objects.open_tree(ROOT, tmp_path / "out")
    store.objects.place_files(ROOT, [("zeros", None)])
    store.objects.place_leaves_of(ROOT, [("zeros", [(raw_cid(data), 0, len(data))])])
    commit(store, store.objects.land_small([(raw_cid(data), data)]))
    path = store.objects.finish_tree(ROOT).path / "zeros"
    assert path.read_bytes() == data
    assert path.stat().st_blocks * 512 < len(data)


def test_a_limit_counts_them(store: Store, tmp_path: Path) -> None:
    store.objects.open_tree(ROOT, tmp_path / "out", len(content("a")))
    store.objects.place_files(ROOT, [("a", None), ("b", None)])
    leaves = [(rel, [(raw_cid(content(rel)), 0, len(content(rel)))]) for rel in ("a", "b")]
    store.objects.place_leaves_of(ROOT, leaves)
    first, again, over = land(store, ("a", "a", "b"))
    assert isinstance(first, Landed)
    assert isinstance(again, Landed), "a second copy counts nothing"
    assert isinstance(over, UnfitError)


def test_a_link_on_the_way_is_not_followed(store: Store, tmp_path: Path) -> None:
    """Somebody replaces a folder of the object by a link while it is being fetched."""
    (tmp_path / "elsewhere").mkdir()
    begin(store, ROOT, tmp_path / "out", ("sub/c", "a"))
    (part,) = tmp_path.glob(".out.*")
    (part / "sub" / "c").unlink()
    (part / "sub").rmdir()
    (part / "sub").symlink_to(tmp_path / "elsewhere")
    refused, written = land(store, ("sub/c", "a"))
    assert isinstance(refused, StoreError)
    assert isinstance(written, Landed)
    assert os.listdir(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("rel", ["../x", "sub/../../x", "/x", "sub/..", "nul\0", "sub/nul\0"])
def test_an_open_folder_lets_no_path_lead_out(tmp_path: Path, rel: str) -> None:
    (tmp_path / "base" / "sub").mkdir(parents=True)
    with OpenFolder(tmp_path / "base") as folder:
        os.close(folder.open("sub/first", os.O_WRONLY | os.O_CREAT))
        with pytest.raises(StoreError):
            folder.open(rel, os.O_WRONLY | os.O_CREAT)
        os.close(folder.open("sub/second", os.O_WRONLY | os.O_CREAT))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["base", "first", "second", "sub"]
