"""Limits connections without a link: those being opened, those of the DHT, and those that are idle.

A few of them may stay. When there are too many, the oldest are closed. Otherwise peers that connect and stay
silent would take all of the host's places.
"""

import logging
from collections.abc import Callable

import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId

log = logging.getLogger(__name__)

MAX_GUESTS = 48
CLOSE_SECONDS = 1.0


class Guests(INotifee):
    """Watches a host's connections. `linked`: whether a peer has a link; `refused`: whether it may have none."""

    def __init__(self, linked: Callable[[PeerId], bool], refused: Callable[[PeerId], bool]) -> None:
        self._linked = linked
        self._refused = refused
        self._open: dict[INetConn, PeerId] = {}
        """All connections, the oldest first."""

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Note a new connection. Close the oldest without a link if there are too many."""
        peer = PeerId(str(conn.muxed_conn.peer_id))
        self._open[conn] = peer
        guests = [one for one, other in self._open.items() if not self._linked(other)]
        await self._close(guests[: max(0, len(guests) - MAX_GUESTS)])
        if self._refused(peer):
            await self._close([conn])

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Forget a closed connection."""
        self._open.pop(conn, None)

    async def _close(self, connections: list[INetConn]) -> None:
        for connection in connections:
            self._open.pop(connection, None)
            with trio.move_on_after(CLOSE_SECONDS):
                try:
                    await connection.close()
                except Exception as error:  # it is gone
                    log.debug("closing a guest: %r", error)

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Do nothing."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Do nothing."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Do nothing."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Do nothing."""
