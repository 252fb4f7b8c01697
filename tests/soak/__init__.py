"""A soak: one node among strangers, dead wants, odd clocks and moving addresses for as long as you like.

python -m tests.soak [--minutes N] [--json FILE]
"""
