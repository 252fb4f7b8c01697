"""Finds out whether the node at an address has the same swarm key: reads the first bytes that it sends.

Each side of a libp2p connection begins with the header of multistream-select, in a private swarm encrypted under its
key, after a nonce of 24 bytes (net/upstream/pnet.py). So the first bytes tell which key it is, or that there is none.
"""

import os
import socket
from typing import Literal, TypeAlias

from flux_tui.net.upstream.pnet import NONCE_BYTES, xsalsa20

HEADER = b"\x13/multistream/1.0.0\n"
CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 3.0

Answer: TypeAlias = Literal["same", "other_key", "has_key", "no_key", "silent"]
"""same: it has the same key, or both have none; other_key: both have one, and they differ; has_key: only that node has
one; no_key: only this node has one; silent: it cannot be reached, or is no libp2p node."""


def ask_for_key(addr: str, key: bytes | None) -> Answer:
    """Connect to a multiaddr of an IP address and a TCP port, and compare keys. `key`: None: this node has none."""
    parts = addr.split("/")
    if len(parts) < 5 or parts[1] not in ("ip4", "ip6", "dns", "dns4", "dns6") or parts[3] != "tcp":
        return "silent"
    if "p2p-circuit" in parts or not parts[4].isdigit():
        return "silent"
    try:
        with socket.create_connection((parts[2], int(parts[4])), CONNECT_SECONDS) as sock:
            sock.settimeout(ANSWER_SECONDS)
            nonce = os.urandom(NONCE_BYTES)
            sock.sendall(HEADER if key is None else nonce + xsalsa20(key, nonce).encrypt(HEADER))
            return _compare(_read(sock), key)
    except (OSError, OverflowError, UnicodeError):
        return "silent"


def _read(sock: socket.socket) -> bytes:
    """Return the first bytes that come, up to as many as a header under a key takes."""
    found = b""
    while len(found) < NONCE_BYTES + len(HEADER):
        try:
            part = sock.recv(NONCE_BYTES + len(HEADER) - len(found))
        except TimeoutError:
            break
        found += part
        if not part or found.startswith(HEADER):
            break
    return found


def _compare(came: bytes, key: bytes | None) -> Answer:
    if came.startswith(HEADER):
        return "same" if key is None else "no_key"
    if len(came) < NONCE_BYTES + len(HEADER):
        return "silent"
    if key is None:
        return "has_key"
    opened = xsalsa20(key, came[:NONCE_BYTES]).decrypt(came[NONCE_BYTES:])
    return "same" if opened == HEADER else "other_key"
