"""Bitswap: exchanges blocks with IPFS nodes (Kubo, Helia), behind the same network port as flux's own protocol.

A Bitswap message says the same as messages of flux, so the core needs to know nothing of it:

| Bitswap | flux |
|---|---|
| WANT_HAVE | a want |
| HAVE | a delayed yes |
| WANT_BLOCK | a grant |
| DONT_HAVE | a NO, `not_held` |
| a block | a chunk |
| cancel | a cancel |

A want of Bitswap stands until it is cancelled. So a NO that names a time is not told to a peer: its want is answered
when the time has come (peer_wants.py).

Sources: the Bitswap specification (specs.ipfs.tech/bitswap-protocol), protocols 1.2.0, 1.1.0 and 1.0.0.
"""
