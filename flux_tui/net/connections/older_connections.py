"""Probes the older connections to a peer when there is a new one.

The peer may have moved to another network. Its older connections are dead then, and nothing else shows it.
"""

from collections.abc import Callable, Sequence

from libp2p.abc import INetConn, INetwork
from libp2p.peer.id import ID

from flux_tui.net.connections.open_connections import ConnectionNotifee


class OlderConnections(ConnectionNotifee):
    """Watches the new connections of one host.

    `connections`: returns the open connections to a peer. `probe`: checks a connection in the background, and closes
    it if it is dead.
    """

    def __init__(
        self, connections: Callable[[ID], Sequence[INetConn]], probe: Callable[[INetConn], None]
    ) -> None:
        self._connections = connections
        self._probe = probe

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Probe all other connections to the peer to which the new connection `conn` leads."""
        for one in self._connections(conn.muxed_conn.peer_id):
            if one is not conn:
                self._probe(one)
