"""Events about replicas: those that others keep for this node, and those that this node keeps for others."""

from typing import TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import DropCause, HeldHow, LossCause, Reason, Via


class ReplicationBase(EventBase, frozen=True, kw_only=True):
    """Base class of the events about replicas."""


# ── those that others keep for this node ────────────────────────────────────────────────────────


class HoldRequested(ReplicationBase, tag="hold_requested", frozen=True, kw_only=True):
    """A person here wants other nodes to keep replicas of an object, until it is released."""

    root: Cid
    replicas: int
    size: int
    """Bytes of content; 0: not known here."""
    name: str | None = None
    by: str | None = None


class PushedHold(ReplicationBase, tag="pushed_hold", frozen=True, kw_only=True):
    """This node pushed an intent: it asks for keepers of an object."""

    root: Cid
    lacking: int
    peers: tuple[PeerId, ...]
    gossip: bool
    next_push_at: float
    """When the hold is pushed again if too few keepers were found."""


class CanHold(ReplicationBase, tag="can_hold", frozen=True, kw_only=True):
    """A peer answered that it has room for a replica of an object."""

    peer: PeerId
    root: Cid
    whole: bool
    """Whether the peer has all of the object already."""


class PushedKeep(ReplicationBase, tag="pushed_keep", frozen=True, kw_only=True):
    """This node told a peer to keep a replica of an object."""

    peer: PeerId
    root: Cid
    deadline: float
    """If the peer has not said by this time that it has begun, another peer is asked."""


class ReplicaHeld(ReplicationBase, tag="held", frozen=True, kw_only=True):
    """A keeper said how much of a replica it has."""

    peer: PeerId
    root: Cid
    how: HeldHow
    reason: Reason | None = None


class ReplicaLost(ReplicationBase, tag="replica_lost", frozen=True, kw_only=True):
    """A peer does not count as a keeper of an object any more; `cause` says why."""

    peer: PeerId
    root: Cid
    cause: LossCause


class Released(ReplicationBase, tag="released", frozen=True, kw_only=True):
    """This node no longer needs other nodes to keep replicas of these objects."""

    cids: tuple[Cid, ...]
    by: str | None = None


# ── those that this node keeps for others ───────────────────────────────────────────────────────


class OfferedHold(ReplicationBase, tag="offered_hold", frozen=True, kw_only=True):
    """A peer asked for keepers of an object, and this node answered that it has room."""

    peer: PeerId
    root: Cid
    size: int
    via: Via
    name: str | None = None


class KeepReceived(ReplicationBase, tag="keep_received", frozen=True, kw_only=True):
    """A peer told this node to keep a replica. This node keeps it from now on."""

    peer: PeerId
    root: Cid
    size: int
    """Bytes of content, as the peer said. What really comes is counted."""
    name: str | None = None


class ReplicaWanted(ReplicationBase, tag="replica_wanted", frozen=True, kw_only=True):
    """A peer takes chunks of a replica that this node keeps. At most one such entry a minute for each replica."""

    peer: PeerId
    root: Cid


class ReleaseReceived(ReplicationBase, tag="release_received", frozen=True, kw_only=True):
    """A peer no longer needs a replica that this node keeps for it."""

    peer: PeerId
    root: Cid
    name: str | None = None


class ReplicaDropped(ReplicationBase, tag="replica_dropped", frozen=True, kw_only=True):
    """This node no longer keeps a replica, and will remove its bytes; `cause` says why."""

    root: Cid
    cause: DropCause
    size: int
    name: str | None = None
    by: str | None = None


class ReplicaAdopted(ReplicationBase, tag="replica_adopted", frozen=True, kw_only=True):
    """A replica is now the user's own object as well, so it does not count against the quota any more."""

    root: Cid


class ReplicaEvicted(ReplicationBase, tag="replica_evicted", frozen=True, kw_only=True):
    """The store has removed its copy of a dropped or adopted replica."""

    root: Cid
    chunks: int
    """The number of its blocks that no other object here contains."""
    size: int
    """Bytes of these blocks."""
    name: str | None = None


ReplicationEvent: TypeAlias = (
    HoldRequested
    | PushedHold
    | CanHold
    | PushedKeep
    | ReplicaHeld
    | ReplicaLost
    | Released
    | OfferedHold
    | KeepReceived
    | ReplicaWanted
    | ReleaseReceived
    | ReplicaDropped
    | ReplicaAdopted
    | ReplicaEvicted
)
