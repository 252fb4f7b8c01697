"""What all events have in common, and the one for what this version does not know."""

import msgspec


class EventBase(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag_field="event"):
    """Base of all events: immutable, compared by value, stored as a msgpack array [tag, fields…]."""


class Unknown(EventBase, tag="unknown", frozen=True, kw_only=True):
    """An entry written by a newer version; kept, shown, and folded to nothing."""

    kind: str
    body: bytes
