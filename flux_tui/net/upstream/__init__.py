"""The parts of libp2p 0.8.1 that are replaced or patched: one module for each, with the reason.

Each module names the test that shows the fault in libp2p, or what flux does in its place. When libp2p mends a
fault, its module can go.
"""
