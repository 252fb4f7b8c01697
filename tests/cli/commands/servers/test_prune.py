"""`flux-tui prune`: what is dropped, what is moved, and what the other commands say about where history begins."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive, extend, snapshot
from flux_tui.core.series.state import State
from flux_tui.store.segments import rotation
from flux_tui.store.series_reader import SeriesReader, first_state
from flux_tui.store.store import Store
from tests.bench.nodes import flux

DAY = 86_400.0
ENTRIES = [
    Entry(n, 1_000_000_000.0 + n * 60, ev.ErrorOccurred(text=f"number {n}") if n % 50 else ev.NodeStopped(reason="x"))
    for n in range(1, 2001)
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with several segments, whose entries are old."""
    monkeypatch.setattr(rotation, "SEGMENT_BYTES", 1 << 14)
    store, state = Store.open(tmp_path / "home"), State()
    for start in range(0, len(ENTRIES), 250):
        group = ENTRIES[start : start + 250]
        extend(state, group)
        store.commit([(one.at, one.event) for one in group], checkpoint=snapshot(state))
    while store.series.rotate() is not None:
        pass
    assert len(store.series.segments) >= 2
    store.close()
    return tmp_path / "home"


def test_pruning_and_the_archive(home: Path, tmp_path: Path) -> None:
    with closing(SeriesReader.open(home / "flux.db")) as reader:
        segments = reader.segments()
    last = segments[-1].last
    told = json.loads(flux("prune", "--keep", "30d", "--dry-run", "--json", home=home).stdout)
    size = sum(one.size for one in segments)
    assert told == {"entries": last, "bytes": size, "first": last + 1, "archive": None, "dry_run": True}
    assert flux("prune", home=home).stderr == "nothing to drop: history begins at entry 1\n", (
        "the settings keep all"
    )
    told = json.loads(flux("state", "--json", home=home).stdout)["series"]
    assert (told["first"], told["segments"], told["segment_bytes"]) == (1, len(segments), size)
    seconds = segments[-1].last_at - segments[0].first_at
    assert told["month_bytes"] == int(size / seconds * 30 * DAY)
    archive = tmp_path / "old"
    words = flux("prune", "--keep", "30d", "--archive", str(archive), home=home).stderr
    assert words.startswith(f"{last:,} entries moved to {archive}, ")
    assert words.endswith(f"; history begins at entry {last + 1:,}\n")
    with closing(SeriesReader.open(archive)) as reader:
        assert reader.read(0, 10_000) == ENTRIES[:last]
    with closing(SeriesReader.open(home / "flux.db")) as reader:
        assert reader.read(0, 10_000)[: 2000 - last] == ENTRIES[last:]
        assert first_state(reader) == derive(ENTRIES[:last])
        pruned = reader.read(2000, 1)[0].event
        assert pruned == ev.SeriesPruned(entries=last, size=size, first=last + 1, archive=str(archive))
    wrong = flux("state", "--at", "5", home=home, check=False)
    assert wrong.returncode == 1
    assert f"history begins at entry {last + 1} (2001-" in wrong.stderr
    found = flux("series", "--kind", "node_stopped", "--json", home=home)
    assert [json.loads(line)["seq"] for line in found.stdout.splitlines()] == [
        entry.seq for entry in ENTRIES[last:] if isinstance(entry.event, ev.NodeStopped)
    ]
    assert f"history begins at entry {last + 1:,}" in found.stderr
    assert f"; history begins at entry {last + 1:,} (2001-" in flux("state", home=home).stdout
    wrong = flux("prune", "--keep", "soon", home=home, check=False)
    assert "--keep: 'soon' is not all, an age such as 30d, or a size such as 10GiB" in wrong.stderr


def test_an_archive_is_replayed_and_a_folder_without_one_is_refused(home: Path, tmp_path: Path) -> None:
    flux("prune", "--keep", "1d", "--archive", str(tmp_path / "old"), home=home)
    for folder, words in ((tmp_path / "old", "needs a terminal"), (home, "there is no series at")):
        refused = flux("replay", str(folder), home=home, check=False)
        assert refused.returncode == 1
        assert words in refused.stderr
