"""Where this node and its peers can be dialled: interfaces, listening, mDNS, and the guard of dials."""
