"""Filters as people type them."""

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, kind_of
from flux_tui.core.series.events.named_ids import peers_of
from flux_tui.ui.series.filter import parse_filter

PEER = PeerId("12D3KooW" + "A" * 44)
CID = raw_cid(b"x")
NO = Entry(1, 1.0, ev.StatusNo(peer=PEER, cids=(CID,), reason="busy", has_it=True, retry_after=1.0))
GOT = Entry(2, 2.0, ev.ChunkReceived(cid=CID, size=3, peer=PEER))


@pytest.mark.parametrize(
    ("text", "no", "got"),
    [
        ("", True, True),
        ("kind:status_no", True, False),
        ("kind:chunk", False, True),
        ("!kind:chunk", True, False),
        ("reason:busy", True, False),
        ("reason:rate", False, False),
        (f"cid:{CID[:12]}", True, True),
        ("peer:12d3koowa", True, True),
        ("peer:12d3koowb", False, False),
        ("FILM", True, False),
        ("!film", False, True),
        ("kind:status film", True, False),
        ("kind:status !film", False, False),
        ("!", False, False),
        ("unknown:field", False, False),
    ],
)
def test_which_entries_pass_a_filter(text: str, no: bool, got: bool) -> None:
    wanted = parse_filter(text)
    assert bool(wanted) == bool(text)
    assert wanted.takes(NO, "a film is busy") == no
    assert wanted.takes(GOT, "a chunk came") == got


@pytest.mark.parametrize(
    ("text", "no", "got"),
    [
        ("kind:status_no", True, False),
        ("kind:chunk film", False, True),
        ("reason:rate", True, False),
        ("peer:12d3koowa", True, True),
        ("peer:ada", True, True),
        ("peer:ada peer:12d3", True, True),
        ("peer:bob !kind:x", False, False),
    ],
)
def test_what_an_index_is_asked_for(text: str, no: bool, got: bool) -> None:
    wanted = parse_filter(text).wanted(lambda: {PEER: "Ada"})
    assert wanted is not None
    for entry, takes in ((NO, no), (GOT, got)):
        kinds = wanted.kinds is None or wanted.kinds(kind_of(entry.event))
        peers = wanted.peers is None or any(map(wanted.peers, peers_of(entry.event)))
        assert (kinds and peers) == takes


@pytest.mark.parametrize("text", ["film", "!kind:status_no", "cid:7ue", f"!cid:{CID}", "!peer:ada film"])
def test_nothing_that_an_index_could_tell(text: str) -> None:
    assert parse_filter(text).wanted(dict) is None


def test_the_beginning_of_a_cid_is_looked_up() -> None:
    wanted = parse_filter(f"cid:{CID[:12]} peer:x").wanted(dict)
    assert wanted is not None
    assert (wanted.cids, wanted.whole) == ((CID[:12],), True)
