"""The garbage collector runs between frames."""

import gc
from collections.abc import Iterator

import pytest

from flux_tui.ui.dashboard.garbage_collection import NET, YOUNG, collect_if_due, settle


@pytest.fixture(autouse=True)
def _its_own_pace_afterwards() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_the_collector_does_not_run_before_it_is_settled() -> None:
    gc.disable()
    kept = [[] for _ in range(2 * YOUNG)]  # type: ignore[var-annotated]
    young = gc.get_count()[0]
    collect_if_due(quiet=True)
    assert gc.get_count()[0] >= young > YOUNG
    del kept


def test_the_collector_runs_when_there_are_many_new_objects() -> None:
    settle()
    assert gc.isenabled()
    assert gc.get_threshold() == NET
    gc.collect()
    kept = [[] for _ in range(2 * YOUNG)]  # type: ignore[var-annotated]
    assert gc.get_count()[0] > YOUNG
    collect_if_due(quiet=False)
    assert gc.get_count()[0] < YOUNG
    del kept


def test_old_objects_are_collected_when_nobody_types() -> None:
    settle()
    gc.collect()
    for _ in range(NET[1] + 1):
        gc.collect(0)
    collect_if_due(quiet=False)
    assert gc.get_count()[1] > NET[1], "not while a key may come"
    collect_if_due(quiet=True)
    assert gc.get_count()[1] == 0
    for _ in range(NET[2] + 1):
        gc.collect(1)
    collect_if_due(quiet=False)
    assert gc.get_count()[2] > NET[2]
    collect_if_due(quiet=True)
    assert gc.get_count()[2] == 0
