"""The requester: what is wanted, which peer is granted which chunks, and when to push again."""
