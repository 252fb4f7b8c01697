"""`add -`: what comes on standard input is shared, once, under a name; and nothing is left of what fails."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flux_tui.cli.content.piped_input import name_error
from flux_tui.cli.main import FAILED, OK, USAGE, run
from flux_tui.store.disk import disk_space
from flux_tui.store.disk.piped_files import PipedFile

PutIn = Callable[[Path], None]


@pytest.fixture
def put_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[PutIn]:
    """Return a function that makes a file the standard input."""
    with ExitStack() as files, monkeypatch.context() as patch:
        yield lambda path: patch.setattr("sys.stdin", files.enter_context(path.open()))


def piped(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "piped").glob("*/*"))


def test_it_has_the_root_of_the_same_file_and_goes_with_rm(
    tmp_path: Path, put_in: PutIn, capfd: pytest.CaptureFixture[str]
) -> None:
    home, source = tmp_path / "home", tmp_path / "x.bin"
    source.write_bytes(os.urandom(2_500_000))
    assert run(["add", "-q", str(source), "--home", str(tmp_path / "other")]) == OK
    root = capfd.readouterr().out.split()[0]
    put_in(source)
    assert run(["add", "-", "--name", "y.tar", "--json", "--home", str(home)]) == OK
    told = capfd.readouterr().out
    assert f'"root":"{root}","name":"y.tar","size":2500000' in told
    assert piped(home) == ["y.tar"]
    put_in(source)
    assert run(["add", "-q", "-", "--home", str(home)]) == OK
    assert capfd.readouterr().out.split()[0] == root
    assert piped(home) == ["y.tar"], "the same bytes are kept once"
    assert run(["rm", root, "--home", str(home)]) == OK
    assert "stays as it is" not in capfd.readouterr().err
    assert piped(home) == []


def test_bytes_that_a_file_of_the_person_has_are_not_kept_again(
    tmp_path: Path, put_in: PutIn, capfd: pytest.CaptureFixture[str]
) -> None:
    home, source = tmp_path / "home", tmp_path / "x.bin"
    source.write_bytes(b"x" * 1000)
    assert run(["add", str(source), "--home", str(home)]) == OK
    put_in(source)
    assert run(["add", "-", "--home", str(home)]) == OK
    assert piped(home) == []
    source.write_bytes(b"y" * 1000)
    put_in(source)
    assert run(["add", "-", "--name", "y", "--home", str(home)]) == OK
    assert piped(home) == ["y"]
    capfd.readouterr()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["add", "-", "-"], USAGE, "can be read once only"),
        (["add", "x.bin", "--name", "y"], USAGE, "--name is for standard input"),
        (["add", "-", "--name", "a/b"], USAGE, "'a/b' is not a name for a file"),
        (["add", "-", "--name", ".."], USAGE, "'..' is not a name for a file"),
    ],
)
def test_wrong_usage(
    words: list[str], status: int, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--home", str(tmp_path / "home")]) == status
    assert said in capfd.readouterr().err
    assert not (tmp_path / "home").exists()


def test_names() -> None:
    assert name_error("x.tar") is None
    assert name_error("ä" * 127) is None
    assert name_error("ä" * 128) == "a name has at most 255 bytes"
    assert name_error("") is not None
    assert name_error("a\0") is not None
    assert name_error("\udcff") is not None


def test_what_cannot_be_read_or_kept_is_one_sentence(
    tmp_path: Path, put_in: PutIn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home, source = tmp_path / "home", tmp_path / "x.bin"
    source.write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr("sys.stdin", None)
    assert run(["add", "-", "--home", str(home)]) == FAILED
    assert capfd.readouterr().err == "flux-tui: there is nothing on standard input: it is closed\n"
    with io.FileIO(os.open(source, os.O_WRONLY), "w") as closed:
        monkeypatch.setattr("sys.stdin", closed)
        assert run(["add", "-", "--home", str(home)]) == FAILED
    assert capfd.readouterr().err == "flux-tui: standard input cannot be read: bad file descriptor\n"
    free = disk_space.DiskSpace.free
    monkeypatch.setattr(
        disk_space.DiskSpace, "free", lambda self, folder: min(free(self, folder) or 0, 500_000)
    )
    put_in(source)
    assert run(["add", "-", "--home", str(home)]) == FAILED
    assert "flux-tui: there is no room" in capfd.readouterr().err
    monkeypatch.setattr(disk_space.DiskSpace, "free", free)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PipedFile, "write", full)
    put_in(source)
    assert run(["add", "-", "--home", str(home)]) == FAILED
    assert "standard input cannot be kept in" in capfd.readouterr().err
    assert not list((home / "piped").iterdir()), "nothing is left"
