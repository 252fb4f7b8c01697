"""The state: the summary that is computed ("folded") from a series. Plain data; only the fold changes it.

A state is small. It contains the open work (pending wants, leases), the named things (objects, peers), and counts
of everything else. It has no item for each chunk that ever passed. So it can be saved as a checkpoint every few
thousand entries. The state at any entry of a long series is computed from one checkpoint and the few entries after
it. The chunk index (store/) knows which single chunks are stored here.

Times are seconds since 1970, sizes are bytes.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.address_book import KnownAddrs
from flux_tui.core.series.events import HeldHow, Reason, RetryCause, Speaks, TriedAddr, Waste, Way
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.totals import Totals

MAX_PEERS = 1024
"""Peers in a state. Those that have been gone longest are forgotten first, so strangers cannot fill it."""
RECENT_SECONDS = 120
"""Seconds of throughput that are remembered for the gauges, one bucket each."""


Extent: TypeAlias = Literal["all", "part", "some", "none"]
"""How much of an object a peer has: all, a part that it counted, some (it did not say how much), or nothing."""
Said: TypeAlias = Literal["yes", "no", "have", "error"]
"""What a peer said last about an object: yes, NO, that it can be asked for it, or that something failed there."""


class No(msgspec.Struct):
    """The last NO that a peer gave about one object or chunk: who, why, and when to ask again."""

    peer: PeerId
    reason: Reason
    has_it: bool
    retry_after: float | None
    at: float

    @property
    def until(self) -> float | None:
        """When this node may ask again, in seconds since 1970; None: waiting does not help."""
        return None if self.retry_after is None else self.at + self.retry_after


NAMED = 16
"""Peers that are remembered with a want, of those that said yes and of those that said NO."""


class Answer(msgspec.Struct):
    """The last answer of one peer about one wanted object, and how many of the object's chunks this peer sent."""

    peer: PeerId
    asked_at: float | None = None
    """When the want was last pushed to the peer directly. None: never, or together with too many other peers."""
    has: Extent | None = None
    """How much of the object the peer has, as far as it said; None: it never said."""
    blocks: int | None = None
    """How many blocks the peer said it has, if it is still fetching the object itself."""
    lacks: int = 0
    """Chunks that the peer was granted and then did not have, since it last said how much it has."""
    said: Said | None = None
    """The kind of the peer's last answer."""
    said_at: float = 0.0
    reason: Reason | None = None
    """The reason of the peer's last NO about the object or its chunks. None: the peer has said yes since."""
    retry_after: float | None = None
    """Seconds from that NO until the peer may be asked again; None: the peer named no time."""
    text: str = ""
    """The text of the last error about the object that the peer reported."""
    granted: int = 0
    """Chunks of the object that this peer was granted so far."""
    granted_at: float | None = None
    came: int = 0
    """Chunks of the object that came from this peer."""
    bytes_in: int = 0
    came_at: float | None = None
    """When the last chunk of the object came from this peer."""


MAX_ANSWERS = 64
"""Peers whose answers about one object are remembered. The one heard from longest ago is forgotten first."""


class Pending(msgspec.Struct):
    """A want that is not complete: an object (by its root), or a chunk that was wanted by itself."""

    cid: Cid
    since: float
    by: str | None = None
    pushes: int = 0
    """How often an intent for this want left this node."""
    in_network: bool = False
    """Whether this want has one of the `max_pending` places in the network."""
    dormant: bool = False
    """Whether this want gave up its place until it is pushed again, because no holder was about to send the object, or
    because an urgent want needed the place."""
    last_push_at: float | None = None
    next_push_at: float | None = None
    cause: RetryCause = "silence"
    """Why the want will be pushed again at `next_push_at`."""
    cause_peer: PeerId | None = None
    cause_reason: Reason | None = None
    """Why `cause_peer` said NO."""
    last_no: No | None = None
    yes: list[PeerId] = []
    """Peers that said yes and did not take it back. Each is granted chunks as soon as it may be. At most NAMED."""
    noes: list[PeerId] = []
    """Peers that have the object and said NO. The want is repeated to each of them, alone, when it may be. At most
    NAMED."""
    trouble: str | None = None
    """The error here that stopped the want, in words; None once a chunk of the object has come."""
    held: bool = False
    """Whether the object is fetched as a replica for another node, so that nobody here asked for it."""
    answers: dict[PeerId, Answer] = {}
    """The answers of each peer about the object, the latest at the end. Empty for a chunk that was wanted by
    itself."""
    block: bool = False
    """Whether only the block with this CID is wanted, also if it is the root of an object."""

    @property
    def queued(self) -> bool:
        """Whether this want waits to be pushed until fewer than `max_pending` wants are in the network.

        When a node starts, all wants wait.
        """
        return not self.in_network and not self.dormant

    @property
    def holders(self) -> int:
        """The number of peers that said that they have the object, and did not take that back. At most NAMED count."""
        return len(self.yes)


class ObjectState(msgspec.Struct):
    """A file or folder: shared from here, wanted here, or kept here for others."""

    root: Cid
    origin: Literal["added", "wanted", "held"]
    since: float
    name: str | None = None
    size: int | None = None
    chunks_have: int = 0
    chunks_total: int | None = None
    """The number of distinct blocks; None until the root is stored here. It may grow while inner nodes arrive."""
    have_bytes: int = 0
    path: str | None = None
    completed_at: float | None = None
    cancelled: bool = False
    limit: int | None = None
    """The object's size in bytes according to its ticket: no more is written."""
    broken: bool = False
    """Whether the object was complete, and a file of it was changed or removed since."""
    sent_bytes: int = 0
    """Bytes of the object that other peers took from here, as `Fetcher` counts them."""

    @property
    def progress(self) -> float:
        """The share that is stored here, 0 … 1, by bytes of content; by chunks if the size is unknown or zero."""
        if self.completed_at is not None:
            return 1.0
        if self.size:
            return min(self.have_bytes / self.size, 1.0)
        return self.chunks_have / self.chunks_total if self.chunks_total else 0.0


class Fetcher(msgspec.Struct):
    """A peer that fetches an object from this node, and how much of the object it has taken.

    A peer names the object in its want, but its grants name only chunks. A grant that contains an object's root
    counts for that object. Any other grant counts for the same object as the grant before. This is exact while the
    peer fetches only one object from here.
    """

    peer: PeerId
    asked_at: float
    """When the peer last asked for the object."""
    granted: int = 0
    """Chunks that the peer granted to this node, so that this node sends them."""
    chunks: int = 0
    """Chunks that this node sent to the peer."""
    bytes_out: int = 0
    sent_at: float | None = None
    """When the last chunk was sent to the peer."""
    estimated: bool = False
    """Whether the peer asked for other objects too while these chunks were sent. Then some may belong to those
    objects."""


MAX_FETCHERS, MAX_FETCHED = 32, 128
"""Peers that are remembered with an object, and objects with such peers. The oldest are forgotten first."""


class Lease(msgspec.Struct):
    """The record that one holder was told to send a chunk, and its deadline."""

    peer: PeerId
    root: Cid | None
    granted_at: float
    deadline: float


MAX_FETCHES = 8
"""Objects that one peer is known to fetch from here at once. The one asked for longest ago is forgotten first."""
HAS_IT: tuple[Reason, ...] = ("rate_limited", "busy")
"""The reasons of a NO that only a peer with the object can give."""


class PeerState(msgspec.Struct):
    """Everything that is counted about one peer: bytes, chunks, grants, answers, faults, and when to ask again."""

    peer: PeerId
    connected: bool = False
    connected_at: float | None = None
    """When the peer last connected; None: it never did, as far as the series says."""
    addr: str = ""
    seen_at: float = 0.0
    bytes_in: int = 0
    bytes_out: int = 0
    chunks_in: int = 0
    chunks_out: int = 0
    granted: int = 0
    """Chunks that the peer was granted so far."""
    lapsed: int = 0
    """How many granted chunks the peer did not send: too late, disconnected, or refused."""
    broken: int = 0
    """How many granted chunks the peer neither sent nor refused in time. A NO is an answer."""
    late: bool = False
    """Whether a lease of this peer was extended, and nothing has come from the peer since."""
    wasted: int = 0
    """Bytes from this peer that were of no use."""
    faults: int = 0
    blame: float = 0.0
    """The weight of the peer's faults at `blamed_at`. It becomes less with time (fault_decay.py)."""
    blamed_at: float = 0.0
    took_back: int = 0
    """Chunks that the peer said it has, and did not have when they were granted. Each chunk that comes cancels one.
    """
    yes: int = 0
    """How often the peer said yes."""
    eta: float | None = None
    has_it: bool | None = None
    """Whether the peer has the object that it was last asked for, as far as it said."""
    reason: Reason | None = None
    """The reason of the last NO; but a NO without a time does not replace one whose time is not over. None: a yes
    or a chunk came since, or `until` is a pause after a lapsed lease."""
    retry_after: float | None = None
    until: float | None = None
    """When the peer may be asked again, for anything (peer_backoff.py). None, or a time in the past: now."""
    vague: int = 0
    """NOs without a time about objects that the peer has, since its last chunk came. Each doubles the wait."""
    unreached: str = ""
    """Why no dial reached the peer since it was connected; if it is, that large packets to it are lost. Or empty."""
    denies: bool = False
    """Whether the peer's last NO applies to everything that it has."""
    counts: dict[Reason, int] = {}
    """How many NOs the peer gave, by reason."""
    said: dict[Reason, int] = {}
    """How many NOs this node gave to the peer, by reason."""
    fetches: list[Cid] = []
    """Objects that the peer asked for and has not completely got from here; its last chunks belong to the last of
    these. At most MAX_FETCHES."""
    wants_loose: bool = False
    """Whether the peer ever asked for chunks that are not objects here."""
    way: Way = "direct"
    speaks: Speaks = "flux"
    """The way and the protocol of the link to the peer. If the peer is gone: of its last link."""
    clock_ahead: float | None = None
    """Seconds by which the peer's clock seemed to be ahead of this node's, when this node last refused an intent of the
    peer for that. None: it never did."""
    clock_seen_at: float | None = None
    """When that was."""
    suggested: str = ""
    """The name that the peer suggests for itself. Another peer may suggest the same. Empty: it suggests none."""

    @property
    def has(self) -> Literal["yes", "part", "no", "?"]:
        """Whether the peer has what this node asked it for, by everything that the peer said and sent.

        `part`: the peer has one of the wanted things and lacks another. `?`: the peer never said.
        """
        if self.has_it or self.yes or self.chunks_in or any(self.counts.get(reason) for reason in HAS_IT):
            return "part" if self.counts.get("not_held") else "yes"
        return "?" if self.has_it is None else "no"

    @property
    def delivered_share(self) -> float | None:
        """The share (0 … 1) of granted chunks that the peer sent, or refused by NO before the deadline.

        None: no chunk was granted to the peer.
        """
        return 1 - self.broken / self.granted if self.granted else None


class KeeperState(msgspec.Struct):
    """A peer that was told to keep a replica for this node, and how much of the replica it has."""

    peer: PeerId
    since: float
    how: HeldHow | None = None
    """How much the peer said it has; None: it was told to keep the replica, and has not answered."""
    until: float | None = None
    """When the peer's answer is overdue."""


class Hold(msgspec.Struct):
    """An object of which this node asks other nodes to keep replicas."""

    root: Cid
    replicas: int
    """How many replicas are wanted."""
    since: float
    size: int = 0
    name: str | None = None
    by: str | None = None
    pushes: int = 0
    quiet: int = 0
    """Pushes in a row that found no keeper. Each doubles the wait for the next."""
    last_push_at: float | None = None
    next_push_at: float | None = None
    cause: RetryCause = "silence"
    """Why the hold will be pushed again at `next_push_at`, if replicas are lacking."""
    keepers: dict[PeerId, KeeperState] = {}
    refused: dict[PeerId, No] = {}
    """Peers that will not keep one, with the last NO of each."""

    @property
    def lacking(self) -> int:
        """How many wanted replicas have no keeper yet."""
        return max(0, self.replicas - len(self.keepers))

    @property
    def whole(self) -> int:
        """How many keepers said that they have the whole object."""
        return sum(1 for replica in self.keepers.values() if replica.how == "whole")


class KeptReplica(msgspec.Struct):
    """A replica that this node keeps because other nodes asked for it."""

    root: Cid
    since: float
    last_wanted: float
    """When a peer last wanted the replica, or when it was accepted. The replica with the oldest time is dropped
    first."""
    size: int = 0
    """Bytes of content: as many as the origin said, or more if more came."""
    stored: int = 0
    """Bytes of the replica's blocks that came."""
    name: str | None = None
    origins: dict[PeerId, float] = {}
    """The origins for which the replica is kept, and since when."""
    whole: bool = False
    own: bool = False
    """The object is the user's as well."""

    @property
    def charge(self) -> int:
        """Bytes that this replica counts against the quota for replicas.

        An object consists of content and of inner nodes, which only list other blocks. Inner nodes are free up to
        1/64 of the content plus 64 KiB. Inner nodes beyond that count.
        """
        return 0 if self.own else max(self.size, self.stored - (self.size // 64 + 65_536))


class Second(msgspec.Struct):
    """The numbers of entries, bytes and NOs in one second, for the throughput gauge."""

    t: int
    entries: int = 0
    bytes_in: int = 0
    unique_in: int = 0
    bytes_out: int = 0
    noes: int = 0


class Adding(msgspec.Struct):
    """A file or folder that this node reads now in order to share it."""

    path: str
    bytes_done: int
    size: int


class Removing(msgspec.Struct):
    """An object that is no longer shared, but whose blocks are still in the store."""

    mark: int
    """The number of the entry that removed the object."""
    name: str | None = None
    path: str | None = None
    by: str | None = None


class State(msgspec.Struct, dict=True):
    """The state of a node after the entry with number `seq`."""

    seq: int = 0
    at: float = 0.0
    """The time of that entry."""
    peer_id: PeerId | None = None
    addrs: tuple[str, ...] = ()
    version: str = ""
    running: bool = False
    """True between a `node_started` and its `node_stopped`. After a kill it stays True: check the lock of the
    home."""
    started_at: float | None = None
    max_pending: int = 0
    policy: Policy = Policy()

    objects: dict[Cid, ObjectState] = {}
    pending: dict[Cid, Pending] = {}
    pushed: int = 0
    """Pending wants that are in the network."""
    dormant: int = 0
    """Pending wants that gave up their place until they are pushed again."""
    leases: dict[Cid, Lease] = {}
    fetchers: dict[Cid, dict[PeerId, Fetcher]] = {}
    """The peers that fetch from here, by object. The object and the peer that asked last are at the end."""
    peers: dict[PeerId, PeerState] = {}
    book: dict[PeerId, KnownAddrs] = {}
    """Where peers can be dialled, by their own signed records; the one noted last at the end."""
    tried: tuple[TriedAddr, ...] = ()
    """Addresses that were dialled in vain while no peer is connected; empty: one is, or it is too early to tell."""
    adding: dict[str, Adding] = {}
    holds: dict[Cid, Hold] = {}
    """Replicas that others are asked to keep for this node."""
    kept: dict[Cid, KeptReplica] = {}
    """Replicas that this node keeps for others."""
    dropping: dict[Cid, str | None] = {}
    """Dropped replicas whose bytes are still in the store, with their names."""

    removing: dict[Cid, Removing] = {}
    """Removed objects whose blocks are still in the store."""
    refused: dict[Cid, str | None] = {}
    """Refused objects of which something is still on disk, with the paths that they were meant for."""
    to_announce: int = 0
    """Objects that are here and wait to be announced to the swarm."""
    announced_by: float | None = None
    """When the last of them will be announced, in seconds since 1970; None: none waits."""
    to_provide: int = 0
    """Roots whose provider records wait to be sent to other nodes of the DHT. Only a long round is reported."""
    provided_by: float | None = None
    """When the last of them will be sent, in seconds since 1970; None: no long round is under way."""

    chunk_count: int = 0
    chunk_bytes: int = 0
    received_bytes: int = 0
    """Chunk bytes that came, useful or not."""
    unique_bytes: int = 0
    """Received bytes that were of use."""
    wasted_bytes: dict[Waste, int] = {}
    sent_bytes: int = 0
    totals: Totals = msgspec.field(default_factory=Totals)
    errors: int = 0
    last_error: str | None = None
    recent: list[Second] = []

    @property
    def chunks(self) -> Mapping[Cid, bytes]:
        """The stored chunks by CID. The bytes of a chunk are read from disk when it is looked up.

        Only a state from a running node (`FluxNode.derive_state`) has any: a series contains no chunk bytes.
        """
        found: Mapping[Cid, bytes] = self.__dict__.get("held", {})
        return found

    @property
    def queued(self) -> int:
        """The number of pending wants that wait until fewer than `max_pending` wants are in the network."""
        return len(self.pending) - self.pushed - self.dormant

    @property
    def status(self) -> dict[PeerId, PeerState]:
        """The peers that ever answered yes or NO, or announced an object that was pending here, by peer id."""
        return {p: s for p, s in self.peers.items() if s.has_it is not None or s.counts}

    @property
    def duplicate_factor(self) -> float:
        """Received bytes divided by unique bytes; 1.0 is perfect. 1.0 also if no unique bytes came yet."""
        return self.received_bytes / self.unique_bytes if self.unique_bytes else 1.0

    @property
    def roots(self) -> tuple[Cid, ...]:
        """The roots of all objects, wants and replicas that are stored here or being fetched, each once."""
        return tuple(dict.fromkeys((*self.objects, *self.pending, *self.kept)))

    @property
    def kept_bytes(self) -> int:
        """Bytes of the quota for replicas that are used."""
        return sum(kept.charge for kept in self.kept.values())

    @property
    def connected(self) -> int:
        """The number of peers with an open push stream."""
        return sum(1 for peer in self.peers.values() if peer.connected)
