"""Which checkpoints stay: any entry is reached soon, and their total size is bounded."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.series import events as ev
from flux_tui.store.segments import checkpoint_retention
from flux_tui.store.segments.checkpoint_retention import NEWEST, StoredCheckpoint, budget, superfluous
from flux_tui.store.store import Store

EVERY = 10_000
"""Entries between two checkpoints of a node."""
MIB = 1 << 20


def grown(sizes: list[int], allowed: int | None = None) -> list[StoredCheckpoint]:
    """Return the checkpoints that are left after a node made some of these sizes."""
    kept: list[StoredCheckpoint] = []
    for number, size in enumerate(sizes, 1):
        kept.append(StoredCheckpoint(number * EVERY, size))
        gone = superfluous(kept, budget(number * EVERY) if allowed is None else allowed)
        kept = [one for one in kept if one not in gone]
    return kept


def gaps(kept: list[StoredCheckpoint]) -> list[int]:
    return [after.seq - before.seq for before, after in pairwise([StoredCheckpoint(0, 0), *kept])]


def test_a_usual_node_keeps_all_checkpoints_of_ten_million_entries() -> None:
    kept = grown([100_000] * 1000)
    assert set(gaps(kept)) == {EVERY}, "a restore and 10,000 entries: 40 ms"


def test_checkpoints_of_large_states_are_thinned_evenly_within_the_bound() -> None:
    kept = grown([12 * MIB] * 1000)
    assert sum(one.size for one in kept) <= budget(10_000_000) <= 768 * MIB
    found = gaps(kept)
    assert max(found) <= 4 * (10_000_000 // len(kept)), "nowhere a hole"
    assert [one.seq for one in kept[-NEWEST:]] == [9_980_000, 9_990_000, 10_000_000]


def test_a_storm_of_wants_costs_only_its_own_part_of_the_series() -> None:
    sizes = [50_000] * 1000
    sizes[400:450] = [40 * MIB] * 50
    kept = grown(sizes)
    assert sum(one.size for one in kept) <= budget(10_000_000)
    calm = [one for one in kept if one.size == 50_000]
    assert len(calm) == 950, "small ones cost nothing, and stay"


def test_the_newest_checkpoints_stay_at_any_size() -> None:
    kept = grown([200 * MIB] * 10)
    assert [one.seq for one in kept] == [80_000, 90_000, 100_000]


@given(st.lists(st.integers(0, 2000), max_size=60), st.integers(0, 20_000))
def test_checkpoints_are_within_the_bound_or_only_the_newest(sizes: list[int], allowed: int) -> None:
    kept = grown(sizes, allowed)
    assert len(kept) <= NEWEST or sum(one.size for one in kept) <= allowed
    assert [one.seq for one in kept[-NEWEST:]] == [n * EVERY for n in range(1, len(sizes) + 1)][-NEWEST:]


def test_a_home_with_too_many_checkpoints_removes_them_gradually() -> None:
    kept = [StoredCheckpoint(number, 12 * MIB) for number in range(1, 101)]
    rounds = 0
    while gone := superfluous(kept, 64 * MIB):
        assert len(gone) <= checkpoint_retention.AT_ONCE
        kept = [one for one in kept if one not in gone]
        rounds += 1
    assert rounds >= 12
    assert sum(one.size for one in kept) <= 64 * MIB


def test_the_store_applies_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_retention, "BUDGET", 50_000)
    monkeypatch.setattr(checkpoint_retention, "BUDGET_PER_ENTRY", 0)
    store = Store.open(tmp_path / "home")
    note = ev.NodeStopped(reason="x")
    for number in range(60):
        state = random.Random(number).randbytes(5_000)
        store.commit([(1.0, note)], checkpoint=state)
        if number == 30:
            store.close()
            store = Store.open(tmp_path / "home")
    rows = store.chunks.rows("SELECT seq, size FROM saved ORDER BY seq")
    assert sum(size for _, size in rows) <= 50_000
    assert [seq for seq, _ in rows[-NEWEST:]] == [58, 59, 60]
    assert [StoredCheckpoint(*row) for row in rows] == store.series.saved.kept
    reader = store.reader()
    for at in (1, 30, 60):
        found = reader.checkpoint(at)
        assert found is None or found[1] == random.Random(found[0] - 1).randbytes(5_000)
    reader.close()
    store.close()
