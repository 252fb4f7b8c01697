"""Runs of files on stdout: in a pipe, in a file, behind what a file has; and files that change meanwhile."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path

import pytest

from flux_tui.cli.content import stdout_pieces
from flux_tui.cli.content.stdout_pieces import StdoutPieces
from flux_tui.cli.output import Failure
from flux_tui.reading.open_runs import OpenRun
from flux_tui.store.disk.file_io import FileStat

DATA = os.urandom(3_000_000)
OLD = 2_000_000_000
"""Nanoseconds before now: a stat that is so much younger than the file proves its bytes."""

WriteTo = Callable[[int], StdoutPieces]


@pytest.fixture
def source(tmp_path: Path) -> Iterator[FileIO]:
    path = tmp_path / "source"
    path.write_bytes(DATA)
    with closing(FileIO(path)) as file:
        yield file


@pytest.fixture
def write_to(monkeypatch: pytest.MonkeyPatch) -> WriteTo:
    """Return a function that makes a descriptor stdout."""

    def make(descriptor: int) -> StdoutPieces:
        monkeypatch.setattr(stdout_pieces, "stdout_descriptor", lambda: descriptor)
        return StdoutPieces()

    return make


def run_of(file: FileIO, offset: int, size: int, stat: FileStat | None = None) -> OpenRun:
    return OpenRun(file.fileno(), offset, size, Path("source"), stat)


def proving(file: FileIO) -> FileStat:
    found = os.fstat(file.fileno())
    return FileStat.of(found, found.st_ctime_ns + 2 * OLD)


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
def test_runs_and_bytes_follow_each_other_in_a_file(
    flags: int, source: FileIO, write_to: WriteTo, tmp_path: Path
) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before ")
    descriptor = os.open(path, os.O_WRONLY | flags)
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        out = write_to(descriptor)
        out.write(run_of(source, 5, 2_500_000, proving(source)))
        out.write(b"between")
        out.write(memoryview(DATA)[:3])
        out.write(run_of(source, 2_999_990, 10))
    finally:
        os.close(descriptor)
    assert out.written == 2_500_000 + 7 + 3 + 10
    assert path.read_bytes() == b"before " + DATA[5:2_500_005] + b"between" + DATA[:3] + DATA[-10:]


def test_a_system_that_cannot_copy_is_no_obstacle(
    source: FileIO, write_to: WriteTo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sendfile", raising=False)
    with (tmp_path / "out").open("wb", buffering=0) as file:
        write_to(file.fileno()).write(run_of(source, 1, len(DATA) - 1))
    assert (tmp_path / "out").read_bytes() == DATA[1:]


def test_a_reader_that_stops_early(source: FileIO, write_to: WriteTo) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with pytest.raises(BrokenPipeError):
            write_to(writing).write(run_of(source, 0, len(DATA)))
    finally:
        os.close(writing)


def test_a_file_that_changes_or_ends_is_told(source: FileIO, write_to: WriteTo, tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb", buffering=0) as file:
        out = write_to(file.fileno())
        with pytest.raises(Failure, match="source became shorter while it was read"):
            out.write(run_of(source, 0, len(DATA) + 1))
        stat = proving(source)
        os.utime(source.name, ns=(1, 1))
        with pytest.raises(Failure, match="source was changed while it was read"):
            out.write(run_of(source, 0, 10, stat))


def test_bytes_in_a_pipe_are_not_changed_by_a_person(source: FileIO, write_to: WriteTo) -> None:
    reading, writing = os.pipe()
    try:
        write_to(writing).write(run_of(source, 0, 4096, proving(source)))
        with open(source.name, "r+b") as file:
            file.write(b"changed before the pipe was read")
        assert os.read(reading, 4096) == DATA[:4096]
    finally:
        os.close(reading)
        os.close(writing)


def test_a_file_in_the_home_is_not_read_into_memory(
    source: FileIO, write_to: WriteTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.delattr(os, "pread")
    try:
        write_to(writing).write(run_of(source, 1, 4096, proving(source))._replace(is_kept=True))
        assert os.read(reading, 4096) == DATA[1:4097]
    finally:
        os.close(reading)
        os.close(writing)
