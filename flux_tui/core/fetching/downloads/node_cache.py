"""The inner nodes of one download that stay in memory from the adding up of its tree to the planning of its files."""

from typing import NamedTuple

from flux_tui.core.content import nodes
from flux_tui.core.ids import Cid

CACHED_BYTES = 16 * 1024 * 1024
"""Bytes of inner nodes that stay in memory. Other nodes are read again."""
DECODED_BYTES = 2 * 1024 * 1024
"""Bytes of those nodes that stay decoded, some 40,000 names. Decoding a node takes half the time of adding or planning
it. Decoded, it takes five times the memory."""


class _Kept(NamedTuple):
    size: int
    block: bytes | nodes.Node


class NodeCache:
    """Inner nodes in memory: the first ones decoded, the next ones as bytes."""

    def __init__(self) -> None:
        self._kept: dict[Cid, _Kept] = {}
        self._bytes = 0

    def add(self, cid: Cid, data: bytes, node: nodes.Node) -> None:
        """Keep an inner node, if there is room. `data`: its bytes; `node`: what they say."""
        if cid in self._kept or self._bytes + len(data) > CACHED_BYTES:
            return
        self._bytes += len(data)
        self._kept[cid] = _Kept(len(data), node if self._bytes <= DECODED_BYTES else data)

    def get(self, cid: Cid) -> bytes | nodes.Node | None:
        """Return a node: its bytes, or decoded. None: it is not in memory."""
        kept = self._kept.get(cid)
        return None if kept is None else kept.block

    def drop(self, cid: Cid) -> None:
        """Free the memory of a node."""
        if kept := self._kept.pop(cid, None):
            self._bytes -= kept.size
