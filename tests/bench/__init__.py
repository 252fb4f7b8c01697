"""Benchmarks: each a command that prints a table and writes JSON. Not run by the test suite."""
