"""The address of each peer: the address at which this node dialled it, else the one that it connected from."""

from collections.abc import Callable, Sequence
from typing import Any

from libp2p.abc import INetConn
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

    def of(self, peer: PeerId) -> str:
        """Return a peer's multiaddr, ending in /p2p/…; an empty text if none is known."""
        if (dialled := self._dialled.get(peer)) is not None:
            return dialled
        for connection in reversed(self._connections(ID.from_base58(peer))):
            muxed: Any = connection.muxed_conn
            ask = getattr(muxed, "get_remote_address", lambda: None)
            remote = ask()
            if remote is not None:
                family = "ip6" if ":" in remote[0] else "ip4"
                return f"/{family}/{remote[0]}/tcp/{remote[1]}/p2p/{peer}"
        return ""
