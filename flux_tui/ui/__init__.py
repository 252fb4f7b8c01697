"""The dashboard. It folds a series file and pushes commands; it never imports libp2p or the node."""
