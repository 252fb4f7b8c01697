"""Tells for each block of one object whether it is missing, on its way, refused or here, and which peer sends it.

Pure. A series says which peer was granted a block and which peer sent it, but not the block's place in the
file. So the blocks are in the order in which they were first granted or arrived. Blocks that were here before
the first grant are at the front, blocks that no peer was granted yet at the end.

    blocks = BlockMap(root)
    blocks.extend(entries)                     # as they come, in order
    blocks.cells(60, have=10, total=812)       # the map in 60 cells

Each entry is read once. A block takes one byte and its CID; there are at most MAX_BLOCKS.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry

BlockKind: TypeAlias = Literal["missing", "refused", "owed", "here"]
"""What is known of a block: nobody was granted it, or it lapsed; the peer that was granted it refused; a peer was
granted it; it is here."""
MAX_BLOCKS = 100_000
"""Blocks that are told apart: about 20 MB. Of a larger object, those that came later are only counted."""
MAX_HOLDERS = 100
"""Peers that are told apart. Further ones are shown as one."""
MISSING, REFUSED, OWED, HERE = 0, 1, 2, 128
"""How a block is stored: MISSING, REFUSED, or the number of a peer added to OWED or HERE."""
NOBODY = 0
"""The number of a peer that is not known, or one too many."""
_NOT_OWED = bytes(MISSING if OWED <= value < HERE else value for value in range(256))


class Cell(NamedTuple):
    """One character of a block map, which stands for one or more blocks.

    If any of its blocks is on its way, the character shows that. Otherwise, if any was refused, it shows that.
    Otherwise it shows the status that most of the blocks have.
    """

    kind: BlockKind
    holder: PeerId | None
    """The peer that sends or sent it, if that is known."""


class Count(NamedTuple):
    """How many blocks one peer has sent (`here`), and how many it was granted and has not sent yet (`owed`)."""

    here: int
    owed: int


class BlockMap:
    """The map of the blocks of one object, made from the entries after entry `seq`."""

    def __init__(self, root: Cid, seq: int = 0) -> None:
        self.root, self.seq = root, seq
        self.holders: list[PeerId] = []
        """The peers that were granted blocks, in the order of their first one."""
        self._numbers: dict[PeerId, int] = {}
        self._index: dict[Cid, int] = {}
        self._blocks = bytearray()
        self._uncounted = 0
        """Blocks that came after MAX_BLOCKS were known."""
        self._version = 0
        self._drawn: tuple[tuple[int, ...], list[Cell]] = ((), [])
        """The map that was made last, with what it was made of."""

    # ── folding ─────────────────────────────────────────────────────────────────────────────────

    def extend(self, entries: Iterable[Entry]) -> None:
        """Update the map with the next entries, in their order."""
        for entry in entries:
            self.seq = entry.seq
            self._fold(entry.event)

    def _fold(self, event: ev.Event) -> None:
        match event:
            case ev.ChunkReceived():
                if self.root in event.roots:
                    self._put(event.cid, HERE + self._number(event.peer))
            case ev.Granted():
                if event.root == self.root and not event.hedge:
                    for cid in event.cids:
                        self._put(cid, OWED + self._number(event.peer))
            case ev.StatusNo():
                self._not_sent(event.peer, event.cids, REFUSED)
            case ev.LeaseLapsed():
                self._not_sent(event.peer, event.cids, REFUSED if event.cause == "refused" else MISSING)
            case ev.ChunksLost():
                self._lost(event.cids)
            case ev.Cancelled() if self.root in event.cids:
                self._nobody_sends()
            case ev.NodeStarted() | ev.NodeStopped():
                self._nobody_sends()
            case _:
                pass  # it says nothing about who has a block

    def _put(self, cid: Cid, value: int) -> None:
        """Note the new status of a block. A block that is here keeps this status.

        Once MAX_BLOCKS are known, a further block is only counted, and only if it is here.
        """
        at = self._index.get(cid)
        if at is None:
            if len(self._blocks) >= MAX_BLOCKS:
                self._uncounted += value >= HERE
                return
            self._index[cid] = len(self._blocks)
            self._blocks.append(value)
        elif self._blocks[at] < HERE:
            self._blocks[at] = value
        self._version += 1

    def _not_sent(self, peer: PeerId, cids: Sequence[Cid], value: int) -> None:
        owed = OWED + self._numbers.get(peer, NOBODY)
        for cid in cids:
            at = self._index.get(cid)
            if at is not None and self._blocks[at] == owed:
                self._blocks[at] = value
                self._version += 1

    def _lost(self, cids: Sequence[Cid]) -> None:
        for cid in cids:
            if (at := self._index.get(cid)) is not None:
                self._blocks[at] = MISSING
                self._version += 1

    def _nobody_sends(self) -> None:
        self._blocks = self._blocks.translate(_NOT_OWED)
        self._version += 1

    def _number(self, peer: PeerId) -> int:
        found = self._numbers.get(peer)
        if found is None:
            found = NOBODY
            if len(self.holders) < MAX_HOLDERS:
                self.holders.append(peer)
                found = len(self.holders)
            self._numbers[peer] = found
        return found

    # ── reading ─────────────────────────────────────────────────────────────────────────────────

    def count(self, kind: BlockKind) -> int:
        """Return how many blocks have a status, of the blocks that entries named."""
        match kind:
            case "missing":
                return self._blocks.count(MISSING)
            case "refused":
                return self._blocks.count(REFUSED)
            case "owed":
                return sum(count.owed for count in self.counts().values())
            case "here":
                return sum(count.here for count in self.counts().values())

    def counts(self) -> dict[PeerId | None, Count]:
        """Return how many blocks each peer has sent, or was granted and has not sent, in the order of `holders`.

        Peers without any are left out. The key None stands for all peers beyond MAX_HOLDERS together.
        """
        found: dict[PeerId | None, Count] = {}
        for number, peer in enumerate((None, *self.holders)):
            one = Count(self._blocks.count(HERE + number), self._blocks.count(OWED + number))
            if any(one):
                found[peer] = one
        return found

    def number(self, peer: PeerId) -> int | None:
        """Return the index of a peer in `holders`. None: the peer is not in it."""
        found = self._numbers.get(peer, NOBODY)
        return None if found == NOBODY else found - 1

    def before(self, have: int) -> int:
        """Return how many blocks came before the first entry of this map: they are here, and no entry names them.

        `have`: how many blocks are here in all, as the state says.
        """
        return max(0, have - self.count("here"))

    def cells(self, width: int, have: int, total: int) -> list[Cell]:
        """Return the map as at most `width` characters, each with a status and a peer.

        `have`: how many blocks are here, and `total`: how many the object has, as the state says. If the
        entries name more blocks, the entries count.
        """
        made_of = (self._version, width, have, total)
        if self._drawn[0] != made_of:
            self._drawn = made_of, self._cells(width, have, total)
        return self._drawn[1]

    def _cells(self, width: int, have: int, total: int) -> list[Cell]:
        before = self.before(have)
        total = max(total, before + len(self._blocks))
        width = min(width, total)
        blocks = bytes((HERE,)) * before + bytes(self._blocks)
        edges = [total * at // width for at in range(width + 1)] if width else []
        return [self._cell(blocks[start:end], end - start) for start, end in pairwise(edges)]

    def _cell(self, part: bytes, size: int) -> Cell:
        """Return the character for `size` blocks.

        `part` has the status of the first ones; the others are missing.
        """
        if not part:
            return self._shown(MISSING)
        if len(part) == size == part.count(part[0]):  # most cells: one value
            return self._shown(part[0])
        counts = Counter(part)
        counts[MISSING] += size - len(part)
        owed = [value for value in counts if OWED <= value < HERE]
        first = owed or ([REFUSED] if REFUSED in counts else list(counts))
        return self._shown(max(first, key=lambda one: (counts[one], one)))

    def _shown(self, value: int) -> Cell:
        """Return the character for a block with this stored status."""
        if value < OWED:
            return Cell("refused" if value == REFUSED else "missing", None)
        kind: BlockKind = "here" if value >= HERE else "owed"
        number = value - (HERE if value >= HERE else OWED)
        return Cell(kind, self.holders[number - 1] if number else None)
