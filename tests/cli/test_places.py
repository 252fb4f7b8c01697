"""Where `get` puts an object, and what paths mean: literal, never empty, never `-`."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from flux_tui.cli import run
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.store.disk.placement_check import placement
from tests.bench.nodes import LISTEN, Node, flux, running


class Shared(NamedTuple):
    """A node that shares a folder and a file. A `get` here copies from its store."""

    home: Path
    folder: str
    """The ticket of the folder `d`."""
    file: str
    """The ticket of the file `film.mkv`."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    place = tmp_path_factory.mktemp("shared")
    (place / "d" / "e").mkdir(parents=True)
    (place / "d" / "1").write_text("one")
    (place / "d" / "e" / "2").write_text("two")
    (place / "film.mkv").write_text("a film")
    node = Node(place / "home")
    with running(node):
        added = [flux("add", "--json", str(place / name), home=node.home) for name in ("d", "film.mkv")]
        told = [json.loads(one.stdout) for one in added]
        yield Shared(node.home, *(format_ticket(Ticket(Cid(t["root"]), t["name"], t["size"])) for t in told))


def tree(path: Path) -> list[str]:
    return sorted(str(child.relative_to(path)) for child in path.rglob("*"))


D = ["1", "e", "e/2"]


def get(shared: Shared, ticket: str, *flags: str, cwd: Path) -> tuple[int, str, str]:
    result = subprocess.run(
        [sys.executable, "-m", "flux_tui", "get", ticket, *flags, "--home", str(shared.home)],
        capture_output=True, text=True, timeout=120, cwd=cwd,
    )  # fmt: skip
    return result.returncode, result.stdout.strip(), result.stderr


@pytest.mark.parametrize(
    ("output", "where"),
    [
        ("new", "new"),  # a new name
        ("new/", "new/d"),  # a folder that `get` makes
        ("there", "there/d"),  # an existing folder
        ("there/", "there/d"),
        ("./there/../new", "new"),
        ("~", "~"),
    ],
)
def test_repeating_a_get_gives_the_same_result(
    shared: Shared, tmp_path: Path, output: str, where: str
) -> None:
    (tmp_path / "there").mkdir()
    status, out, err = get(shared, shared.folder, "-o", output, cwd=tmp_path)
    assert (status, out) == (0, str(tmp_path / where)), err
    before = tree(tmp_path)
    assert tree(tmp_path / where) == D
    for again in (output, str(tmp_path / where)):
        status, out, err = get(shared, shared.folder, "-o", again, cwd=tmp_path)
        assert (status, out, err) == (0, str(tmp_path / where), "d: is here already\n")
    assert tree(tmp_path) == before


def test_both_places_of_an_object_are_known(shared: Shared, tmp_path: Path) -> None:
    """The place before the last one is known, too."""
    for _ in range(2):
        for name in ("one", "two"):
            status, out, _ = get(shared, shared.folder, "-o", name, cwd=tmp_path)
            assert (status, out) == (0, str(tmp_path / name))
    assert tree(tmp_path) == sorted(
        [name for top in ("one", "two") for name in (top, *(f"{top}/{rel}" for rel in D))]
    )


def test_a_changed_file_is_reported_and_a_removed_one_is_fetched_again(
    shared: Shared, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    get(shared, shared.folder, "-o", "new", cwd=tmp_path)
    (new / "1").write_text("another")
    status, _, err = get(shared, shared.folder, "-o", "new", cwd=tmp_path)
    assert (status, err) == (
        1,
        f"flux-tui: {new} was changed since it was fetched: move it away, or choose another name with -o\n",
    )
    shutil.rmtree(new)
    new.mkdir()  # for another object
    status, out, _ = get(shared, shared.folder, "-o", "new", cwd=tmp_path)
    assert (status, out) == (0, str(new / "d"))
    shutil.rmtree(new)
    status, out, _ = get(shared, shared.folder, "-o", "new", cwd=tmp_path)
    assert (status, out) == (0, str(new))
    assert tree(new) == D


def test_get_puts_a_file_into_a_new_folder(shared: Shared, tmp_path: Path) -> None:
    for _ in range(2):
        status, out, _ = get(shared, shared.file, "-o", "new/", cwd=tmp_path)
        assert (status, out) == (0, str(tmp_path / "new" / "film.mkv"))
    status, _, err = get(shared, shared.file, "-o", "new/film.mkv/", cwd=tmp_path)
    assert (status, err) == (
        1, f"flux-tui: {tmp_path}/new/film.mkv is a file, not a folder: choose another name with -o\n",
    )  # fmt: skip
    status, _, err = get(shared, shared.file, "-o", "no/where/", cwd=tmp_path)
    assert (status, err) == (1, f"flux-tui: the folder {tmp_path}/no does not exist\n")
    # It has the same length, so the size does not tell the node.
    (tmp_path / "new" / "film.mkv").write_text("a song")
    status, _, err = get(shared, shared.file, "-o", "new/", cwd=tmp_path)
    assert (status, "was changed since" in err) == (1, True)


def test_the_place_of_one_object_is_not_taken_for_another(shared: Shared, tmp_path: Path) -> None:
    get(shared, shared.file, "-o", "x", cwd=tmp_path)
    database = shared.home / "flux.db"
    assert placement(database, raw_cid(b"a film"), tmp_path / "x") == "whole"
    assert placement(database, raw_cid(b"another"), tmp_path / "x") is None
    assert placement(database, raw_cid(b"a film"), tmp_path / "y") is None
    (tmp_path / "x").unlink()
    (tmp_path / "x").mkdir()
    assert placement(database, raw_cid(b"a film"), tmp_path / "x") == "not there"


# ── odd paths ───────────────────────────────────────────────────────────────────────────────────

PATHS = [
    ["add", "{}"], ["get", "bafy", "-o", "{}"], ["export", "{}"], ["replay", "{}"], ["web", "{}"],
    ["state", "--home", "{}"], ["--home", "{}", "state"], ["want", "x", "--swarm-key", "{}"],
    ["--swarm-key", "{}", "node"], ["demo", "--record", "{}"],
]  # fmt: skip
"""Every argument that is a path."""


@pytest.mark.parametrize("arguments", PATHS, ids=" ".join)
def test_an_empty_path_is_not_a_path(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`flux-tui add "$UNSET"` must not share this folder. `--home "$UNSET"` must not use it."""
    monkeypatch.chdir(tmp_path)
    assert run([argument.format("") for argument in arguments]) == 2
    assert "the path is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["export", "-"], ["demo", "--record", "-"]])
def test_a_dash_is_refused_as_an_output_file(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == 2
    assert "the output cannot be standard output; ./- is a file of that name" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["~", "~nobody", "~$plan.docx", "~/x"])
def test_a_tilde_is_taken_literally(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/nothing")
    monkeypatch.setenv("FLUX_TUI_HOME", str(tmp_path / "home"))
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    assert run(["add", "--json", name]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["root"]) == (str(path), raw_cid(b"mine"))
    assert run(["export", f"{name}.flux"]) == 0
    assert (tmp_path / f"{name}.flux").is_file()
    for arguments in (
        ["state", "--home", f"{name}.home"],
        ["replay", f"{name}.none"],
        ["web", f"{name}.none"],
    ):
        assert run(arguments) == 1
        assert str(tmp_path / name) in capsys.readouterr().err
    assert run(["get", raw_cid(b"mine"), "-o", name]) == 0
    assert capsys.readouterr().out == f"{path}\n", "it is here already"


GONE = "flux-tui: the folder that you are in is gone: go to another one, or give whole paths\n"


@pytest.mark.parametrize("arguments", PATHS, ids=" ".join)
def test_a_path_from_a_folder_that_is_gone(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUX_TUI_HOME", str(tmp_path / "home"))
    (tmp_path / "file").write_text("x")
    assert run(["add", str(tmp_path / "file")]) == 0
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    capsys.readouterr()
    named = [raw_cid(b"x") if argument == "bafy" else argument.format("x") for argument in arguments]
    assert run(named) == 1
    assert capsys.readouterr().err == GONE
    assert run(["state"]) == 0, "what needs no folder works"


def test_a_node_is_started_from_a_folder_that_is_gone(tmp_path: Path) -> None:
    home, gone = tmp_path / "home", tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1"; rmdir "$1"; shift; exec "$@"'
    arguments = [sys.executable, "-m", "flux_tui", "want", raw_cid(b"x"), "--home", str(home), *LISTEN]
    try:
        result = subprocess.run(
            ["sh", "-c", script, "sh", str(gone), *arguments], capture_output=True, text=True, timeout=120,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert (result.returncode, result.stderr) == (0, "pushed 1 want\n")
    finally:
        flux("stop", home=home, check=False)
