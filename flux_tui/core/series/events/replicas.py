"""Events about replicas: those that others keep for this node, and those that this node keeps for others."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import DropCause, HeldHow, LossCause, Reason, Via

# ── those that others keep for this node ────────────────────────────────────────────────────────


class HoldRequested(EventBase, tag="hold_requested", frozen=True, kw_only=True):
    """A person here wants others to keep replicas of an object. This stays so until it is released."""

    root: Cid
    replicas: int
    size: int
    """Bytes of content; 0: not known here."""
    name: str | None = None
    by: str | None = None


class PushedHold(EventBase, tag="pushed_hold", frozen=True, kw_only=True):
    """An intent left this node: it asks for keepers."""

    root: Cid
    lacking: int
    peers: tuple[PeerId, ...]
    gossip: bool
    next_push_at: float
    """When it is pushed again if too few keepers were found."""


class CanHold(EventBase, tag="can_hold", frozen=True, kw_only=True):
    """A peer answered: it has room for a replica."""

    peer: PeerId
    root: Cid
    whole: bool
    """It has all of the object already."""


class PushedKeep(EventBase, tag="pushed_keep", frozen=True, kw_only=True):
    """A peer was told to keep a replica."""

    peer: PeerId
    root: Cid
    deadline: float
    """If the peer has not said by then that it has begun, another peer is told."""


class ReplicaHeld(EventBase, tag="held", frozen=True, kw_only=True):
    """A keeper said how much it has of a replica."""

    peer: PeerId
    root: Cid
    how: HeldHow
    reason: Reason | None = None


class ReplicaLost(EventBase, tag="replica_lost", frozen=True, kw_only=True):
    """A peer does not count as a keeper any more."""

    peer: PeerId
    root: Cid
    cause: LossCause


class Released(EventBase, tag="released", frozen=True, kw_only=True):
    """Replicas of these need not be kept for this node any more."""

    cids: tuple[Cid, ...]
    by: str | None = None


# ── those that this node keeps for others ───────────────────────────────────────────────────────


class OfferedHold(EventBase, tag="offered_hold", frozen=True, kw_only=True):
    """A peer asks for keepers, and this node answered that it has room."""

    peer: PeerId
    root: Cid
    size: int
    via: Via
    name: str | None = None


class KeepReceived(EventBase, tag="keep_received", frozen=True, kw_only=True):
    """A peer told this node to keep a replica. It is kept from now on."""

    peer: PeerId
    root: Cid
    size: int
    """Bytes of content, as the peer said. What really comes is counted."""
    name: str | None = None


class ReplicaWanted(EventBase, tag="replica_wanted", frozen=True, kw_only=True):
    """A peer takes chunks of a replica that is kept here (written at most once a minute)."""

    peer: PeerId
    root: Cid


class ReleaseReceived(EventBase, tag="release_received", frozen=True, kw_only=True):
    """A peer no longer needs what is kept for it."""

    peer: PeerId
    root: Cid
    name: str | None = None


class ReplicaDropped(EventBase, tag="replica_dropped", frozen=True, kw_only=True):
    """A replica is no longer kept here. Its bytes will be removed."""

    root: Cid
    cause: DropCause
    size: int
    name: str | None = None
    by: str | None = None


class ReplicaAdopted(EventBase, tag="replica_adopted", frozen=True, kw_only=True):
    """An object that is kept for others is the user's own as well: it takes none of the quota."""

    root: Cid


class ReplicaEvicted(EventBase, tag="replica_evicted", frozen=True, kw_only=True):
    """The store's copy of a replica is gone."""

    root: Cid
    chunks: int
    """Its blocks that no other object here contains."""
    size: int
    """Bytes of these blocks."""
    name: str | None = None
