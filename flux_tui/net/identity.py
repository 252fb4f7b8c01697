"""This node's identity: an Ed25519 private key, in a file of the home that no other user can read.

The file has libp2p's format (the protobuf `PrivateKey`), as in other libp2p programs.
"""

import os
from pathlib import Path

from libp2p.crypto.ed25519 import Ed25519PrivateKey, create_new_key_pair
from libp2p.crypto.keys import KeyPair, PrivateKey
from libp2p.crypto.serialization import deserialize_private_key

from flux_tui.net.port import NetworkError
from flux_tui.regular_files import read_regular


def load_or_create(path: Path) -> KeyPair:
    """Load the private key from `path`. If there is no such file, create the key and the file.

    Raises NetworkError if the file cannot be read or made, is damaged, or has a key of another kind than Ed25519.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return _create(path)
    except OSError as error:
        raise NetworkError(f"the identity {path} cannot be read: {(error.strerror or '').lower()}") from None
    try:
        path.chmod(0o600)  # a backup may have been restored with other rights
        key: PrivateKey = deserialize_private_key(data)
    except Exception:  # the library lets protobuf's and libsodium's own errors through
        raise NetworkError(
            f"the identity {path} is damaged: put back a copy, or move it away to become a new peer"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise NetworkError(f"the identity {path} is not an Ed25519 key, which is what a node needs")
    return KeyPair(key, key.get_public_key())


def _create(path: Path) -> KeyPair:
    pair = create_new_key_pair()
    part = path.with_name(f".{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pair.private_key.serialize())
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError as error:
        raise NetworkError(
            f"the identity {path} cannot be written: {(error.strerror or '').lower()}"
        ) from None
    return pair
