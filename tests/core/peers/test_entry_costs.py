"""What the entry of each event costs the peer that caused it."""

from typing import Any

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.peers.entry_costs import CID_BYTES, ENTRY_BYTES, cost
from flux_tui.core.series import events as ev
from tests.core.samples import PEER as NAME
from tests.core.samples import sample

PEER = PeerId(NAME)
CIDS = tuple(raw_cid(b"%d" % number) for number in range(5))
CAUSED_BY_A_PEER = {
    ev.StatusNo,
    ev.DelayedYes,
    ev.ErrorReceived,
    ev.ChunkWasted,
    ev.HaveReceived,
    ev.IntentReceived,
    ev.AnsweredLater,
    ev.AnsweredNo,
    ev.GrantReceived,
    ev.CancelReceived,
    ev.PeerFaulted,
    ev.AddrsTold,
    ev.NameSuggested,
    ev.MessagePassedOver,
    ev.CustomReceived,
    ev.ClockDiffers,
    ev.CanHold,
    ev.OfferedHold,
    ev.KeepReceived,
    ev.ReplicaWanted,
    ev.ReleaseReceived,
}


@pytest.mark.parametrize("kind", [kind for kind in ev.EVENT_TYPES if kind is not ev.LeaseLapsed])
def test_only_what_a_peer_causes_costs_it(kind: type[Any]) -> None:
    assert (cost(sample(kind)) >= ENTRY_BYTES) == (kind in CAUSED_BY_A_PEER)


def test_each_cid_and_each_character_of_a_text_costs() -> None:
    no = ev.StatusNo(peer=PEER, cids=CIDS, reason="busy", has_it=True, retry_after=1.0, text="four")
    assert cost(no) == ENTRY_BYTES + 5 * CID_BYTES + 4
    fault = ev.PeerFaulted(peer=PEER, fault="garbage", text="x" * 100)
    assert cost(fault) == ENTRY_BYTES + 100
    custom = ev.CustomReceived(peer=PEER, kind="app.news", size=50, via="direct", payload=b"y" * 50)
    assert cost(custom) == ENTRY_BYTES + len("app.news") + 50


def test_a_lapse_costs_only_the_holder_that_refused() -> None:
    refused = ev.LeaseLapsed(peer=PEER, cids=CIDS, cause="refused")
    assert cost(refused) == ENTRY_BYTES + 5 * CID_BYTES
    assert cost(ev.LeaseLapsed(peer=PEER, cids=CIDS, cause="deadline")) == 0
