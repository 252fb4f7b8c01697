"""What libp2p's identify tells peers, and what is heard of theirs."""
