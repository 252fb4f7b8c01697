"""The message in which a node tells another one, close to them in the DHT, that it has many roots.

It is no frame of the push stream. It goes alone on a stream of a protocol of its own
(net/flux/dht/record_streams.py). It is answered by the number of its keys that were accepted. A node of an earlier
version does not speak this protocol. It gets libp2p's ADD_PROVIDER, one for each root.

Both sides know the budget, which stands in the protocol (README). A node sends another one at most RECORDS_BURST keys
at once and RECORDS_RATE a second. It accepts ADMITTED times as many, so a node that was started again is not over it.
"""

from typing import Annotated, TypeAlias

import msgspec

MAX_KEYS = 1024
"""Keys in one message."""
MAX_KEY = 64
"""Bytes of a key: a multihash. That of sha2-256 has 34."""
MAX_PROVIDER_ADDRS, MAX_PROVIDER_ADDR = 8, 256
"""Addresses in one message, and bytes of each."""
MAX_PROVIDE = 72 * 1024
"""Bytes of one message."""
RECORDS_BURST, RECORDS_RATE = 1024.0, 256.0
"""Keys that a node sends to one other node: at once, and per second in the long run."""
ADMITTED = 4
"""How many times as many a node accepts."""

Key: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=4, max_length=MAX_KEY)]
BinaryAddr: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_PROVIDER_ADDR)]


class Provided(msgspec.Struct, tag="provide", frozen=True, kw_only=True, array_like=True, gc=False):
    """The sender has the objects whose roots have these keys, and can be dialled at these addresses."""

    keys: Annotated[tuple[Key, ...], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]
    addrs: Annotated[tuple[BinaryAddr, ...], msgspec.Meta(max_length=MAX_PROVIDER_ADDRS)]
    """Multiaddrs in their binary form."""
