"""HAMT folders: a hash array mapped trie of names for large folders, as UnixFS defines it.

The place of a name is given by the first 64 bits of its murmur3-x64-128 hash, most significant byte first.
Each level uses one byte, so a node has up to 256 children. A link to an entry has the child's index in two
hex digits before the name; a link to another node has the index alone. A bitfield says which indexes are
used, most significant first, without leading zero bytes.

Source: ipfs/specs UNIXFS (HAMTDirectory), IPIP-0499.
"""

from collections.abc import Iterable
from typing import NamedTuple

import mmh3

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import Block, FolderEntry, FolderRoot, ShardNode
from flux_tui.core.content.protobufs import BadBlockError, PBLink, UnixFS
from flux_tui.core.ids import dag_cid

FANOUT = 256
DEPTH = 8
"""Bytes of the hash. A folder cannot hold two names with the same hash."""
HASH_BITS = 8 * DEPTH

_Keyed = tuple[bytes, FolderEntry]


class Prefix(NamedTuple):
    """The first bits that the hashes of all names below a shard have in common.

    `bits`: how many; `value`: these bits as a number.
    """

    bits: int = 0
    value: int = 0

    def below(self, slot: int, width: int) -> "Prefix":
        """Return the prefix of the names in one slot of this shard. `width`: bits that choose a slot.

        Raises BadBlockError if the prefix would be longer than a hash.
        """
        if self.bits + width > HASH_BITS:
            raise BadBlockError("a folder's shard that is deeper than the hash of a name")
        return Prefix(self.bits + width, self.value << width | slot)


def check(node: ShardNode, prefix: Prefix) -> None:
    """Check that every name of a shard is in the slot that its hash gives. Raises BadBlockError if one is not.

    `prefix`: the bits that choose this shard, from the root on. The hash of each name in the shard begins with them.

    So each name has only one possible place in a folder. Otherwise two shards could contain the same name, once
    as a link and once as a folder.
    """
    if not node.entries:
        return
    bits, first = prefix.below(0, node.width)
    for (name, _, _), slot in zip(node.entries, node.entry_slots, strict=True):
        if _hash(name) >> (HASH_BITS - bits) != first | slot:
            raise BadBlockError(f"a folder's shard with a name that belongs elsewhere: {name!r}")


def slot_of(name: str, prefix: Prefix, width: int) -> int:
    """Return the slot of a shard in which a name belongs. `width`: bits that choose a slot.

    `prefix`: the bits that choose this shard. Raises BadBlockError if the shard is deeper than a hash.
    """
    bits = prefix.below(0, width).bits
    return _hash(name) >> (HASH_BITS - bits) & ((1 << width) - 1)


def build(entries: Iterable[FolderEntry], mode: int | None = None) -> FolderRoot:
    """Build a HAMT folder with these names, which must be distinct. `mode`: permissions to record in its root."""
    blocks: list[Block] = []
    root = _node([(_key(entry.name), entry) for entry in entries], 0, blocks, mode)
    return FolderRoot(root.cid, root.tsize, tuple(blocks))


def _hash(name: str) -> int:
    first: int = mmh3.hash64(name.encode(), x64arch=True, signed=False)[0]
    return first


def _key(name: str) -> bytes:
    return _hash(name).to_bytes(DEPTH, "big")


def _node(entries: list[_Keyed], level: int, blocks: list[Block], mode: int | None = None) -> PBLink:
    """Build the node of these entries and all nodes below it. Append them to `blocks`, and return the link to it.

    `level`: how deep the node is; this byte of a name's hash chooses its slot. `mode`: permissions to record in the
    node. Raises ValueError if two names have the same hash.
    """
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
    body = UnixFS(
        protobufs.HAMT_SHARD,
        data=bitfield,
        hash_type=protobufs.MURMUR3_X64_64,
        fanout=FANOUT,
        mode=mode,
    )
    data = protobufs.encode_node(links, body)
    cid = dag_cid(data)
    blocks.append(Block(cid, data))
    return PBLink(cid, "", len(data) + sum(link.tsize for link in links))
