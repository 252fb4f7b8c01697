"""Nodes in networks as people have them: routers, cables that are pulled, hosts that move, slow links.

They need Linux and root, and are skipped elsewhere. `python -m tests.networks` prints longer measurements.
"""
