"""Wants: when each want is pushed, and to which peers."""
