"""The law of the cursor: the state at entry N is derive(series[:N]), on whatever way the cursor came there."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import STATE_VERSION, derive
from flux_tui.store.database import StoreError
from flux_tui.store.series_reader import MemorySeries, SeriesReader
from flux_tui.ui.series import cursor as source_module
from flux_tui.ui.series.cursor import Source
from tests.ui.conftest import RECORDING

ENTRIES = SeriesReader.open(RECORDING).read(0, 100_000)

moves = st.lists(
    st.one_of(
        st.tuples(st.just("go"), st.integers(-5, len(ENTRIES) + 50)),
        st.tuples(st.just("time"), st.floats(ENTRIES[0].at - 2, ENTRIES[-1].at + 2)),
        st.tuples(st.just("freeze"), st.just(0)),
        st.tuples(st.just("live"), st.just(0)),
        st.tuples(st.just("grow"), st.integers(1, 300)),
    ),
    max_size=12,
)


@given(moves, st.sampled_from([7, 100, 20_000]))
@settings(max_examples=60, deadline=None)
def test_the_state_at_the_cursor_is_the_fold_up_to_it(steps: list[tuple[str, float]], every: int) -> None:
    before, source_module.CHECKPOINT_EVERY = source_module.CHECKPOINT_EVERY, every
    try:
        series = MemorySeries(ENTRIES[:50])
        source = Source(lambda: series)
        source.poll()
        for what, number in steps:
            match what:
                case "go":
                    source.go_to(int(number))
                case "time":
                    source.go_to_time(number)
                case "freeze":
                    source.freeze()
                case "live":
                    source.live()
                case _:
                    have = series.last_seq()
                    series.append(ENTRIES[have : have + int(number)])
                    source.poll()
            assert source.state == derive(ENTRIES[: source.cursor])
            if not source.frozen:
                assert source.cursor == source.last_seq
        source.close()
    finally:
        source_module.CHECKPOINT_EVERY = before


def test_a_frozen_cursor_stays_while_the_series_grows() -> None:
    series = MemorySeries(ENTRIES[:100])
    source = Source(lambda: series)
    source.poll()
    source.freeze()
    series.append(ENTRIES[100:300])
    assert source.poll()
    assert (source.cursor, source.behind) == (100, 200)
    assert source.state == derive(ENTRIES[:100])
    source.live()
    assert source.state == derive(ENTRIES[:300])


def test_a_long_series_is_folded_in_slices() -> None:
    series = MemorySeries(ENTRIES)
    source = Source(lambda: series)
    source.poll(budget=100)
    assert source.cursor == 100
    slices = 1
    while source.loading:
        source.poll(budget=100)
        slices += 1
    assert slices == -(-len(ENTRIES) // 100)
    assert source.state == derive(ENTRIES)


def test_going_to_a_time_freezes_at_the_last_entry_not_later() -> None:
    source = Source(lambda: MemorySeries(ENTRIES))
    source.poll()
    source.go_to_time(ENTRIES[300].at)
    assert ENTRIES[source.cursor - 1].at <= ENTRIES[300].at
    assert source.cursor == len(ENTRIES) or ENTRIES[source.cursor].at > ENTRIES[300].at
    source.go_to_time(0)
    assert source.cursor == 0


def test_pages_of_entries_are_right_at_every_edge() -> None:
    series = MemorySeries(ENTRIES[:200])
    source = Source(lambda: series)
    source.poll()
    assert source.entry(0) is None
    assert source.entry(201) is None
    assert source.entry(200) == ENTRIES[199]
    series.append(ENTRIES[200:260])
    source.poll()
    assert [source.entry(seq) for seq in range(1, 261)] == ENTRIES[:260]


def test_an_unreadable_series_is_reported_and_does_not_crash() -> None:
    def opening() -> MemorySeries:
        raise StoreError("the series is damaged")

    source = Source(opening)
    assert not source.poll()
    assert source.trouble == "the series is damaged"
    assert source.state.seq == 0


def test_a_series_that_is_not_there_yet() -> None:
    series: list[MemorySeries] = []
    source = Source(lambda: series[0] if series else None)
    assert not source.poll()
    assert source.trouble is None
    series.append(MemorySeries(ENTRIES[:10]))
    assert source.poll()
    assert source.cursor == 10


@pytest.mark.parametrize("seq", [1, 2, len(ENTRIES) // 2, len(ENTRIES)])
def test_the_recording_from_its_file(seq: int) -> None:
    source = Source.of_file(RECORDING)
    source.poll()
    source.go_to(seq)
    assert source.state == derive(ENTRIES[:seq])
    source.close()


class OlderCheckpoints(MemorySeries):
    """A series whose checkpoints an older version made."""

    folded = 0

    def checkpoint(self, at_most: int) -> tuple[int, bytes] | None:
        seq = at_most // 50 * 50
        data = msgspec.msgpack.encode((STATE_VERSION - 1, derive(ENTRIES[:seq])))
        return (seq, data) if seq else None

    def read(self, after: int, limit: int) -> list[Entry]:
        found = super().read(after, limit)
        self.folded += len(found)
        return found


def test_far_from_exact_states_a_checkpoint_of_an_older_version_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Folding from the beginning would take a minute where a series has millions of entries."""
    monkeypatch.setattr(source_module, "NEAR", 10)
    monkeypatch.setattr(source_module, "FAR_BEHIND", 200)
    series = OlderCheckpoints(ENTRIES)
    source = Source(lambda: series)
    source.poll()
    for seq, most in ((199, 199), (len(ENTRIES) - 3, 60)):
        source.freeze()
        source.live()
        series.folded = 0
        source.go_to(seq)
        assert source.state == derive(ENTRIES[:seq])
        assert series.folded <= most
