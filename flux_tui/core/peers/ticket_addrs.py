"""The addresses in a ticket: those of this node, and sometimes those of connected peers that can pass a want on.

A node behind a router often cannot be dialled from outside, and may not know that. Some of its peers on the
internet can be dialled. A person who has the ticket dials such a peer, and pushes the want to it. The want
reaches this node from there. This node then dials the node that wants the object, or is introduced to it
(introductions_to_origins.py).
"""

from flux_tui.core.content.ticket import MAX_ADDRS
from flux_tui.core.peers.address_dial_policy import CIRCUIT, has_public_ip4, is_public
from flux_tui.core.series.state import State

MAX_SHARED = 2
"""Peers that a ticket names besides this node."""


def ticket_addrs(state: State) -> tuple[str, ...]:
    """Return the addresses for a ticket of this node: its own, then those of peers that pass wants on."""
    shared = shared_addrs(state)
    return (*state.addrs[: MAX_ADDRS - len(shared)], *shared)


def shared_addrs(state: State) -> tuple[str, ...]:
    """Return addresses of connected peers that can pass a want on to this node, for its tickets.

    The tuple is empty if this node has a public IPv4 address or a relay's. A public IPv6 address is not enough:
    most routers let nothing in. Of each peer, at most one address is used, on the internet, that the peer told of
    itself. At most MAX_SHARED addresses are returned.
    """
    if has_public_ip4(state.addrs) or any(CIRCUIT in addr for addr in state.addrs):
        return ()
    found: list[str] = []
    for peer in state.peers.values():
        known = state.book.get(peer.peer)
        if peer.connected and known is not None and known.teller == peer.peer:
            public = [addr for addr in known.addrs if is_public(addr)]
            best = peer.addr if peer.addr in public else next(iter(public), None)
            found += [best] if best is not None else []
    return tuple(found[:MAX_SHARED])
