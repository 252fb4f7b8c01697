"""Inputs of the machine: what happened outside it, as data.

A command, a message whose sender is verified, the result of an effect, or the passing of time. Everything that
changes the machine is an input, so a recorded list of inputs replays to the same series.
"""

from typing import TypeAlias

import msgspec

from flux_tui.core.api.commands import Command
from flux_tui.core.api.effects import Effect
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Via
from flux_tui.core.wire.messages import Intent, Message, SealedIntent


class _Input(msgspec.Struct, frozen=True, gc=False):
    """Base of all inputs."""


class Commanded(_Input, frozen=True):
    """A person or program pushed a command."""

    command: Command


class MessageCame(_Input, frozen=True):
    """A direct message from an authenticated peer (never an intent, never a chunk)."""

    peer: PeerId
    message: Message


class IntentCame(_Input, frozen=True):
    """An intent came, and its signature is its origin's."""

    intent: Intent
    via: Via
    fresh: bool = False
    """Its origin itself pushed it: no clock is needed to know that it is not old."""


class ChunkLanded(_Input, frozen=True):
    """A chunk came from a peer, matches its CID, and its bytes are in place (not yet committed)."""

    peer: PeerId
    cid: Cid
    size: int
    data: bytes | None = None
    """The bytes of an inner node; None for a leaf."""


class ChunkCorrupt(_Input, frozen=True):
    """A peer sent bytes for this chunk that do not match its CID."""

    peer: PeerId
    cid: Cid
    size: int


class ChunkSkipped(_Input, frozen=True):
    """A chunk's header came that `Machine.accepts` refused. Its bytes were discarded."""

    peer: PeerId
    cid: Cid
    size: int


class LandFailed(_Input, frozen=True):
    """A verified chunk could not be written here."""

    peer: PeerId
    cid: Cid
    size: int
    text: str


class ChunkUnfit(_Input, frozen=True):
    """A verified chunk is not written: it is not what this object says it is, or makes the object too large."""

    peer: PeerId
    cid: Cid
    size: int
    root: Cid
    text: str


class ChunksWritten(_Input, frozen=True):
    """Chunks were written to a peer's stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class ChunksGone(_Input, frozen=True):
    """Chunks of one file were to be served, but are not there any more."""

    path: str
    cids: tuple[Cid, ...]
    size: int
    text: str
    peer: PeerId | None = None
    """The peer that they were to be served to."""
    replica: Cid | None = None
    """The replica that the file belongs to; None: it belongs to no replica."""


class PeerUp(_Input, frozen=True):
    """A push stream to this peer is open."""

    peer: PeerId
    addr: str


class PeerDown(_Input, frozen=True):
    """A peer is gone, and all that was queued for it."""

    peer: PeerId
    why: str


class PushDropped(_Input, frozen=True):
    """A message could not be queued: the peer is slow, or gone."""

    peer: PeerId
    message: Message


class PeerFault(_Input, frozen=True):
    """The peer broke the protocol."""

    peer: PeerId
    fault: str
    text: str


class NotAdmitted(_Input, frozen=True):
    """A push of this peer was left out before it was looked at: it pushes too much."""

    peer: PeerId
    forwarded: bool
    """It came by gossip, so another node may have caused it."""
    intent: Intent | None = None
    """The intent, if it is known and its origin itself pushed it. Its signature was not checked."""


class UnknownCame(_Input, frozen=True):
    """A peer sent a message of a kind that this version does not know."""

    peer: PeerId
    kind: str


class DialFailed(_Input, frozen=True):
    """An address does not answer."""

    addr: str
    text: str


class RouteCame(_Input, frozen=True):
    """An intent came from `peer` through the DHT, and its signature is its origin's."""

    peer: PeerId
    intent: Intent
    sealed: SealedIntent
    """The same intent, in the form that can be forwarded."""
    hops: int
    """How many more times it may be forwarded."""


class RoutingChanged(_Input, frozen=True):
    """The DHT knows of other nodes than before."""

    came: tuple[PeerId, ...] = ()
    went: tuple[PeerId, ...] = ()


class PeerFound(_Input, frozen=True):
    """Discovery on the local network found an address of a peer."""

    addr: str


class NodeRead(_Input, frozen=True):
    """The store read an inner node. `data` is None if it is not there after all."""

    root: Cid
    cid: Cid
    data: bytes | None


class Placed(_Input, frozen=True):
    """A part of a tree is placed: which of its leaves the store could place, and which are missing."""

    root: Cid
    present: tuple[Cid, ...]
    missing: tuple[Cid, ...]
    error: str | None = None
    later: Effect | None = None
    """There is no room now: this effect is to be done again when there may be."""
    impossible: bool = False
    """It can never be placed, however often it is tried."""


class Finished(_Input, frozen=True):
    """A tree is whole, and is at its path."""

    root: Cid
    path: str
    left_out: tuple[str, ...] = ()
    """Links of it that were not made, each in words."""


class FinishFailed(_Input, frozen=True):
    """A tree cannot be at its path.

    This was found when it was begun or when it was whole. Its bytes stay in the store.
    """

    root: Cid
    text: str
    later: bool = False
    """There is no room now: try again later."""


class Discarded(_Input, frozen=True):
    """The store has removed the blocks of a refused object.

    The counts are of blocks that no other object contains.
    """

    root: Cid
    chunks: int
    size: int


class Evicted(_Input, frozen=True):
    """The store has removed its copy of a replica. The counts are of blocks that no other object contains."""

    root: Cid
    chunks: int
    size: int


class AddStepped(_Input, frozen=True):
    """A file or folder is being read."""

    path: str
    bytes_done: int
    size: int
    by: str | None


class Added(_Input, frozen=True):
    """A file or folder was read; its chunks can be served."""

    root: Cid
    name: str
    size: int
    chunks: int
    path: str
    stored: int
    stored_chunks: int
    by: str | None
    notes: tuple[str, ...] = ()
    """The parts of it that others will not get, each in a sentence."""
    share: int = 0
    """The store's number for this add until an EndAdd."""


class AddEnded(_Input, frozen=True):
    """A file or folder was not read to its end."""

    path: str
    by: str | None
    text: str | None
    """Why not; None: a person cancelled it."""
    share: int = 0
    """The store's number for this add until an EndAdd."""


class Freed(_Input, frozen=True):
    """The store has freed these blocks of a removed object."""

    root: Cid
    cids: tuple[Cid, ...]
    size: int
    chunks: int
    """How many blocks. After a restart this is all that is known of them."""


class Failed(_Input, frozen=True):
    """Something failed here that a person should read."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    by: str | None = None


class NodeStarting(_Input, frozen=True):
    """The node starts: the first input of a machine that runs a node."""

    addrs: tuple[str, ...]
    """Where this node can be dialled."""
    version: str
    """The version of this program."""
    wall: float
    """What the wall clock says. It differs from steady time if it was set back since the node stopped."""


class NodeStopping(_Input, frozen=True):
    """The node stops in order: the last input of a machine. Later ones belong to the next start."""

    reason: str


class ListenerAdded(_Input, frozen=True):
    """A program here listens for custom messages of this kind from now on."""

    kind: str


class Tick(_Input, frozen=True):
    """Time passed; nothing else."""


class ClockStepped(_Input, frozen=True):
    """The clock of this machine was set."""

    seconds: float
    """Seconds by which it is ahead of what it said before."""


class AddrsChanged(_Input, frozen=True):
    """This node can be dialled at these addresses now."""

    addrs: tuple[str, ...]


Input: TypeAlias = (
    Commanded
    | MessageCame
    | IntentCame
    | ChunkLanded
    | ChunkCorrupt
    | ChunkSkipped
    | LandFailed
    | ChunkUnfit
    | ChunksWritten
    | ChunksGone
    | PeerUp
    | PeerDown
    | PushDropped
    | PeerFault
    | NotAdmitted
    | UnknownCame
    | DialFailed
    | RouteCame
    | RoutingChanged
    | PeerFound
    | NodeRead
    | Placed
    | Finished
    | FinishFailed
    | Evicted
    | Discarded
    | AddStepped
    | Added
    | AddEnded
    | Freed
    | Failed
    | NodeStarting
    | NodeStopping
    | ListenerAdded
    | Tick
    | ClockStepped
    | AddrsChanged
)
