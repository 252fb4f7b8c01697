"""Messages: everything that nodes can send each other. A closed union; every message is pushed, none awaits a reply.

- A *direct* message goes to one peer over its push stream. Noise authenticates the sender, so the message
  does not name it.
- An *intent* goes to many nodes. Its origin, the node that made it, signs it. Answers are sent to the origin. Any
  node may forward an intent until it expires.

On the wire each message is a msgpack array [tag, fields…] (codec.py). A CID is sent as its canonical text. That is
23 bytes more than the binary form, but saves a conversion: 4 µs each way, six times a chunk. Durations are sent in
seconds, never as absolute times: the clocks of two machines need not agree.
"""

from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import HeldHow, Reason
from flux_tui.core.wire.message_limits import MAX_NAME as MAX_NAME
from flux_tui.core.wire.message_limits import MAX_PAYLOAD_CUSTOM as MAX_PAYLOAD_CUSTOM
from flux_tui.core.wire.message_limits import MAX_REPLICAS as MAX_REPLICAS
from flux_tui.core.wire.message_limits import MAX_SIZE as MAX_SIZE

MAX_CIDS_WANT = 256
"""Loose CIDs in one intent: 15 KB, so that a gossip message stays small."""
MAX_MORE_HAVES = 255
"""Objects that one announcement may name besides its first one."""
MAX_CIDS_DIRECT = 512
"""CIDs in one direct message: 31 KB, half of the largest control frame."""
MAX_WAIT = 600.0
"""Seconds. A larger `retry_after` or `eta` is reduced to this: no peer may make this node wait longer."""
MAX_TEXT = 512
"""Characters of a sentence for a person in one message."""
MAX_ADDRS = 4
"""Return addresses in one intent."""
MAX_ADDR = 256
"""Characters of one return address."""
MAX_SIGNED = 48 * 1024
"""Bytes of an intent that its origin signed. With signature and frame it is below the limit of gossip."""
MAX_PART = 8192
"""Bytes of the bitmap of a part: objects of more than 65,536 blocks (64 GiB) are offered once they are whole."""
MAX_SECONDS = 1e9
"""Seconds of the longest duration."""
MAX_KIND = 64
"""Characters of a program's own kind."""
INTENT_TTL = 60.0
"""Seconds that an intent may travel."""
MAX_TIME = 1e12
"""Seconds since 1970. A later time, or a value that is not a number, is not a time."""
MAX_HOPS = 2
"""How many times a routed intent may be forwarded."""

Asked: TypeAlias = Literal["want", "hold"]
CID_PATTERN = r"^baf[ky][a-z2-7]{55}$"
WireCid: TypeAlias = Annotated[Cid, msgspec.Meta(pattern=CID_PATTERN)]
WirePeer: TypeAlias = Annotated[PeerId, msgspec.Meta(pattern=r"^[1-9A-HJ-NP-Za-km-z]{20,80}$")]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=MAX_SECONDS)]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Kind: TypeAlias = Annotated[str, msgspec.Meta(pattern=rf"^[a-z][a-z0-9_.-]{{0,{MAX_KIND - 1}}}$")]
Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
WantedCids: TypeAlias = Annotated[tuple[WireCid, ...], msgspec.Meta(min_length=1, max_length=MAX_CIDS_WANT)]
Cids: TypeAlias = Annotated[tuple[WireCid, ...], msgspec.Meta(min_length=1, max_length=MAX_CIDS_DIRECT)]


class _Wire(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """Base of all messages and their parts: immutable, encoded as arrays. New fields come last, with a default."""


# ── intents: one to many ────────────────────────────────────────────────────────────────────────


class Want(_Wire, tag="want", frozen=True, kw_only=True):
    """The body of an intent: its origin wants these objects (by their roots) or single chunks."""

    cids: WantedCids
    retry: bool = False


class Announced(_Wire, frozen=True, kw_only=True):
    """A further object in an announcement. `size`: bytes."""

    root: WireCid
    size: Size
    name: Name | None = None


class Have(_Wire, tag="have", frozen=True, kw_only=True):
    """The body of an intent: other nodes can now ask its origin for this object, and for those in `more`.

    A version before 0.3 reads only the first object.
    """

    root: WireCid
    size: Size
    name: Name | None = None
    more: Annotated[tuple[Announced, ...], msgspec.Meta(max_length=MAX_MORE_HAVES)] = ()

    @property
    def objects(self) -> tuple[Announced, ...]:
        """All objects that this announces."""
        return (Announced(root=self.root, size=self.size, name=self.name), *self.more)


class Custom(_Wire, tag="custom", frozen=True, kw_only=True):
    """A message whose kind a program defines, not this protocol. It goes to all nodes as an intent, or to one peer."""

    kind: Kind
    payload: Annotated[bytes, msgspec.Meta(max_length=MAX_PAYLOAD_CUSTOM)] = b""


class Hold(_Wire, tag="hold", frozen=True, kw_only=True):
    """The body of an intent: its origin asks other nodes to keep replicas of an object.

    A peer that has space for a replica answers `can_hold`. The origin then sends `keep` to as many of these
    peers as it needs.
    """

    root: WireCid
    size: Size
    """Bytes of content, as far as the origin knows. A keeper counts for itself."""
    replicas: Annotated[int, msgspec.Meta(ge=1, le=MAX_REPLICAS)]
    """How many are lacking."""
    name: Name | None = None


IntentBody: TypeAlias = Want | Have | Hold | Custom


class Intent(_Wire, frozen=True, kw_only=True):
    """A message to many nodes, before it is encoded and signed: its origin, when it expires, and its body."""

    origin: WirePeer
    nonce: Annotated[bytes, msgspec.Meta(min_length=8, max_length=16)]
    """Random. Together with the origin it identifies this push, so that copies are recognised."""
    expires: Annotated[float, msgspec.Meta(ge=0, le=MAX_TIME)]
    """Seconds since 1970 by the origin's clock."""
    body: IntentBody
    addrs: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=MAX_ADDR)], ...], msgspec.Meta(max_length=MAX_ADDRS)
    ] = ()
    """Where a holder that is not connected to the origin can dial it."""


class SealedIntent(_Wire, tag="intent", frozen=True, kw_only=True):
    """A signed intent: the encoded bytes, and the Ed25519 signature of its origin over these bytes."""

    signed: Annotated[bytes, msgspec.Meta(max_length=MAX_SIGNED)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


# ── direct: one to one ──────────────────────────────────────────────────────────────────────────


class Chunk(_Wire, tag="chunk", frozen=True, kw_only=True):
    """The header of a frame that carries a chunk. The chunk's bytes follow as the frame's payload."""

    cid: WireCid


class StatusNo(_Wire, tag="status_no", frozen=True, kw_only=True):
    """A NO: the sender refuses for now to send these chunks, or to keep replicas of them.

    `retry_after`: seconds after which the receiver may ask again; None: waiting does not help.
    """

    cids: Cids
    reason: Reason
    has_it: bool
    retry_after: Seconds | None = None
    text: Text = ""
    about: Asked = "want"
    """What was asked: to send these chunks, or to keep replicas of them. A NO to a custom message also says
    "want", and names the message (core/custom/outbox.py)."""


class StatusYesButLater(_Wire, tag="status_yes_but_later", frozen=True, kw_only=True):
    """An offer: the sender has these objects or chunks, and waits to be told which chunks to send.

    `eta`: seconds until the sender could begin.
    """

    cids: Cids
    eta: Seconds
    queue_bytes: Size
    """Bytes in the holder's queues that are sent before the requester's."""
    name: Name | None = None
    size: Size | None = None
    """The size of the object, if one root is offered and the holder knows its size."""
    have: Size | None = None
    """Blocks of the object that the holder has; None: all."""
    part: Annotated[bytes, msgspec.Meta(max_length=MAX_PART)] | None = None
    """If `have` is not all: a bitmap over the object's block CIDs, sorted as text
    (core/fetching/downloads/peer_bitmaps.py). None: the holder has all of it, whatever `have` says."""


class Error(_Wire, tag="error", frozen=True, kw_only=True):
    """A report: something failed at the sender. `cids`: the chunks that it concerns; empty: none in particular."""

    text: Text
    cids: Annotated[tuple[WireCid, ...], msgspec.Meta(max_length=MAX_CIDS_DIRECT)] = ()


class Grant(_Wire, tag="grant", frozen=True, kw_only=True):
    """The requester tells one holder to send these chunks, in this order.

    After `ttl` seconds, the requester may ask another holder for the chunks that did not come.
    """

    cids: Cids
    ttl: Seconds


class Cancel(_Wire, tag="cancel", frozen=True, kw_only=True):
    """The requester no longer wants these chunks, for which it sent a grant. The holder must not send them."""

    cids: Cids
    confirm: bool = False
    """Whether the holder is to answer with `Cancelled`."""


class Cancelled(_Wire, tag="cancelled", frozen=True, kw_only=True):
    """The answer to a cancel: these chunks were granted, and the holder will not send them.

    Of the cancelled chunks, those that are missing here had already left, or are being sent.
    """

    cids: Cids


class Route(_Wire, tag="route", frozen=True, kw_only=True):
    """An intent that travels through the DHT: to the nodes closest to the wanted root, then to the root's providers.

    A node that receives the intent may answer the intent's origin, as with any intent. While `hops` is above 0, the
    node also forwards the intent.
    """

    intent: SealedIntent
    hops: Annotated[int, msgspec.Meta(ge=0, le=MAX_HOPS)] = 0


class CanHold(_Wire, tag="can_hold", frozen=True, kw_only=True):
    """An answer to `hold`: the sender has space for a replica, or has the object. It keeps nothing before a `keep`."""

    root: WireCid
    whole: bool = False
    """The sender has all of it already."""


class Keep(_Wire, tag="keep", frozen=True, kw_only=True):
    """The origin tells one peer to keep a replica, and to fetch it from any holder. The peer answers `held` or a NO."""

    root: WireCid
    size: Size
    name: Name | None = None


class Held(_Wire, tag="held", frozen=True, kw_only=True):
    """A keeper tells the origin how much it has of these objects (`how`). It agreed to keep a replica of each.

    The keeper sends this whenever `how` changes, and when the two nodes connect.
    """

    cids: Cids
    how: HeldHow
    reason: Reason | None = None
    """The reason, if the replica is gone."""


class Release(_Wire, tag="release", frozen=True, kw_only=True):
    """The origin tells a keeper that it no longer needs these replicas."""

    cids: Cids


Message: TypeAlias = (
    Chunk
    | StatusNo
    | StatusYesButLater
    | Error
    | Grant
    | Cancel
    | Cancelled
    | CanHold
    | Keep
    | Held
    | Release
    | Custom
    | SealedIntent
    | Route
)

MESSAGE_TYPES: tuple[type[Message], ...] = get_args(Message)

DirectKind: TypeAlias = Literal[
    "chunk",
    "status_no",
    "status_yes_but_later",
    "error",
    "grant",
    "cancel",
    "cancelled",
    "can_hold",
    "keep",
    "held",
    "release",
    "custom",
    "intent",
    "route",
]
