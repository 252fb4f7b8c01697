"""What goes into the machine and what comes out of it, as data.

An *input* is something that happened outside: a command, a message whose sender is verified, the result
of an effect, or just the passing of time. An *effect* is something that the node is to do; the machine
never does it. Results of effects come back as inputs.
"""

from typing import TypeAlias

import msgspec

from flux_tui.core.api.commands import Command
from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Via
from flux_tui.core.wire.messages import Intent, IntentBody, Message, SealedIntent

# ── inputs ──────────────────────────────────────────────────────────────────────────────────────


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
    """An intent whose signature is its origin's."""

    intent: Intent
    via: Via
    fresh: bool = False
    """Its origin itself handed it over: no clock is needed to know that it is not an old one."""


class ChunkLanded(_Input, frozen=True):
    """A chunk came from a peer, hashed to its CID, and its bytes are in place (not yet committed)."""

    peer: PeerId
    cid: Cid
    size: int
    data: bytes | None = None
    """The bytes of an inner node; None for a leaf."""


class ChunkCorrupt(_Input, frozen=True):
    """What a peer sent as this chunk did not hash to it."""

    peer: PeerId
    cid: Cid
    size: int


class ChunkSkipped(_Input, frozen=True):
    """A chunk's header came that `Machine.accepts` refused; its bytes were not kept."""

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
    """A verified chunk is not written: it is not what this object says that it is, or makes it too large."""

    peer: PeerId
    cid: Cid
    size: int
    root: Cid
    text: str


class ChunksWritten(_Input, frozen=True):
    """Chunks that a peer was served left through its stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class ChunksGone(_Input, frozen=True):
    """Chunks of one file turned out not to be there any more when they were to be served."""

    path: str
    cids: tuple[Cid, ...]
    size: int
    text: str
    peer: PeerId | None = None
    """Whom they were to be served to."""


class PeerUp(_Input, frozen=True):
    """A push stream to this peer is open."""

    peer: PeerId
    addr: str


class PeerDown(_Input, frozen=True):
    """It is gone, and all that was queued for it."""

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


class Unheeded(_Input, frozen=True):
    """A push of this peer was left out before it was looked at: there are too many."""

    peer: PeerId
    forwarded: bool
    """It came by gossip: then it may be another's doing."""
    intent: Intent | None = None
    """What it was, if that is known, and its origin itself pushed it; its signature was not checked."""


class UnknownCame(_Input, frozen=True):
    """A peer sent something of a kind that this version does not know."""

    peer: PeerId
    kind: str


class DialFailed(_Input, frozen=True):
    """An address does not answer."""

    addr: str
    text: str


class RouteCame(_Input, frozen=True):
    """An intent whose signature is its origin's came by way of `peer`, through the DHT."""

    peer: PeerId
    intent: Intent
    sealed: SealedIntent
    """The same, as it may be passed on."""
    hops: int
    """How often."""


class RoutingChanged(_Input, frozen=True):
    """The DHT knows of other nodes than before."""

    came: tuple[PeerId, ...] = ()
    went: tuple[PeerId, ...] = ()


class PeerFound(_Input, frozen=True):
    """Discovery found an address."""

    addr: str


class NodeRead(_Input, frozen=True):
    """An inner node that was asked from the store; data None: it is not there after all."""

    root: Cid
    cid: Cid
    data: bytes | None


class Placed(_Input, frozen=True):
    """A part of a tree has its place; which of its leaves the store could put there, and which not."""

    root: Cid
    present: tuple[Cid, ...]
    missing: tuple[Cid, ...]
    error: str | None = None
    later: "Effect | None" = None
    """There is no room for it now: this is to be done again when there may be."""
    impossible: bool = False
    """It can never be there, however often it is tried."""


class Finished(_Input, frozen=True):
    """A tree stands whole at its path."""

    root: Cid
    path: str
    left_out: tuple[str, ...] = ()
    """Links of it that were not made: each in words."""


class FinishFailed(_Input, frozen=True):
    """A tree cannot stand at its path: found when it was begun, or when it was whole; its bytes are kept."""

    root: Cid
    text: str
    later: bool = False
    """There is no room just now: it is to be tried again."""


class Discarded(_Input, frozen=True):
    """What came of an object that cannot be had is gone; of its blocks, these were of nothing else."""

    root: Cid
    chunks: int
    size: int


class Evicted(_Input, frozen=True):
    """The store's copy of a replica is gone; of its blocks, these were of nothing else."""

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
    """What others will not get of it, in sentences."""
    share: int = 0
    """What the store calls this add until an EndAdd."""


class AddEnded(_Input, frozen=True):
    """A file or folder was not read to its end."""

    path: str
    by: str | None
    text: str | None
    """Why not; None: somebody took it back."""
    share: int = 0
    """What the store calls this add until an EndAdd."""


class Freed(_Input, frozen=True):
    """The store has forgotten these blocks of a removed object."""

    root: Cid
    cids: tuple[Cid, ...]
    size: int
    chunks: int
    """How many they were; after a restart that is all that is known of them."""


class Failed(_Input, frozen=True):
    """Something failed here that a person should read."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    by: str | None = None


class Tick(_Input, frozen=True):
    """Time passed; nothing else."""


class ClockStepped(_Input, frozen=True):
    """The clock of this machine was set."""

    seconds: float
    """By how much it is ahead of what it said before."""


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
    | Unheeded
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
    | Tick
    | ClockStepped
    | AddrsChanged
)


# ── effects ─────────────────────────────────────────────────────────────────────────────────────


class _Effect(msgspec.Struct, frozen=True, gc=False):
    """Base of all effects."""


class Push(_Effect, frozen=True):
    """Queue a message for one peer. If that fails: PushDropped."""

    peer: PeerId
    message: Message


class Broadcast(_Effect, frozen=True):
    """Sign an intent and push it to these peers directly, and to the swarm by gossip if so."""

    body: IntentBody
    peers: tuple[PeerId, ...]
    gossip: bool
    routes: tuple[Cid, ...] = ()
    """Roots by which it is routed through the DHT besides."""
    nonce: bytes = b""
    """The nonce of an intent that may be pushed again; empty: a new one."""


class Forward(_Effect, frozen=True):
    """Pass another node's intent on to the providers of these that this node knows. Best effort."""

    roots: tuple[Cid, ...]
    intent: SealedIntent
    hops: int
    """Left when it arrives there."""


class Provide(_Effect, frozen=True):
    """Say in the DHT that this node has these roots, from now on. Best effort, the last ones first."""

    roots: tuple[Cid, ...]


class Withdraw(_Effect, frozen=True):
    """Do not say that any more, from now on; what others were told before they forget in their own time."""

    roots: tuple[Cid, ...]


class Serve(_Effect, frozen=True):
    """Queue these chunks for a peer. As they leave: ChunksWritten; if they are gone: ChunksGone."""

    peer: PeerId
    cids: tuple[Cid, ...]


class Unserve(_Effect, frozen=True):
    """Take these out of a peer's queue, if they have not left yet."""

    peer: PeerId
    cids: tuple[Cid, ...]


class Dial(_Effect, frozen=True):
    """Connect to an address: PeerUp or DialFailed."""

    addr: str
    keep: bool = False
    """Try again whenever the peer is not there."""
    more: tuple[str, ...] = ()
    """Addresses of the same peer, to be tried in order where that one does not lead there."""
    hearsay: bool = False
    """Others told of them, no person: they are dialled by the rule and the budget of core/peers/dial_policy.py."""


class Disconnect(_Effect, frozen=True):
    """Drop a peer, and refuse it for a while."""

    peer: PeerId
    why: str
    seconds: float


class ReadNode(_Effect, frozen=True):
    """Read an inner node from the store: NodeRead."""

    root: Cid
    cid: Cid


class OpenTree(_Effect, frozen=True):
    """Begin (or go on with) an object's files, under a temporary name beside `path`. If not: FinishFailed."""

    root: Cid
    path: str | None
    """None: in the home's own folder of objects."""
    held: bool = False
    """Or in that of replicas that are kept for others, which have no files."""
    limit: int | None = None
    """Bytes of content that may be written; None: as many as there are."""


class Place(_Effect, frozen=True):
    """Give parts of a tree their places: Placed."""

    root: Cid
    folders: tuple[str, ...] = ()
    files: tuple[FilePlan, ...] = ()
    symlinks: tuple[SymlinkPlan, ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    """Permissions that the object names for files and folders of it, by their paths."""
    blocks: tuple[LeafPlace, ...] = ()
    """Leaves of a replica: they stand wherever there is a place."""
    size: int = 0
    """Bytes that the whole object takes; nothing is placed where there is no room for all of it."""
    names: int = 0
    """Files, folders and links of it."""


class FinishTree(_Effect, frozen=True):
    """Every leaf is in place: give the tree its name: Finished or FinishFailed."""

    root: Cid


class DropTree(_Effect, frozen=True):
    """An object is no longer wanted; what came of it is kept for another time."""

    root: Cid


class Evict(_Effect, frozen=True):
    """Remove the store's copy of a replica: its files, and the index of all that nothing else is made of:
    Evicted. Done again after a crash, it gives the same answer.
    """

    root: Cid
    others: tuple[Cid, ...]
    """Every other root that is here, or on its way; what they are made of stays."""


class Discard(_Effect, frozen=True):
    """Remove what came of an object that cannot be had, as `Evict` does with a replica: Discarded."""

    root: Cid
    path: str | None
    """Where it was to stand; None: in the home's own folder of objects."""
    others: tuple[Cid, ...]


class Claim(_Effect, frozen=True):
    """A loose chunk is the user's: it shall not go with a replica that it may be part of."""

    cid: Cid


class AddPath(_Effect, frozen=True):
    """Read a file or folder of this machine: AddStepped, then Added or Failed."""

    path: str
    by: str | None


class StopAdd(_Effect, frozen=True):
    """Read no more of this path: AddEnded, unless it is done already."""

    path: str
    mark: str | None


class EndAdd(_Effect, frozen=True):
    """An add is over. `keep` false: free what it put into the index, unless something else is made of it."""

    share: int
    keep: bool
    others: tuple[Cid, ...] = ()
    """Every root that is here, or on its way."""
    path: str | None = None
    """Of an add that ended with an earlier life of the node: what is indexed there."""


class Free(_Effect, frozen=True):
    """Forget the blocks of a removed object that nothing else is made of: Freed. Done again after a crash, it gives
    the same answer.
    """

    root: Cid
    mark: int
    """The number of the entry that removed it."""
    others: tuple[Cid, ...]
    """Every root that is here, or on its way; what they are made of stays."""
    paths: tuple[str, ...]
    """Where these stand."""


class StopNode(_Effect, frozen=True):
    """Stop in order."""


Effect: TypeAlias = (
    Push
    | Broadcast
    | Forward
    | Provide
    | Withdraw
    | Serve
    | Unserve
    | Dial
    | Disconnect
    | ReadNode
    | OpenTree
    | Place
    | FinishTree
    | DropTree
    | Evict
    | Discard
    | Claim
    | AddPath
    | StopAdd
    | EndAdd
    | Free
    | StopNode
)
