"""The messages in which two nodes tell each other about peers: signed records of addresses, and introductions.

These messages are not frames of the push stream. They have a protocol of their own
(`net/discovery/peer_exchange.py`), so a node of an earlier version never gets one.

A *record* is libp2p's signed envelope of a peer record. It has the id of a peer, the peer's addresses, and a number by
which the records of one peer are ordered. The signature proves that this peer made the record. Nothing in the record
is trusted: the addresses may be wrong, and the number need not be a time.

An *introduction* asks the origin of an intent to dial another node. That node has something for the origin, and cannot
dial it. It makes the introduction, which contains its own record. The nodes that passed the intent on pass the
introduction back to the origin.
"""

from typing import Annotated, TypeAlias, get_args

import msgspec

from flux_tui.core.ids import PeerId
from flux_tui.core.wire.messages import WirePeer

MAX_RECORDS = 16
"""Records in one message."""
MAX_RECORD = 1024
"""Bytes of one record: eight addresses, twice as long as usual, with key and signature."""
MAX_TOLD = 20 * 1024
"""Bytes of one message."""
MAX_STEPS = 3
"""How many nodes may pass an introduction on."""

Record: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=1, max_length=MAX_RECORD)]


class _Told(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Base of the messages in this module: encoded as arrays. New fields come last, with a default."""


class Records(_Told, tag="records", frozen=True, kw_only=True):
    """The records of several peers: of the sender, and of some peers that it is connected to."""

    records: Annotated[tuple[Record, ...], msgspec.Meta(min_length=1, max_length=MAX_RECORDS)]


class Introduction(_Told, tag="introduction", frozen=True, kw_only=True):
    """Asks the node `to` to dial the peer that made `record`. The maker has an answer to an intent of `to`."""

    to: WirePeer
    record: Record
    steps: Annotated[int, msgspec.Meta(ge=0, le=MAX_STEPS)] = MAX_STEPS
    """How many more nodes may pass it on."""


class OpenedRecord(msgspec.Struct, frozen=True, gc=False):
    """The content of a signed record of a peer, after a check of the signature: the peer `peer` made the record."""

    peer: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs, as the peer wrote them."""
    seq: int
    sealed: bytes
    """The record itself, to pass it on."""


Told: TypeAlias = Records | Introduction

TOLD_TYPES: tuple[type[Told], ...] = get_args(Told)
