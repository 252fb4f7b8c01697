"""Tickets: all that somebody else needs to fetch an object, as one word to copy.

    flux1 + base32( msgpack [version, CID, name, size, [[peer id, [transport, …]], …]] + checksum )

Lower-case letters and digits only, so that a double click selects it, a shell takes it as it is, and a
chat program leaves it alone; line breaks that crept in are ignored, and the first four bytes of the
content's sha256 tell a cut-off paste from a whole one.
"""

from base64 import b32decode, b32encode
from hashlib import sha256
from typing import NamedTuple

import msgpack

from flux_tui.core.ids import (
    BadIdError,
    Cid,
    PeerId,
    cid_bytes,
    cid_from_bytes,
    parse_cid,
    peer_id_bytes,
    peer_id_from_bytes,
)
from flux_tui.core.messages import MAX_NAME, MAX_SIZE

PREFIX = "flux1"
VERSION = 1
CHECKSUM_BYTES = 4
MAX_TICKET = 4096
"""Characters; one with eight addresses has some 500."""
MAX_ADDRS = 8
"""Addresses that a ticket carries; more would not make it more likely to work."""


class Ticket(NamedTuple):
    """An object and where it may be had. Of a bare CID only `root` is known."""

    root: Cid
    name: str | None = None
    size: int | None = None
    addrs: tuple[str, ...] = ()
    """Multiaddrs that end in /p2p/PEER-ID."""


def format_ticket(ticket: Ticket) -> str:
    """The ticket's text."""
    by_peer: dict[bytes, list[str]] = {}
    for addr in ticket.addrs[:MAX_ADDRS]:
        transport, _, peer = addr.rpartition("/p2p/")
        by_peer.setdefault(peer_id_bytes(PeerId(peer)), []).append(transport)
    body: bytes = msgpack.packb(
        [VERSION, cid_bytes(ticket.root), ticket.name, ticket.size, [list(item) for item in by_peer.items()]]
    )
    text = b32encode(body + sha256(body).digest()[:CHECKSUM_BYTES]).decode("ascii")
    return PREFIX + text.rstrip("=").lower()


def parse_ticket(text: str) -> Ticket:
    """A ticket or a bare CID, as it was typed or pasted. Raises BadIdError with one sentence."""
    word = "".join(text.split())
    if not word.lower().startswith(PREFIX):
        return Ticket(parse_cid(word))
    if len(word) > MAX_TICKET:
        raise BadIdError(f"that is no ticket: it is {len(word):,} characters long")
    code = word[len(PREFIX) :].upper()
    try:
        raw = b32decode(code + "=" * (-len(code) % 8))
    except ValueError:
        raise BadIdError(
            "that ticket is not whole: copy it again, from flux1 to its last character"
        ) from None
    body, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    if sha256(body).digest()[:CHECKSUM_BYTES] != checksum:
        raise BadIdError("that ticket is not whole: copy it again, from flux1 to its last character")
    try:
        return _decode(body)
    except BadIdError:
        raise
    except (ValueError, TypeError, AttributeError, msgpack.UnpackException):
        raise BadIdError("that ticket was not made by flux-tui") from None


def _decode(body: bytes) -> Ticket:
    version, root, name, size, peers = msgpack.unpackb(body, max_array_len=16, max_str_len=1024)
    if version != VERSION:
        raise BadIdError(f"that ticket is of a newer flux-tui (form {version}): update to use it")
    if not (name is None or (isinstance(name, str) and len(name) <= MAX_NAME)):
        raise ValueError("name")
    if not (size is None or (isinstance(size, int) and 0 <= size <= MAX_SIZE)):
        raise ValueError("size")
    addrs = [
        f"{transport}/p2p/{peer_id_from_bytes(peer)}"
        for peer, transports in peers
        for transport in transports
    ]
    if not all(addr.startswith("/") for addr in addrs):
        raise ValueError("addrs")
    return Ticket(cid_from_bytes(root), name, size, tuple(addrs))
