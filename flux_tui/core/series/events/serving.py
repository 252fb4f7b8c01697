"""Events of the responder: what other nodes want, how this node answered, and what it sent."""

from typing import TypeAlias

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import About, Reason, Via


class ServingBase(EventBase, frozen=True, kw_only=True):
    """Base class of the events of the responder."""


class IntentReceived(ServingBase, tag="intent_received", frozen=True, kw_only=True):
    """Another node wants objects or chunks. Recorded only if this node has them and offers them."""

    peer: PeerId
    """The peer that signed it. The answer goes to that peer."""
    cids: tuple[Cid, ...]
    via: Via
    retry: bool = False


class AnsweredLater(ServingBase, tag="answered_later", frozen=True, kw_only=True):
    """This node answered a want with yes: it sends chunks when the peer says which ones."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int


class AnsweredNo(ServingBase, tag="answered_no", frozen=True, kw_only=True):
    """This node answered NO to a peer; `reason` says why."""

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    about: About = "want"


class GrantReceived(ServingBase, tag="grant_received", frozen=True, kw_only=True):
    """A peer told this node to send chunks. They are in this node's upload queue now."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class CancelReceived(ServingBase, tag="cancel_received", frozen=True, kw_only=True):
    """A peer no longer wants these chunks from this node."""

    peer: PeerId
    cids: tuple[Cid, ...]


class ChunksSent(ServingBase, tag="chunks_sent", frozen=True, kw_only=True):
    """This node wrote chunks to a peer's stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


ServingEvent: TypeAlias = (
    IntentReceived | AnsweredLater | AnsweredNo | GrantReceived | CancelReceived | ChunksSent
)
