"""The network on libp2p: the host, push links, gossip, the DHT and relays."""
