"""A soak: three nodes with mixed traffic and restarts, one of them among strangers, for as long as you like.

python -m tests.soak [--minutes N] [--json FILE]
"""
