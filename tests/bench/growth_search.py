"""The part `search` of tests.bench.growth: processor time to find entries by kind, peer and CID in a long series.

The series is written through the store, with a node's checkpoints and segments. Its entries repeat after a
while, except for one object and one peer that are met once. So most kinds are in every page, which is the worst
case.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import extend, snapshot
from flux_tui.core.series.state import State
from flux_tui.node.engine import CHECKPOINT_ENTRIES
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store
from flux_tui.ui.series.entry_window import Window
from flux_tui.ui.series.filter import parse_filter
from tests.bench.growth import Growth
from tests.bench.series import exchange

SIZES = (100_000, 300_000, 1_000_000)
REPEATED = 50_000
RARE = PeerId("12D3KooWLp5QEcTqRe9Yb3bpMxYQgvCSnxVYyMEKTpzTpbmZfKiT")
ONCE = raw_cid(b"met once")
PER_MILLION = 0.3
"""Seconds that a search of a million entries may take: ten million take three."""


def write(store: Store, state: State, until: int, events: list[ev.Event]) -> None:
    """Append entries until the series has `until`, and pack them as a running node does."""
    while state.seq < until:
        count = min(CHECKPOINT_ENTRIES, until - state.seq)
        batch = [
            (1.8e9 + (state.seq + n) * 0.01, events[(state.seq + n) % REPEATED]) for n in range(1, count + 1)
        ]
        extend(state, [Entry(state.seq + n, at, event) for n, (at, event) in enumerate(batch, 1)])
        store.commit(batch, checkpoint=snapshot(state))
        while store.series.due and store.series.rotate() is not None:
            pass


def filtered(reader: SeriesReader, text: str) -> tuple[float, float, int]:
    """Return the seconds of processor until the first line of a filter, and until all, and how many lines there are."""
    wanted = parse_filter(text)
    index = wanted.wanted(dict)
    assert index is not None
    window = Window(reader.last_seq(), fold=False, passes=lambda entry: wanted.takes(entry, ""))
    began, first = time.process_time(), None
    while window.low > 0 and not window.full:
        found, low = reader.search_back(index, window.low + 1)
        window.prepend(found, low)
        if first is None and len(window):
            first = time.process_time() - began
    spent = time.process_time() - began
    return spent if first is None else first, spent, len(window)


def listed(reader: SeriesReader, kind: str) -> float:
    """Return the seconds of processor to read all entries of a kind."""
    began = time.process_time()
    assert sum(len(page) for page in reader.of_kinds((kind,), 0))
    return time.process_time() - began


def measure(growth: Growth) -> None:
    """Add the rows of searches."""
    searches: dict[str, Callable[[SeriesReader], float]] = {
        "entries of a rare kind listed": lambda reader: listed(reader, "error"),
        "entries of a kind in every page listed": lambda reader: listed(reader, "status_no"),
        "filter by a kind in every page": lambda reader: filtered(reader, "kind:status_no")[1],
        "filter by a rare peer": lambda reader: filtered(reader, f"peer:{RARE}")[1],
        "filter by a CID": lambda reader: filtered(reader, f"cid:{ONCE[:14]}")[1],
    }
    figures: dict[str, dict[int, float]] = {name: {} for name in searches}
    firsts: list[float] = []
    events = list(islice(exchange(1), REPEATED))
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    store, state = Store.open(folder), State()
    try:
        once: list[ev.Event] = [
            ev.StatusNo(peer=RARE, cids=(ONCE,), reason="busy", has_it=True, retry_after=1.0),
            ev.ErrorOccurred(text="once"),
        ]
        write(store, state, 1_000, events)
        batch = [(state.at, event) for event in once]
        extend(state, [Entry(state.seq + n, at, event) for n, (at, event) in enumerate(batch, 1)])
        store.commit(batch)
        for size in SIZES:
            write(store, state, size, events)
            for name, search in searches.items():
                reader = store.reader()
                figures[name][size] = min(search(reader) for _ in range(3))
                reader.close()
            reader = store.reader()
            firsts.append(filtered(reader, "kind:status_no")[0])
            assert filtered(reader, f"peer:{RARE}")[2] == 1
            assert filtered(reader, f"cid:{ONCE[:14]}")[2] == 1
            reader.close()
    finally:
        store.close()
        shutil.rmtree(folder)
    for name, found in figures.items():
        growth.curve(name, found, "s", of="entries", most={1_000_000: PER_MILLION}, exponent=1.15)
    growth.add("first line of a filter", max(firsts), "s", most=0.1)
