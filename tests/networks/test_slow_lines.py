"""Slow uplinks on real links: a chunk takes seconds, comes once, and nobody is blamed for that.

The same at other rates and with more getters, in virtual time: tests/sim/test_slow_uplinks.py. Slower lines and long
ones: `python -m tests.networks uplink_one uplink_three wide_area`.
"""

import pytest

from tests.networks.measure_slow_lines import fetch_over_uplink, wire_seconds
from tests.support.network_lab import Lab

pytestmark = pytest.mark.netns
RATE = 1_000_000 / 8
SIZE = 3 << 19
"""Bytes: a chunk and a half."""


def test_one_getter_gets_each_byte_once(lab: Lab) -> None:
    (seen,), sent = fetch_over_uplink(lab, RATE, SIZE, 1)
    assert (seen.factor, seen.blames) == (1.0, 0)
    assert seen.seconds < 1.25 * wire_seconds(SIZE, RATE)
    assert sent <= 1.01


def test_two_getters_get_each_byte_once(lab: Lab) -> None:
    seen, sent = fetch_over_uplink(lab, 2 * RATE, SIZE, 2)
    assert [one.factor for one in seen] == [1.0, 1.0]
    assert not [one for one in seen if one.blames]
    assert sent <= 2.01
