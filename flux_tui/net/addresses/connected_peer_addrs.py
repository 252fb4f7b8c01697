"""The address of each peer: the address at which this node dialled it, else the one that it connected from."""

from collections.abc import Callable, Sequence
from typing import Any

from libp2p.abc import IMuxedConn, INetConn
from libp2p.connection_types import ConnectionType
from libp2p.peer.id import ID

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable

MAX_DIALLED = 4096
"""Peers for which the address that was dialled is remembered."""


class PeerAddrs:
    """Remembers the addresses of peers. `connections`: returns the open connections to a peer, the oldest first."""

    def __init__(self, connections: Callable[[ID], Sequence[INetConn]]) -> None:
        self._connections = connections
        self._dialled: BoundedTable[PeerId, str] = BoundedTable(MAX_DIALLED)

    def dialled(self, peer: PeerId, addr: str) -> None:
        """Note that this node dials a peer at this address."""
        self._dialled[peer] = addr

    def dialled_at(self, peer: PeerId) -> str:
        """Return the multiaddr at which this node dialled a peer; an empty text if it did not, or too long ago."""
        return self._dialled.get(peer, "")

    def of(self, peer: PeerId, connection: IMuxedConn | None = None) -> str:
        """Return a peer's multiaddr, ending in /p2p/…; an empty text if none is known.

        `connection`: the address at its other end is returned. But if only the port differs from the address at which
        this node dialled the peer, that address is returned: it can be dialled again.

        None: return the address at which this node dialled the peer, else the one of the newest open connection.
        """
        dialled = self._dialled.get(peer, "")
        if connection is not None:
            remote = _remote(connection, peer) or ""
            if remote and _is_dialled(connection):
                self._dialled[peer] = remote  # of several that were dialled, this is the one that answered
                return remote
            same = dialled.split("/")[1:3] == remote.split("/")[1:3] and "/p2p-circuit" not in dialled
            return dialled if dialled and (same or not remote) else remote
        if dialled:
            return dialled
        for one in reversed(self._connections(ID.from_base58(peer))):
            if (addr := _remote(one.muxed_conn, peer)) is not None:
                return addr
        return ""


def _is_dialled(connection: Any) -> bool:
    """Whether this node dialled the peer, without a relay: the peer can be dialled at this address again."""
    return bool(connection.is_initiator) and connection.get_connection_type() == ConnectionType.DIRECT


def _remote(connection: Any, peer: PeerId) -> str | None:
    """Return the address at the other end of a connection; None: it is closed."""
    if connection.get_connection_type() == ConnectionType.RELAYED:
        return next(map(str, connection.get_transport_addresses()), None)
    remote = connection.get_remote_address()
    if remote is None:
        return None
    family = "ip6" if ":" in remote[0] else "ip4"
    return f"/{family}/{remote[0]}/tcp/{remote[1]}/p2p/{peer}"
