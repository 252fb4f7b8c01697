"""The table of open connections: what it has follows libp2p's reports, and closed connections do not count."""

from typing import Any

from libp2p.peer.id import ID

from flux_tui.net.connections.open_connections import OpenConnections

PEER, OTHER = ID(b"peer"), ID(b"other")


class Connection:
    def __init__(self, peer: ID) -> None:
        self.muxed_conn = self
        self.peer_id = peer
        self.is_closed = False


async def test_the_connections_of_a_peer_are_kept_in_their_order() -> None:
    table, network = OpenConnections(), None
    first, second, third = (Connection(peer) for peer in (PEER, PEER, OTHER))
    for one in (first, second, third):
        await table.connected(network, one)  # type: ignore[arg-type]
    found: list[Any] = table.of(PEER)
    assert found == [first, second]
    assert OTHER in table
    await table.disconnected(network, first)  # type: ignore[arg-type]
    left: list[Any] = table.of(PEER)
    assert left == [second]
    await table.disconnected(network, third)  # type: ignore[arg-type]
    await table.disconnected(network, third)  # type: ignore[arg-type]
    assert OTHER not in table


async def test_a_closed_connection_does_not_count_although_its_end_was_not_reported() -> None:
    table = OpenConnections()
    lost, new = Connection(PEER), Connection(PEER)
    await table.connected(None, lost)  # type: ignore[arg-type]
    lost.is_closed = True
    assert PEER not in table
    await table.connected(None, new)  # type: ignore[arg-type]
    found: list[Any] = table._by_peer[PEER]
    assert found == [new], "and it is not kept for ever"
