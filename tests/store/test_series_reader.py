"""The series: one suite for every source of entries, and special cases of a file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Unknown
from flux_tui.core.series.fold import derive, restore, snapshot
from flux_tui.store.database import SCHEMA_VERSION, StoreError, explain
from flux_tui.store.series_export import export
from flux_tui.store.series_reader import MemorySeries, SeriesReader, SeriesSource
from flux_tui.store.store import Store

Make = Callable[[list[Entry]], SeriesSource]


def entries(count: int) -> list[Entry]:
    return [Entry(n, 1000.0 + n // 2, ev.ErrorOccurred(text=f"number {n}")) for n in range(1, count + 1)]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def build(wanted: list[Entry]) -> SeriesSource:
        if request.param == "memory":
            return MemorySeries(wanted)
        store = Store.open(tmp_path)
        store.commit([(entry.at, entry.event) for entry in wanted])
        store.close()
        return SeriesReader.open(tmp_path / "flux.db")

    return build


def test_reading(make: Make) -> None:
    source = make(entries(25))
    assert source.last_seq() == 25
    assert source.read(0, 100) == entries(25)
    assert [e.seq for e in source.read(20, 3)] == [21, 22, 23]
    assert source.read(25, 10) == []
    assert [e.seq for e in source.read_before(6, 3)] == [3, 4, 5]
    assert [e.seq for e in source.read_before(3, 10)] == [1, 2]
    assert source.read_before(1, 10) == []
    source.close()


def test_finding_a_time(make: Make) -> None:
    source = make(entries(25))
    assert source.seq_at(999.0) == 0
    assert source.seq_at(1000.0) == 1
    assert source.seq_at(1005.5) == 11
    assert source.seq_at(9e9) == 25
    source.close()


def test_finding_a_time_where_the_clock_was_set_back(make: Make) -> None:
    """Three stretches: the clock was an hour ahead, was corrected, and was set back once more."""
    times = [1000.0, 1001.0, 5000.0, 5001.0, 5002.0, 1400.0, 1402.0, 1404.0, 1100.0, 1101.0]
    source = make([Entry(seq, at, ev.NodeStopped(reason="x")) for seq, at in enumerate(times, 1)])
    for at in (999.0, 1000.0, 1000.5, 1099.0, 1100.5, 1200.0, 1403.0, 5001.5, 9e9):
        found = max((seq for seq, time in enumerate(times, 1) if time <= at), default=0)
        assert source.seq_at(at) == found, at
    near = {
        (4, 5001.5): 4,
        (4, 9e9): 5,
        (5, 3000.0): 2,
        (7, 1403.0): 7,
        (7, 9e9): 8,
        (7, 0.0): 6,
        (10, 1e9): 10,
    }
    for (seq, at), found in near.items():
        assert source.seq_near(seq, at) == found
    source.close()


def test_a_copy_knows_where_the_clock_was_set_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    for at in (1000.0, 5000.0, 1001.0, 1002.0):
        store.commit([(at, ev.NodeStopped(reason="x"))])
    store.close()
    Store.open(tmp_path / "home").close()  # again: nothing is recorded twice
    export(store.path, tmp_path / "copy.flux")
    for path in (store.path, tmp_path / "copy.flux"):
        reader = SeriesReader.open(path)
        assert (reader.seq_at(1001.5), reader.seq_at(4000.0), reader.seq_near(2, 9e9)) == (3, 4, 2)
        reader.close()


def test_a_series_of_a_version_without_clock_steps_is_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    store.commit([(1000.0, ev.NodeStopped(reason="x")), (1001.0, ev.NodeStopped(reason="y"))])
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute("DROP TABLE set_back")
    reader = SeriesReader.open(store.path)
    assert (reader.seq_at(1000.5), reader.seq_near(1, 2e9)) == (1, 2)
    reader.close()
    assert export(store.path, tmp_path / "copy.flux") == 2
    Store.open(tmp_path / "home").close()
    reader = SeriesReader.open(store.path)
    assert reader.seq_at(1000.5) == 1
    reader.close()


def test_an_empty_series(make: Make) -> None:
    source = make([])
    assert (source.last_seq(), source.read(0, 5), source.seq_at(5.0), source.checkpoint(9)) == (
        0,
        [],
        0,
        None,
    )
    source.close()


def test_a_series_in_memory_refuses_gaps() -> None:
    with pytest.raises(ValueError, match="after entry 0"):
        MemorySeries().append([Entry(2, 1.0, ev.NodeStopped(reason="x"))])


def test_checkpoints_are_found_and_give_the_same_state(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    for start in (0, 10):
        chunk = entries(20)[start : start + 10]
        state = derive(entries(20)[: start + 10])
        store.commit([(e.at, e.event) for e in chunk], checkpoint=snapshot(state))
    reader = store.reader()
    for at_most, seq in ((9, None), (10, 10), (19, 10), (99, 20)):
        found = reader.checkpoint(at_most)
        assert (found[0] if found else None) == seq
        if found is not None:
            assert restore(found[1]) == derive(entries(found[0]))
    reader.close()
    store.close()


def test_a_reader_in_another_process_follows(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    script = (
        "import sys; from pathlib import Path; from flux_tui.store.series_reader import SeriesReader\n"
        "r = SeriesReader.open(Path(sys.argv[1]))\n"
        "for line in sys.stdin: print(len(r.read(0, 10**6)), r.last_seq(), flush=True)"
    )
    reader = subprocess.Popen(
        [sys.executable, "-c", script, str(store.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        for count in (3, 5):
            store.commit([(1.0, ev.NodeStopped(reason="x"))] * count)
            reader.stdin.write("now\n")
            reader.stdin.flush()
            assert reader.stdout.readline().split() == [str(store.last_seq)] * 2
    finally:
        reader.stdin.close()
        reader.wait(timeout=10)
        reader.stdout.close()
        store.close()


def test_an_export_is_the_series_and_nothing_else(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    unknown = Unknown(kind="teleported", body=b"\x92\xaateleported\x01")
    landed = store.objects.land("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", b"")  # type: ignore[arg-type]
    store.commit([(1.0, ev.NodeStopped(reason="x")), (2.0, unknown)], [landed])
    target = tmp_path / "copy.flux"
    assert export(store.path, target) == 2
    reader = SeriesReader.open(target)
    assert [e.event for e in reader.read(0, 9)] == [ev.NodeStopped(reason="x"), unknown]
    reader.close()
    tables = sqlite3.connect(target)
    assert {row[0] for row in tables.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} == {
        "cid_list", "entry", "checkpoint", "page", "page_index", "piece", "saved", "segment", "set_back",
    }  # fmt: skip
    tables.close()
    with pytest.raises(StoreError, match="exists already"):
        export(store.path, target)
    store.close()
    assert export(store.path, target, overwrite=True) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.flux", "home"]


def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    store.commit([(1.0, ev.NodeStopped(reason="x"))])
    store.close()
    (tmp_path / "home").chmod(0o500)
    try:
        reader = SeriesReader.open(tmp_path / "home" / "flux.db")
        assert reader.last_seq() == 1
        reader.close()
    finally:
        (tmp_path / "home").chmod(0o700)


def test_a_file_that_is_not_a_series_is_refused_with_a_reason(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(StoreError, match="there is no series"):
        SeriesReader.open(missing)
    text = tmp_path / "text.db"
    text.write_text("hello " * 1000)
    with pytest.raises(StoreError, match="is not a series"):
        SeriesReader.open(text)
    other = tmp_path / "other.db"
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE notes (text)")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match="not one of flux-tui's"):
        SeriesReader.open(other)


def test_a_series_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.close()
    db = sqlite3.connect(store.path)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    for opening in (lambda: SeriesReader.open(store.path), lambda: Store.open(tmp_path)):
        with pytest.raises(StoreError, match="newer flux-tui"):
            opening()


def test_a_damaged_database_is_reported_and_nothing_is_deleted(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.commit([(1.0, ev.ErrorOccurred(text="x" * 300))] * 500)
    store.close()
    size = store.path.stat().st_size
    with store.path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 8192))
    with pytest.raises(StoreError, match="damaged"):
        SeriesReader.open(store.path).read(0, 1000)
    assert store.path.stat().st_size == size


def test_a_damaged_copy_is_not_called_a_home(tmp_path: Path) -> None:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    assert str(explain(error, tmp_path / "copy")) == (
        f"{tmp_path / 'copy'} is damaged (database disk image is malformed):"
        " export it again, if its home is still there"
    )
    assert "move it away to begin anew" in str(explain(error, tmp_path / "flux.db"))
