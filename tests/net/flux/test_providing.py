"""Which root is provided next: the schedule alone, without a network."""

import pytest

from flux_tui.core.ids import dag_cid
from flux_tui.net.flux import providing
from flux_tui.net.flux.providing import Schedule

A, B, C, D = (dag_cid(bytes([number])) for number in range(4))


def test_the_newest_root_comes_first_and_each_comes_once() -> None:
    schedule = Schedule()
    schedule.add([A, B])
    schedule.add([C, A])
    assert [schedule.take(0.0) for _ in range(4)] == [A, C, B, None]


def test_a_provided_root_is_due_again_at_its_time() -> None:
    schedule = Schedule()
    assert schedule.next_at() == float("inf")
    schedule.provided(A, 20.0)
    schedule.provided(B, 10.0)
    schedule.add([A, B])
    assert schedule.take(9.0) is None, "they are in the schedule already"
    assert schedule.next_at() == 10.0
    assert schedule.take(30.0) == B
    schedule.provided(B, 50.0)
    assert schedule.take(30.0) == A


def test_a_removed_root_is_not_due_again() -> None:
    schedule = Schedule()
    schedule.add([A])
    schedule.provided(B, 10.0)
    schedule.remove([A, B, C])
    assert schedule.take(30.0) is None
    assert len(schedule) == 0
    schedule.provided(B, 40.0)
    assert schedule.take(30.0) is None, "its first time is out of date"
    assert schedule.take(40.0) == B


def test_all_provided_roots_can_be_made_due() -> None:
    schedule = Schedule()
    schedule.provided(A, 100.0)
    schedule.provided(B, 200.0)
    schedule.make_all_due()
    assert {schedule.take(1.0), schedule.take(1.0)} == {A, B}
    assert schedule.take(300.0) is None, "nothing is due twice"


def test_the_oldest_roots_are_left_out_of_a_full_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providing, "MAX_PROVIDED", 2)
    schedule = Schedule()
    schedule.provided(A, 10.0)
    schedule.add([B, C])
    assert schedule.kept == frozenset()
    schedule.add([D])
    assert [schedule.take(0.0) for _ in range(3)] == [D, C, None]
