"""The node itself, its peers, and what programs make up."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.series.policy import Policy
from flux_tui.core.vocabulary import Via

# ── the node itself ─────────────────────────────────────────────────────────────────────────────


class NodeStarted(EventBase, tag="node_started", frozen=True, kw_only=True):
    """A node opened this home and began to listen."""

    peer_id: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs with `/p2p/…`, each dialable as it stands."""
    version: str
    max_pending: int
    """Intents that may be in the network at once; more wait in the series."""


class NodeStopped(EventBase, tag="node_stopped", frozen=True, kw_only=True):
    """The node went away in order. (One that was killed leaves no such entry.)"""

    reason: str


class ClockStepped(EventBase, tag="clock_stepped", frozen=True, kw_only=True):
    """The clock of this machine was set: from this entry on, times are told by the new one.

    Timers do not follow the clock. So the fold moves every time that stands in a state by as much, and what was to
    happen in a minute still is.
    """

    seconds: float
    """By how much the clock is ahead of what it said before; below 0: it went back."""


class AddrsChanged(EventBase, tag="addrs_changed", frozen=True, kw_only=True):
    """The addresses at which this node can be dialled are these from now on."""

    addrs: tuple[str, ...]
    """Multiaddrs with `/p2p/…`, those that most others can reach first."""


class PolicyChanged(EventBase, tag="policy_changed", frozen=True, kw_only=True):
    """What this node lets others have is this from now on."""

    policy: Policy
    by: str | None = None


class ErrorOccurred(EventBase, tag="error", frozen=True, kw_only=True):
    """Something failed here. One sentence for a person: what, why, what to do."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    by: str | None = None
    """The mark of the command that caused it, so that whoever pushed it finds its outcome."""


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


class PeerConnected(EventBase, tag="peer_connected", frozen=True, kw_only=True):
    """A push stream to this peer is open."""

    peer: PeerId
    addr: str


class PeerDisconnected(EventBase, tag="peer_disconnected", frozen=True, kw_only=True):
    """The push stream to this peer is gone."""

    peer: PeerId
    why: str


class PeerFaulted(EventBase, tag="peer_faulted", frozen=True, kw_only=True):
    """A peer broke the protocol. It costs that peer, never this node."""

    peer: PeerId
    fault: str
    """A short name: `garbage`, `oversize`, `wrong_bytes`, `unasked_chunk`, `bad_signature`, `slow`, `flood`,
    `memory`."""
    text: str
    count: int = 1
    """How many times since the last such entry; `text` is of the latest."""


class MessagePassedOver(EventBase, tag="message_passed_over", frozen=True, kw_only=True):
    """A peer sent something of a kind that this version does not know. It speaks a later version; no fault."""

    peer: PeerId
    kind: str
    """Its tag, and the word that is not known, if that is another one."""
    count: int = 1
    """How many such messages since the last such entry; `kind` is of the latest."""


class ClockDiffers(EventBase, tag="clock_differs", frozen=True, kw_only=True):
    """An intent of this peer was forwarded to this node, and refused: it is old, or the two clocks differ."""

    peer: PeerId
    """Who made it."""
    seconds: float
    """How far its clock seems to be ahead of this node's; below 0: behind, or the intent is so old."""
    via: Via


# ── what programs make up ───────────────────────────────────────────────────────────────────────


class PushedCustom(EventBase, tag="pushed_custom", frozen=True, kw_only=True):
    """A program here pushed something of its own kind: to all, or to one peer."""

    kind: str
    size: int
    """Bytes that it carried."""
    peer: PeerId | None = None
    by: str | None = None
    payload: bytes = b""


class CustomReceived(EventBase, tag="custom_received", frozen=True, kw_only=True):
    """Something of a program's own kind came, from who signed or sent it."""

    peer: PeerId
    kind: str
    size: int
    via: Via
    payload: bytes = b""
    """Kept only where a program here listens for this kind: strangers are not to fill the series."""
