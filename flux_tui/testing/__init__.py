"""Test doubles for programs that use a node: a network in memory, with the same rules as the real network."""
