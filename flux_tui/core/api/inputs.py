"""Inputs of the machine: what happened outside the machine, as data.

An input is a command, a message of a known sender, the result of an effect, or the passing of time. Everything
that changes the machine is an input. So a recorded list of inputs always gives the same series.
"""

from typing import TypeAlias

import msgspec

from flux_tui.core.api.commands import Command
from flux_tui.core.api.effects import Effect
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Via, Way
from flux_tui.core.vocabulary import ErrorCode, Refusal, Speaks
from flux_tui.core.wire.exchange import OpenedRecord
from flux_tui.core.wire.messages import Intent, Message, SealedIntent


class _Input(msgspec.Struct, frozen=True, gc=False):
    """Base class of all inputs."""


class Commanded(_Input, frozen=True):
    """A person or program pushed a command."""

    command: Command


class MessageCame(_Input, frozen=True):
    """An authenticated peer sent a direct message. Intents and chunks are other inputs."""

    peer: PeerId
    message: Message


class IntentCame(_Input, frozen=True):
    """An intent came, and its signature is valid: the node that the intent names as its origin signed it."""

    intent: Intent
    via: Via
    fresh: bool = False
    """Whether the origin itself pushed the intent. Then it cannot be old, whatever the clocks say."""
    by: PeerId | None = None
    """The peer that handed it to this node, if that is known."""
    refusal: Refusal | None = None
    """A NO with which a program here wants it to be answered."""
    silent: bool = False
    """Whether a program here does not want it to be answered at all."""


class ChunkLanded(_Input, frozen=True):
    """A chunk came from a peer. It matches its CID, and its bytes are written, but not yet committed."""

    peer: PeerId
    cid: Cid
    size: int
    data: bytes | None = None
    """The bytes of an inner node; None for a leaf."""


class ChunksLanded(_Input, frozen=True):
    """Several small chunks came together, perhaps from several peers. The same holds for each as for ChunkLanded."""

    chunks: tuple[ChunkLanded, ...]


class ChunkComing(_Input, frozen=True):
    """A part of a wanted chunk has arrived, and the rest is on its way. Only slow chunks cause this input."""

    peer: PeerId
    cid: Cid
    received: int
    """Bytes of it that have arrived so far."""
    seconds: float
    """Seconds since it began to arrive."""


class ChunkCorrupt(_Input, frozen=True):
    """A peer sent bytes for a chunk that do not match the chunk's CID."""

    peer: PeerId
    cid: Cid
    size: int


class ChunkSkipped(_Input, frozen=True):
    """A peer sent a chunk that this node did not expect (`Machine.accepts`). Its bytes were discarded."""

    peer: PeerId
    cid: Cid
    size: int


class LandFailed(_Input, frozen=True):
    """A chunk came and matches its CID, but could not be written on this machine."""

    peer: PeerId
    cid: Cid
    size: int
    text: str


class ChunkUnfit(_Input, frozen=True):
    """A chunk came and matches its CID, but does not fit its object: its kind or the object's size is wrong."""

    peer: PeerId
    cid: Cid
    size: int
    root: Cid
    text: str


class ChunksLeaving(_Input, frozen=True):
    """This node begins to write chunks to a peer's stream. From now on a cancel comes too late."""

    peer: PeerId
    cids: tuple[Cid, ...]


class ChunksWritten(_Input, frozen=True):
    """This node wrote chunks to a peer's stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class ChunksGone(_Input, frozen=True):
    """Chunks of one file were due to be sent, but the file does not have them any more."""

    path: str
    cids: tuple[Cid, ...]
    size: int
    text: str
    peer: PeerId | None = None
    """The peer that they were to be served to."""
    replica: Cid | None = None
    """The replica that the file belongs to; None: it belongs to no replica."""


class PeerUp(_Input, frozen=True):
    """A peer is connected: a push stream to it is open."""

    peer: PeerId
    addr: str
    way: Way = "direct"
    speaks: Speaks = "flux"


class PeerMoved(_Input, frozen=True):
    """The push streams to a peer go over another connection now, direct or relayed. No message or chunk was lost."""

    peer: PeerId
    addr: str
    way: Way


class PeerDown(_Input, frozen=True):
    """A peer is disconnected. Everything that was queued for this peer is lost."""

    peer: PeerId
    why: str


class PushDropped(_Input, frozen=True):
    """A message could not be queued for a peer, because the peer is slow or disconnected."""

    peer: PeerId
    message: Message


class PeerFault(_Input, frozen=True):
    """A peer broke the protocol."""

    peer: PeerId
    fault: str
    text: str


class NotAdmitted(_Input, frozen=True):
    """A push of a peer was discarded unread, because this peer pushes more than this node admits."""

    peer: PeerId
    forwarded: bool
    """Whether the push came by gossip, so that another node may have caused it."""
    intent: Intent | None = None
    """The intent, if it is known and its origin itself pushed it. Its signature was not checked."""


class UnknownCame(_Input, frozen=True):
    """A peer sent a message of a kind that this version does not know."""

    peer: PeerId
    kind: str


class DialFailed(_Input, frozen=True):
    """This node dialled an address, and no peer answered."""

    addr: str
    text: str


class RouteCame(_Input, frozen=True):
    """An intent came through the DHT, forwarded by `peer`. Its signature is valid."""

    peer: PeerId
    intent: Intent
    sealed: SealedIntent
    """The intent in the form in which it can be forwarded."""
    hops: int
    """How many more times it may be forwarded."""
    refusal: Refusal | None = None
    silent: bool = False
    """What a program here decided, as in `IntentCame`."""


class RecordsCame(_Input, frozen=True):
    """A peer sent signed records: the addresses at which it, or other peers, can be dialled."""

    peer: PeerId
    records: tuple[OpenedRecord, ...]
    reach: int
    """How near the teller is (`Reach`)."""


class IntroductionCame(_Input, frozen=True):
    """The neighbour `peer` passed on an introduction: the peer of `record` has an answer for the node `to`."""

    peer: PeerId
    to: PeerId
    record: OpenedRecord
    steps: int
    """How many more nodes may pass it on."""
    reach: int
    """How near `peer` is (`Reach`)."""


class NameSuggested(_Input, frozen=True):
    """A connected peer told what it calls itself; an empty name: it suggests none."""

    peer: PeerId
    name: str


class RoutingChanged(_Input, frozen=True):
    """The DHT routing table changed: nodes came into it (`came`) or left it (`went`)."""

    came: tuple[PeerId, ...] = ()
    went: tuple[PeerId, ...] = ()


class RootsProvided(_Input, frozen=True):
    """Nodes of the DHT were told of `roots` roots since the last such input. `left` wait, for about `seconds`."""

    roots: int
    left: int
    seconds: float


class PeerFound(_Input, frozen=True):
    """Discovery on the local network (mDNS) found an address of a peer."""

    addr: str


class NodeRead(_Input, frozen=True):
    """The store has answered a ReadNode. `data`: the bytes of the inner node; None if the store does not have it."""

    root: Cid
    cid: Cid
    data: bytes | None


class Placed(_Input, frozen=True):
    """The store has answered a Place: it has the leaves `present`, and the leaves `missing` must be fetched.

    If there is an `error`, nothing was placed.
    """

    root: Cid
    present: tuple[Cid, ...]
    missing: tuple[Cid, ...]
    error: str | None = None
    later: Effect | None = None
    """There is no room now: this effect is to be done again when there may be."""
    impossible: bool = False
    """Whether the part can never be placed, however often the store tries."""


class Finished(_Input, frozen=True):
    """An object is whole, and its files are at their path."""

    root: Cid
    path: str
    left_out: tuple[str, ...] = ()
    """Links of it that were not made, each in words."""


class FinishFailed(_Input, frozen=True):
    """The files of an object could not be begun, or could not be moved to their path. The bytes stay in the store."""

    root: Cid
    text: str
    later: bool = False
    """There is no room now: try again later."""


class Discarded(_Input, frozen=True):
    """The store has removed the blocks of a refused object.

    `chunks` and `size` (bytes) count the blocks that no other object contains.
    """

    root: Cid
    chunks: int
    size: int


class Evicted(_Input, frozen=True):
    """The store has removed a replica. `chunks` and `size` (bytes) count the blocks that no other object contains."""

    root: Cid
    chunks: int
    size: int


class AddStepped(_Input, frozen=True):
    """This node is reading a file or folder to share it: `bytes_done` of `size` bytes are read."""

    path: str
    bytes_done: int
    size: int
    by: str | None


class Added(_Input, frozen=True):
    """This node has read a file or folder. Its chunks can be sent to peers now."""

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
    """This node stopped reading a file or folder before the end, so it is not shared."""

    path: str
    by: str | None
    text: str | None
    """Why not; None: a person cancelled it."""
    share: int = 0
    """The store's number for this add until an EndAdd."""


class Freed(_Input, frozen=True):
    """The store has removed these blocks of a removed object. `size` is in bytes."""

    root: Cid
    cids: tuple[Cid, ...]
    size: int
    chunks: int
    """How many blocks. After a restart this is all that is known of them."""


class ProgramDecides(_Input, frozen=True):
    """From now on a program here decides which intents are answered. Only what was offered to a peer is sent to it."""


class SeriesPruned(_Input, frozen=True):
    """The oldest entries of the series were dropped, or moved to an archive."""

    entries: int
    size: int
    """Bytes that they took on disk."""
    first: int
    """The oldest entry that is still there."""
    archive: str | None = None
    by: str | None = None


class Failed(_Input, frozen=True):
    """Something failed on this machine. `text` is the sentence for a person."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    addr: str | None = None
    by: str | None = None
    code: ErrorCode = "other"


class NodeStarting(_Input, frozen=True):
    """The node starts. This is the first input of a machine that a node runs."""

    addrs: tuple[str, ...]
    """Where this node can be dialled."""
    version: str
    """The version of this program."""
    wall: float
    """What the wall clock says. It differs from steady time if it was set back since the node stopped."""
    min_peers: int = 0
    """Peers that the node tries to be connected to, from its address book."""


class NodeStopping(_Input, frozen=True):
    """The node stops normally. This is the last input of a machine. Later inputs belong to the next start."""

    reason: str


class ListenerAdded(_Input, frozen=True):
    """A program at this node listens for custom messages of this kind from now on."""

    kind: str


class Tick(_Input, frozen=True):
    """Time passed. The machine looks at its timers."""


class ClockStepped(_Input, frozen=True):
    """Somebody set the wall clock of this machine."""

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
    | ChunksLanded
    | ChunkComing
    | ChunkCorrupt
    | ChunkSkipped
    | LandFailed
    | ChunkUnfit
    | ChunksLeaving
    | ChunksWritten
    | ChunksGone
    | PeerUp
    | PeerMoved
    | PeerDown
    | PushDropped
    | PeerFault
    | NotAdmitted
    | UnknownCame
    | DialFailed
    | RouteCame
    | RecordsCame
    | IntroductionCame
    | NameSuggested
    | RoutingChanged
    | RootsProvided
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
    | ProgramDecides
    | Failed
    | NodeStarting
    | NodeStopping
    | ListenerAdded
    | SeriesPruned
    | Tick
    | ClockStepped
    | AddrsChanged
)
