"""The token bucket: a burst at once, a rate in the long run, whatever the order of times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.limits import TokenBucket

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
    bucket.has(wait + 1e-6)
    assert bucket.level >= wanted - 1e-3


def test_one_spending_may_make_a_debt_and_the_next_waits() -> None:
    bucket = TokenBucket(2.0, 1.0, 0.0)
    assert bucket.has(0.0)
    bucket.take(5.0, 0.0)
    assert not bucket.has(2.9)
    assert bucket.has(3.1)


def test_what_cannot_be_paid_is_not_spent() -> None:
    bucket = TokenBucket(2.0, 1.0, 0.0)
    assert not bucket.spend(3.0, 0.0)
    assert bucket.spend(2.0, 0.0)


def test_a_time_that_goes_back_brings_nothing() -> None:
    bucket = TokenBucket(2.0, 1.0, 10.0)
    bucket.take(2.0, 10.0)
    assert not bucket.has(5.0)
    assert not bucket.has(10.0)
    assert bucket.has(11.0)
