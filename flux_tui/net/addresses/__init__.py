"""The addresses of this node and its peers: interfaces, listening, mDNS, and the check before each dial."""
