"""Gossipsub without peer exchange. Patches `GossipSub` of libp2p 0.8.1.

Why: a neighbour that removes this node from its mesh (PRUNE) may name other peers, with signed records of
their addresses. libp2p dials all of them, even with `do_px=False`, and accepts any number of names in any
number of PRUNEs. So a stranger chooses whom this node dials: 1,200 addresses in 4 s.

Here the names are removed from each message, and none is dialled. A node has better ways to meet peers:
tickets, the DHT and mDNS.

Test: tests/net/upstream/test_exchange.py shows the fault.
"""

from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2


class UnexchangedGossipSub(GossipSub):
    """Gossipsub that ignores peer exchange."""

    async def _do_px(self, px_peers: list[rpc_pb2.PeerInfo]) -> None:
        """Dial nobody."""


def strip_exchange(rpc: rpc_pb2.RPC) -> int:
    """Remove the peers from a message's PRUNEs. Returns how many there were."""
    named = 0
    for prune in rpc.control.prune:
        named += len(prune.peers)
        del prune.peers[:]
    return named
