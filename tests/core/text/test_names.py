"""The forms in which peers are shown: never two alike, whatever their ids and names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import PeerState, State
from flux_tui.core.text.names import WHO_WIDTH, StateNames, checked_name, distinct_names, names_in
from flux_tui.core.text.plain import plain
from flux_tui.ui.rows import cell_width

ENDS = st.text("12Ab", min_size=1, max_size=40)
"""Ends of ids of few letters, so that many of them are alike."""
PEERS = st.lists(ENDS.map(lambda end: PeerId("12D3KooW" + end.rjust(44, "x"))), max_size=12, unique=True)


def peer(end: str) -> PeerId:
    return PeerId("12D3KooW" + end.rjust(44, "x"))


@given(PEERS, st.data())
def test_no_two_peers_look_alike(peers: list[PeerId], data: st.DataObject) -> None:
    names = st.one_of(
        st.text(max_size=30), st.sampled_from(["ada", "raspberry one", "raspberry two", "日本語の名前"])
    )
    called = data.draw(st.dictionaries(st.sampled_from(peers), names)) if peers else {}
    called = {one: name for one, name in called.items() if name.strip()}
    for cut in (cell_width.cut, lambda text, width: text):
        forms = distinct_names(peers, called, cut)
        assert forms.keys() == set(peers)
        assert len(set(forms.values())) == len(peers)
        assert all(plain(form) == form for form in forms.values())


@given(PEERS)
def test_ids_whose_ends_differ_fit_a_column(peers: list[PeerId]) -> None:
    apart = list({one[-8:]: one for one in peers}.values())
    forms = distinct_names(apart)
    assert all(len(form) <= WHO_WIDTH for form in forms.values())
    assert all(one.endswith(form.rpartition("…")[2]) for one, form in forms.items())


def test_only_those_that_look_alike_show_more() -> None:
    one, two, other = peer("1kQ9a"), peer("2kQ9a"), peer("zzzz")
    assert distinct_names([other, one]) == {other: "12D3…zzzz", one: "12D3…kQ9a"}
    assert distinct_names([other, one, two]) == {other: "12D3…zzzz", one: "…xxx1kQ9a", two: "…xxx2kQ9a"}


def test_names_that_are_cut_alike_are_told_apart_by_their_ids() -> None:
    one, two = peer("aaaa"), peer("bbbb")
    called = {one: "raspberry one", two: "raspberry two"}
    assert distinct_names([one, two], called) == called, "where there is room, nothing is cut"
    forms = distinct_names([one, two], {**called, two: "raspberry one"}, cell_width.cut)
    assert forms == {one: "rasp…aaaa", two: "rasp…bbbb"}


def test_a_gateway_is_called_by_its_host() -> None:
    one, two, other = peer("aaaa"), peer("bbbb"), peer("cccc")
    state = State(
        peers={
            one: PeerState(peer=one, addr="https://ipfs.example:8443/path", speaks="http"),
            two: PeerState(peer=two, addr="http://user:secret@127.0.0.1:8080", speaks="http"),
            other: PeerState(peer=other, addr="/ip4/192.0.2.7/tcp/4001"),
        }
    )
    assert names_in(state) == {one: "ipfs.example:8443", two: "127.0.0.1:8080"}
    assert names_in(state, {one: "mirror"})[one] == "mirror", "what a person called it counts more"
    for whole in (False, True):
        names = StateNames(state, {}, whole=whole)
        assert names.peer(one) == "ipfs.example:8443"
    assert names.peer(other) == plain(other)


def test_a_state_names_its_peers_as_the_person_does() -> None:
    one, two = peer("aaaa"), peer("bbbb")
    state = State(peers={one: PeerState(peer=one), two: PeerState(peer=two)})
    names = StateNames(state, {one: "ada"})
    assert [names.peer(known) for known in (one, two, peer("cccc"))] == ["ada", "12D3…bbbb", "12D3…cccc"]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (" ", "empty"),
        ("x" * 25, "too long"),
        ("a\u202eb", "cannot be seen"),
        ("ad\x1ba", "cannot be seen"),
        ("12D3…kQ9a", "looks like an id"),
        ("-x", "looks like"),
    ],
)
def test_texts_that_are_not_names(typed: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        checked_name(typed)


def test_a_name_loses_spaces_around_it() -> None:
    assert checked_name("  ada's  laptop ") == "ada's laptop"
