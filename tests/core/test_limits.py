"""Token bucket, backoff, tables with a maximum, batches."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.limits import Backoff, BoundedSet, BoundedTable, TokenBucket, TokenBuckets, batches

STEPS = st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=60)


@given(st.floats(1, 100), st.floats(0.1, 50), STEPS)
def test_no_more_is_spent_than_the_burst_and_the_rate_allow(
    burst: float, rate: float, steps: list[tuple[float, float]]
) -> None:
    bucket, now, spent = TokenBucket(burst, rate, 0.0), 0.0, 0.0
    for amount, later in steps:
        now += later
        if bucket.spend(amount, now):
            spent += amount
        assert spent <= burst + rate * now + 1e-6


@given(st.floats(0.1, 50), st.floats(0.1, 500), st.floats(0, 20))
def test_the_wait_is_exact(rate: float, debt: float, wanted: float) -> None:
    bucket = TokenBucket(20.0, rate, 0.0)
    bucket.take(20.0 + debt, 0.0)
    wait = bucket.wait(0.0, wanted)
    assert wait == pytest.approx((debt + wanted) / rate)
    assert bucket.level_at(wait + 1e-6) >= wanted - 1e-3


@given(st.floats(0.1, 50), STEPS)
def test_questions_change_nothing(rate: float, steps: list[tuple[float, float]]) -> None:
    asked, other, now = TokenBucket(5.0, rate, 0.0), TokenBucket(5.0, rate, 0.0), 0.0
    for amount, later in steps:
        for part in (0.25, 0.5, 0.75):
            asked.has(now + later * part)
            asked.wait(now + later * part, amount)
        now += later
        assert asked.spend(amount, now) == other.spend(amount, now)
        assert asked.level_at(now) == other.level_at(now) <= asked.burst


def test_tokens_that_are_given_back_do_not_exceed_the_burst() -> None:
    bucket = TokenBucket(3.0, 1.0, 0.0)
    bucket.take(2.0, 0.0)
    bucket.take(-1.0, 0.0)
    assert bucket.level_at(0.0) == 2.0
    bucket.take(-9.0, 0.0)
    assert bucket.level_at(0.0) == 3.0


def test_one_spending_may_make_a_debt_and_the_next_waits() -> None:
    bucket = TokenBucket(2.0, 1.0, 0.0)
    assert bucket.has(0.0)
    bucket.take(5.0, 0.0)
    assert not bucket.has(2.9)
    assert bucket.has(3.1)


def test_more_than_the_level_is_not_spent() -> None:
    bucket = TokenBucket(2.0, 1.0, 0.0)
    assert not bucket.spend(3.0, 0.0)
    assert bucket.spend(2.0, 0.0)


def test_a_time_that_goes_back_brings_nothing() -> None:
    bucket = TokenBucket(2.0, 1.0, 10.0)
    bucket.take(2.0, 10.0)
    assert not bucket.has(5.0)
    assert not bucket.has(10.0)
    assert bucket.has(11.0)


# ── backoff ─────────────────────────────────────────────────────────────────────────────────────

BACKOFFS = st.builds(
    lambda first, times, factor: Backoff(first, first * times, factor),
    st.floats(0.01, 100),
    st.floats(1, 10_000),
    st.floats(1, 10),
)


def test_the_wait_doubles_from_the_first_to_the_longest() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.wait(failures) for failures in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_no_failure_waits_as_long_as_one() -> None:
    assert Backoff(0.5, 3.0).wait(0) == 0.5


@given(BACKOFFS)
def test_each_wait_is_the_factor_times_the_one_before_until_the_longest(backoff: Backoff) -> None:
    for failures in range(1, 20):
        expected = min(backoff.wait(failures) * backoff.factor, backoff.most)
        assert backoff.wait(failures + 1) == pytest.approx(expected)


@given(BACKOFFS, st.lists(st.integers(0, 100_000), min_size=2))
def test_more_failures_never_wait_less(backoff: Backoff, counts: list[int]) -> None:
    waits = [backoff.wait(failures) for failures in sorted(counts)]
    assert all(before <= after for before, after in pairwise(waits))
    assert all(backoff.first <= wait <= backoff.most for wait in waits)


@given(st.integers(0, 30), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_jitter_multiplies_the_wait_by_a_number_in_its_range(
    failures: int, low: float, width: float, chance: float
) -> None:
    backoff = Backoff(1.0, 60.0, jitter=(low, low + width))
    wait = backoff.wait(failures)
    assert low * wait - 1e-9 <= backoff.wait(failures, lambda: chance) <= (low + width) * wait + 1e-9


def test_jitter_takes_one_random_number_a_wait() -> None:
    drawn = iter([0.0, 0.5, 1.0])
    backoff = Backoff(10.0, 60.0, jitter=(0.8, 1.2))
    assert [backoff.wait(1, lambda: next(drawn)) for _ in range(3)] == pytest.approx([8.0, 10.0, 12.0])


# ── tables with a maximum ───────────────────────────────────────────────────────────────────────

KEYS = st.lists(st.integers(0, 12), max_size=60)


@given(st.integers(1, 8), KEYS, st.booleans())
def test_a_table_holds_the_newest_items(maximum: int, keys: list[int], refresh: bool) -> None:
    table: BoundedTable[int, int] = BoundedTable(maximum, refresh=refresh)
    expected: list[int] = []
    values: dict[int, int] = {}
    for number, key in enumerate(keys):
        table[key] = values[key] = number
        if key in expected and refresh:
            expected.remove(key)
        if key not in expected:
            expected.append(key)
        expected = expected[-maximum:]
        assert list(table.items()) == [(one, values[one]) for one in expected]


@given(st.integers(1, 8), KEYS, st.booleans())
def test_setting_putting_and_setdefault_keep_the_same_keys(
    maximum: int, keys: list[int], refresh: bool
) -> None:
    tables: list[BoundedTable[int, int]] = [BoundedTable(maximum, refresh=refresh) for _ in range(4)]
    items = BoundedSet[int](maximum, refresh=refresh)
    for key in keys:
        tables[0][key] = key
        tables[1].put(key, key)
        assert tables[2].setdefault(key, key) == key
        tables[3].update({key: key})
        items.add(key)
        assert list(tables[0]) == list(tables[1]) == list(tables[2]) == list(tables[3]) == list(items)


@given(st.integers(1, 8), KEYS, st.booleans())
def test_each_item_that_was_put_is_there_or_was_returned(
    maximum: int, keys: list[int], refresh: bool
) -> None:
    table: BoundedTable[int, str] = BoundedTable(maximum, refresh=refresh)
    there: dict[int, str] = {}
    for key in keys:
        oldest = next(iter(table), None)
        there[key] = str(key)
        removed = table.put(key, str(key))
        if removed is not None:
            assert removed == (oldest, str(oldest))
            del there[removed[0]]
        assert table == there


def test_setdefault_keeps_the_value_that_is_there() -> None:
    table: BoundedTable[str, int] = BoundedTable(2)
    assert table.setdefault("a", 1) == 1
    assert table.setdefault("a", 2) == 1


def test_reading_does_not_make_an_item_newer() -> None:
    table: BoundedTable[str, int] = BoundedTable(2, refresh=True)
    table["a"], table["b"] = 1, 2
    assert table["a"] == table.get("a") == 1
    table["c"] = 3
    assert list(table) == ["b", "c"]


def test_a_set_forgets_what_is_discarded() -> None:
    items = BoundedSet[str](2)
    items |= {"a"}
    items.discard("a")
    items.discard("b")
    assert "a" not in items
    assert len(items) == 0


def test_each_key_has_a_bucket_of_its_own() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(2, burst=2.0, rate=1.0)
    assert [buckets.of("a", 0.0).spend(1, 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.of("b", 0.0).spend(2, 0.0)
    assert buckets.get("c") is None
    assert len(buckets) == 2


def test_the_bucket_that_was_not_asked_for_longest_makes_room() -> None:
    buckets: TokenBuckets[str] = TokenBuckets(2, burst=2.0, rate=1.0)
    for key in ("a", "b", "a"):
        buckets.of(key, 0.0).take(1, 0.0)
    buckets.get("b")
    buckets.of("c", 0.0)
    assert buckets.get("b") is None
    kept = buckets.get("a")
    assert kept is not None
    assert kept.level == 0.0


# ── batches ─────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.integers()), st.integers(1, 10))
def test_batches_hold_all_items_in_order(items: list[int], maximum: int) -> None:
    found = list(batches(items, maximum))
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == maximum for batch in found[:-1])
    assert all(1 <= len(batch) <= maximum for batch in found[-1:])


def test_batches_read_no_further_than_they_are_taken() -> None:
    read: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            read.append(number)
            yield number

    assert next(batches(numbers(), 3)) == (0, 1, 2)
    assert read == [0, 1, 2]
