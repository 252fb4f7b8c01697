"""The connected peers: the only table of which peers have an open push stream to this node. Pure.

The machine adds and removes peers. The parts of the machine only read this table.
"""

from collections.abc import Iterator
from itertools import islice

from flux_tui.core.ids import PeerId


class ConnectedPeers:
    """The connected peers, in the order in which they connected."""

    __slots__ = ("_peers",)

    def __init__(self) -> None:
        self._peers: dict[PeerId, None] = {}

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._peers

    def __iter__(self) -> Iterator[PeerId]:
        return iter(self._peers)

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: PeerId) -> None:
        """Add a peer, because a push stream to it is open."""
        self._peers[peer] = None

    def remove(self, peer: PeerId) -> None:
        """Remove a peer, because the push stream to it is closed."""
        self._peers.pop(peer, None)

    def first(self, count: int) -> tuple[PeerId, ...]:
        """Return up to `count` peers: those that connected first."""
        return tuple(islice(self._peers, count))
