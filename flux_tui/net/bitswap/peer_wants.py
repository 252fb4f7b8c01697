"""What one Bitswap peer wants of this node, until it has its answer. Pure.

A want of Bitswap stands until it is cancelled, and there is no answer that says “later”. So:

- A NO that names a time (`busy`, `rate_limited`) is not told. The want waits here, and the core is asked again then.
- A NO that names none is told as DONT_HAVE, if the peer wants to be told. If the block is not here, the want stands:
  it is answered when this node has the object.
- To a want for a HAVE, `busy` is answered HAVE: the block is here, and the peer may want it.

The time is an argument. The table is bounded: a want above MAX_WANTS takes the place of one that nothing can be done
for; if there is none, it is answered DONT_HAVE.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedSet
from flux_tui.core.wire.messages import StatusNo
from flux_tui.net.bitswap.messages import Entry, Presence, cid_of, form_of

MAX_WANTS = 4096
"""Wants of one peer: four times as many as Kubo and Helia keep."""
SOONEST = 0.25
"""Seconds after which a want that was refused is put to the core again, at least."""


class Asked(NamedTuple):
    """What the peer's message asks of the core. `haves`: is it here? `blocks`: send it. `cancels`: do not send it."""

    haves: tuple[Cid, ...] = ()
    blocks: tuple[Cid, ...] = ()
    cancels: tuple[Cid, ...] = ()


class _Want:
    __slots__ = ("at", "form", "have", "tells")

    def __init__(self, entry: Entry) -> None:
        self.form = entry.cid
        self.have = entry.have
        self.tells = entry.tells
        self.at = 0.0
        """When the core is asked again; 0: it has been asked; infinity: when the object is here."""


class PeerWants:
    """The wants of one peer that are not answered yet, and what there is to tell the peer."""

    def __init__(self) -> None:
        self._wants: dict[Cid, _Want] = {}
        self._absent: BoundedSet[Cid] = BoundedSet(MAX_WANTS)
        """Wants for blocks that are not here."""
        self._waiting: dict[Cid, None] = {}
        """Wants that were refused until some time."""
        self.presences: list[Presence] = []
        """What there is to tell the peer. The sender takes it from here."""

    def __len__(self) -> int:
        return len(self._wants)

    def came(self, entries: Sequence[Entry], *, full: bool) -> Asked:
        """Handle the peer's wantlist. `full`: it replaces all earlier wants. Returns what the core is asked."""
        haves: dict[Cid, None] = {}
        blocks: dict[Cid, None] = {}
        cancels: dict[Cid, None] = {}
        before = set(self._wants) if full else set[Cid]()
        for entry in entries:
            cid = cid_of(entry.cid)
            if cid is None:
                self._absent_for_ever(entry)
                continue
            before.discard(cid)
            if entry.cancel:
                self._forget(cid)
                cancels[cid] = None
                haves.pop(cid, None)
                blocks.pop(cid, None)
            elif self._add(cid, entry):
                (haves if entry.have else blocks)[cid] = None
                (blocks if entry.have else haves).pop(cid, None)
        for cid in before:
            self._forget(cid)
            cancels[cid] = None
        return Asked(tuple(haves), tuple(blocks), tuple(cancels))

    def _absent_for_ever(self, entry: Entry) -> None:
        """Answer a want for a block that this node can never have: of another codec or hash."""
        if entry.tells and not entry.cancel:
            self.presences.append(Presence(entry.cid, have=False))

    def _add(self, cid: Cid, entry: Entry) -> bool:
        """Add a want. Returns whether the core is to be asked: not if the want waits, or there is no room for it."""
        known = self._wants.get(cid)
        if known is not None and known.have == entry.have and cid in self._waiting:
            known.form, known.tells = entry.cid, entry.tells
            return False
        if known is None and len(self._wants) >= MAX_WANTS:
            if not self._absent:
                self._absent_for_ever(entry)
                return False
            self._forget(next(iter(self._absent)))
        self._forget(cid)
        self._wants[cid] = _Want(entry)
        return True

    def yes(self, cids: Iterable[Cid]) -> None:
        """Handle the core's delayed yes: these blocks are here."""
        for cid in cids:
            want = self._wants.get(cid)
            if want is not None and want.have:
                self._answer(cid, have=True)

    def no(self, no: StatusNo, now: float) -> None:
        """Handle a NO of the core. See the module."""
        for cid in no.cids:
            want = self._wants.get(cid)
            if want is None:
                continue
            if no.reason == "busy" and no.has_it and want.have:
                self._answer(cid, have=True)
            elif no.retry_after is not None and no.reason in ("busy", "rate_limited"):
                want.at = now + max(no.retry_after, SOONEST)
                self._waiting[cid] = None
            elif no.reason == "not_held":
                if want.tells:
                    self.presences.append(Presence(want.form, have=False))
                want.at, want.tells = inf, False
                self._absent.add(cid)
            else:
                self._answer(cid, have=False)

    def _answer(self, cid: Cid, *, have: bool) -> None:
        want = self._wants[cid]
        if have or want.tells:
            self.presences.append(Presence(want.form, have))
        self._forget(cid)

    def is_here(self, cid: Cid) -> Asked:
        """Return what the core is asked because this node has an object now: a want for it that stands."""
        want = self._wants.get(cid)
        if want is None or cid not in self._absent:
            return Asked()
        self._absent.discard(cid)
        want.at = 0.0
        return Asked(haves=(cid,)) if want.have else Asked(blocks=(cid,))

    def due(self, now: float) -> Asked:
        """Return what the core is asked again, because the time of a NO has come."""
        if not self._waiting:
            return Asked()
        over = [cid for cid in self._waiting if self._wants[cid].at <= now]
        for cid in over:
            del self._waiting[cid]
            self._wants[cid].at = 0.0
        haves = tuple(cid for cid in over if self._wants[cid].have)
        return Asked(haves, tuple(cid for cid in over if not self._wants[cid].have))

    def next_deadline(self) -> float:
        """Return when `due` has something; infinity if nothing waits."""
        return min((self._wants[cid].at for cid in self._waiting), default=inf)

    def form(self, cid: Cid) -> bytes:
        """Return the bytes of a block's CID in the form in which the peer wants it."""
        want = self._wants.get(cid)
        return want.form if want is not None else form_of(cid)

    def sent(self, cids: Iterable[Cid]) -> None:
        """Note that these blocks were sent: the wants for them have their answer."""
        for cid in cids:
            self._forget(cid)

    def _forget(self, cid: Cid) -> None:
        self._wants.pop(cid, None)
        self._absent.discard(cid)
        self._waiting.pop(cid, None)
