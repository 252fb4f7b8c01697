"""The addresses in a ticket: this node's own, and where that may not be enough, those of peers that it shares.

A node behind a router cannot be dialled, and may not know it. But its peers on the internet can: whoever dials one of
these with the ticket pushes the want to it. From there, the want reaches this node, which dials the asker or is
introduced to it (introductions.py).
"""

from flux_tui.core.content.ticket import MAX_ADDRS
from flux_tui.core.peers.address_dial_policy import Reach, reach_of
from flux_tui.core.series.state import State

CIRCUIT = "/p2p-circuit/"
MAX_SHARED = 2
"""Peers that a ticket names besides this node."""


def ticket_addrs(state: State) -> tuple[str, ...]:
    """Return the addresses for a ticket of this node, its own first."""
    shared = shared_addrs(state)
    return (*state.addrs[: MAX_ADDRS - len(shared)], *shared)


def shared_addrs(state: State) -> tuple[str, ...]:
    """Return addresses of connected peers that can pass a want on; none if this node is reached without them.

    Only a peer's own word counts, told while it was connected at an address on the internet. A public IPv6 address of
    this node is not enough: most routers let nothing in.
    """
    if any(
        CIRCUIT in addr or (addr.startswith("/ip4/") and reach_of(addr) == Reach.PUBLIC)
        for addr in state.addrs
    ):
        return ()
    found: list[str] = []
    for peer in state.peers.values():
        known = state.book.get(peer.peer)
        if peer.connected and known is not None and known.teller == peer.peer:
            public = [addr for addr in known.addrs if reach_of(addr) == Reach.PUBLIC and CIRCUIT not in addr]
            best = peer.addr if peer.addr in public else next(iter(public), None)
            found += [best] if best is not None else []
    return tuple(found[:MAX_SHARED])
