"""Segments: what is read, rotated, pruned and archived is the same series, and a kill at any step loses nothing."""

import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event, kind_of
from flux_tui.core.series.events.named_ids import cids_of, peers_of
from flux_tui.core.series.fold import derive, extend, restore, snapshot
from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.core.series.state import State
from flux_tui.store.database import StoreError
from flux_tui.store.segments import rotation, segment_file
from flux_tui.store.segments.page_index import Wanted
from flux_tui.store.series_export import export
from flux_tui.store.series_reader import SeriesReader, first_state
from flux_tui.store.store import Landed, Store

START = 1.8e9
CHECKPOINT = 150
PEER = PeerId("12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo")
RARE = PeerId("12D3KooWLp5QEcTqRe9Yb3bpMxYQgvCSnxVYyMEKTpzTpbmZfKiT")
NOTHING = KeepRule(size=0)


def told(seed: int) -> Iterator[Event]:
    chance = random.Random(seed)
    number = 0
    wanted = tuple(raw_cid(b"wanted %d" % index) for index in range(40))
    while True:
        number += 1
        if number % 7 == 0:  # answers to a long want, and to parts of it
            yield ev.PushedWant(cids=wanted, peers=(PEER,), gossip=False, retry=False, next_push_at=START)
            yield ev.StatusNo(peer=PEER, cids=wanted, reason="not_held", has_it=False, retry_after=None)
            if number in (14, 70, 140):
                yield ev.StatusNo(peer=RARE, cids=wanted[:1], reason="busy", has_it=True, retry_after=1.0)
                yield ev.Granted(peer=RARE, root=None, cids=wanted[:1], deadline=START)
            for some in (wanted[::3], wanted[5:25], wanted[::-1]):
                yield ev.StatusNo(peer=PEER, cids=some, reason="busy", has_it=True, retry_after=1.0)
        cids = tuple(raw_cid(b"%d %d" % (number, index)) for index in range(chance.randrange(1, 5)))
        yield ev.Requested(cid=cids[0], name=f"file {number}")
        yield ev.StatusNo(peer=PEER, cids=cids, reason="busy", has_it=True, retry_after=chance.random())
        yield ev.Granted(peer=PEER, root=None, cids=cids, deadline=START)
        yield from (ev.ChunkReceived(cid=cid, size=10, peer=PEER) for cid in cids)


def entries_of(count: int) -> list[Entry]:
    events = told(1)
    # The clock is set back once, and two entries may have the same time.
    times = [START + n // 2 * 0.37 - (500.0 if n > 600 else 0.0) for n in range(count)]
    return [Entry(n, at, next(events)) for n, at in enumerate(times, 1)]


ENTRIES = entries_of(1000)


def write(store: Store, entries: list[Entry], state: State | None = None) -> None:
    """Append entries in small groups, with checkpoints."""
    state = State() if state is None else state
    for start in range(0, len(entries), 50):
        group = entries[start : start + 50]
        extend(state, group)
        checkpoint = snapshot(state) if state.seq % CHECKPOINT == 0 else None
        store.commit([(entry.at, entry.event) for entry in group], checkpoint=checkpoint)


def rotate(store: Store) -> int:
    count = 0
    while store.series.rotate() is not None:
        count += 1
    return count


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "SEGMENT_BYTES", 1 << 15)
    monkeypatch.setattr(rotation, "DELETED_AT_ONCE", 100)
    monkeypatch.setattr(segment_file, "PAGE_ENTRIES", 64)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "home")
    write(store, ENTRIES)
    assert rotate(store) >= 2
    yield store
    store.close()


def assert_same(reader: SeriesReader, first: int = 1) -> None:
    """Whatever is asked for of a series from entry `first` on is as the entries themselves tell."""
    there = ENTRIES[first - 1 :]
    assert (reader.first_seq(), reader.last_seq()) == (first, len(ENTRIES))
    assert reader.read(0, 10_000) == there
    chance = random.Random(first)
    for _ in range(12):
        seq, limit = chance.randrange(first, len(ENTRIES) + 1), chance.randrange(1, 200)
        assert reader.read(seq - 1, limit) == ENTRIES[seq - 1 : seq - 1 + limit]
        assert reader.read_before(seq, limit) == ENTRIES[max(first - 1, seq - 1 - limit) : seq - 1]
        at = ENTRIES[seq - 1].at + chance.choice((0.0, 0.1))
        assert reader.seq_at(at) == max(entry.seq for entry in there if entry.at <= at)
        found = reader.checkpoint(seq)
        if found is not None:
            assert found[0] <= seq
            assert restore(found[1]) == derive(ENTRIES[: found[0]])
        assert found is not None or first == 1
        assert found is None or seq - found[0] < 2 * CHECKPOINT
    assert first_state(reader) == derive(ENTRIES[: first - 1])
    kinds = ("status_no", "requested")
    found_kinds = [entry for page in reader.of_kinds(kinds, 300) for entry in page]
    assert found_kinds == [
        e for e in there if e.seq > 300 and isinstance(e.event, ev.StatusNo | ev.Requested)
    ]


def searched(reader: SeriesReader, wanted: Wanted) -> list[Entry]:
    """Return what a search from the end to the beginning finds."""
    found: list[Entry] = []
    before = reader.last_seq() + 1
    while before > reader.first_seq():
        page, low = reader.search_back(wanted, before)
        assert low < before - 1 or low == before - 1 == 0
        assert all(low < entry.seq < before for entry in page)
        found = page + found
        before = low + 1
    return found


def assert_searches(reader: SeriesReader, first: int = 1) -> None:
    """A search by the index finds what a look at each entry finds."""
    there = ENTRIES[first - 1 :]
    chance = random.Random(first)
    packed = reader.segments()[-1].last if reader.segments() else 500
    for kinds in (("status_no",), ("requested", "chunk_received"), ("pushed_want",), ("nothing",)):
        found = searched(reader, Wanted(kinds=lambda kind, kinds=kinds: kind in kinds))  # type: ignore[misc]
        assert found == [entry for entry in there if kind_of(entry.event) in kinds]
    for peer in (PEER, RARE, "12D3nobody"):
        found = searched(reader, Wanted(peers=lambda named, peer=peer: named == peer))  # type: ignore[misc]
        assert [e for e in found if peer in peers_of(e.event)] == [
            e for e in there if peer in peers_of(e.event)
        ]
    found = searched(reader, Wanted(peers=lambda peer: peer == RARE))
    assert len([e for e in found if e.seq <= packed]) < 20, (
        "pages and entries without the peer are passed over"
    )
    for entry in chance.sample(there, 12):
        for cid in cids_of(entry.event)[:1]:
            found = searched(reader, Wanted(cids=(cid[:14],), whole=True))
            assert {e.seq for e in there if cid in cids_of(e.event)} <= {e.seq for e in found}
    early = next(e.event.cid for e in there if isinstance(e.event, ev.ChunkReceived))
    assert (
        len([e for e in searched(reader, Wanted(cids=(early,), whole=True)) if e.seq <= packed]) < 3 * 64 + 1
    )
    both = Wanted(lambda kind: kind == "status_no", lambda peer: peer == RARE)
    assert [e for e in searched(reader, both) if RARE in peers_of(e.event)] == [  # no grant
        e for e in there if isinstance(e.event, ev.StatusNo) and e.event.peer == RARE
    ]


def test_a_search_finds_the_same_in_rows_segments_and_copies(store: Store, tmp_path: Path) -> None:
    with closing(store.reader()) as reader:
        assert_searches(reader)
    export(store.path, tmp_path / "copy.flux")
    export(tmp_path / "copy.flux", tmp_path / "copy of it.flux")
    with closing(SeriesReader.open(tmp_path / "copy of it.flux")) as reader:
        assert_searches(reader)


def test_segments_without_an_index_are_searched_too(store: Store) -> None:
    for path in (store.home / "series").iterdir():
        with closing(sqlite3.connect(path)) as db:
            db.execute("DROP TABLE page_index")
    with closing(store.reader()) as reader:
        wanted = Wanted(lambda kind: kind == "status_no", lambda peer: peer == RARE, ("bafkreiaaaaaaa",))
        found = searched(reader, wanted)
    assert [e for e in found if isinstance(e.event, ev.StatusNo) and e.event.peer == RARE] == [
        e for e in ENTRIES if isinstance(e.event, ev.StatusNo) and e.event.peer == RARE
    ]


def test_a_rotated_series_is_the_same_series(store: Store, tmp_path: Path) -> None:
    with closing(store.reader()) as reader:
        assert_same(reader)
    rows = store.chunks.rows("SELECT count(*), min(seq) FROM entry")
    assert rows[0][0] < 500
    assert rows[0][1] == store.series.packed_last + 1
    export(store.path, tmp_path / "copy.flux")
    export(tmp_path / "copy.flux", tmp_path / "copy of it.flux")
    for name in ("copy.flux", "copy of it.flux"):
        with closing(SeriesReader.open(tmp_path / name)) as reader:
            assert_same(reader)


def test_entries_follow_in_a_home_that_is_opened_again(store: Store) -> None:
    home = store.home
    store.close()
    store = Store.open(home)
    assert store.last_seq == len(ENTRIES)
    assert not store.series.due or store.series.rotate() is None
    assert store.commit([(START, ev.NodeStopped(reason="x"))]) == len(ENTRIES) + 1
    store.close()


def test_a_reader_goes_on_while_entries_are_moved_and_dropped(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    write(store, ENTRIES)
    reader, late = store.reader(), store.reader()
    assert reader.read(0, 300) == ENTRIES[:300]
    assert rotate(store) >= 2
    assert reader.read(300, 100) == ENTRIES[300:400]
    assert late.read(0, 1) == ENTRIES[:1]
    pruned = store.series.prune(NOTHING, START)
    assert pruned is not None
    assert reader.read(10, 10) != []
    assert late.read(pruned.first - 1, 10_000) == ENTRIES[pruned.first - 1 :]
    reader.close()
    late.close()
    store.close()


def test_pruning_keeps_what_the_rule_says(store: Store) -> None:
    segments = store.series.segments
    now = ENTRIES[-1].at
    assert store.series.prune(KeepRule(), now) is None
    assert store.series.prune(KeepRule(seconds=86_400), now) is None
    size = store.series.size()
    fits = KeepRule(size=size.segments + size.rows - 1)
    dry = store.series.prune(fits, now, dry=True)
    assert store.series.segments == segments
    assert store.series.prune(fits, now) == dry
    assert dry is not None
    assert (dry.segments, dry.first) == (1, segments[1].first)
    assert store.series.segments == segments[1:]
    assert not (store.home / "series" / segments[0].name).exists()
    with closing(store.reader()) as reader:
        assert_same(reader, segments[1].first)


def test_everything_but_the_newest_entries_can_be_pruned(store: Store) -> None:
    first = store.series.packed_last + 1
    assert store.series.prune(NOTHING, START) is not None
    with closing(store.reader()) as reader:
        assert_same(reader, first)
    home = store.home
    store.close()
    store = Store.open(home)
    assert store.series.packed_last == first - 1
    with closing(store.reader()) as reader:
        assert_same(reader, first)
    store.close()


def test_nothing_is_dropped_that_the_rest_needs(store: Store) -> None:
    store.chunks.rows("SELECT 1")
    with closing(sqlite3.connect(store.path)) as db:
        db.execute("DELETE FROM saved")
        db.commit()
    pruned = store.series.prune(NOTHING, START)
    assert pruned is not None
    assert pruned.first == store.series.segments[-1].first, "the rows have no state before them"


def test_an_archive_is_a_series_of_its_own(store: Store, tmp_path: Path) -> None:
    archive = tmp_path / "old" / "entries"
    last = store.series.packed_last
    assert store.series.prune(NOTHING, START, archive) is not None
    with closing(SeriesReader.open(archive)) as reader:
        assert (reader.first_seq(), reader.last_seq()) == (1, last)
        assert reader.read(0, 10_000) == ENTRIES[:last]
    names = sorted(path.name for path in archive.iterdir())
    with closing(SeriesReader.open(archive / names[1])) as reader:
        first = reader.first_seq()
        assert reader.read(0, 10_000)[0] == ENTRIES[first - 1]
        assert first_state(reader) == derive(ENTRIES[: first - 1])
    (archive / names[0]).unlink()
    with closing(SeriesReader.open(archive)) as reader:
        assert reader.first_seq() == first


def test_another_file_in_the_archive_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / store.series.segments[0].name).write_bytes(b"mine")
    with pytest.raises(StoreError, match="not a copy"):
        store.series.prune(NOTHING, START, tmp_path)
    with closing(store.reader()) as reader:
        assert_same(reader)


def test_segments_of_another_series_are_moved_aside(store: Store) -> None:
    home, names = store.home, {one.name for one in store.series.segments}
    store.close()
    for path in home.glob("flux.db*"):
        path.unlink()
    Store.open(home).close()
    moved = [path.name for path in (home / "series").rglob("*.flux")]
    assert {name.split("-", 1)[1] for name in moved} == names


def test_a_missing_or_damaged_segment_is_named(store: Store) -> None:
    segments = store.series.segments
    path = store.home / "series" / segments[1].name
    data = path.read_bytes()
    path.write_bytes(data[:100] + bytes(len(data) - 100))
    with closing(store.reader()) as reader:
        assert reader.read(0, 10) == ENTRIES[:10]
        with pytest.raises(StoreError, match="damaged"):
            reader.read(segments[1].first, 10)
    path.unlink()
    with closing(store.reader()) as reader, pytest.raises(StoreError, match="is missing: entries"):
        reader.read(segments[1].first, 10)


def test_a_home_of_one_file_is_taken_over_in_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / "flux.db", isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE entry (seq INTEGER PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL);"
            "CREATE TABLE checkpoint (seq INTEGER PRIMARY KEY, state BLOB NOT NULL);"
            "CREATE TABLE set_back (seq INTEGER PRIMARY KEY);"
            "PRAGMA application_id=0x464C5558; PRAGMA user_version=1; PRAGMA journal_mode=WAL;"
        )
        db.execute("BEGIN")
        rows = [(entry.seq, entry.at, ev.encode_event(entry.event)) for entry in ENTRIES]
        db.executemany("INSERT INTO entry VALUES (?, ?, ?)", rows)
        for seq in range(CHECKPOINT, len(ENTRIES), CHECKPOINT):
            db.execute("INSERT INTO checkpoint VALUES (?, ?)", (seq, snapshot(derive(ENTRIES[:seq]))))
        db.execute("INSERT INTO set_back VALUES (602)")
        db.execute("COMMIT")
    with closing(SeriesReader.open(home / "flux.db")) as reader:
        assert_same(reader)
    store = Store.open(home)
    assert store.last_seq == len(ENTRIES)
    assert store.chunks.rows("SELECT count(*) FROM entry")[0][0] == len(ENTRIES), (
        "nothing is rewritten at once"
    )
    assert rotate(store) >= 2
    with closing(store.reader()) as reader:
        assert_same(reader)
    assert (
        store.chunks.rows("SELECT count(*) FROM checkpoint WHERE seq < ?", store.series.packed_last)[0][0]
        == 0
    )
    first = store.series.packed_last + 1
    assert store.series.prune(NOTHING, START) is not None
    with closing(store.reader()) as reader:
        assert_same(reader, first)
    store.close()


def killed_at(number: int, work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run `work` in a process that is killed before its step `number`. Return whether it was killed.

    A step is a statement of SQL, or a call that changes a file or its name.
    """
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] != 0
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

    connect = sqlite3.connect

    def counted(*args: object, **options: object) -> sqlite3.Connection:
        db: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]
        db.set_trace_callback(lambda _: step())
        return db

    def wrapped(call: Callable[..., object]) -> Callable[..., object]:
        def run(*args: object, **options: object) -> object:
            step()
            return call(*args, **options)

        return run

    try:
        monkeypatch.setattr(sqlite3, "connect", counted)
        for name in ("replace", "fsync", "unlink"):
            monkeypatch.setattr(os, name, wrapped(getattr(os, name)))
        monkeypatch.setattr(Path, "unlink", wrapped(Path.unlink))
        work()
        os._exit(0)
    except BaseException:
        os._exit(7)


def test_a_kill_between_any_two_steps_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "archive"
    home = tmp_path / "home"

    def work() -> None:
        store = Store.open(home)
        rotate(store)
        store.series.prune(KeepRule(size=30_000), START, archive)
        store.close()

    number, kills = 0, 0
    store = Store.open(home)
    write(store, ENTRIES)
    store.close()
    while killed_at(number, work, monkeypatch):
        kills += 1
        number += (
            1 + number // 12
        )  # the later steps repeat the earlier ones: each run goes on where it was killed
        with closing(SeriesReader.open(home / "flux.db")) as reader:
            first = reader.first_seq()
            assert reader.read(0, 10_000) == ENTRIES[first - 1 :]
            found = reader.checkpoint(reader.last_seq())
            assert found is not None
            assert restore(found[1]) == derive(ENTRIES[: found[0]])
            assert first_state(reader) == derive(ENTRIES[: first - 1])
        if first > 1:
            with closing(SeriesReader.open(archive)) as reader:
                assert reader.read(0, first - 1) == ENTRIES[: first - 1]
    assert kills > 10
    store = Store.open(home)
    files = {path.name for path in (home / "series").iterdir()}
    assert files == {one.name for one in store.series.segments}
    assert store.last_seq == len(ENTRIES)
    with closing(store.reader()) as reader:
        assert reader.first_seq() > 1
        assert_same(reader, reader.first_seq())
    store.close()


def test_a_list_of_cids_is_stored_once_and_goes_with_its_last_row(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    wanted = tuple(raw_cid(b"wanted %d" % index) for index in range(40))
    no = ev.StatusNo(peer=PEER, cids=wanted, reason="busy", has_it=True, retry_after=1.0)
    nothing = Landed(wanted[0], None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.commit([(START, no), (START, no)], [nothing])
    count = "SELECT count(*) FROM cid_list"
    store.commit([(START, no)])
    assert store.chunks.rows(count)[0][0] == 0, "what was not committed is not referred to"
    store.commit([(START, no)] * 4)
    assert store.chunks.rows(count)[0][0] == 1
    assert store.chunks.rows("SELECT max(length(body)) FROM entry WHERE seq > 1")[0][0] < 150
    large = ev.ErrorOccurred(text="x" * 1000)
    store.commit([(START, large)] * 60, checkpoint=snapshot(State()))
    store.commit([(START, large)])
    assert rotate(store) == 1
    assert store.chunks.rows(count)[0][0] == 0
    store.commit([(START, no)] * 2)
    with closing(store.reader()) as reader:
        found = [entry.event for entry in reader.read(0, 100) if isinstance(entry.event, ev.StatusNo)]
    assert found == [no] * 7
    store.close()
