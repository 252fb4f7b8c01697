"""Two names that are one file on the volume: they are never written into each other, and never called whole."""

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.store.database import StoreError
from flux_tui.store.disk.name_collisions import DistinctNames
from flux_tui.store.store import Store
from tests.support.blocks import NOTE, ROOT

Fold = Callable[[str], str]


def case(name: str) -> str:
    return name.lower()


def forms(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def ends(name: str) -> str:
    return name.rstrip(". ") or name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")


def folding(monkeypatch: pytest.MonkeyPatch, fold: Fold) -> None:
    """Fold names relative to a folder, as a case-folding volume does: it stores the folded form."""

    def wrap(name: str, at: int = 0) -> None:
        real = getattr(os, name)

        def folded(*arguments: Any, **options: Any) -> Any:
            if options.get("dir_fd") is not None:
                arguments = (*arguments[:at], fold(arguments[at]), *arguments[at + 1 :])
            elif not os.access(path := os.fspath(arguments[at]), os.F_OK):
                above, _, last = path.rpartition("/")
                arguments = (*arguments[:at], f"{above}/{fold(last)}", *arguments[at + 1 :])
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, folded)

    for name in ("open", "stat", "lstat", "mkdir", "readlink"):
        wrap(name)
    wrap("symlink", 1)


PAIRS = [
    (case, "README.txt", "readme.txt"),
    (case, "\u00c9t\u00e9", "\u00e9T\u00c9"),
    (forms, "caf\u00e9", "cafe\u0301"),
    (forms, "\u1e9b\u0323", "\u017f\u0323\u0307"),
    (ends, "name", "name."),
]


@pytest.mark.parametrize(("fold", "one", "other"), PAIRS)
def test_two_files(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold: Fold, one: str, other: str
) -> None:
    folding(monkeypatch, fold)
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")
    store.objects.place_file(ROOT, one, 5)
    store.objects.place_leaves(ROOT, one, [(raw_cid(b"first"), 0, 5)])
    store.commit([NOTE], [store.objects.land(raw_cid(b"first"), b"first")])
    with pytest.raises(StoreError, match="are one name in") as told:
        store.objects.place_file(ROOT, other, 3)
    assert str(told.value).startswith(f"{one} and {other} of the object")
    assert store.chunks.read([raw_cid(b"first")]).chunks == [(raw_cid(b"first"), b"first")], (
        "nothing was written into it"
    )


@pytest.mark.parametrize(
    "kinds", ["folder folder", "file folder", "folder file", "link file", "link link", "link folder"]
)
def test_all_kinds_of_entries(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: str
) -> None:
    folding(monkeypatch, case)
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")

    def make(kind: str, name: str) -> None:
        match kind:
            case "folder":
                store.objects.place_folder(ROOT, f"deep/{name}")
            case "file":
                store.objects.place_file(ROOT, f"deep/{name}", 5)
            case _:
                store.objects.place_symlink(ROOT, f"deep/{name}", "elsewhere")

    first, second = kinds.split()
    with pytest.raises(StoreError, match="are one name in"):
        make(first, "Same")
        make(second, "sAME")
        store.objects.finish_tree(ROOT)
    assert not (tmp_path / "got").exists()


@pytest.mark.parametrize("fold", [case, forms])
def test_names_that_the_volume_normalizes_are_accepted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fold: Fold
) -> None:
    folding(monkeypatch, fold)
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")
    for name in ("LARGE", "e\u0301", "plain"):
        store.objects.place_file(ROOT, name, 0)
        store.objects.place_file(ROOT, name, None)
    assert store.objects.finish_tree(ROOT).path == tmp_path / "got"
    assert len(list((tmp_path / "got").iterdir())) == 3


def test_names_are_counted_if_inode_numbers_are_not_stable(tmp_path: Path) -> None:
    names = DistinctNames(tmp_path)
    (tmp_path / "readme").write_bytes(b"")
    with pytest.raises(StoreError, match="README and readme of the object are one name"):
        names.check(["README", "readme"])
    with pytest.raises(StoreError, match="other is not there"):
        names.check(["readme", "other"])
    names.check(["README"])
    (tmp_path / "somebody else's").write_bytes(b"")
    names.check(["readme"])


def test_a_reused_inode_number_is_accepted(tmp_path: Path) -> None:
    names = DistinctNames(tmp_path)
    (tmp_path / "a").write_bytes(b"")
    found = (tmp_path / "a").stat()
    names.take("gone", found)
    names.take("a", found)
    names.take("a", found)


def test_the_check_works_after_a_restart(store: Store, tmp_path: Path) -> None:
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")
    store.objects.place_file(ROOT, "one", 0)
    store.objects.place_symlink(ROOT, "link", "one")
    store.close()
    again = Store.open(store.home)
    again.objects.open_tree(ROOT, tmp_path / "got")
    again.objects.place_folder(ROOT, "")
    again.objects.place_file(ROOT, "one", 0)
    again.objects.place_symlink(ROOT, "link", "one")
    again.objects.finish_tree(ROOT)
    assert sorted(path.name for path in (tmp_path / "got").iterdir()) == ["link", "one"]
    again.close()


@pytest.mark.parametrize("name", [".film.abcdefgh.flux-part", "x.FLUX-PART"])
def test_a_name_like_that_of_an_unfinished_file_is_refused(store: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="would look like something unfinished"):
        store.objects.open_tree(dag_cid(b"x"), tmp_path / name)
    (tmp_path / name).write_bytes(b"the user's")
    with pytest.raises(StoreError):
        store.objects.open_tree(dag_cid(b"x"), tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"the user's"


def test_a_name_that_leads_to_a_new_file_is_found(tmp_path: Path) -> None:
    names = DistinctNames(tmp_path)
    for name in ("one", "gone", "other"):
        (tmp_path / name).write_bytes(b"")
        names.created(name)
    found = (tmp_path / "one").stat()
    (tmp_path / "gone").unlink()
    names.take("one", found)
    with pytest.raises(StoreError, match="one and One of the object are one name"):
        names.take("One", found)
    (tmp_path / "Other").hardlink_to(tmp_path / "other")
    with pytest.raises(StoreError, match="other and Other of the object are one name"):
        names.explain("Other", IsADirectoryError())
    names.explain("missing", FileNotFoundError())
