"""The network, behind one interface (`port.py`). Only this package imports libp2p.

The sub-packages, from the ground up:

- `connections/`: keepalive, limits of what is read, buffers, complete writes, tables of connections and of dials,
  reconnects, turns on a slow line, and the supervisor of tasks.
- `identity`: the private key of a node, and its peer id.
- `dial_errors`: why a peer cannot be reached: exceptions with fields, and the sentences about them.
- `port`: what the node needs of a network.
- `addresses/`: where this node and its peers can be dialled.
- `upstream/`: the parts of libp2p that are replaced or patched.
- `discovery/`: what nodes tell each other about peers.
- `nat/`: ways through routers: mapped ports, outer addresses, dials back that prove them, and relays among peers.
- `flux/`: the host, push links, dials, gossip, the DHT and relays. `flux/libp2p_network.py` makes all parts of a
  network, each with the parts that it needs.
- `gateways/`: HTTP gateways as holders, beside the peers of a network.
"""
