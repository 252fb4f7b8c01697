"""The events of a series: a closed union of facts, in the past tense.

Rules:

- An event is a fact that has happened. It carries everything that the fold needs. The fold asks no clock.
- A tag (the name that a person sees in `series` and filters by) is never reused. Fields are stored by
  position: a new field goes last and has a default, and no field is removed.
- An old reader shows an event that it does not know as `Unknown`, and goes on.
- Lists of CIDs are batched: one entry records everything that one act did.

Each family of events has a module of its own, with a base class and a union of its members. Here all of them
are one union, and only this module encodes and decodes it. To add an event, add a class to its family's module,
and its name to the family's union. mypy then reports each place that must handle the event.

Times are seconds since 1970 (float), sizes are bytes, durations are seconds.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeAlias, get_args

import msgspec
from typing_extensions import TypeVar

from flux_tui.core.series.events.base import EventBase, Unknown
from flux_tui.core.series.events.content import (
    AddCancelled,
    AddProgressed,
    ChunksLost,
    ContentBase,
    ContentEvent,
    ObjectAdded,
    ObjectCompleted,
    ObjectDiscarded,
    ObjectFreed,
    ObjectMapped,
    ObjectRefused,
    ObjectRemoved,
)
from flux_tui.core.series.events.fetching import (
    Cancelled,
    ChunkReceived,
    ChunkWasted,
    DelayedYes,
    ErrorReceived,
    FetchingBase,
    FetchingEvent,
    Granted,
    HaveReceived,
    LeaseExtended,
    LeaseLapsed,
    PushedHave,
    PushedWant,
    RecordsProvided,
    Requested,
    RetrySet,
    StatusNo,
    WentDormant,
)
from flux_tui.core.series.events.node import (
    AddrsChanged,
    AddrsTold,
    ClockDiffers,
    ClockStepped,
    CustomReceived,
    ErrorOccurred,
    HeardNobody,
    MessagePassedOver,
    NameSuggested,
    NodeBase,
    NodeEvent,
    NodeStarted,
    NodeStopped,
    PeerConnected,
    PeerDisconnected,
    PeerFaulted,
    PeerMoved,
    PolicyChanged,
    PushedCustom,
    SeriesPruned,
    TriedAddr,
)
from flux_tui.core.series.events.replication import (
    CanHold,
    HoldRequested,
    KeepReceived,
    OfferedHold,
    PushedHold,
    PushedKeep,
    Released,
    ReleaseReceived,
    ReplicaAdopted,
    ReplicaDropped,
    ReplicaEvicted,
    ReplicaHeld,
    ReplicaLost,
    ReplicationBase,
    ReplicationEvent,
    ReplicaWanted,
)
from flux_tui.core.series.events.serving import (
    AnsweredLater,
    AnsweredNo,
    CancelReceived,
    ChunksSent,
    GrantReceived,
    IntentReceived,
    ServingBase,
    ServingEvent,
)
from flux_tui.core.vocabulary import (
    REASONS,
    WASTES,
    About,
    DropCause,
    ErrorCode,
    HeldHow,
    LapseCause,
    LossCause,
    Reason,
    RetryCause,
    Speaks,
    Via,
    Waste,
    Way,
)

__all__ = [
    "EVENT_KINDS",
    "EVENT_TYPES",
    "REASONS",
    "WASTES",
    "About",
    "AddCancelled",
    "AddProgressed",
    "AddrsChanged",
    "AddrsTold",
    "AnsweredLater",
    "AnsweredNo",
    "CanHold",
    "CancelReceived",
    "Cancelled",
    "ChunkReceived",
    "ChunkWasted",
    "ChunksLost",
    "ChunksSent",
    "ClockDiffers",
    "ClockStepped",
    "ContentBase",
    "ContentEvent",
    "CustomReceived",
    "DelayedYes",
    "DropCause",
    "Entry",
    "ErrorCode",
    "ErrorOccurred",
    "ErrorReceived",
    "Event",
    "EventBase",
    "FetchingBase",
    "FetchingEvent",
    "GrantReceived",
    "Granted",
    "HaveReceived",
    "HeardNobody",
    "HeldHow",
    "HoldRequested",
    "IntentReceived",
    "KeepReceived",
    "LapseCause",
    "LeaseExtended",
    "LeaseLapsed",
    "LossCause",
    "MessagePassedOver",
    "NameSuggested",
    "NodeBase",
    "NodeEvent",
    "NodeStarted",
    "NodeStopped",
    "ObjectAdded",
    "ObjectCompleted",
    "ObjectDiscarded",
    "ObjectFreed",
    "ObjectMapped",
    "ObjectRefused",
    "ObjectRemoved",
    "OfferedHold",
    "PeerConnected",
    "PeerDisconnected",
    "PeerFaulted",
    "PeerMoved",
    "PolicyChanged",
    "PushedCustom",
    "PushedHave",
    "PushedHold",
    "PushedKeep",
    "PushedWant",
    "Reason",
    "RecordsProvided",
    "ReleaseReceived",
    "Released",
    "ReplicaAdopted",
    "ReplicaDropped",
    "ReplicaEvicted",
    "ReplicaHeld",
    "ReplicaLost",
    "ReplicaWanted",
    "ReplicationBase",
    "ReplicationEvent",
    "Requested",
    "RetryCause",
    "RetrySet",
    "Series",
    "SeriesPruned",
    "ServingBase",
    "ServingEvent",
    "Speaks",
    "StatusNo",
    "TriedAddr",
    "Unknown",
    "Via",
    "Waste",
    "Way",
    "WentDormant",
    "decode_event",
    "encode_event",
    "kind_of",
    "kind_of_type",
    "moved",
    "stored_kind",
]

Event: TypeAlias = FetchingEvent | ServingEvent | ContentEvent | NodeEvent | ReplicationEvent | Unknown

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


E = TypeVar("E", bound=EventBase, covariant=True, default=Event)


class Entry(NamedTuple, Generic[E]):
    """One entry of a series: its number (from 1, without gaps), its time, and its event.

    `Entry[StatusNo]` is an entry whose event is a `StatusNo`; `Entry` alone is one with any event.
    """

    seq: int
    at: float
    event: E


Series: TypeAlias = Sequence[Entry]


def kind_of(event: Event) -> str:
    """Return the tag of an event, such as `chunk_received`; for an `Unknown`, the tag that was stored."""
    if isinstance(event, Unknown):
        return event.kind
    return kind_of_type(type(event))


def kind_of_type(kind: type[Event]) -> str:
    """Return the tag of an event class."""
    return str(kind.__struct_config__.tag)


EVENT_KINDS: tuple[str, ...] = tuple(kind_of_type(kind) for kind in EVENT_TYPES if kind is not Unknown)
"""Every kind that this version writes."""


MOMENTS: dict[type[Event], str] = {
    PushedWant: "next_push_at",
    RetrySet: "next_push_at",
    PushedHold: "next_push_at",
    Granted: "deadline",
    LeaseExtended: "deadline",
    PushedKeep: "deadline",
}
"""Events with a point in time besides their own, and the name of that field."""


def moved(event: Event, seconds: float) -> Event:
    """Return a copy of an event whose times are `seconds` later."""
    field = MOMENTS.get(type(event))
    if field is None or not seconds:
        return event
    changed: Event = msgspec.structs.replace(event, **{field: getattr(event, field) + seconds})
    return changed


def encode_event(event: Event) -> bytes:
    """Return the bytes of an event that are stored. The bytes of an `Unknown` are those that were read."""
    return event.body if isinstance(event, Unknown) else _encoder.encode(event)


def decode_event(body: bytes) -> Event:
    """Decode the stored bytes of an event. An event that this version does not know becomes `Unknown`.

    Never raises: bytes that cannot be decoded at all become an Unknown of kind `unreadable`.
    """
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return Unknown(kind=_tag_of(body), body=body)


def stored_kind(body: bytes) -> str:
    """Return the tag of an event from its stored bytes, without decoding the event; `unreadable` if it has none."""
    if len(body) > 2 and 0x91 <= body[0] <= 0x9F and 0xA1 <= body[1] <= 0xBF:  # a short array, a short text
        tag = body[2 : 2 + (body[1] & 0x1F)]
        return _TAGS.get(tag) or _tag_of(body)
    return _tag_of(body)


_TAGS = {kind.encode(): kind for kind in EVENT_KINDS}


def _tag_of(body: bytes) -> str:
    try:
        value = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "unreadable"
    if isinstance(value, list) and value and isinstance(value[0], str):
        return value[0]
    return "unreadable"
