"""The table of connected peers, and that every part of a machine reads the same one."""

from typing import Any

import pytest

from flux_tui.core.api import inputs as inp
from flux_tui.core.peers.connected import ConnectedPeers
from tests.sim.swarm import peer_name
from tests.support.script import HOLDER, OTHER, Script, up

PEERS = [peer_name(number) for number in range(5)]


def test_peers_stand_in_the_order_in_which_they_connected() -> None:
    connected = ConnectedPeers()
    for peer in (PEERS[3], PEERS[0], PEERS[4]):
        connected.add(peer)
    assert list(connected) == [PEERS[3], PEERS[0], PEERS[4]]
    assert connected.first(2) == (PEERS[3], PEERS[0])
    assert connected.first(9) == tuple(connected)


def test_a_peer_that_comes_back_is_last() -> None:
    connected = ConnectedPeers()
    for peer in PEERS[:3]:
        connected.add(peer)
    connected.add(PEERS[0])
    assert list(connected) == PEERS[:3], "it was connected all the time"
    connected.remove(PEERS[0])
    assert PEERS[0] not in connected
    connected.add(PEERS[0])
    assert list(connected) == [*PEERS[1:3], PEERS[0]]


def test_a_peer_that_is_not_connected_can_be_removed() -> None:
    connected = ConnectedPeers()
    assert not connected
    connected.remove(PEERS[0])
    assert len(connected) == 0


def parts(script: Script) -> dict[str, Any]:
    """Return every part of a machine that asks who is connected."""
    machine = script.machine
    return {
        "requester": machine.requester.holders,
        "answers": machine.answers,
        "responder": machine.responder,
        "custom messages": machine.custom_messages,
        "router": machine.router,
        "origin": machine.origin,
        "keeper": machine.keeper,
        "sharing": machine.sharing,
        "dialling": machine.dialling,
        "admission": machine.admission,
    }


@pytest.mark.parametrize("part", parts(Script()))
def test_every_part_of_a_machine_reads_the_same_table(part: str) -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    script.give(inp.PeerDown(HOLDER, "gone"))
    assert parts(script)[part].connected is script.machine.connected
    assert list(script.machine.connected) == [OTHER]
