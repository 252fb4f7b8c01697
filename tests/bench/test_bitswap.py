"""The comparison with Bitswap runs: each of its sides fetches what it should, with small sizes."""

from pathlib import Path

import pytest

from tests.bench.bitswap import (
    AS_IT_COMES,
    AT_ITS_BEST,
    Setting,
    Side,
    blocks_by_bitswap,
    blocks_by_flux,
    file_by_bitswap,
    file_by_flux,
    times,
)
from tests.bench.small_wants import make_chunks
from tests.bench.transfer import make_file

SECONDS = 60
SIZE = AT_ITS_BEST.chunk + 100_000
"""A root and two leaves, or three."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "big.bin"
    make_file(path, SIZE)
    return path


@pytest.mark.parametrize("setting", [AS_IT_COMES, AT_ITS_BEST])
def test_bitswap_fetches_a_file(source: Path, tmp_path: Path, setting: Setting) -> None:
    assert 0 < file_by_bitswap(source, tmp_path, setting, SECONDS) < SECONDS
    assert (tmp_path / "out.bin").read_bytes() == source.read_bytes()


def test_flux_fetches_the_same_file(source: Path, tmp_path: Path) -> None:
    assert 0 < file_by_flux(source, tmp_path, SECONDS) < SECONDS
    assert (tmp_path / "out.bin").read_bytes() == source.read_bytes()


def test_bitswap_fetches_small_blocks(tmp_path: Path) -> None:
    cids = make_chunks(tmp_path / "chunks", 20)
    assert 0 < blocks_by_bitswap(tmp_path / "chunks", cids, tmp_path, AT_ITS_BEST, SECONDS) < SECONDS


def test_flux_fetches_small_blocks(tmp_path: Path) -> None:
    cids = make_chunks(tmp_path / "chunks", 20)
    assert 0 < blocks_by_flux(tmp_path / "chunks", cids, tmp_path, SECONDS) < SECONDS


def test_a_side_that_does_not_finish_is_reported(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = 0.01  # not even Python has started by then
    sides = [Side(name, limit=2) for name in ("one", "best", "ours")]
    sides[1].run(lambda folder: file_by_bitswap(source, folder, AT_ITS_BEST, short))
    sides[2].run(lambda folder: 0.5)
    assert sides[1].label == "best (1 of 1 not finished, counted as 2 s)"
    assert sides[2].label == "ours"
    assert times(sides) == [4]
    assert "best: not finished: not within 0.01 s" in capsys.readouterr().err
