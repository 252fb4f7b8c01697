"""The base of all events, and the event for kinds that this version does not know."""

import msgspec


class EventBase(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag_field="event"):
    """Base of all events: immutable, compared by value, stored as a msgpack array [tag, fields…]."""


class Unknown(EventBase, tag="unknown", frozen=True, kw_only=True):
    """An entry that a newer version wrote. It is stored and shown, and the fold ignores it."""

    kind: str
    body: bytes
