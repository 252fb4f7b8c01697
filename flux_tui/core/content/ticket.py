"""Tickets: all that another person needs to fetch an object, as one word to copy.

    flux1 + base32( msgpack [version, CID, name, size, [[peer id, [transport, …]], …]] + checksum )

A ticket has lower-case letters and digits only. So a double click selects all of it, a shell accepts it
unchanged, and chat programs do not change it. Line breaks in it are ignored. The checksum is the first four
bytes of the content's sha256. It shows whether a pasted ticket was cut off.
"""

import re
from base64 import b32decode, b32encode
from hashlib import sha256
from typing import NamedTuple

import msgpack

from flux_tui.core.content.paste_cleanup import pasted_words
from flux_tui.core.ids import (
    CID_CHARACTERS,
    BadIdError,
    Cid,
    PeerId,
    cid_bytes,
    cid_from_bytes,
    is_cid,
    parse_cid,
    parse_peer_id,
    peer_id_bytes,
    peer_id_from_bytes,
)
from flux_tui.core.wire.message_limits import MAX_NAME, MAX_SIZE

PREFIX = "flux1"
VERSION = 1
CHECKSUM_BYTES = 4
MAX_TICKET = 4096
"""Characters. A ticket with eight addresses has about 500."""
MAX_ADDRS = 8
"""Addresses that a ticket carries. More would not make it more likely to work."""
LOOPBACK = ("/ip4/127.", "/ip6/::1/")
"""How the addresses begin that lead to the machine itself."""
MAX_PIECES = 200
"""Lines into which a ticket may be broken."""
LONG_PIECE = 16
"""Characters. A shorter word beside an incomplete ticket is a word of its own."""
NOT_WHOLE = "that ticket is not whole: copy it again, from flux1 to its last character"
SHORTENED, _DOTS = "…", "..."
_CID_STARTS = ("bafk", "bafy")
_BASE32 = r"[A-Za-z2-7]+"
_ODD = r"[^A-Z2-7]"
_TICKET_INSIDE = rf"(?i)(?<=[^A-Za-z0-9]){PREFIX}(?=[A-Za-z2-7]{{8}})"


class Ticket(NamedTuple):
    """An object and where it can be fetched. A ticket made from a bare CID has only `root`."""

    root: Cid
    name: str | None = None
    size: int | None = None
    addrs: tuple[str, ...] = ()
    """Multiaddrs that end in /p2p/PEER-ID."""


def format_ticket(ticket: Ticket) -> str:
    """Return the text of a ticket, with at most MAX_ADDRS addresses. Loopback ones are left out if there are others."""
    by_peer: dict[bytes, list[str]] = {}
    far = [addr for addr in ticket.addrs if not addr.startswith(LOOPBACK)]
    for addr in (far or ticket.addrs)[:MAX_ADDRS]:
        transport, _, peer = addr.rpartition("/p2p/")
        by_peer.setdefault(peer_id_bytes(PeerId(peer)), []).append(transport)
    body: bytes = msgpack.packb(
        [VERSION, cid_bytes(ticket.root), ticket.name, ticket.size, [list(item) for item in by_peer.items()]]
    )
    text = b32encode(body + sha256(body).digest()[:CHECKSUM_BYTES]).decode("ascii")
    return PREFIX + text.rstrip("=").lower()


def parse_ticket(text: str) -> Ticket:
    """Parse a ticket or a bare CID that a person typed or pasted. Raises BadIdError, whose message is one sentence."""
    words = ticket_words(text)
    if len(words) > 1:
        shown = ", ".join(f"“{word[:20]}{'…' if len(word) > 20 else ''}”" for word in words[:3])
        more = " and more" if len(words) > 3 else ""
        raise BadIdError(f"that is not one ticket or CID, but {len(words):,} words: {shown}{more}")
    word = words[0] if words else ""
    if SHORTENED in text or _DOTS in word:
        raise BadIdError("that was shortened where it was shown: copy the whole ticket or CID")
    return _parse_word(word)


def ticket_words(text: str) -> list[str]:
    """Return the words of a typed or pasted text: tickets, CIDs, and all others.

    A ticket or CID that was broken into lines is joined again.
    """
    pieces = [_without_label(word) for word in pasted_words(text)]
    words: list[str] = []
    at = 0
    while at < len(pieces):
        count = _pieces_of_one(pieces, at)
        words.append("".join(pieces[at : at + count]))
        at += count
    return words


def addrs_to_join(text: str) -> tuple[str, ...]:
    """Return the addresses to connect to: the one multiaddr of a peer that was typed, or all that a ticket names.

    Raises BadIdError, whose message is one sentence, if the text is neither, or if the ticket names no address.
    """
    if is_ticket_like(text):
        ticket = parse_ticket(text)
        if not ticket.addrs:
            raise BadIdError("that ticket names no address, so there is nobody to connect to")
        return ticket.addrs
    base, separator, peer = text.rpartition("/p2p/")
    if not separator or not base.startswith("/"):
        raise BadIdError(
            f"{text} is neither a ticket nor the address of a peer: expected /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID"
        )
    parse_peer_id(peer)
    return (text,)


def is_ticket_like(word: str) -> bool:
    """Whether a word looks like a ticket, even if it is cut off or damaged."""
    return word.lower().startswith(PREFIX) and len(word) > len(PREFIX)


def _without_label(word: str) -> str:
    """Return the word without a label before the ticket in it, as in `ticket:flux1…`. Other words stay as they are."""
    found = re.search(_TICKET_INSIDE, word)
    return word if found is None else word[found.start() :]


def _pieces_of_one(pieces: list[str], at: int) -> int:
    """Return how many pieces, from index `at` on, belong to one ticket or CID that was broken into lines.

    This is the smallest number that makes a complete ticket or CID. If no number does, it is damaged. Then the
    next pieces that are as long as a broken line are taken to belong to a ticket, and none to a CID. 1 if no ticket
    or CID begins at `at`.
    """
    if is_cid(pieces[at]):
        return 1  # the usual case of a long list
    start = pieces[at].lower()
    if not start.startswith((PREFIX, *_CID_STARTS)):
        return 1
    limit = MAX_TICKET if start.startswith(PREFIX) else CID_CHARACTERS
    joined, long_ones, still_long = "", 1, True
    for count, piece in enumerate(pieces[at : at + MAX_PIECES], 1):
        if count > 1 and not re.fullmatch(_BASE32, piece):
            break
        joined += piece
        if len(joined) > limit:
            break
        if _is_whole(joined):
            return count
        still_long = still_long and len(piece) >= LONG_PIECE and not piece.lower().startswith(_CID_STARTS)
        if count > 1 and still_long:
            long_ones = count
    return long_ones if start.startswith(PREFIX) else 1


def _is_whole(word: str) -> bool:
    try:
        _parse_word(word)
    except BadIdError:
        return False
    return True


def _parse_word(word: str) -> Ticket:
    if not word.lower().startswith(PREFIX):
        return Ticket(parse_cid(word))
    if len(word) > MAX_TICKET:
        raise BadIdError(f"that is not a ticket: it is {len(word):,} characters long")
    code = word[len(PREFIX) :].upper()
    if (odd := re.search(_ODD, code)) is not None:
        place = len(PREFIX) + odd.start() + 1
        raise BadIdError(f"{NOT_WHOLE} (character {place} is “{odd[0].lower()}”, which no ticket has)")
    try:
        raw = b32decode(code + "=" * (-len(code) % 8))
    except ValueError:
        raise BadIdError(NOT_WHOLE) from None
    body, checksum = raw[:-CHECKSUM_BYTES], raw[-CHECKSUM_BYTES:]
    if sha256(body).digest()[:CHECKSUM_BYTES] != checksum:
        raise BadIdError(NOT_WHOLE)
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
