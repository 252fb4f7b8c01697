"""The base class of all events, and the event for kinds that this version does not know."""

import msgspec


class EventBase(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag_field="event"):
    """Base class of all events: immutable, compared by value, stored as a msgpack array [tag, fields…]."""


class Unknown(EventBase, tag="unknown", frozen=True, kw_only=True):
    """An event of a newer version. It is stored and shown, but the fold ignores it."""

    kind: str
    body: bytes
