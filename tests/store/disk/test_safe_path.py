"""Objects from an attacker: nothing outside their folder is touched, whatever they are made of."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.content.unixfs_trees import leads_out
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.database import StoreError
from flux_tui.store.disk.safe_path import Inside
from flux_tui.store.store import Store

ROOT = dag_cid(b"root")
NOTE = (1.0, ev.NodeStopped(reason="x"))
EVIL = b"evil"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "dl" / "victim"
    path.parent.mkdir()
    path.write_text("precious")
    return path


@pytest.fixture
def album(store: Store, victim: Path) -> Path:
    """The folder that an object is fetched into."""
    store.objects.open_tree(ROOT, victim.parent / "album")
    store.objects.place_folder(ROOT, "")
    return store._trees.by_root[ROOT].part


def outside(album: Path) -> set[str]:
    return set(os.listdir(album.parent)) - {album.name, "album"}


def write(store: Store, rel: str, data: bytes = EVIL) -> None:
    """Do everything that a node does with a file of an object."""
    store.objects.place_file(ROOT, rel, len(data))
    store.objects.place_data(ROOT, rel, 0, data)
    store.objects.place_leaves(ROOT, rel, [(raw_cid(data), 0, len(data))])
    store.objects.land(raw_cid(data), data)


def test_a_chain_of_links_that_leads_above_the_folder(store: Store, album: Path, victim: Path) -> None:
    """`p/q → ..` is inside, and so is `x → p/q/..` by its letters. Together they lead above the folder."""
    store.objects.place_folder(ROOT, "p")
    store.objects.place_symlink(ROOT, "p/q", "..")
    store.objects.place_symlink(ROOT, "x", "p/q/..")
    with pytest.raises(StoreError, match=r"says two things of 'x'"):
        write(store, "x/evil")
    store.objects.place_symlink(ROOT, "y", "p/q/../victim")
    with pytest.raises(StoreError, match=r"says two things of 'y'"):
        write(store, "y")
    whole = store.objects.finish_tree(ROOT)
    assert os.readlink(whole.path / "p" / "q") == ".."
    assert sorted(whole.left_out) == [
        "x → p/q/.. (it leads out of the folder)",
        "y → p/q/../victim (it leads out of the folder)",
    ]
    assert not os.path.lexists(whole.path / "x")
    assert victim.read_text() == "precious"
    assert outside(album) == {"victim"}


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (lambda s: s.objects.place_symlink(ROOT, "x", "y"), lambda s: s.objects.place_folder(ROOT, "x")),
        (lambda s: s.objects.place_symlink(ROOT, "x", "y"), lambda s: write(s, "x")),
        (lambda s: s.objects.place_symlink(ROOT, "x", "y"), lambda s: write(s, "x/z")),
        (
            lambda s: s.objects.place_symlink(ROOT, "x", "y"),
            lambda s: s.objects.place_symlink(ROOT, "x/z", "y"),
        ),
        (lambda s: s.objects.place_folder(ROOT, "x"), lambda s: s.objects.place_symlink(ROOT, "x", "y")),
        (lambda s: write(s, "x"), lambda s: s.objects.place_symlink(ROOT, "x", "y")),
        (lambda s: write(s, "x"), lambda s: s.objects.place_folder(ROOT, "x")),
        (lambda s: write(s, "x"), lambda s: write(s, "x/z")),
        (lambda s: write(s, "x/z"), lambda s: write(s, "x")),
    ],
)
def test_a_name_that_is_both_a_file_and_a_folder(
    store: Store, album: Path, first: Callable[[Store], None], then: Callable[[Store], None]
) -> None:
    first(store)
    with pytest.raises(StoreError, match="says two things of 'x'"):
        then(store)


def test_links_are_made_after_everything_else(store: Store, album: Path) -> None:
    store.objects.place_symlink(ROOT, "x", "sub")
    assert os.listdir(album) == []
    write(store, "sub/file")
    whole = store.objects.finish_tree(ROOT)
    assert (whole.path / "x" / "file").read_bytes() == EVIL
    assert whole.left_out == ()


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../x", "a/../../x", "../../album/x", "a/..", "./../x", "//"]
)
def test_a_link_that_leads_out_is_left_out_and_the_rest_is_there(
    store: Store, album: Path, target: str
) -> None:
    store.objects.place_symlink(ROOT, "link", target)
    write(store, "file")
    whole = store.objects.finish_tree(ROOT)
    assert whole.left_out == (f"link → {target} (it leads out of the folder)",)
    assert os.listdir(whole.path) == ["file"]
    assert not album.exists()


def test_an_object_that_is_nothing_but_a_link(store: Store, tmp_path: Path) -> None:
    store.objects.open_tree(ROOT, tmp_path / "x")
    with pytest.raises(StoreError, match="nothing but a link"):
        store.objects.place_symlink(ROOT, "", "etc")


def test_a_link_whose_name_is_already_taken(store: Store, album: Path) -> None:
    """A file system may treat two names as one (letter case, forms of Unicode)."""
    store.objects.place_symlink(ROOT, "link", "x")
    store.objects.place_symlink(ROOT, "other", "x")
    (album / "link").mkdir()
    (album / "other").symlink_to("x")
    assert store.objects.finish_tree(ROOT).left_out == ("link → x (its name is taken)",)


@pytest.mark.parametrize("rel", ["../x", "/etc/x", "a/../../x", "a\0b", "."])
def test_no_path_leads_out_of_the_tree(store: Store, album: Path, rel: str) -> None:
    places: tuple[Callable[[], None], ...] = (
        lambda: store.objects.place_folder(ROOT, rel),
        lambda: store.objects.place_file(ROOT, rel, 1),
        lambda: store.objects.place_symlink(ROOT, rel, "x"),
    )
    for place in places:
        with pytest.raises(StoreError, match="leads out"):
            place()
    assert outside(album) == {"victim"}


def test_existing_links_are_not_followed(store: Store, album: Path, victim: Path) -> None:
    """They may come from an older version, from another program, or have appeared just now."""
    (album / "up").symlink_to("..")
    (album / "file").symlink_to(victim)
    (album / "dangling").symlink_to(victim.parent / "new")
    acts: tuple[Callable[[], None], ...] = (
        lambda: store.objects.place_folder(ROOT, "up"),
        lambda: store.objects.place_folder(ROOT, "up/sub"),
        lambda: write(store, "up/evil"),
        lambda: write(store, "up/victim"),
        lambda: write(store, "file"),
        lambda: write(store, "dangling"),
        lambda: store.objects.place_data(ROOT, "file", 0, EVIL),
        lambda: store.objects.place_data(ROOT, "up/victim", 0, EVIL),
    )
    for act in acts:
        with pytest.raises(StoreError, match="something on its way is not a folder, but a file or a link"):
            act()
    store.objects.place_symlink(ROOT, "up/link", "x")
    with pytest.raises(StoreError, match="something on its way"):
        store.objects.finish_tree(ROOT)
    assert victim.read_text() == "precious"
    assert outside(album) == {"victim"}


def test_a_link_that_is_put_there_while_chunks_land(store: Store, album: Path, victim: Path) -> None:
    store.objects.place_file(ROOT, "sub/victim", 4096)
    data = bytes(4096)
    store.objects.place_leaves(ROOT, "sub/victim", [(raw_cid(data), 0, 4096)])
    (album / "sub").rename(album / "moved")
    (album / "sub").symlink_to("..")
    with pytest.raises(StoreError, match="something on its way"):
        store.objects.land(raw_cid(data), data)
    assert victim.read_text() == "precious"


def test_the_temporary_name_itself_may_be_a_link(store: Store, album: Path, victim: Path) -> None:
    album.rmdir()
    album.symlink_to(victim.parent)
    with pytest.raises(StoreError, match="something on its way"):
        write(store, "victim")
    assert victim.read_text() == "precious"


def test_errors_name_the_whole_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        Inside(tmp_path, "a/b").open(os.O_RDONLY)
    assert caught.value.filename == str(tmp_path / "a" / "b")


def test_no_descriptor_is_left_open(store: Store, album: Path) -> None:
    def turn(number: int) -> None:
        store.objects.place_folder(ROOT, "")
        store.objects.place_folder(ROOT, f"a/{number}")
        write(store, f"b/{number}/c", b"%d" % number)
        with pytest.raises(StoreError):
            write(store, "a")
        (album / f"link {number}").symlink_to("x")
        with pytest.raises(StoreError):
            store.objects.place_folder(ROOT, f"link {number}/x")

    turn(0)
    gc.collect()  # garbage of earlier tests must not be mistaken for ours
    before = len(os.listdir("/dev/fd"))
    for number in range(1, 20):
        turn(number)
    assert len(os.listdir("/dev/fd")) <= before


STEPS = st.lists(st.sampled_from(["a", "b", "d1", "d2", "l1", "l2", "..", "."]), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from(["l1", "d1/l1", "d1/l2", "d1/d2/l2"]), STEPS, min_size=1))
def test_no_set_of_links_that_pass_leads_out(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, list[str]]
) -> None:
    """The law behind `leads_out`: links that are checked one by one are safe together."""
    folder = tmp_path_factory.mktemp("law") / "object"
    (folder / "d1" / "d2" / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for rel, steps in links.items():
        if not leads_out(rel, "/".join(steps)):
            (folder / rel).symlink_to("/".join(steps))
    for rel in links:
        path = folder / rel
        if path.is_symlink() and (path.exists() or path.is_dir()):
            assert path.resolve().is_relative_to(folder.resolve()), (rel, os.readlink(path))
