"""Turns states and entries into words and JSON, and makes text from other nodes safe to show."""
