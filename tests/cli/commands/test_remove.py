"""`flux-tui rm`, and ^C in `add`, as people use them: real processes, what they print, and what `state` says."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.nodes import Node, flux, running, state, wait_for


def test_rm_without_a_node(tmp_path: Path) -> None:
    home, film = tmp_path / "home", tmp_path / "film"
    film.write_bytes(b"x" * 1000)
    root = json.loads(flux("add", "--json", str(film), home=home).stdout)["root"]
    for called in ("film", str(film)):
        wrong = flux("rm", called, home=home, check=False)
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert f"`flux-tui rm {root}` stops that" in wrong.stderr
    told = json.loads(flux("rm", "--json", root, home=home).stdout)
    assert told == {
        "root": root, "name": "film", "size": 1000, "path": str(film), "freed_chunks": 1, "freed_bytes": 1000,
        "told": 0, "running": False,
    }  # fmt: skip
    found = state(home)
    assert (found["objects"], found["removing"]) == ([], [])
    assert found["chunks"] == {"count": 0, "bytes": 0}
    assert film.read_bytes() == b"x" * 1000
    again = flux("rm", root, home=home, check=False)
    assert again.returncode == 1
    assert "is not shared here" in again.stderr
    assert json.loads(flux("add", "--json", str(film), home=home).stdout)["root"] == root
    assert [one["root"] for one in state(home)["objects"]] == [root]


def test_rm_with_a_node_and_the_wrong_words(tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.write_bytes(b"x" * 1000)
    node = Node(tmp_path / "home")
    with running(node):
        root, ticket = flux("add", str(film), home=node.home).stdout.split()
        for command in ("cancel", "release"):
            wrong = flux(command, root, home=node.home, check=False)
            assert wrong.returncode == 1
            assert f"to stop sharing it: `flux-tui rm {root}`" in wrong.stderr
        assert (
            flux("rm", ticket, home=node.home).stderr
            == f"film is no longer shared; {film} stays as it is (1 chunk forgotten, 1000 B)\n"
        )
        assert state(node.home)["objects"] == []
        missing = flux("add", "--json", str(film), home=node.home).stdout
        assert json.loads(missing)["root"] == root
    with running(Node(tmp_path / "home")):
        assert [one["root"] for one in state(tmp_path / "home")["objects"]] == [root]
        flux("want", "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354", home=tmp_path / "home")
        pending = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
        wait_for(lambda: state(tmp_path / "home")["pending"], every=0.2)
        wrong = flux("rm", pending, home=tmp_path / "home", check=False)
        assert wrong.returncode == 1
        assert f"cancel it instead (`flux-tui cancel {pending}`)" in wrong.stderr


def test_a_path_is_removed_only_if_it_is_shared_as_an_object_of_its_own(tmp_path: Path) -> None:
    home, tree = tmp_path / "home", tmp_path / "tree"
    tree.mkdir()
    (tree / "part").write_bytes(b"part")
    root = flux("add", str(tree), home=home).stdout.split()[0]
    wrong = flux("rm", f"{root}/part", home=home, check=False)
    assert (
        wrong.stderr
        == f"flux-tui: part is shared as a part of {root} only: `flux-tui rm {root}` stops that\n"
    )
    flux("add", str(tree / "part"), home=home)
    told = flux("rm", f"ipfs://{root}/part", home=home).stderr
    assert "part is no longer shared" in told
    assert "its chunks stay, because another object has them" in told


@pytest.mark.parametrize("with_node", [True, False])
def test_an_interrupted_add_shares_nothing(tmp_path: Path, with_node: bool) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for number in range(8_000):  # no two chunks are alike
            file.seek(number << 20)
            file.write(number.to_bytes(4, "big"))
    home = tmp_path / "home"

    def interrupt() -> None:
        command = [sys.executable, "-m", "flux_tui", "add", "--home", str(home), str(large)]
        adding = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (home / "flux.db").exists() and "add_progressed" in series())
        adding.send_signal(signal.SIGINT)
        _, said = adding.communicate(timeout=60)
        assert adding.returncode == 130
        assert "Interrupted: large is not shared." in said
        wait_for(lambda: "add_cancelled" in series(), every=0.2)
        assert "object_added" not in series()
        assert state(home)["objects"] == []

    def series() -> str:
        return flux("series", home=home, check=False).stdout

    if with_node:
        with running(Node(home)):
            interrupt()
    else:
        interrupt()


@pytest.mark.parametrize("with_node", [True, False])
def test_an_interrupted_add_of_what_is_shared_says_that_it_is(tmp_path: Path, with_node: bool) -> None:
    """It is another add that shares it, an earlier one or one at the same time."""
    film, home = tmp_path / "film", tmp_path / "home"
    film.write_bytes(b"x")
    with running(Node(home)):
        root = flux("add", str(film), home=home).stdout.split()[0]
        if with_node:
            assert _interrupted_add(film, home) == "Interrupted: film was shared before, and still is.\n"
            assert [one["root"] for one in state(home)["objects"]] == [root]
    if not with_node:
        assert _interrupted_add(film, home) == "Interrupted: film was shared before, and still is.\n"
        assert [one["root"] for one in state(home)["objects"]] == [root]


def _interrupted_add(film: Path, home: Path) -> str:
    """What `add` says that is interrupted while a file of 8 GB, mostly a hole, is read."""
    with film.open("r+b") as file:
        for number in range(8_000):  # no two chunks alike
            file.seek(number << 20)
            file.write(number.to_bytes(4, "big"))
    command = [sys.executable, "-m", "flux_tui", "add", "--home", str(home), str(film)]
    adding = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: "add_progressed" in flux("series", home=home).stdout)
    adding.send_signal(signal.SIGINT)
    _, said = adding.communicate(timeout=60)
    return said[said.index("Interrupted") :]
