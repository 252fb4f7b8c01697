"""The commands. Related commands share a module."""
