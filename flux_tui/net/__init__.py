"""The network behind one port (port.py). Only this package imports libp2p.

Rooms, from the ground up: `connections/` (what a connection is held to), `port`, `addresses/` (where nodes can be
dialled), `upstream/` (parts of libp2p that are replaced or patched), `flux/` (host, push links, gossip, DHT, relays).
"""
