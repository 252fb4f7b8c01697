"""The protocol's test vectors, as files that a peer in another language can be tested with; see __main__.py."""
