"""Moments as people type them."""

from datetime import datetime

import pytest

from flux_tui.ui.typed.typed_moment import Moment, parse_moment

NOON = datetime(2026, 3, 1, 12, 0, 0).timestamp()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("live", Moment()),
        ("start", Moment(seq=1)),
        ("5", Moment(seq=5)),
        ("1,204", Moment(seq=1204)),
        ("#1,234", Moment(seq=1234)),
        ("-5m", Moment(at=NOON - 300)),
        ("+10s", Moment(at=NOON + 10)),
        ("- 1.5 h", Moment(at=NOON - 5400)),
        ("11:59", Moment(at=NOON - 60)),
        ("11:59:30.5", Moment(at=NOON - 29.5)),
        ("23:50", Moment(at=NOON - 12 * 3600 - 600)),
    ],
)
def test_moments(text: str, moment: Moment) -> None:
    assert parse_moment(text, NOON) == moment


@pytest.mark.parametrize("text", ["", "noon", "25:00", "12:60", "12,01", "5x", "#", "12:01:99"])
def test_an_invalid_moment_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match=r"no such moment: type 12:01:03"):
        parse_moment(text, NOON)


def test_a_time_after_the_cursor_is_today_if_there_are_entries() -> None:
    hour = 3600
    assert parse_moment("14:00", NOON, NOON + 3 * hour) == Moment(at=NOON + 2 * hour)
    assert parse_moment("14:00", NOON, NOON + hour) == Moment(at=NOON - 22 * hour)
