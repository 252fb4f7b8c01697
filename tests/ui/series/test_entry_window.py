"""Runs of like entries: the lines are the same wherever reading began, and wherever the cursor went."""

from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, kind_of
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.series.entry_window import Group, Window, run_key
from tests.ui.conftest import RECORDING

_reader = SeriesReader.open(RECORDING)
ENTRIES = _reader.read(0, 100_000)
_reader.close()
LAST = len(ENTRIES)


def read(after: int, limit: int) -> list[Entry]:
    return ENTRIES[after : after + limit]


def naive(low: int, high: int, only: str = "") -> list[tuple[int, int, int]]:
    """Return the runs from entry `low` (excluded) to `high`, counted from the start."""
    found: list[list[Entry]] = []
    for entry in ENTRIES[low:high]:
        if only not in kind_of(entry.event):
            continue
        key = run_key(entry)
        if found and key is not None and run_key(found[-1][-1]) == key:
            found[-1].append(entry)
        else:
            found.append([entry])
    return [(run[0].seq, run[-1].seq, len(run)) for run in found]


def lines(window: Window) -> list[tuple[int, int, int]]:
    return [(window[i].first, window[i].last, window[i].entries) for i in range(len(window))]


@given(
    st.integers(0, LAST),
    st.lists(st.tuples(st.sampled_from("udc"), st.integers(1, 200)), max_size=12),
    st.sampled_from(["", "chunk", "status_no"]),
)
@settings(max_examples=80, deadline=None)
def test_a_window_shows_the_runs_of_its_stretch(start: int, steps: list[tuple[str, int]], only: str) -> None:
    window = Window(start, fold=True, passes=(lambda e: only in kind_of(e.event)) if only else None)
    for what, number in steps:
        if what == "u":
            count = min(number, window.low)
            window.prepend(read(window.low - count, count), window.low - count)
        elif what == "d":
            window.extend(read(window.high, number))
        else:
            window.cut(max(window.low, window.high - number), read)
        assert lines(window) == naive(window.low, window.high, only)
        assert window.total == sum(entries for _, _, entries in lines(window))


def test_an_entry_is_found_in_its_line() -> None:
    window = Window(0, fold=True)
    window.extend(ENTRIES)
    for index in range(len(window)):
        group = window[index]
        assert window.index_of(group.first) == window.index_of(group.last) == index
    assert window.index_of(LAST + 1) == window.index_of(0) == -1


def test_the_totals_of_a_run() -> None:
    ada, bob = (PeerId(f"12D3KooW{name * 44}") for name in "AB")
    root = dag_cid(b"root")
    window = Window(0, fold=True)
    window.extend(
        [
            Entry(
                n, 1.0, ev.ChunkReceived(cid=raw_cid(b"%d" % n), size=10, peer=peer, roots=(root,), fills=10)
            )
            for n, peer in enumerate((ada, bob, ada), 1)
        ]
    )
    assert window[0] == Group(1, 3, 3, 3, 30, (ada, bob))
    window.extend([Entry(4, 2.0, ev.ChunkReceived(cid=raw_cid(b"4"), size=1, peer=ada, roots=(root,)))])
    assert len(window) == 2, "a run is of one second, so that a long one still shows its course"


def test_unfolded_every_entry_is_a_line() -> None:
    window = Window(LAST, fold=False)
    window.prepend(ENTRIES, 0)
    assert len(window) == window.total == LAST
    assert window.prepended == LAST
