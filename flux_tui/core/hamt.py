"""Large folders: a hash array mapped trie of names, as UnixFS has it.

A name's place is decided by the first 64 bits of murmur3-x64-128 of it, most significant byte first; each
level takes one byte, so a node has up to 256 children. A child that is a name's entry carries its index
in two hex digits before the name; one that is a further node carries the index alone. Which indexes are
taken stands in a bitfield, most significant first, without leading zero bytes.

Source: ipfs/specs UNIXFS (HAMTDirectory), IPIP-0499.
"""

from collections.abc import Iterable

import mmh3

from flux_tui.core import dagpb
from flux_tui.core.dagpb import PBLink, UnixFS
from flux_tui.core.ids import dag_cid
from flux_tui.core.unixfs import Block, FolderEntry, FolderRoot

FANOUT = 256
MURMUR3_X64_64 = 0x22
"""The multihash code that stands in each node."""
DEPTH = 8
"""Bytes of the hash; names that agree in all of them cannot be told apart."""

_Keyed = tuple[bytes, FolderEntry]


def build(entries: Iterable[FolderEntry]) -> FolderRoot:
    """A folder of any number of distinct names."""
    blocks: list[Block] = []
    root = _node([(_key(entry.name), entry) for entry in entries], 0, blocks)
    return FolderRoot(root.cid, root.tsize, tuple(blocks))


def _key(name: str) -> bytes:
    first, _ = mmh3.hash64(name.encode(), x64arch=True, signed=False)
    return int(first).to_bytes(DEPTH, "big")


def _node(entries: list[_Keyed], level: int, blocks: list[Block]) -> PBLink:
    """The node of these entries, after the nodes below it."""
    if level == DEPTH:
        raise ValueError("two names of a folder have the same hash, which no folder of this kind can hold")
    slots: dict[int, list[_Keyed]] = {}
    for item in entries:
        slots.setdefault(item[0][level], []).append(item)
    links: list[PBLink] = []
    bits = 0
    for index in sorted(slots):
        bits |= 1 << index
        inside = slots[index]
        if len(inside) == 1:
            entry = inside[0][1]
            links.append(PBLink(entry.cid, f"{index:02X}{entry.name}", entry.tsize))
        else:
            below = _node(inside, level + 1, blocks)
            links.append(PBLink(below.cid, f"{index:02X}", below.tsize))
    bitfield = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
    body = UnixFS(dagpb.HAMT_SHARD, data=bitfield, hash_type=MURMUR3_X64_64, fanout=FANOUT)
    data = dagpb.encode_node(links, body)
    cid = dag_cid(data)
    blocks.append(Block(cid, data))
    return PBLink(cid, "", len(data) + sum(link.tsize for link in links))
