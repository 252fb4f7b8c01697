"""The parts of libp2p that are replaced or patched: one module for each.

The docstring of each module says what libp2p does, why that is not enough, which issue of py-libp2p is known, and
which test fails when upstream changes. All of it is for libp2p 0.8.x, and was compared with 0.8.1, the newest
release, on 2026-11-30. "No issue is known" means that none was found on that day.

Those tests have `libp2p_still` or `libp2p` in their names: `pytest tests/net -k libp2p`. When one of them fails after
an upgrade, its docstring says what to check; perhaps the module is not needed any more.
"""
