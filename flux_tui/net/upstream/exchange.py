"""Gossipsub without peer exchange. For libp2p 0.8.1.

Why: when a neighbour takes this node out of its mesh (PRUNE), it may name other peers instead, with signed records
of their addresses. libp2p dials all of them, `do_px=False` notwithstanding, and takes any number in any number of
PRUNEs. So a stranger chooses whom this node dials: 1,200 addresses in 4 s.

Here those names are taken out of what comes, and are not followed either. A node has better ways to meet others:
tickets, the DHT, mDNS.
"""

from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pb import rpc_pb2


class UnexchangedGossipSub(GossipSub):
    """Gossipsub that follows no peer exchange."""

    async def _do_px(self, px_peers: list[rpc_pb2.PeerInfo]) -> None:
        """Dial nobody."""


def strip_exchange(rpc: rpc_pb2.RPC) -> int:
    """Take the peers out of a message's PRUNEs. Returns how many there were."""
    named = 0
    for prune in rpc.control.prune:
        named += len(prune.peers)
        del prune.peers[:]
    return named
