"""Reads the text that a person types: the command line behind `:`, and wants."""
