"""Limits how many connections may be open to peers without a push link.

Such a connection is used for the DHT only, or not at all. MAX_UNLINKED of them may stay open. When there are more, the
oldest are closed. Otherwise peers that connect and stay silent would use up all connections that the host accepts.
"""

import logging
from collections.abc import Callable

import trio
from libp2p.abc import INetConn, INetwork

from flux_tui.core.ids import PeerId
from flux_tui.net.connections.open_connections import ConnectionNotifee
from flux_tui.net.connections.streams import try_to_close

log = logging.getLogger(__name__)

MAX_UNLINKED = 48
CLOSE_SECONDS = 1.0


class UnlinkedConnections(ConnectionNotifee):
    """Watches a host's connections, and closes those without a push link if there are too many.

    `is_linked`: whether a peer has a push link. `is_banned`: whether this node refuses the peer now; `refuse`
    is called for a new connection to such a peer: it tells the peer why, and closes the connection.
    """

    def __init__(
        self,
        is_linked: Callable[[PeerId], bool],
        is_banned: Callable[[PeerId], bool],
        refuse: Callable[[PeerId], None],
    ) -> None:
        self._is_linked = is_linked
        self._is_banned = is_banned
        self._refuse = refuse
        self._open: dict[INetConn, PeerId] = {}
        """All connections, the oldest first."""

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Note a new connection; refuse it if its peer is banned. If too many have no push link, close the oldest."""
        peer = PeerId(str(conn.muxed_conn.peer_id))
        self._open[conn] = peer
        unlinked = [one for one, other in self._open.items() if not self._is_linked(other)]
        await self._close(unlinked[: max(0, len(unlinked) - MAX_UNLINKED)])
        if self._is_banned(peer):
            self._refuse(peer)

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Forget a connection that has closed."""
        self._open.pop(conn, None)

    async def _close(self, connections: list[INetConn]) -> None:
        for connection in connections:
            self._open.pop(connection, None)
            with trio.move_on_after(CLOSE_SECONDS):
                await try_to_close(connection.close)
