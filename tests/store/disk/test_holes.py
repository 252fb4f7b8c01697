"""Zeros that were never written stay holes, and the written bytes are right over any old content."""

import itertools
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.store.disk import file_io, holes
from flux_tui.store.disk.holes import BLOCK, HOLE, Run, data_runs
from flux_tui.store.disk.safe_path import Inside
from flux_tui.store.store import Store
from tests.support.blocks import MIB, NOTE, ROOT

DATA = random.Random(1).randbytes(MIB)


def takes(path: Path) -> int:
    """Return the bytes that a file takes on the disk."""
    return path.stat().st_blocks * 512


def sparse(path: Path) -> bool:
    """Return whether the file system here supports holes."""
    with path.open("wb") as file:
        file.truncate(MIB)
    return takes(path) < HOLE


def pieces() -> st.SearchStrategy[bytes]:
    piece = st.tuples(st.booleans(), st.integers(1, 3 * HOLE)).map(
        lambda one: bytes(one[1]) if one[0] else DATA[: one[1]].replace(b"\0", b"x")
    )
    return st.lists(piece, max_size=6).map(b"".join)


@given(pieces())
def test_runs_and_holes_are_the_whole(data: bytes) -> None:
    runs = data_runs(memoryview(data))
    built = bytearray(len(data))
    for start, end in runs:
        assert start % BLOCK == 0
        assert start < end
        built[start:end] = data[start:end]
    assert built == data
    for before, after in itertools.pairwise(runs):
        assert after.start - before.end >= HOLE


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"x", [Run(0, 1)]),
        (bytes(5), []),
        (bytes(MIB), []),
        (DATA, [Run(0, MIB)]),
        (bytes(HOLE) + b"x" * BLOCK, [Run(HOLE, HOLE + BLOCK)]),
        (b"x" * BLOCK + bytes(HOLE), [Run(0, BLOCK)]),
        (b"x" * BLOCK + bytes(HOLE - BLOCK) + b"x" * BLOCK, [Run(0, HOLE + BLOCK)]),
        (b"x" + bytes(2 * HOLE) + b"y", [Run(0, BLOCK), Run(2 * HOLE, 2 * HOLE + 2)]),
    ],
)
def test_written_bytes_and_holes(data: bytes, expected: list[Run]) -> None:
    assert data_runs(memoryview(data)) == expected


@pytest.mark.parametrize("tail", [0, 7])
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("before", ["nothing", "a hole", "data"])
def test_the_bytes_are_right_over_any_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tail: int, direct: bool, before: str
) -> None:
    if not direct:
        monkeypatch.setattr(file_io, "DIRECT", 0)
    path = tmp_path / "file"
    data = DATA[:BLOCK] + bytes(4 * HOLE) + DATA[:BLOCK] + bytes(4 * HOLE + tail)
    offset = 8 * BLOCK
    if before == "a hole":
        with path.open("wb") as file:
            file.truncate(2 * MIB)
    elif before == "data":
        path.write_bytes(b"x" * 2 * MIB)
    file_io.write_at(Inside(path, ""), [offset], data, create=before == "nothing")
    assert path.read_bytes()[offset : offset + len(data)] == data
    if before == "nothing":
        assert path.stat().st_size == offset + len(data)
    if before != "data" and sparse(tmp_path / "probe"):
        assert takes(path) <= 2 * BLOCK + HOLE


def test_a_large_hole_crosses_as_one(tmp_path: Path) -> None:
    if not sparse(tmp_path / "probe"):
        pytest.skip("no holes here")
    store = Store.open(tmp_path / "home")
    zero, end = raw_cid(bytes(MIB)), raw_cid(DATA)
    places = [(zero, number * MIB, MIB) for number in range(64)]
    store.objects.open_tree(ROOT, tmp_path / "film")
    store.objects.place_file(ROOT, "", 65 * MIB)
    store.objects.place_leaves(ROOT, "", [*places, (end, 64 * MIB, MIB)])
    store.commit([NOTE], [store.objects.land(zero, bytes(MIB)), store.objects.land(end, DATA)])
    store.objects.finish_tree(ROOT)
    assert (tmp_path / "film").read_bytes() == bytes(64 * MIB) + DATA
    assert takes(tmp_path / "film") <= 2 * MIB
    # It stays a hole when copied out of the store, and in a file of unknown size.
    again = dag_cid(b"again")
    store.objects.open_tree(again, tmp_path / "copy")
    store.objects.place_file(again, "", None)
    assert store.objects.place_leaves(again, "", [*places, (end, 64 * MIB, MIB)]).missing == []
    store.objects.finish_tree(again)
    assert (tmp_path / "copy").read_bytes() == bytes(64 * MIB) + DATA
    assert takes(tmp_path / "copy") <= 3 * MIB
    store.close()


def test_without_support_for_holes_everything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holes, "_SEEK_DATA", None)
    path = tmp_path / "file"
    path.write_bytes(b"x" * MIB)
    file_io.write_at(Inside(path, ""), [0], bytes(MIB))
    assert path.read_bytes() == bytes(MIB)
    assert os.stat(path).st_size == MIB
