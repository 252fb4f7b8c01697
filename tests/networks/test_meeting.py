"""Nodes find a way to each other by the nodes that both know, and without the one that all of them joined."""

from collections.abc import Callable

import pytest

from tests.networks import measure_meeting
from tests.support.network_lab import Lab

pytestmark = pytest.mark.netns


@pytest.mark.parametrize(
    ("situation", "way"),
    [
        (measure_meeting.ticket_from_behind_a_nat, ""),
        (measure_meeting.bare_cid_by_a_relay, ""),
        (measure_meeting.forwarded_by_hand, "is not told any more"),
        (measure_meeting.behind_one_router, ""),
    ],
)
def test_an_object_behind_a_nat_is_fetched(lab: Lab, situation: Callable[[Lab], str], way: str) -> None:
    assert way in situation(lab)


def test_a_small_star_outlives_its_middle_and_a_restart_of_all(lab: Lab) -> None:
    assert "a bare CID fetched" in measure_meeting.star(lab, 5)
