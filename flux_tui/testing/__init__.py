"""Test doubles for programs that use a node: a network in memory, with the rules of the real one."""
