"""How peers are found: mDNS on the local network, and the records about peers that nodes tell each other."""
