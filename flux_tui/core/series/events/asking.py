"""The asking half: what is wanted here, what was pushed for it, and what flowed in."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import About, LapseCause, Reason, RetryCause, Waste

# ── pushing ─────────────────────────────────────────────────────────────────────────────────────


class Requested(EventBase, tag="requested", frozen=True, kw_only=True):
    """Someone at this node wants a root or a loose chunk. From here on it is pending."""

    cid: Cid
    name: str | None = None
    size: int | None = None
    path: str | None = None
    """Where its file is to stand when it is whole."""
    by: str | None = None
    held: bool = False
    """It is fetched to be kept for somebody else."""


class PushedWant(EventBase, tag="pushed_want", frozen=True, kw_only=True):
    """An intent left this node: it wants these roots or loose chunks."""

    cids: tuple[Cid, ...]
    peers: tuple[PeerId, ...]
    """To whom it was pushed directly."""
    gossip: bool
    """Whether the whole swarm hears it."""
    retry: bool
    next_push_at: float
    """When it is pushed again if nothing is heard."""
    routed: bool = False
    """Whether it goes by DHT to the nodes that know who has it."""
    besides: bool = False
    """These peers are told besides, because they came or because their time did: when the want is pushed again, and
    whether it has a place in the network, stays as it was."""


class WentDormant(EventBase, tag="went_dormant", frozen=True, kw_only=True):
    """Nobody who has these is known: they give their place in the network up until their next push is due."""

    cids: tuple[Cid, ...]


class RetrySet(EventBase, tag="retry_set", frozen=True, kw_only=True):
    """The time of the next push changed, because of what flowed in."""

    cids: tuple[Cid, ...]
    next_push_at: float
    cause: RetryCause
    peer: PeerId | None = None
    about: About = "want"


class Granted(EventBase, tag="granted", frozen=True, kw_only=True):
    """One holder was told to send these chunks; until the deadline nobody else is."""

    peer: PeerId
    root: Cid | None
    """The object that they are part of; None: loose chunks."""
    cids: tuple[Cid, ...]
    deadline: float
    hedge: bool = False
    """They are overdue at another holder, and nothing else is left to be granted: the faster one wins."""


class LeaseExtended(EventBase, tag="lease_extended", frozen=True, kw_only=True):
    """Granted chunks are late, but nobody else has them: their holder is given more time."""

    peer: PeerId
    cids: tuple[Cid, ...]
    deadline: float
    roots: tuple[Cid, ...] = ()
    """The wanted objects that these are blocks of."""


class LeaseLapsed(EventBase, tag="lease_lapsed", frozen=True, kw_only=True):
    """Granted chunks did not come; they are free to be granted to somebody else."""

    peer: PeerId
    cids: tuple[Cid, ...]
    cause: LapseCause
    roots: tuple[Cid, ...] = ()
    """The wanted objects that these are blocks of."""


class Cancelled(EventBase, tag="cancelled", frozen=True, kw_only=True):
    """No longer wanted here."""

    cids: tuple[Cid, ...]
    by: str | None = None


class PushedHave(EventBase, tag="pushed_have", frozen=True, kw_only=True):
    """An intent left this node: it can now be asked for this root."""

    root: Cid
    name: str | None
    size: int


# ── flowing in: answers to our intents ──────────────────────────────────────────────────────────


class DelayedYes(EventBase, tag="delayed_yes", frozen=True, kw_only=True):
    """A holder answered: yes, as soon as I am told which chunks (`status_yes_but_later`)."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int
    name: str | None = None
    size: int | None = None
    have: int | None = None
    """Blocks that it has, if it is still fetching the object itself; None: all."""


class StatusNo(EventBase, tag="status_no", frozen=True, kw_only=True):
    """A node answered NO, which is data: who has it, why not now, when to come back."""

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    """Seconds from the entry's time; None: the answer will not change by waiting."""
    text: str = ""
    about: About = "want"
    roots: tuple[Cid, ...] = ()
    """The wanted objects that these are blocks of."""


class ChunkReceived(EventBase, tag="chunk_received", frozen=True, kw_only=True):
    """A wanted chunk came, hashed to its CID, and is in the store (this very commit)."""

    cid: Cid
    size: int
    peer: PeerId
    roots: tuple[Cid, ...] = ()
    """The wanted objects that it is part of; empty for a loose chunk."""
    fills: int = 0
    """Bytes of content that it fills in each of them: a chunk can stand in a file many times."""


class ChunkWasted(EventBase, tag="chunk_wasted", frozen=True, kw_only=True):
    """Bytes came that were of no use."""

    cid: Cid
    size: int
    peer: PeerId
    cause: Waste
    roots: tuple[Cid, ...] = ()
    """The wanted objects that it is a block of."""


class HaveReceived(EventBase, tag="have_received", frozen=True, kw_only=True):
    """A node announced that it can be asked for a root that is pending here."""

    peer: PeerId
    root: Cid
    name: str | None
    size: int


class ErrorReceived(EventBase, tag="error_received", frozen=True, kw_only=True):
    """A peer told us of a failure on its side."""

    peer: PeerId
    text: str
    cids: tuple[Cid, ...] = ()
    roots: tuple[Cid, ...] = ()
    """The wanted objects that these are blocks of."""
