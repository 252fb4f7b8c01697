"""Effects of the machine: what the node must do, as data.

The machine never does it itself. The node makes the events of a turn durable before it runs the turn's effects.
The docstring of an effect names the inputs (core/api/inputs.py) that tell its result.
"""

from typing import TypeAlias

import msgspec

from flux_tui.core.content.plans import FilePlan, LeafPlace, SymlinkPlan
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire.messages import IntentBody, Message, SealedIntent


class _Effect(msgspec.Struct, frozen=True, gc=False):
    """Base of all effects."""


class Push(_Effect, frozen=True):
    """Queue a message for one peer. If that fails: PushDropped."""

    peer: PeerId
    message: Message


class Broadcast(_Effect, frozen=True):
    """Sign an intent, push it to these peers directly, and with `gossip` to the swarm."""

    body: IntentBody
    peers: tuple[PeerId, ...]
    gossip: bool
    routes: tuple[Cid, ...] = ()
    """Roots by which it is also routed through the DHT."""
    nonce: bytes = b""
    """The nonce of an intent that may be pushed again. Empty: a new one is made."""


class Forward(_Effect, frozen=True):
    """Forward another node's intent to the providers of these roots that this node knows. Best effort."""

    roots: tuple[Cid, ...]
    intent: SealedIntent
    hops: int
    """Hops that are left when it arrives there."""


class Provide(_Effect, frozen=True):
    """Announce in the DHT that this node has these roots, from now on. Best effort, the last ones first."""

    roots: tuple[Cid, ...]


class Withdraw(_Effect, frozen=True):
    """Stop announcing these roots. Other nodes forget the old records when they expire."""

    roots: tuple[Cid, ...]


class Serve(_Effect, frozen=True):
    """Send chunks of a peer's upload queue (`Machine.next_chunks`) while there are any.

    Its results are inputs: ChunksWritten when chunks are written, ChunksGone if their bytes are no longer here.
    """

    peer: PeerId
    through: int
    """The number of the last chunk that may be sent."""


class Dial(_Effect, frozen=True):
    """Connect to an address: PeerUp or DialFailed."""

    addr: str
    keep: bool = False
    """Dial again whenever the peer is not connected."""
    more: tuple[str, ...] = ()
    """Other addresses of the same peer, tried in order if the first one does not lead to it."""
    from_peers: bool = False
    """Other peers named these addresses, no person did. They are dialled by the rules and the budget of
    core/peers/dial_permission.py."""


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
    """Begin an object's files, or go on with them, under a temporary name beside `path`.

    If that fails: FinishFailed.
    """

    root: Cid
    path: str | None
    """None: the object goes to the home's own folder of objects."""
    held: bool = False
    """It is a replica: it goes to the folder of replicas, which have no files."""
    limit: int | None = None
    """Bytes of content that may be written; None: no limit."""


class Place(_Effect, frozen=True):
    """Place parts of a tree: Placed."""

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
    """Every leaf is in place: give the tree its name. Finished or FinishFailed."""

    root: Cid


class DropTree(_Effect, frozen=True):
    """An object is no longer wanted. Its chunks stay in the store."""

    root: Cid


class Evict(_Effect, frozen=True):
    """Remove the store's copy of a replica.

    Its files go, and the index of all blocks that nothing else contains.

    Result: Evicted. When it is done again after a crash, the result is the same.
    """

    root: Cid
    others: tuple[Cid, ...]
    """Every other root that is here or on its way. Their blocks stay."""


class Discard(_Effect, frozen=True):
    """Remove the blocks of a refused object, as `Evict` does with a replica: Discarded."""

    root: Cid
    path: str | None
    """The path that it was meant for; None: the home's own folder of objects."""
    others: tuple[Cid, ...]


class Claim(_Effect, frozen=True):
    """A loose chunk is the user's: do not remove it together with a replica that contains it."""

    cid: Cid


class AddPath(_Effect, frozen=True):
    """Read a file or folder of this machine: AddStepped, then Added or AddEnded."""

    path: str
    by: str | None


class StopAdd(_Effect, frozen=True):
    """Stop reading this path: AddEnded, unless it is done already."""

    path: str
    mark: str | None


class EndAdd(_Effect, frozen=True):
    """An add is over. With `keep` false: free what it put into the index, unless something else contains it."""

    share: int
    keep: bool
    others: tuple[Cid, ...] = ()
    """Every root that is here or on its way."""
    path: str | None = None
    """For an add that ended when the node stopped: free what is indexed at this path."""


class Free(_Effect, frozen=True):
    """Free the blocks of a removed object that nothing else contains: Freed.

    When it is done again after a crash, the result is the same.
    """

    root: Cid
    mark: int
    """The number of the entry that removed it."""
    others: tuple[Cid, ...]
    """Every root that is here or on its way. Their blocks stay."""
    paths: tuple[str, ...]
    """The paths of these objects."""


class StopNode(_Effect, frozen=True):
    """Stop the node in order."""


Effect: TypeAlias = (
    Push
    | Broadcast
    | Forward
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
    | StopNode
)
