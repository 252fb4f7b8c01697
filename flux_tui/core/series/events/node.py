"""Events about the node itself, its peers, and custom messages."""

from typing import TypeAlias

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.address_book import ToldAddrs
from flux_tui.core.series.events.base import EventBase
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.vocabulary import ErrorCode, Speaks, Via, Way


class NodeBase(EventBase, frozen=True, kw_only=True):
    """Base class of the events about the node, its peers and custom messages."""


# ── the node itself ─────────────────────────────────────────────────────────────────────────────


class NodeStarted(NodeBase, tag="node_started", frozen=True, kw_only=True):
    """The node opened this home and began to listen."""

    peer_id: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs with `/p2p/…`; each can be dialled as it is."""
    version: str
    max_pending: int
    """Wants that may be in the network at once. More wait in the series."""


class NodeStopped(NodeBase, tag="node_stopped", frozen=True, kw_only=True):
    """The node stopped normally. A killed node leaves no such entry."""

    reason: str


class ClockStepped(NodeBase, tag="clock_stepped", frozen=True, kw_only=True):
    """Somebody set the wall clock of this machine. From this entry on, times are those of the new clock.

    Timers do not follow the wall clock. So the fold moves every time in a state by the same amount. A timer
    that was due in a minute is still due in a minute.
    """

    seconds: float
    """Seconds by which the clock is ahead of what it said before; below 0: it went back."""


class AddrsChanged(NodeBase, tag="addrs_changed", frozen=True, kw_only=True):
    """The addresses at which this node can be dialled have changed to the ones in this event."""

    addrs: tuple[str, ...]
    """Multiaddrs with `/p2p/…`. Those that most nodes can reach come first."""


class PolicyChanged(NodeBase, tag="policy_changed", frozen=True, kw_only=True):
    """The policy of this node has changed to the one in this event."""

    policy: Policy
    by: str | None = None


class ErrorOccurred(NodeBase, tag="error", frozen=True, kw_only=True):
    """Something failed on this machine. `text` is one sentence for a person: what failed, why, and what to do."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    by: str | None = None
    """The mark of the command that caused it, so that its sender finds the outcome."""
    addr: str | None = None
    """The multiaddr that does not answer, if that is what failed."""
    code: ErrorCode = "other"
    """What failed, for programs."""


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


class PeerConnected(NodeBase, tag="peer_connected", frozen=True, kw_only=True):
    """A peer connected: a push stream to it is open."""

    peer: PeerId
    addr: str
    way: Way = "direct"
    """Which way the link goes. Entries of earlier versions do not tell: they all say `direct`."""
    speaks: Speaks = "flux"
    """The protocol of the link. Entries of earlier versions do not tell: they all say `flux`."""


class PeerMoved(NodeBase, tag="peer_moved", frozen=True, kw_only=True):
    """The link to this peer uses another connection from now on, direct or relayed. No message or chunk was lost."""

    peer: PeerId
    addr: str
    way: Way


class AddrsTold(NodeBase, tag="addrs_told", frozen=True, kw_only=True):
    """A peer told addresses at which it, or other peers, can be dialled. Each address is signed by its own peer."""

    peer: PeerId
    """The peer that told it."""
    told: tuple[ToldAddrs, ...]
    reach: int
    """How near that peer is (`Reach` of core/peers/address_dial_policy.py): it may name no nearer addresses."""


class TriedAddr(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An address that this node dialled without an answer, and why."""

    addr: str
    why: str
    """Why nobody answers there, in words. Empty: it is not known yet."""


class HeardNobody(NodeBase, tag="heard_nobody", frozen=True, kw_only=True):
    """No peer is connected, and this node has dialled these addresses without an answer.

    While this lasts, the entry is written again, at longer and longer intervals.
    """

    tried: tuple[TriedAddr, ...]
    """Those that a person named come first."""
    others: int = 0
    """How many more were tried."""


class NameSuggested(NodeBase, tag="name_suggested", frozen=True, kw_only=True):
    """A peer told what it calls itself. That is a suggestion: nobody is called by it until a person says so."""

    peer: PeerId
    suggested: str
    """The name, checked as `core/text/agent_versions.py` says. Empty: the peer suggests none any more."""


class SeriesPruned(NodeBase, tag="series_pruned", frozen=True, kw_only=True):
    """The oldest entries were dropped, by the setting `keep` or by a person. History begins at entry `first`."""

    entries: int
    size: int
    """Bytes that they took on disk."""
    first: int
    archive: str | None = None
    """The folder to which they were moved. None: they were deleted."""
    by: str | None = None


class PeerDisconnected(NodeBase, tag="peer_disconnected", frozen=True, kw_only=True):
    """A peer disconnected: the push stream to it is closed."""

    peer: PeerId
    why: str


class PeerFaulted(NodeBase, tag="peer_faulted", frozen=True, kw_only=True):
    """A peer broke the protocol. The fault is charged to that peer."""

    peer: PeerId
    fault: str
    """A short name: `garbage`, `oversize`, `wrong_bytes`, `unasked_chunk`, `bad_signature`, `slow`, `flood`,
    `memory`."""
    text: str
    count: int = 1
    """How often this fault occurred since the last entry about it. `text` is of the latest."""


class MessagePassedOver(NodeBase, tag="message_passed_over", frozen=True, kw_only=True):
    """A peer sent a message of a kind that this version does not know. The message was ignored.

    The peer probably runs a later version, so this is not a fault.
    """

    peer: PeerId
    kind: str
    """The tag of the message. If only a word in the message is unknown, also this word."""
    count: int = 1
    """How many unknown messages came since the last entry about them. `kind` is that of the latest."""


class ClockDiffers(NodeBase, tag="clock_differs", frozen=True, kw_only=True):
    """This node refused a forwarded intent of this peer: the intent is old, or the two clocks differ."""

    peer: PeerId
    """The peer that signed it."""
    seconds: float
    """Seconds by which its clock seems to be ahead of this node's. Below 0: it is behind, or the intent is
    that old."""
    via: Via


# ── what programs make up ───────────────────────────────────────────────────────────────────────


class PushedCustom(NodeBase, tag="pushed_custom", frozen=True, kw_only=True):
    """A program at this node pushed a custom message: to all nodes, or to one peer."""

    kind: str
    size: int
    """Bytes that it carried."""
    peer: PeerId | None = None
    by: str | None = None
    payload: bytes = b""


class CustomReceived(NodeBase, tag="custom_received", frozen=True, kw_only=True):
    """A custom message came. `peer`: the node that signed the intent, or sent the direct message."""

    peer: PeerId
    kind: str
    size: int
    via: Via
    payload: bytes = b""
    """Kept only if a program here listens for this kind: strangers must not fill the series."""


NodeEvent: TypeAlias = (
    NodeStarted
    | NodeStopped
    | ClockStepped
    | AddrsChanged
    | PolicyChanged
    | ErrorOccurred
    | PeerConnected
    | PeerMoved
    | AddrsTold
    | HeardNobody
    | NameSuggested
    | PeerDisconnected
    | PeerFaulted
    | MessagePassedOver
    | ClockDiffers
    | PushedCustom
    | CustomReceived
    | SeriesPruned
)
