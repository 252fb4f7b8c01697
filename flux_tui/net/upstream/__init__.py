"""Parts of libp2p 0.8.1 that are replaced or patched: one module for each, with the reason.

Each has a test in `tests/net/upstream` that shows the fault in libp2p as it comes. When that test fails, the
fault is mended upstream, and the module can go.
"""
