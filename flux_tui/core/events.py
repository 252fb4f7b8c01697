"""What can stand in a series: a closed union of facts, past tense.

Rules
- An event is a fact that has happened. It carries everything that a fold needs; folding asks no clock.
- A tag (the name a person sees in `series` and filters by) is never reused. Fields are stored by
  position: a new field goes last and has a default, and no field is removed.
- What an old reader does not know it shows as `Unknown`, and goes on.
- Lists of CIDs are batched: one entry tells of everything that one act did.

Times are seconds since 1970 (float), sizes are bytes, durations are seconds.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.policy import Policy

Reason: TypeAlias = Literal[
    "rate_limited", "busy", "low_space", "not_held", "denied", "too_large", "shutting_down"
]
"""Why a node says NO. A closed set: every reason tells the asker what to do next."""

REASONS: tuple[Reason, ...] = get_args(Reason)

Waste: TypeAlias = Literal["duplicate", "late", "corrupt", "unasked", "hedged", "cancelled", "unwritten"]
"""Why received bytes were of no use.

duplicate: we had it already; late: the lease had lapsed and another holder was faster;
corrupt: it did not hash to its CID; unasked: no grant was ever pushed for it; hedged: it was overdue, was
granted to a second holder, and came from both; cancelled: it was on its way when it was no longer wanted;
unwritten: it could not be written here.
"""

WASTES: tuple[Waste, ...] = get_args(Waste)

RetryCause: TypeAlias = Literal["retry_after", "eta", "lapsed", "silence", "asked", "unwritten"]
"""Why a want is pushed again: a NO named a time, a delayed yes did, its lease lapsed, nobody
answered, a person pressed a key, or what came could not be written here."""

LapseCause: TypeAlias = Literal["deadline", "disconnected", "refused", "corrupt", "slow", "unwritten"]
"""Why a lease ended without its chunk: too late, the holder left, it said NO, it sent wrong
bytes, its queue here was full, or what comes cannot be written here."""

About: TypeAlias = Literal["want", "hold"]
"""What a NO, or the time of a next push, is about: to be sent something, or to have a replica kept."""

HeldHow: TypeAlias = Literal["begun", "whole", "gone"]
"""What there is of a replica at its keeper."""

LossCause: TypeAlias = Literal["left", "silent", "slow", "surplus"]
"""Why somebody counts no longer as a keeper: its stream is gone and it did not come back, it never said
that it had begun, its queue here was full, or fewer replicas are wanted now."""

DropCause: TypeAlias = Literal[
    "released", "evicted", "quota", "low_space", "too_large", "denied", "cancelled", "failed", "lost"
]
"""Why a replica is no longer kept here: nobody wants it kept any more, another one needed the room, the quota
is smaller now, it turned out to be larger than there is room for or than objects may be, the policy refuses
all that it was kept for, somebody here let it go, it could not be had, or its file was changed or removed."""

Via: TypeAlias = Literal["direct", "gossip", "routed"]
"""How an intent came: pushed to us by its signer, forwarded through the swarm, or by way of the DHT, from a
node that is close to what it wants."""


class _Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag_field="event"):
    """Base of all events: immutable, compared by value, stored as a msgpack array [tag, fields…]."""


# ── the node itself ─────────────────────────────────────────────────────────────────────────────


class NodeStarted(_Event, tag="node_started", frozen=True, kw_only=True):
    """A node opened this home and began to listen."""

    peer_id: PeerId
    addrs: tuple[str, ...]
    """Multiaddrs with `/p2p/…`, each dialable as it stands."""
    version: str
    max_pending: int
    """Intents that may be in the network at once; more wait in the series."""


class NodeStopped(_Event, tag="node_stopped", frozen=True, kw_only=True):
    """The node went away in order. (One that was killed leaves no such entry.)"""

    reason: str


class PolicyChanged(_Event, tag="policy_changed", frozen=True, kw_only=True):
    """What this node lets others have is this from now on."""

    policy: Policy
    by: str | None = None


class ErrorOccurred(_Event, tag="error", frozen=True, kw_only=True):
    """Something failed here. One sentence for a person: what, why, what to do."""

    text: str
    cid: Cid | None = None
    path: str | None = None
    by: str | None = None
    """The mark of the command that caused it, so that whoever pushed it finds its outcome."""


# ── content ─────────────────────────────────────────────────────────────────────────────────────


class AddProgressed(_Event, tag="add_progressed", frozen=True, kw_only=True):
    """A file or folder is being read; at most one such entry a second."""

    path: str
    bytes_done: int
    size: int
    by: str | None = None


class ObjectAdded(_Event, tag="object_added", frozen=True, kw_only=True):
    """A file or folder of this machine can now be asked for. Its bytes stay where they are."""

    root: Cid
    name: str
    size: int
    """Bytes of content."""
    chunks: int
    """Distinct blocks in its DAG: leaves and inner nodes."""
    path: str
    stored: int = 0
    """Bytes of blocks that were not in the store before."""
    stored_chunks: int = 0
    by: str | None = None


class ObjectMapped(_Event, tag="object_mapped", frozen=True, kw_only=True):
    """An inner node arrived and told what a wanted object is made of. Totals, not differences."""

    root: Cid
    size: int
    """Bytes of content as far as known."""
    chunks: int
    """Distinct blocks known to belong to it."""
    have: int
    """Of these, how many are in the store."""
    have_bytes: int
    """Bytes of content that these fill."""


class ObjectCompleted(_Event, tag="object_completed", frozen=True, kw_only=True):
    """Every chunk of a wanted object is verified, and its file stands at its place."""

    root: Cid
    size: int
    path: str | None
    """Where it stands; None where it was wanted for the store only."""
    by: str | None = None


# ── pushing ─────────────────────────────────────────────────────────────────────────────────────


class Requested(_Event, tag="requested", frozen=True, kw_only=True):
    """Someone at this node wants a root or a loose chunk. From here on it is pending."""

    cid: Cid
    name: str | None = None
    size: int | None = None
    path: str | None = None
    """Where its file is to stand when it is whole."""
    by: str | None = None
    held: bool = False
    """It is fetched to be kept for somebody else."""


class PushedWant(_Event, tag="pushed_want", frozen=True, kw_only=True):
    """An intent left this node: it wants these roots or loose chunks."""

    cids: tuple[Cid, ...]
    peers: tuple[PeerId, ...]
    """To whom it was pushed directly."""
    gossip: bool
    """Whether the whole swarm hears it."""
    retry: bool
    next_push_at: float
    """When it is pushed again if nothing is heard."""
    routed: bool = False
    """Whether it goes by DHT to the nodes that know who has it."""


class RetrySet(_Event, tag="retry_set", frozen=True, kw_only=True):
    """The time of the next push changed, because of what flowed in."""

    cids: tuple[Cid, ...]
    next_push_at: float
    cause: RetryCause
    peer: PeerId | None = None
    about: About = "want"


class Granted(_Event, tag="granted", frozen=True, kw_only=True):
    """One holder was told to send these chunks; until the deadline nobody else is."""

    peer: PeerId
    root: Cid | None
    """The object that they are part of; None: loose chunks."""
    cids: tuple[Cid, ...]
    deadline: float
    hedge: bool = False
    """They are overdue at another holder, and nothing else is left to be granted: the faster one wins."""


class LeaseExtended(_Event, tag="lease_extended", frozen=True, kw_only=True):
    """Granted chunks are late, but nobody else has them: their holder is given more time."""

    peer: PeerId
    cids: tuple[Cid, ...]
    deadline: float


class LeaseLapsed(_Event, tag="lease_lapsed", frozen=True, kw_only=True):
    """Granted chunks did not come; they are free to be granted to somebody else."""

    peer: PeerId
    cids: tuple[Cid, ...]
    cause: LapseCause


class Cancelled(_Event, tag="cancelled", frozen=True, kw_only=True):
    """No longer wanted here."""

    cids: tuple[Cid, ...]
    by: str | None = None


class PushedHave(_Event, tag="pushed_have", frozen=True, kw_only=True):
    """An intent left this node: it can now be asked for this root."""

    root: Cid
    name: str | None
    size: int


# ── flowing in: answers to our intents ──────────────────────────────────────────────────────────


class DelayedYes(_Event, tag="delayed_yes", frozen=True, kw_only=True):
    """A holder answered: yes, as soon as I am told which chunks (`status_yes_but_later`)."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int
    name: str | None = None
    size: int | None = None
    have: int | None = None
    """Blocks that it has, if it is still fetching the object itself; None: all."""


class StatusNo(_Event, tag="status_no", frozen=True, kw_only=True):
    """A node answered NO, which is data: who has it, why not now, when to come back."""

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    """Seconds from the entry's time; None: the answer will not change by waiting."""
    text: str = ""
    about: About = "want"


class ChunkReceived(_Event, tag="chunk_received", frozen=True, kw_only=True):
    """A wanted chunk came, hashed to its CID, and is in the store (this very commit)."""

    cid: Cid
    size: int
    peer: PeerId
    roots: tuple[Cid, ...] = ()
    """The wanted objects that it is part of; empty for a loose chunk."""
    fills: int = 0
    """Bytes of content that it fills in each of them: a chunk can stand in a file many times."""


class ChunkWasted(_Event, tag="chunk_wasted", frozen=True, kw_only=True):
    """Bytes came that were of no use."""

    cid: Cid
    size: int
    peer: PeerId
    cause: Waste


class HaveReceived(_Event, tag="have_received", frozen=True, kw_only=True):
    """A node announced that it can be asked for a root that is pending here."""

    peer: PeerId
    root: Cid
    name: str | None
    size: int


class ErrorReceived(_Event, tag="error_received", frozen=True, kw_only=True):
    """A peer told us of a failure on its side."""

    peer: PeerId
    text: str
    cids: tuple[Cid, ...] = ()


class ChunksLost(_Event, tag="chunks_lost", frozen=True, kw_only=True):
    """Chunks that the store had are not there any more: their file was changed or removed."""

    cids: tuple[Cid, ...]
    size: int
    """Bytes of them together."""
    path: str
    roots: tuple[Cid, ...] = ()
    """Objects that were whole with them, and are not any more."""


# ── flowing in: other nodes' intents, and what we answered ──────────────────────────────────────


class IntentReceived(_Event, tag="intent_received", frozen=True, kw_only=True):
    """Another node wants something. Written only where this node answers it."""

    peer: PeerId
    """Who signed it; the answer goes there."""
    cids: tuple[Cid, ...]
    via: Via
    retry: bool = False


class AnsweredLater(_Event, tag="answered_later", frozen=True, kw_only=True):
    """We offered: yes, tell us which chunks."""

    peer: PeerId
    cids: tuple[Cid, ...]
    eta: float
    queue_bytes: int


class AnsweredNo(_Event, tag="answered_no", frozen=True, kw_only=True):
    """We said NO, and why."""

    peer: PeerId
    cids: tuple[Cid, ...]
    reason: Reason
    has_it: bool
    retry_after: float | None
    about: About = "want"


class GrantReceived(_Event, tag="grant_received", frozen=True, kw_only=True):
    """A peer told us which chunks to send it; they are now in its queue here."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


class CancelReceived(_Event, tag="cancel_received", frozen=True, kw_only=True):
    """A peer no longer wants these chunks from us."""

    peer: PeerId
    cids: tuple[Cid, ...]


class ChunksSent(_Event, tag="chunks_sent", frozen=True, kw_only=True):
    """Chunks were written to a peer's stream."""

    peer: PeerId
    cids: tuple[Cid, ...]
    size: int


# ── what programs make up ───────────────────────────────────────────────────────────────────────


class PushedCustom(_Event, tag="pushed_custom", frozen=True, kw_only=True):
    """Something of a program's own kind left this node: to all, or to one peer."""

    kind: str
    size: int
    """Bytes that it carried."""
    peer: PeerId | None = None
    by: str | None = None


class CustomReceived(_Event, tag="custom_received", frozen=True, kw_only=True):
    """Something of a program's own kind came, from who signed or sent it."""

    peer: PeerId
    kind: str
    size: int
    via: Via
    payload: bytes = b""
    """Kept only where a program here listens for this kind: strangers are not to fill the series."""


# ── replicas: those that others keep for this node ──────────────────────────────────────────────


class HoldRequested(_Event, tag="hold_requested", frozen=True, kw_only=True):
    """Someone at this node wants others to keep replicas of an object. It stays so until it is released."""

    root: Cid
    replicas: int
    size: int
    """Bytes of content; 0: not known here."""
    name: str | None = None
    by: str | None = None


class PushedHold(_Event, tag="pushed_hold", frozen=True, kw_only=True):
    """An intent left this node: it asks for keepers."""

    root: Cid
    lacking: int
    peers: tuple[PeerId, ...]
    gossip: bool
    next_push_at: float
    """When it is pushed again if too few were found."""


class CanHold(_Event, tag="can_hold", frozen=True, kw_only=True):
    """A peer answered: it has room for a replica."""

    peer: PeerId
    root: Cid
    whole: bool
    """It has all of it already."""


class PushedKeep(_Event, tag="pushed_keep", frozen=True, kw_only=True):
    """A peer was told to keep a replica."""

    peer: PeerId
    root: Cid
    deadline: float
    """When somebody else is told if it has not said by then that it has begun."""


class ReplicaHeld(_Event, tag="held", frozen=True, kw_only=True):
    """A keeper said what there is of a replica there."""

    peer: PeerId
    root: Cid
    how: HeldHow
    reason: Reason | None = None


class ReplicaLost(_Event, tag="replica_lost", frozen=True, kw_only=True):
    """A keeper is not counted on any more."""

    peer: PeerId
    root: Cid
    cause: LossCause


class Released(_Event, tag="released", frozen=True, kw_only=True):
    """Replicas of these need not be kept for this node any more."""

    cids: tuple[Cid, ...]
    by: str | None = None


# ── replicas: those that this node keeps for others ─────────────────────────────────────────────


class OfferedHold(_Event, tag="offered_hold", frozen=True, kw_only=True):
    """A peer asks for keepers, and heard from us: there is room here."""

    peer: PeerId
    root: Cid
    size: int
    via: Via
    name: str | None = None


class KeepReceived(_Event, tag="keep_received", frozen=True, kw_only=True):
    """A peer told us to keep a replica, and it is kept from now on."""

    peer: PeerId
    root: Cid
    size: int
    """Bytes of content, as the peer said; what comes is counted."""
    name: str | None = None


class ReplicaWanted(_Event, tag="replica_wanted", frozen=True, kw_only=True):
    """A peer takes from a replica that is kept here (told at most once a minute)."""

    peer: PeerId
    root: Cid


class ReleaseReceived(_Event, tag="release_received", frozen=True, kw_only=True):
    """A peer no longer needs what is kept for it."""

    peer: PeerId
    root: Cid
    name: str | None = None


class ReplicaDropped(_Event, tag="replica_dropped", frozen=True, kw_only=True):
    """A replica is no longer kept here; its bytes are about to go."""

    root: Cid
    cause: DropCause
    size: int
    name: str | None = None
    by: str | None = None


class ReplicaAdopted(_Event, tag="replica_adopted", frozen=True, kw_only=True):
    """An object that is kept for others is the user's own as well: it takes none of the quota."""

    root: Cid


class ReplicaEvicted(_Event, tag="replica_evicted", frozen=True, kw_only=True):
    """The store's copy of a replica is gone."""

    root: Cid
    chunks: int
    """Of it, those that nothing else here is made of."""
    size: int
    """Bytes of them."""
    name: str | None = None


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


class PeerConnected(_Event, tag="peer_connected", frozen=True, kw_only=True):
    """A push stream to this peer is open."""

    peer: PeerId
    addr: str


class PeerDisconnected(_Event, tag="peer_disconnected", frozen=True, kw_only=True):
    """The push stream to this peer is gone."""

    peer: PeerId
    why: str


class PeerFaulted(_Event, tag="peer_faulted", frozen=True, kw_only=True):
    """A peer broke the protocol. It costs that peer, never this node."""

    peer: PeerId
    fault: str
    """A short name: `garbage`, `oversize`, `wrong_bytes`, `unasked_chunk`, `bad_signature`, `slow`, `flood`,
    `memory`."""
    text: str
    count: int = 1
    """How many times since the last such entry; `text` is of the latest."""


class Unknown(_Event, tag="unknown", frozen=True, kw_only=True):
    """An entry written by a newer version; kept, shown, and folded to nothing."""

    kind: str
    body: bytes


Event: TypeAlias = (
    NodeStarted
    | NodeStopped
    | PolicyChanged
    | ErrorOccurred
    | AddProgressed
    | ObjectAdded
    | ObjectMapped
    | ObjectCompleted
    | Requested
    | PushedWant
    | RetrySet
    | Granted
    | LeaseExtended
    | LeaseLapsed
    | Cancelled
    | PushedHave
    | DelayedYes
    | StatusNo
    | ChunkReceived
    | ChunkWasted
    | HaveReceived
    | ErrorReceived
    | ChunksLost
    | IntentReceived
    | AnsweredLater
    | AnsweredNo
    | GrantReceived
    | CancelReceived
    | ChunksSent
    | PushedCustom
    | CustomReceived
    | PeerConnected
    | PeerDisconnected
    | PeerFaulted
    | HoldRequested
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
    | Unknown
)

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


class Entry(NamedTuple):
    """One line of a series: its number (from 1, without gaps), its time, and what happened."""

    seq: int
    at: float
    event: Event


Series: TypeAlias = Sequence[Entry]


def kind_of(event: Event) -> str:
    """The tag of an event, e.g. `chunk_received`; of an Unknown, the tag that it came with."""
    if isinstance(event, Unknown):
        return event.kind
    return kind_of_type(type(event))


def kind_of_type(kind: type[Event]) -> str:
    """The tag of a type of event."""
    return str(kind.__struct_config__.tag)


EVENT_KINDS: tuple[str, ...] = tuple(kind_of_type(kind) for kind in EVENT_TYPES if kind is not Unknown)
"""Every kind that this version writes."""


def encode_event(event: Event) -> bytes:
    """The stored body of an event. An Unknown is given back byte for byte."""
    return event.body if isinstance(event, Unknown) else _encoder.encode(event)


def decode_event(body: bytes) -> Event:
    """The event of a stored body; what this version does not know becomes `Unknown`.

    Never raises: a body that cannot be read at all becomes Unknown of kind `unreadable`.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return Unknown(kind=_tag_of(body), body=body)


def _tag_of(body: bytes) -> str:
    try:
        value = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "unreadable"
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return "unreadable"
