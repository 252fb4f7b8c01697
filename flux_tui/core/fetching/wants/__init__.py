"""Wants: when each is pushed, and to which peers."""
