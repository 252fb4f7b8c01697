"""CIDs, peer ids, and their short forms for people.

A CID is kept as its canonical text (CIDv1, base32, lower case). People paste this form, JSON prints it, and
dict keys need it. The wire and the chunk index carry its 36 bytes. Only the two block codecs of UnixFS (raw,
dag-pb) with sha2-256 are supported. Anything else is refused, with a sentence that says why.

Sources: CID spec (multiformats/cid), multicodec table, multibase, libp2p peer ids.
"""

import re
from base64 import b32decode
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

from flux_tui.core.errors import FluxError

if TYPE_CHECKING:
    from hashlib import _Hash

Cid = NewType("Cid", str)
"""Canonical text of a CIDv1: `bafk…` (raw leaf) or `bafy…` (dag-pb node)."""

PeerId = NewType("PeerId", str)
"""Base58 text of a libp2p peer id, e.g. `12D3KooW…`."""

RAW = 0x55
DAG_PB = 0x70

_SHA2_256 = b"\x12\x20"
_IDENTITY = 0
"""The multihash code of a CID that has the bytes of its block in itself."""
_INLINE = "has its bytes in itself (an inline CID), which flux-tui does not take"
_OTHER_HASH = "uses a hash other than sha2-256, which flux-tui does not take"
_RAW_PREFIX = b"\x01\x55" + _SHA2_256
_DAG_PREFIX = b"\x01\x70" + _SHA2_256
CID_PREFIXES = (_RAW_PREFIX, _DAG_PREFIX)
"""How the bytes of a CID begin."""
CID_BYTES = 36
"""Length in bytes of a binary CID: version, codec, hash function, hash length, digest."""

CID_CHARACTERS = 59
"""Characters of a CID's canonical text."""
_CANONICAL = re.compile(r"b(?:afkrei|afybei)[a-h][a-z2-7]{50}[aeimquy4]")
"""The first seven characters give version, codec and hash. The last character has two unused bits."""
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_TO_DIGITS = dict.fromkeys(range(128), "!") | str.maketrans(_BASE32, "0123456789abcdefghijklmnopqrstuv")
"""Maps base32's digits to those of Python's base 32, and every other character to one that is not a digit."""
_BASE32_SET = frozenset(_BASE32)
_FROM_DIGITS = bytes.maketrans(bytes(range(32)), _BASE32.encode())
"""Maps numbers below 32 to base32's digits."""

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_SET = frozenset(_BASE58)
PEER_ID_MAX = 80
"""Characters. An Ed25519 id has 52, an RSA id 46. A longer text is not an id."""


class BadIdError(FluxError, ValueError):
    """A CID, peer id or ticket is not valid. The message is one sentence for a person."""


@lru_cache(maxsize=1)
def _hasher() -> "Callable[[bytes | bytearray | memoryview], _Hash]":
    from hashlib import sha256  # with OpenSSL, in 1 ms: the dashboard's first frame hashes nothing

    return sha256


def _sha256(data: bytes | bytearray | memoryview) -> bytes:
    return _hasher()(data).digest()


def raw_cid(data: bytes | memoryview) -> Cid:
    """Return the CID of `data` as a raw leaf (hashing takes 0.6 ms per MiB)."""
    return _text(_RAW_PREFIX + _sha256(data))


def dag_cid(data: bytes) -> Cid:
    """Return the CID of `data` as a dag-pb node."""
    return _text(_DAG_PREFIX + _sha256(data))


def matches(cid: Cid, data: bytes | bytearray | memoryview) -> bool:
    """Whether the hash of `data` is the one in `cid`. Releases the GIL for data over 2 KiB."""
    return cid_bytes(cid)[4:] == _sha256(data)


def is_leaf(cid: Cid) -> bool:
    """Whether a CID names a leaf, which is raw bytes. False: it names an inner node (dag-pb), which has links."""
    return cid.startswith("bafk")


def is_cid(text: str) -> bool:
    """Whether this text is a CID in canonical form. A person may type other forms; see `parse_cid`."""
    return _CANONICAL.fullmatch(text) is not None


def is_text(name: str) -> bool:
    """Whether a path or name is UTF-8. Python represents other bytes in a form that cannot be stored as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=16_384)
def cid_bytes(cid: Cid) -> bytes:
    """Return the 36 bytes of a canonical CID. Raises ValueError for any other text.

    The conversion goes through an integer, because the library's b32decode is ten times slower. Every look-up of a
    chunk needs this, several times for each chunk that is added or fetched: so the last ones are kept (4 MB).
    """
    if len(cid) != CID_CHARACTERS or not cid.isascii():
        raise ValueError(f"{cid!r} is not a canonical CID")
    return (int(cid[1:].translate(_TO_DIGITS), 32) >> 2).to_bytes(CID_BYTES, "big")


def cid_from_bytes(raw: bytes) -> Cid:
    """Return the canonical text of a binary CID.

    Raises BadIdError if it is not a CIDv1 of raw or dag-pb with sha2-256.
    """
    if len(raw) != CID_BYTES or raw[:4] not in CID_PREFIXES:
        if _has_other_hash(raw) and raw[2] == _IDENTITY:
            raise BadIdError("these bytes are an inline CID, which flux-tui does not take")
        raise BadIdError("these bytes are not a CIDv1 (raw or dag-pb) with sha2-256")
    return _text(raw)


def cids_from_bytes(raws: Sequence[bytes]) -> list[Cid]:
    """Return the canonical texts of binary CIDs. For ten of them, this takes a third of the time.

    Raises BadIdError if one is not a CIDv1 of raw or dag-pb with sha2-256.
    """
    cids: list[Cid] = []
    for start in range(0, len(raws), LANES):
        some = raws[start : start + LANES]
        for raw in some:
            if len(raw) != CID_BYTES or raw[:4] not in CID_PREFIXES:
                cid_from_bytes(raw)  # says what is wrong
        number = int.from_bytes(b"".join([_LANE_START + raw for raw in some]), "big") << 2
        for low, high, shift in _SPREADS:
            number = number & low | (number & high) << shift
        digits = number.to_bytes(len(some) * LANE, "big").translate(_FROM_DIGITS).decode("ascii")
        cids += [
            Cid("b" + digits[end - CID_CHARACTERS + 1 : end]) for end in range(LANE, len(digits) + LANE, LANE)
        ]
    return cids


def parse_cid(text: str) -> Cid:
    """Return the canonical form of a CID that a person typed or pasted (also `ipfs://…` and `/ipfs/…`).

    Raises BadIdError with the reason.
    """
    cid = text.strip().removeprefix("ipfs://").removeprefix("/ipfs/").rstrip("/")
    return Cid(cid) if is_cid(cid) else _parse_other(cid)  # at once: a person may push a hundred thousand


def _parse_other(cid: str) -> Cid:
    """Return the canonical form of a CID that is not in it. Raises BadIdError with the reason."""
    if not cid:
        raise BadIdError("the CID is empty")
    if cid.startswith("Qm") and len(cid) == 46:
        return _parse_v0(cid)
    lowered = cid.lower()
    if not lowered.startswith("b"):
        raise BadIdError(f"{_quoted(cid)} is not a CID: expected one that starts with bafk, bafy or Qm")
    if not _BASE32_SET.issuperset(lowered):
        raise BadIdError(f"{_quoted(cid)} is not a CID: it has characters outside base32 (a-z, 2-7)")
    try:
        raw = b32decode(lowered[1:].upper() + "=" * (-len(lowered[1:]) % 8))
    except ValueError:
        raw = b""
    if _has_other_hash(raw):
        raise BadIdError(f"{_quoted(cid)} {_OTHER_HASH if raw[2] != _IDENTITY else _INLINE}")
    if len(lowered) != CID_CHARACTERS and (not raw or raw[:1] == b"\x01"):
        raise BadIdError(
            f"{_quoted(cid)} is not a CID: it is {len(lowered)} characters long, a whole one has {CID_CHARACTERS}"
        )
    if len(raw) < 4 or raw[0] != 1:
        raise BadIdError(f"{_quoted(cid)} is not a CID: its version is unknown")
    if raw[1] not in (RAW, DAG_PB):
        raise BadIdError(f"{_quoted(cid)} is not a file or folder: codec {raw[1]:#x} is not raw or dag-pb")
    if raw[2:4] != _SHA2_256:
        raise BadIdError(f"{_quoted(cid)} {_OTHER_HASH}")
    canonical = _text(raw)
    if canonical != lowered:
        raise BadIdError(f"{_quoted(cid)} is not a CID: its last character is wrong")
    return canonical


def _has_other_hash(raw: bytes) -> bool:
    """Whether these are the bytes of a whole CIDv1 of raw or dag-pb with another hash than sha2-256.

    The number of a hash function is a varint of up to three bytes, and the length of its digest one of one byte.
    """
    if len(raw) < 4 or raw[0] != 1 or raw[1] not in (RAW, DAG_PB) or raw[2:4] == _SHA2_256:
        return False
    end = next((at for at in range(2, min(5, len(raw) - 1)) if raw[at] < 0x80), None)
    return end is not None and raw[end + 1] == len(raw) - end - 2


def _parse_v0(text: str) -> Cid:
    """Return the CIDv1 of the block that a CIDv0 names. A CIDv0 is a bare sha2-256 multihash of a dag-pb node."""
    raw = _base58_decode(text)
    if raw is None or len(raw) != 34 or raw[:2] != _SHA2_256:
        raise BadIdError(f"{_quoted(text)} is not a CID: it starts like a CIDv0 but does not decode")
    return _text(b"\x01\x70" + raw)


def cid_v0(cid: Cid) -> str | None:
    """Return the older form of a CID (`Qm…`); None for a leaf, which has none."""
    return None if is_leaf(cid) else _base58(cid_bytes(cid)[2:])


def parse_peer_id(text: str) -> PeerId:
    """Parse a peer id that a person typed. Raises BadIdError."""
    peer = text.strip()
    raw = _base58_decode(peer) if 0 < len(peer) <= PEER_ID_MAX else None
    if raw is None or not ((raw.startswith(_SHA2_256) and len(raw) == 34) or raw[:1] == b"\x00"):
        raise BadIdError(f"{_quoted(peer)} is not a peer id: expected something like 12D3KooW…")
    return PeerId(peer)


def short(name: str) -> str:
    """Return a CID or peer id shortened in the middle, to be shown to people: `bafk…7ue`, `12D3…kQ9a`."""
    if len(name) <= 12:
        return name
    tail = 4 if name.startswith("12D3") else 3
    return f"{name[:4]}…{name[-tail:]}"


def peer_id_bytes(peer: PeerId) -> bytes:
    """Return the bytes of a peer id (its multihash). Raises BadIdError."""
    raw = _base58_decode(peer)
    if raw is None:
        raise BadIdError(f"{_quoted(peer)} is not a peer id")
    return raw


def peer_id_from_bytes(raw: bytes) -> PeerId:
    """Return the text of a peer id that is given as bytes (its multihash). Raises BadIdError."""
    return parse_peer_id(_base58(raw))


def _base58(raw: bytes) -> str:
    number = int.from_bytes(raw, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


LANES = 64
"""CIDs of which the texts are computed together."""
LANE = 64
"""Digits of each of them, and bytes once they are spread."""
_LANE_START = bytes(LANE - CID_BYTES)


def _spreads() -> tuple[tuple[int, int, int], ...]:
    """Return the steps that spread numbers of 64 digits of five bits: one byte for each digit.

    Each number has a lane of 64 bytes. There may be up to LANES of them.

    In each step, `number & low | (number & high) << shift` moves the upper half of each group of digits apart from
    the lower half. So six steps are enough for all digits.
    """
    steps: list[tuple[int, int, int]] = []
    lane, bits = 512, 320
    while bits > 5:
        half = bits // 2
        low = sum(((1 << half) - 1) << at for at in range(0, 8 * LANE * LANES, lane))
        steps.append((low, low << half, lane // 2 - half))
        lane, bits = lane // 2, half
    return tuple(steps)


_SPREADS = _spreads()
_SPREADS_OF_ONE = tuple(
    (low % (1 << 8 * LANE), high % (1 << 8 * LANE), shift) for low, high, shift in _SPREADS
)


def _text(raw: bytes) -> Cid:
    """Return the canonical text of the 36 bytes of a CID: four times as fast as the library's b32encode."""
    number = int.from_bytes(raw, "big") << 2
    for low, high, shift in _SPREADS_OF_ONE:
        number = number & low | (number & high) << shift
    return Cid("b" + number.to_bytes(CID_CHARACTERS - 1, "big").translate(_FROM_DIGITS).decode("ascii"))


def _base58_decode(text: str) -> bytes | None:
    if not _BASE58_SET.issuperset(text):
        return None
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    zeros = len(text) - len(text.lstrip("1"))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _quoted(text: str) -> str:
    return f"“{text if len(text) <= 64 else text[:60] + '…'}”"


def own_addr(addr: str, peer: PeerId) -> str | None:
    """Return a multiaddr that a peer gave as its own, with the peer's id at the end.

    None: the text is not a multiaddr, or it is the address of another peer.
    """
    if not addr.startswith("/"):
        return None
    _, separator, last = addr.rpartition("/p2p/")
    if separator and "/" not in last:
        return addr if last == peer else None
    return f"{addr.rstrip('/')}/p2p/{peer}"
