"""The network behind one port (`port.py`). Only this package imports libp2p.

The sub-packages, from the ground up:

- `connections/`: keepalive, pace, frames, whole writes and the supervisor of tasks.
- `port`: what the node needs of a network.
- `addresses/`: where this node and its peers can be dialled.
- `upstream/`: the parts of libp2p that are replaced or patched.
- `flux/`: the host, push links, gossip, the DHT and relays.
"""
