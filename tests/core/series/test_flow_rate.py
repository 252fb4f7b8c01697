"""Rates and etas, from the bytes of each second."""

import pytest

from flux_tui.core.series.flow_rate import eta_of, rate_of


@pytest.mark.parametrize(
    ("came", "now", "told"),
    [
        ({}, 30.5, None),
        ({0: 90.0}, 1.5, None),  # too soon to say
        (dict.fromkeys(range(30), 10.0), 30.5, 10.0),
        (dict.fromkeys(range(0, 60, 15), 10.0), 60.5, 150.0),  # one chunk each quarter of a minute
        ({0: 900.0}, 10.5, None),  # a burst, and nothing since
        ({0: 900.0, 40: 10.0}, 50.5, None),  # a burst, and one chunk long after it
        ({29: 100.0}, 30.5, None),  # the transfer has just begun
        ({0: 90.0, 11: 90.0}, 14.5, None),  # two bursts
    ],
)
def test_an_eta_is_given_for_an_even_flow(came: dict[int, float], now: float, told: float | None) -> None:
    assert eta_of(came, 0.0, now, 100.0) == told


def test_a_rate_falls_to_nothing_when_nothing_comes() -> None:
    assert rate_of({3: 100.0}, 4.5) == 100.0
    assert rate_of({3: 100.0}, 8.5) == 20.0
    assert rate_of({3: 100.0}, 9.5) == 0.0
