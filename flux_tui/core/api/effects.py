"""Effects: what the node must do for the machine, as data.

The machine itself does nothing outside of memory. The node makes the events of a turn durable before it runs
the turn's effects. The docstring of an effect names the inputs (core/api/inputs.py) by which the node reports
the result.
"""

from typing import TypeAlias

import msgspec

from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire.exchange import MAX_STEPS
from flux_tui.core.wire.messages import IntentBody, Message, SealedIntent


class _Effect(msgspec.Struct, frozen=True, gc=False):
    """Base class of all effects: what the node has to do for the machine, which does no I/O itself."""


class Push(_Effect, frozen=True):
    """Queue a message for one peer. If that fails, the input PushDropped follows."""

    peer: PeerId
    message: Message


class Broadcast(_Effect, frozen=True):
    """Sign an intent and push it to these peers directly.

    With `gossip`, also publish it to the swarm. With `routes`, also route it through the DHT.
    """

    body: IntentBody
    peers: tuple[PeerId, ...]
    gossip: bool
    routes: tuple[Cid, ...] = ()
    """Roots by which it is also routed through the DHT."""
    nonce: bytes = b""
    """The nonce of an intent that may be pushed again. Empty: a new one is made."""


class Forward(_Effect, frozen=True):
    """Forward another node's intent to the providers of these roots that this node knows from the DHT.

    No input reports the result.
    """

    roots: tuple[Cid, ...]
    intent: SealedIntent
    hops: int
    """Hops that are left when it arrives there."""


class TellRecords(_Effect, frozen=True):
    """Tell these peers the addresses at which this node and others can be dialled, as signed records.

    No input reports the result. Peers that run an earlier version are left out.
    """

    peers: tuple[PeerId, ...]
    records: tuple[bytes, ...] = ()
    """Signed records of other peers."""
    own: bool = True
    """Tell where this node can be dialled, too."""


class Introduce(_Effect, frozen=True):
    """Hand an introduction to the peer `via`, which passes it on to the node `to`. No input reports the result.

    An introduction asks `to` to dial a peer that has an answer for it (core/peers/introductions_to_origins.py).
    """

    via: PeerId
    to: PeerId
    record: bytes = b""
    """The signed record of the peer that is introduced. Empty: this node."""
    steps: int = MAX_STEPS
    """How many more nodes may pass it on."""


class Provide(_Effect, frozen=True):
    """From now on, announce in the DHT that this node has these roots. The newest roots are announced first.

    The input RootsProvided follows now and then while many roots wait.
    """

    roots: tuple[Cid, ...]
    wanted: bool = False
    """A peer wanted these roots before they were here. They are announced before all others."""


class Withdraw(_Effect, frozen=True):
    """Stop announcing these roots in the DHT. Records at other nodes stay until they expire."""

    roots: tuple[Cid, ...]


class Serve(_Effect, frozen=True):
    """Send chunks from a peer's upload queue (`Machine.next_chunks`) until the queue is empty.

    Inputs that follow: ChunksWritten for chunks that were written, ChunksGone for chunks that are no longer
    here.
    """

    peer: PeerId
    through: int
    """The number of the last chunk that may be sent."""


class Dial(_Effect, frozen=True):
    """Connect to a peer's address. The input PeerUp or DialFailed follows."""

    addr: str
    keep: bool = False
    """Dial again whenever the peer is not connected."""
    more: tuple[str, ...] = ()
    """Other addresses of the same peer, tried in order if the first one does not lead to it."""
    from_peers: bool = False
    """Other peers named these addresses, no person did. They are dialled by the rules and the budget of
    core/peers/address_dial_policy.py."""
    teller: PeerId | None = None
    """The peer that named them in an earlier session, for these rules."""
    reach: int = 0
    """How near that peer was (`Reach`)."""


class Disconnect(_Effect, frozen=True):
    """Close the connection to a peer, and refuse new ones from it for `seconds`."""

    peer: PeerId
    why: str
    seconds: float
    forget: bool = False
    """Also stop dialling its addresses that a person named."""


class ReadNode(_Effect, frozen=True):
    """Read an inner node of an object from the store. The input NodeRead follows."""

    root: Cid
    cid: Cid


class OpenTree(_Effect, frozen=True):
    """Begin to write an object's files, under a temporary name beside `path`, or continue after a restart.

    If this fails, the input FinishFailed follows.
    """

    root: Cid
    path: str | None
    """None: the object goes to the home's own folder of objects."""
    held: bool = False
    """Whether the object is a replica. A replica goes to the folder of replicas and has no files of its own."""
    limit: int | None = None
    """Bytes of content that may be written; None: no limit."""


class Place(_Effect, frozen=True):
    """Give the store a part of the plan of an object: where its content belongs. The input Placed follows."""

    root: Cid
    folders: tuple[str, ...] = ()
    files: tuple[FilePlan, ...] = ()
    symlinks: tuple[SymlinkPlan, ...] = ()
    modes: tuple[tuple[str, int], ...] = ()
    """Permissions that the object has for its files and folders, by their paths."""
    blocks: tuple[LeafPlace, ...] = ()
    """Leaves of a replica: they may be stored anywhere."""
    size: int = 0
    """Bytes that the whole object takes. Nothing is placed if there is no room for all of it."""
    names: int = 0
    """Number of its files, folders and links."""


class FinishTree(_Effect, frozen=True):
    """Rename a whole object from its temporary name to its path. The input Finished or FinishFailed follows."""

    root: Cid


class DropTree(_Effect, frozen=True):
    """Stop writing an object that is no longer wanted. Its chunks stay in the store."""

    root: Cid


class Evict(_Effect, frozen=True):
    """Remove a replica from the store: its files, and the index entries of blocks that no other object contains.

    The input Evicted follows. After a crash this effect can run again with the same result.
    """

    root: Cid
    others: tuple[Cid, ...]
    """Every other root that is here or on its way. Their blocks stay."""


class Discard(_Effect, frozen=True):
    """Remove the blocks of a refused object from the store, except blocks of other objects.

    The input Discarded follows.
    """

    root: Cid
    path: str | None
    """The path that it was meant for; None: the home's own folder of objects."""
    others: tuple[Cid, ...]


class Claim(_Effect, frozen=True):
    """Mark a loose chunk as wanted by the user. It stays when a replica that contains it is removed."""

    cid: Cid


class AddPath(_Effect, frozen=True):
    """Read a file or folder to share it. AddStepped follows while it is read, then Added or AddEnded."""

    path: str
    by: str | None
    verify: bool = False
    """Whether files that are unchanged since the last add of this path are read again."""
    car: bool = False
    """Whether the path is a CAR file, and the object in it is to be shared."""


class StopAdd(_Effect, frozen=True):
    """Stop reading the file or folder of an add. AddEnded follows, unless the add is done already."""

    path: str
    mark: str | None


class EndAdd(_Effect, frozen=True):
    """Tell the store that an add has ended, so that it forgets the add's number (`share`).

    With `keep` false, its blocks that no other object contains are removed.
    """

    share: int
    keep: bool
    others: tuple[Cid, ...] = ()
    """Every root that is here or on its way."""
    path: str | None = None
    """For an add that ended when the node stopped: free what is indexed at this path."""


class Free(_Effect, frozen=True):
    """Remove the blocks of a removed object that no other object contains. The input Freed follows.

    After a crash this effect can run again with the same result.
    """

    root: Cid
    mark: int
    """The number of the entry that removed it."""
    others: tuple[Cid, ...]
    """Every root that is here or on its way. Their blocks stay."""
    paths: tuple[str, ...]
    """The paths of these objects."""


class PruneSeries(_Effect, frozen=True):
    """Drop the oldest segments of the series. The input SeriesPruned or Failed follows."""

    keep: str
    """What to keep (core/series/keep_rule.py)."""
    archive: str | None = None
    by: str | None = None


class StopNode(_Effect, frozen=True):
    """Stop the node after it has written all its data."""


Effect: TypeAlias = (
    Push
    | Broadcast
    | Forward
    | TellRecords
    | Introduce
    | Provide
    | Withdraw
    | Serve
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
    | PruneSeries
    | StopNode
)
