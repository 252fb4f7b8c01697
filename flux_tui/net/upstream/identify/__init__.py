"""Changes to libp2p's identify: what this node tells peers by it, and what this node keeps of their answers."""
