"""What two nodes tell each other about peers: signed records of addresses, and introductions.

These messages are not frames of the push stream. They have a protocol of their own
(`net/discovery/peer_exchange.py`), so a node of an earlier version never gets one.

A *record* is libp2p's signed envelope of a peer record: who, at which addresses, and a number by which records of the
same peer are ordered. Only its peer can make it. Nothing else about it is trusted: not the addresses, and not
that the number is a time.

An *introduction* goes back the way that an intent came: from a node that has something for the intent's origin, but
cannot dial it, by way of the nodes that passed the intent on. The origin can then dial the node.
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
    """Base of these messages: stored by position, new fields last with a default."""


class Records(_Told, tag="records", frozen=True, kw_only=True):
    """Where peers can be dialled, by their own word: the sender, and some that it is connected to."""

    records: Annotated[tuple[Record, ...], msgspec.Meta(min_length=1, max_length=MAX_RECORDS)]


class Introduction(_Told, tag="introduction", frozen=True, kw_only=True):
    """The peer of this record has an answer for the node `to`: dial it."""

    to: WirePeer
    record: Record
    steps: Annotated[int, msgspec.Meta(ge=0, le=MAX_STEPS)] = MAX_STEPS
    """How many more nodes may pass it on."""


class OpenedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record whose signature was checked: its peer made it."""

    peer: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs, as the peer wrote them."""
    seq: int
    sealed: bytes
    """The record itself, to pass it on."""


Told: TypeAlias = Records | Introduction

TOLD_TYPES: tuple[type[Told], ...] = get_args(Told)
