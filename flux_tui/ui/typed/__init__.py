"""Parses and completes text that a person types: the command line behind `:`, times, and wants."""
