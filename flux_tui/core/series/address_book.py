"""The address book: where peers can be dialled, by records that they signed. Part of the state; bounded.

It is how a node finds its swarm again after a restart, when the peer that it once joined is gone.
"""

from collections.abc import Callable

import msgspec

from flux_tui.core.ids import PeerId

MAX_BOOK = 256
"""Peers in the book."""
MAX_HEARSAY = 64
"""Peers in it that were never connected, on the word of one teller."""
MAX_BOOK_ADDRS = 8
"""Addresses of one peer."""


class ToldAddrs(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The addresses of one peer, from a record that this peer signed."""

    peer: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs that end in /p2p/ and the peer's id. Only those that the teller may name."""
    seq: int
    """Of two records of one peer, the one with the higher number is newer."""


class KnownAddrs(msgspec.Struct):
    """The addresses that the book has for one peer, and which peer told them."""

    addrs: tuple[str, ...]
    seq: int
    teller: PeerId
    """The peer that told it: the peer itself, or another one."""
    reach: int


def note(
    book: dict[PeerId, KnownAddrs],
    teller: PeerId,
    told: ToldAddrs,
    reach: int,
    is_of_use: Callable[[PeerId], bool],
) -> None:
    """Write the addresses of one peer into the book. If the book is full, the least useful entry is removed.

    `teller`: the peer that told these addresses; only its newest MAX_HEARSAY entries about others stay. `reach`: how
    near the teller was (`Reach`). `is_of_use`: whether a peer is connected, or has exchanged chunks with this node.
    """
    book.pop(told.peer, None)  # the newest stands at the end
    if teller != told.peer:
        of_teller = [peer for peer, known in book.items() if known.teller == teller != peer]
        if len(of_teller) >= MAX_HEARSAY:
            del book[of_teller[0]]
    if len(book) >= MAX_BOOK:
        del book[_least_useful(book, is_of_use)]
    book[told.peer] = KnownAddrs(told.addrs[:MAX_BOOK_ADDRS], told.seq, teller, reach)


def _least_useful(book: dict[PeerId, KnownAddrs], is_of_use: Callable[[PeerId], bool]) -> PeerId:
    """Return the peer whose entry is removed when the book is full.

    First an entry that another peer told, then one of a peer that was of no use, then any. Of several, it is
    the oldest.
    """
    hearsay = (peer for peer, known in book.items() if known.teller != peer)
    strangers = (peer for peer in book if not is_of_use(peer))
    return next(hearsay, None) or next(strangers, None) or next(iter(book))
