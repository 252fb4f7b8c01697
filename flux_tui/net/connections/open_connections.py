"""The open connections of one host, by peer. libp2p tells of each that opens and closes."""

from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.peer.id import ID
from multiaddr import Multiaddr


class OpenConnections(INotifee):
    """A table of the open connections to each peer, the oldest first.

    It is made before the host, because parts of the host need it: the peerstore keeps the entries of connected
    peers, and the dial guard looks at how near a peer is.
    """

    def __init__(self) -> None:
        self._by_peer: dict[ID, list[INetConn]] = {}

    def __contains__(self, peer: ID) -> bool:
        return bool(self.of(peer))

    def of(self, peer: ID) -> list[INetConn]:
        """Return the connections to a peer that are not closed, the oldest first."""
        return [one for one in self._by_peer.get(peer, ()) if not one.is_closed]

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Add a connection. Remove closed ones whose end was not reported."""
        peer = conn.muxed_conn.peer_id
        self._by_peer[peer] = [*self.of(peer), conn]

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Remove a connection."""
        peer = conn.muxed_conn.peer_id
        left = [one for one in self.of(peer) if one is not conn]
        if left:
            self._by_peer[peer] = left
        else:
            self._by_peer.pop(peer, None)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Ignore streams: this table is about connections only."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Ignore streams: this table is about connections only."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Ignore streams: this table is about connections only."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Ignore streams: this table is about connections only."""
