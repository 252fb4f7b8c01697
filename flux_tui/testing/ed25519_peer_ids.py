"""Peer ids that are Ed25519 keys: an id is made from a key, and the key is read from an id."""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from flux_tui.core.ids import BadIdError, PeerId, peer_id_bytes, peer_id_from_bytes

_PUBLIC_KEY = b"\x00\x24\x08\x01\x12\x20"
"""The bytes before the 32 bytes of an Ed25519 key in a peer id: an identity multihash of 36 bytes, protobuf
field 1 (type: Ed25519), field 2 (32 bytes)."""


def peer_id_of(key: Ed25519PublicKey) -> PeerId:
    """Return the peer id of a key."""
    return peer_id_from_bytes(_PUBLIC_KEY + key.public_bytes_raw())


@lru_cache(maxsize=1024)
def public_key(peer: PeerId) -> Ed25519PublicKey | None:
    """Return the key that a peer id is; None: the id is not such a key."""
    try:
        raw = peer_id_bytes(peer)
    except BadIdError:
        return None
    if len(raw) != len(_PUBLIC_KEY) + 32 or not raw.startswith(_PUBLIC_KEY):
        return None
    return Ed25519PublicKey.from_public_bytes(raw[len(_PUBLIC_KEY) :])
