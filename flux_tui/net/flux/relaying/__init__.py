"""Relays: this node as one, its reservations at others, and connections that go through them."""
