"""Events of the requester: what this node wants, the messages about these wants, and the chunks that came."""

from typing import TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import About, LapseCause, Reason, RetryCause, Waste


class FetchingBase(EventBase, frozen=True, kw_only=True):
    """Base class of the events of the requester."""


# ── pushing ─────────────────────────────────────────────────────────────────────────────────────


class Requested(FetchingBase, tag="requested", frozen=True, kw_only=True):
    """A person or program at this node wants an object or a loose chunk. From now on it is pending."""

    cid: Cid
    name: str | None = None
    size: int | None = None
    path: str | None = None
    """The path of its file when it is whole."""
    by: str | None = None
    held: bool = False
    """Whether the object is fetched as a replica for another node."""
    block: bool = False
    """Whether only the block with this CID is wanted, also if it is the root of an object."""


class PushedWant(FetchingBase, tag="pushed_want", frozen=True, kw_only=True):
    """This node pushed an intent: it wants these objects or loose chunks."""

    cids: tuple[Cid, ...]
    peers: tuple[PeerId, ...]
    """Peers that it was pushed to directly."""
    gossip: bool
    """Whether the intent goes to the whole swarm by gossip."""
    retry: bool
    next_push_at: float
    """When the want is pushed again if no answer comes."""
    routed: bool = False
    """Whether the intent goes by DHT to nodes that may know providers of the roots."""
    besides: bool = False
    """Whether this push is an extra one, to peers that connected or whose `retry_after` came. The time of the
    next push, and the want's place in the network, stay as they were."""


class WentDormant(FetchingBase, tag="went_dormant", frozen=True, kw_only=True):
    """These wants are not in the network any more, until their next push. Other wants take their places.

    No holder is about to send their objects or chunks, or an urgent want needs the place.
    """

    cids: tuple[Cid, ...]


class RetrySet(FetchingBase, tag="retry_set", frozen=True, kw_only=True):
    """The time of the next push of these wants changed; `cause` says why."""

    cids: tuple[Cid, ...]
    next_push_at: float
    cause: RetryCause
    peer: PeerId | None = None
    about: About = "want"


class Granted(FetchingBase, tag="granted", frozen=True, kw_only=True):
    """This node told one holder to send these chunks. Until the deadline, it tells no other holder."""

    peer: PeerId
    root: Cid | None
    """The object that they belong to; None: loose chunks."""
    cids: tuple[Cid, ...]
    deadline: float
    hedge: bool = False
    """A hedge: they are overdue at another holder, and nothing else is left to be granted. The faster copy
    counts."""
    again: bool = False
    """The holder was told before, but the chunks are late: the grant may have been lost. The lease stays as it is."""


class LeaseExtended(FetchingBase, tag="lease_extended", frozen=True, kw_only=True):
    """Granted chunks are late, but no other peer has them. So this node gives their holder more time."""

    peer: PeerId
    cids: tuple[Cid, ...]
    deadline: float
    roots: tuple[Cid, ...] = ()
    """The wanted objects that contain these blocks."""


class LeaseLapsed(FetchingBase, tag="lease_lapsed", frozen=True, kw_only=True):
    """Granted chunks did not come. This node can grant them to another holder now."""

    peer: PeerId
    cids: tuple[Cid, ...]
    cause: LapseCause
    roots: tuple[Cid, ...] = ()
    """The wanted objects that contain these blocks."""


class Cancelled(FetchingBase, tag="cancelled", frozen=True, kw_only=True):
    """This node no longer wants these objects or chunks."""

    cids: tuple[Cid, ...]
    by: str | None = None


class PushedHave(FetchingBase, tag="pushed_have", frozen=True, kw_only=True):
    """This node pushed an intent: other nodes can now ask it for this object, and for those in `more`."""

    root: Cid
    name: str | None
    size: int
    more: tuple[Cid, ...] = ()
    """Roots of the further objects in this intent."""
    left: int = 0
    """Objects that wait to be announced."""
    seconds: float = 0.0
    """Seconds until the last of them is announced."""


class RecordsProvided(FetchingBase, tag="records_provided", frozen=True, kw_only=True):
    """This node told other nodes of the DHT of many roots. Comes once a minute while many wait, and at the end."""

    told: int
    """Roots that were told since the last such entry."""
    left: int = 0
    """Roots that wait to be told."""
    seconds: float = 0.0
    """Seconds until the last of them is told."""


# ── flowing in: answers to our intents ──────────────────────────────────────────────────────────


class DelayedYes(FetchingBase, tag="delayed_yes", frozen=True, kw_only=True):
    """A holder answered: it will send these objects when it is told which chunks (`status_yes_but_later`)."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int
    name: str | None = None
    size: int | None = None
    have: int | None = None
    """Blocks that it has, if it is still fetching the object itself; None: all of them."""


class StatusNo(FetchingBase, tag="status_no", frozen=True, kw_only=True):
    """A peer answered NO.

    The NO says whether the peer has the chunks, why it does not send them now, and when to ask again.
    """

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    """Seconds from the entry's time; None: waiting will not change the answer."""
    text: str = ""
    about: About = "want"
    roots: tuple[Cid, ...] = ()
    """The wanted objects that contain these blocks."""


class ChunkReceived(FetchingBase, tag="chunk_received", frozen=True, kw_only=True):
    """A wanted chunk came, matches its CID, and is in the store. Entry and chunk are committed together."""

    cid: Cid
    size: int
    peer: PeerId
    roots: tuple[Cid, ...] = ()
    """The wanted objects that it belongs to; empty for a loose chunk."""
    fills: int = 0
    """Bytes of content that it fills in each of them: a chunk can occur in a file many times."""


class ChunkWasted(FetchingBase, tag="chunk_wasted", frozen=True, kw_only=True):
    """A peer sent bytes of a chunk that were of no use; `cause` says why."""

    cid: Cid
    size: int
    peer: PeerId
    cause: Waste
    roots: tuple[Cid, ...] = ()
    """The wanted objects that contain it."""


class HaveReceived(FetchingBase, tag="have_received", frozen=True, kw_only=True):
    """A node announced that it can be asked for an object that is pending here."""

    peer: PeerId
    root: Cid
    name: str | None
    size: int


class ErrorReceived(FetchingBase, tag="error_received", frozen=True, kw_only=True):
    """A peer reported that something failed on its side."""

    peer: PeerId
    text: str
    cids: tuple[Cid, ...] = ()
    roots: tuple[Cid, ...] = ()
    """The wanted objects that contain these blocks."""


FetchingEvent: TypeAlias = (
    Requested
    | PushedWant
    | WentDormant
    | RetrySet
    | Granted
    | LeaseExtended
    | LeaseLapsed
    | Cancelled
    | PushedHave
    | RecordsProvided
    | DelayedYes
    | StatusNo
    | ChunkReceived
    | ChunkWasted
    | HaveReceived
    | ErrorReceived
)
