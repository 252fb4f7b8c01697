"""Paths that are followed in the blocks that are here, for commands that fetch nothing, and for the dashboard."""

from pathlib import Path

import pytest

from flux_tui.cli.content.looking import known_cids, known_part
from flux_tui.cli.content.part_of_object import find_part
from flux_tui.cli.output import Failure
from flux_tui.core.content.object_paths import parse_object_path
from flux_tui.core.content.path_walk import NoSuchNameError
from flux_tui.core.ids import raw_cid
from flux_tui.home import Home, HomeError
from flux_tui.node.offline import add_offline
from flux_tui.reading.blocks import ReadError

MISSING = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Home, str]:
    tree = tmp_path / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "b c.txt").write_bytes(b"text")
    (tree / "link").symlink_to("a")
    home = Home(tmp_path / "home")
    return home, add_offline(home, tree, "t", lambda *_: None, lambda _: None).root


def test_a_path_is_followed_in_what_is_here(shared: tuple[Home, str]) -> None:
    home, root = shared
    for text in (
        f"{root}/a/b c.txt",
        f"ipfs://{root}/a/b%20c.txt",
        f"http://127.0.0.1:8080/ipfs/{root}/a/b%20c.txt",
    ):
        assert known_part(home, text) == raw_cid(b"text")
        assert known_cids(home, (text, root)) == (root, raw_cid(b"text"))
    assert known_part(home, f"https://gateway.example/ipfs/{root}") == root
    with pytest.raises(Failure, match="there is no 'x' in"):
        known_part(home, f"{root}/a/x")
    with pytest.raises(Failure, match="a folder on its way is not here: give the CID of the part"):
        known_part(home, f"{MISSING}/x")
    with pytest.raises(Failure, match="there is no 'x' in"):
        known_part(home, f"{root}/x/y")


def test_the_dashboard_finds_a_part(shared: tuple[Home, str]) -> None:
    home, root = shared
    found = find_part(home, parse_object_path(f"{root}/a/b c.txt"))
    assert (found.root, found.name) == (raw_cid(b"text"), "b c.txt")
    with pytest.raises(NoSuchNameError, match="there is no 'x'"):
        find_part(home, parse_object_path(f"{root}/x"))
    with pytest.raises(ReadError, match="is a symbolic link to a: name that instead"):
        find_part(home, parse_object_path(f"{root}/link"))
    with pytest.raises(HomeError, match="no node is running"):
        find_part(home, parse_object_path(f"{MISSING}/x"))
