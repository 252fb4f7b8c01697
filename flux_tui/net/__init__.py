"""The network behind one port (network.py). Only this package imports libp2p."""
