"""Filters as people type them."""

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
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
