"""`ls`, `cat`, `inspect`, and paths after a CID: two homes, and which blocks the series shows."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.nodes import Node, flux, running, state

MIB = 1 << 20
FILM, PAGE, BIG = random.Random(3).randbytes(2 * MIB + 17), b"a page\n", random.Random(4).randbytes(5 * MIB)


class Pair:
    """A holder of a folder, and another home whose node knows the holder."""

    def __init__(self, home: Path, root: str, ticket: str) -> None:
        self.home, self.root, self.ticket = home, root, ticket

    def flux(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        return flux(*words, home=self.home, check=check)

    def bytes(self, *words: str) -> bytes:
        command = [sys.executable, "-m", "flux_tui", *words, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def received(self) -> int:
        return int(state(self.home)["received_bytes"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    place = tmp_path_factory.mktemp("looking")
    tree = place / "tree"
    (tree / "films" / "old").mkdir(parents=True)
    (tree / "films" / "film.mkv").write_bytes(FILM)
    (tree / "films" / "old" / "page.txt").write_bytes(PAGE)
    (tree / "films" / "again.txt").write_bytes(PAGE)
    (tree / "link").symlink_to("films/film.mkv")
    (tree / "big.bin").write_bytes(BIG)
    a = Node(place / "a")
    with running(a):
        root, ticket = flux("add", str(tree), home=a.home).stdout.split()
        b = Node(place / "b", "--join", a.addrs[0])
        with running(b):
            yield Pair(b.home, root, ticket)


def test_a_folder_is_listed_and_no_content_is_fetched(pair: Pair) -> None:
    rows = [json.loads(line) for line in pair.flux("ls", "--json", pair.ticket).stdout.splitlines()]
    assert [(row["name"], row["kind"]) for row in rows] == [
        ("big.bin", "file"), ("films", "folder"), ("link", "link")
    ]  # fmt: skip
    assert (rows[0]["size"], rows[2]["target"]) == (len(BIG), "films/film.mkv")
    named = [
        json.loads(line) for line in pair.flux("ls", "--json", "--names", pair.ticket).stdout.splitlines()
    ]
    assert [row["name"] for row in named] == ["big.bin", "films", "link"]
    shown = pair.flux("ls", f"{pair.root}/films").stdout.splitlines()
    assert [line.split()[-1] for line in shown] == ["again.txt", "film.mkv", "old/"]
    assert pair.received() < 10_000
    assert json.loads(pair.flux("inspect", "--json", f"{pair.root}/films").stdout)["kind"] == "folder"


def test_a_part_is_read_and_nothing_else_is_fetched(pair: Pair) -> None:
    assert pair.bytes("cat", f"{pair.root}/films/old/page.txt") == PAGE
    before = pair.received()
    assert (
        pair.bytes("cat", f"{pair.root}/big.bin", "--offset", str(MIB + 5), "--length", "9")
        == BIG[MIB + 5 : MIB + 14]
    )
    assert pair.received() - before == MIB
    assert pair.bytes("cat", f"ipfs://{pair.root}/films/film.mkv") == FILM
    assert len(FILM) <= pair.received() - before - MIB < len(FILM) + 1_000
    (known,) = state(pair.home)["objects"]
    assert (known["name"], known["size"]) == ("film.mkv", len(FILM))


def test_a_file_inside_an_object_is_fetched_to_a_path(pair: Pair, tmp_path: Path) -> None:
    before = pair.received()
    told = pair.flux("get", f"https://ipfs.io/ipfs/{pair.root}/films/old", "-o", str(tmp_path / "old"))
    assert told.stdout == f"{tmp_path / 'old'}\n"
    assert (tmp_path / "old" / "page.txt").read_bytes() == PAGE
    assert pair.received() - before < 1_000


def test_only_what_patterns_name_is_fetched(pair: Pair, tmp_path: Path) -> None:
    before = pair.received()
    out = tmp_path / "out"
    pair.flux("get", pair.root, "--only", "*.txt", "--only", "/link", "-o", str(out))
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    assert found == {"films/again.txt", "films/old/page.txt", "link"}
    assert (
        (out / "films" / "again.txt").read_bytes()
        == (out / "films" / "old" / "page.txt").read_bytes()
        == PAGE
    )
    assert (out / "link").readlink() == Path("films/film.mkv")
    assert pair.received() - before < 2_000
    assert pair.flux("get", pair.root, "--only", "*.txt", "-o", str(out)).returncode == 0, (
        "again: all is here"
    )
    none = pair.flux("get", pair.root, "--only", "*.png", "-o", str(tmp_path / "no"), check=False)
    assert (none.returncode, none.stderr.splitlines()[-1]) == (
        1,
        f"flux-tui: nothing in {pair.root} is named so",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("cat", "{root}/films"), "films is a folder: `flux-tui ls` lists it"),
        (("cat", "{root}/link"), "link is a symbolic link to films/film.mkv"),
        (("get", "{root}/link"), "link is a symbolic link to films/film.mkv: name that instead"),
        (("ls", "{root}/nothing"), "there is no 'nothing' in {root}"),
        (("ls", "{root}/films/film.mkv/x"), "{root}/films/film.mkv is a file, so there is no 'x' in it"),
        (("cat", "{root}/a/../b"), "a path inside an object cannot have the name '..'"),
        (("get", "{root}", "--only", "../x"), "'../x' is not a pattern of names in a folder"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(pair: Pair, words: tuple[str, ...], why: str) -> None:
    told = pair.flux(*(word.format(root=pair.root) for word in words), check=False)
    assert (told.returncode, told.stderr) == (1, f"flux-tui: {why.format(root=pair.root)}\n")
