"""Neighbours that said `not_held` are remembered for a while, cheaply."""

from flux_tui.core.fetching.wants.lacking_peers import (
    FLOOD_SECONDS,
    LACKING_SECONDS,
    MAX_PEERS,
    NOBODY,
    LackingPeers,
)
from flux_tui.core.ids import PeerId, raw_cid

A, B = PeerId("12D3KooWA"), PeerId("12D3KooWB")
ROOTS = [raw_cid(b"%d" % number) for number in range(300)]


def test_only_peers_that_lack_all_of_them_are_left_out() -> None:
    lacking = LackingPeers()
    lacking.note(ROOTS[:2], A, 0.0)
    lacking.note(ROOTS[:1], B, 1.0)
    assert lacking.of_all(ROOTS[:1], 2.0) == {A, B}
    assert lacking.of_all(ROOTS[:2], 2.0) == {A}
    assert lacking.of_all(ROOTS[:3], 2.0) == NOBODY


def test_they_are_asked_again_after_hours() -> None:
    lacking = LackingPeers()
    lacking.note(ROOTS[:1], A, 0.0)
    lacking.note(ROOTS[:1], B, LACKING_SECONDS - 1)
    assert lacking.of_all(ROOTS[:1], LACKING_SECONDS) == NOBODY
    lacking.note(ROOTS[:1], B, LACKING_SECONDS + 1)
    assert lacking.of_all(ROOTS[:1], LACKING_SECONDS + 1) == {B}


def test_a_peer_that_has_it_ends_that() -> None:
    lacking = LackingPeers()
    lacking.note(ROOTS[:2], A, 0.0)
    lacking.forget(ROOTS[0])
    assert lacking.of_all(ROOTS[:1], 1.0) == NOBODY
    assert lacking.of_all(ROOTS[1:2], 1.0) == {A}


def test_equal_answers_are_shared_and_bounded() -> None:
    lacking = LackingPeers()
    for number in range(MAX_PEERS + 10):
        lacking.note(ROOTS, PeerId(f"12D3KooW{number:03}"), 0.0)
    assert len(lacking) == len(ROOTS)
    assert len({id(answers) for answers in lacking._answers.values()}) == 1
    assert len(lacking.of_all(ROOTS, 1.0)) == MAX_PEERS


def test_a_list_counts_as_flooded_if_all_of_it_was() -> None:
    lacking = LackingPeers()
    lacking.flooded(ROOTS[:2], 0.0)
    assert lacking.flooded_lately(ROOTS[:2], 1.0)
    assert not lacking.flooded_lately(ROOTS[:3], 1.0)
    assert not lacking.flooded_lately(ROOTS[:2], FLOOD_SECONDS)
