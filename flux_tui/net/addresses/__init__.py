"""The addresses of this node and its peers: interfaces, listening, and the check before each dial."""
