"""Gossipsub messages as an attacker writes them."""

from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerstore import create_signed_peer_record
from libp2p.pubsub.pb import rpc_pb2
from multiaddr import Multiaddr


def prune(count: int, addr: str = "/ip4/192.0.2.1/tcp/4001") -> rpc_pb2.RPC:
    """Return a PRUNE that names so many invented peers, with signed records of this address."""
    peers = []
    for number in range(count):
        pair = create_new_key_pair(number.to_bytes(32, "big"))
        peer = ID.from_pubkey(pair.public_key)
        record = create_signed_peer_record(peer, [Multiaddr(addr)], pair.private_key)
        peers.append(rpc_pb2.PeerInfo(peerID=peer.to_bytes(), signedPeerRecord=record.marshal_envelope()))
    message = rpc_pb2.ControlPrune(topicID="t", peers=peers, backoff=60)
    return rpc_pb2.RPC(control=rpc_pb2.ControlMessage(prune=[message]))
