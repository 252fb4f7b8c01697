"""The giving half: what other nodes want, what this one answered, and what it sent."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.vocabulary import About, Reason, Via


class IntentReceived(EventBase, tag="intent_received", frozen=True, kw_only=True):
    """Another node wants something. Written only where this node answers it."""

    peer: PeerId
    """Who signed it; the answer goes there."""
    cids: tuple[Cid, ...]
    via: Via
    retry: bool = False


class AnsweredLater(EventBase, tag="answered_later", frozen=True, kw_only=True):
    """We offered: yes, tell us which chunks."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int


class AnsweredNo(EventBase, tag="answered_no", frozen=True, kw_only=True):
    """We said NO, and why."""

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    about: About = "want"


class GrantReceived(EventBase, tag="grant_received", frozen=True, kw_only=True):
    """A peer told us which chunks to send it; they are now in its queue here."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class CancelReceived(EventBase, tag="cancel_received", frozen=True, kw_only=True):
    """A peer no longer wants these chunks from us."""

    peer: PeerId
    cids: tuple[Cid, ...]


class ChunksSent(EventBase, tag="chunks_sent", frozen=True, kw_only=True):
    """Chunks were written to a peer's stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int
