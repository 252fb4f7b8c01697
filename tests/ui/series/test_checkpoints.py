"""From the nearest saved state, any entry is a short fold away, whoever saved the state."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flux_tui.core.series import fold as derive_module
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive, extend, restore, snapshot
from flux_tui.core.series.state import State
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store
from flux_tui.ui.series import cursor as source_module
from flux_tui.ui.series.checkpoint_process import EVERY
from flux_tui.ui.series.checkpoints import Builder, Checkpoints
from flux_tui.ui.series.cursor import Source
from tests.bench.series import exchange

COUNT = 70_000


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long recording, without checkpoints of its own."""
    return write(tmp_path_factory.mktemp("bare"), lambda seq: False)


@pytest.fixture(scope="module")
def entries(series: Path) -> list[Entry]:
    reader = SeriesReader.open(series)
    try:
        return reader.read(0, COUNT)
    finally:
        reader.close()


def write(folder: Path, checkpointed: Callable[[int], bool]) -> Path:
    """Write a series of COUNT entries. `checkpointed` says whether it has a checkpoint after an entry."""
    store = Store.open(folder)
    state = State()
    events = itertools.islice(exchange(1), COUNT)
    for start in range(0, COUNT, 10_000):
        batch = [
            (1e9 + (start + n) / 1000, event) for n, event in enumerate(itertools.islice(events, 10_000))
        ]
        extend(state, [Entry(start + n, at, event) for n, (at, event) in enumerate(batch, 1)])
        store.commit(batch, checkpoint=snapshot(state) if checkpointed(state.seq) else None)
    store.close()
    return folder / "flux.db"


def test_states_are_saved_on_disk_and_found_by_entry() -> None:
    kept = Checkpoints()
    for seq in (300, 100, 200, 200):
        kept.add(seq, b"%d" % seq)
    assert kept.nearest(99) is None
    assert kept.nearest(100) == (100, b"100")
    assert kept.nearest(299) == (200, b"200")
    assert kept.nearest(10**9) == (300, b"300")
    assert kept.newest == 300
    kept.close()


def test_checkpoints_are_built_for_a_recording_without_any(
    series: Path, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "FAR_BEHIND", 30_000)
    source = Source.of_file(series)
    source.poll()
    assert source.loading
    builder = source._builder
    assert builder is not None
    builder._process.wait(60)
    for _ in range(COUNT // source_module.POLL_ENTRIES + 1):
        source.poll()
    assert source.cursor == source.last_seq == COUNT
    assert source.building is None
    assert source._kept is not None
    assert source._kept._seqs == [*range(EVERY, COUNT, EVERY), COUNT]
    assert source.state == derive(entries)
    folded = 0

    def counted_extend(state: State, page: list[Entry]) -> State:
        nonlocal folded
        folded += len(page)
        return extend(state, page)

    monkeypatch.setattr(source_module, "extend", counted_extend)
    for seq in (COUNT - 1, 1, EVERY + 5, 35_000, 34_999, 34_998, 59_999):
        folded = 0
        source.go_to(seq)
        assert source.state == derive(entries[:seq])
        assert folded <= EVERY
    folded = 0
    source.go_to(59_998)
    assert folded <= source_module.NEAR, "a step back costs next to nothing"
    source.close()


def test_only_gaps_between_checkpoints_are_folded(tmp_path: Path) -> None:
    path = write(tmp_path, lambda seq: seq not in (30_000, 40_000, 50_000))
    builder = Builder(path, COUNT)
    builder._process.wait(60)
    assert [seq for seq, _ in builder.take()] == [40_000]
    builder.close()


def test_a_recording_with_all_of_its_checkpoints_needs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "FAR_BEHIND", 30_000)
    source = Source.of_file(write(tmp_path, lambda seq: True))
    source.poll()
    assert source.building is None, "it has all of them"
    assert not source.loading
    source.close()


def test_checkpoints_of_another_version_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "FAR_BEHIND", 30_000)
    monkeypatch.setattr(derive_module, "STATE_VERSION", 999)
    path = write(tmp_path, lambda seq: True)
    monkeypatch.undo()
    monkeypatch.setattr(source_module, "FAR_BEHIND", 30_000)
    source = Source.of_file(path)
    source.poll()
    assert source.building is not None
    source.close()
    assert source.building is None


def test_a_builder_ends_with_its_parent_process(series: Path) -> None:
    code = (
        "import sys, pathlib\nfrom flux_tui.ui.series.checkpoints import Builder\n"
        f"b = Builder(pathlib.Path({str(series)!r}), {COUNT})\nprint(b._process.pid, flush=True)\n"
        "import os; os._exit(0)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid = int(told.stdout)
    with pytest.raises(ProcessLookupError):
        wait_gone(pid)


def wait_gone(pid: int) -> None:
    """Wait until the process is gone, then raise ProcessLookupError."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z":
            raise ProcessLookupError
        time.sleep(0.01)


def test_states_restore(series: Path) -> None:
    builder = Builder(series, COUNT)
    builder._process.wait(60)
    assert builder.done
    for seq, data in builder.take():
        state = restore(data)
        assert state is not None
        assert state.seq == seq
    assert builder.take() == []
    builder.close()
