"""The table of the open connections of one host, by peer. libp2p reports each one that opens or closes."""

from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.peer.id import ID
from multiaddr import Multiaddr


class ConnectionNotifee(INotifee):
    """Base class: receives libp2p's reports, and ignores those about streams and listeners.

    Subclasses handle the others: `connected`, `disconnected`.
    """

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Do nothing: a subclass may handle new connections."""

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Do nothing: a subclass may handle connections that have ended."""

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Do nothing: only connections matter."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Do nothing: only connections matter."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Do nothing: only connections matter."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Do nothing: only connections matter."""


class OpenConnections(ConnectionNotifee):
    """The open connections to each peer, the oldest first.

    The table is made before the host, because parts of the host need it: the peerstore keeps the entries of
    connected peers, and the dial guard checks how near a peer is.
    """

    def __init__(self) -> None:
        self._by_peer: dict[ID, list[INetConn]] = {}

    def __contains__(self, peer: ID) -> bool:
        return bool(self.of(peer))

    def of(self, peer: ID) -> list[INetConn]:
        """Return the open connections to a peer, the oldest first."""
        return [one for one in self._by_peer.get(peer, ()) if not one.is_closed]

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Add a new connection. Also remove closed connections whose end libp2p did not report."""
        peer = conn.muxed_conn.peer_id
        self._by_peer[peer] = [*self.of(peer), conn]

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Remove a connection that has closed."""
        peer = conn.muxed_conn.peer_id
        left = [one for one in self.of(peer) if one is not conn]
        if left:
            self._by_peer[peer] = left
        else:
            self._by_peer.pop(peer, None)
