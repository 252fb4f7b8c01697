"""Which of a peer's connections a new stream is opened on: the one that is asked for, else the newest.

For libp2p 0.8.1. `host.new_stream(peer)` takes the connection with most streams. After a peer has moved, that is the
old one, which is dead and does not know it.

A direct connection is still preferred to a relayed one, as by libp2p.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from libp2p.abc import IMuxedConn, INetConn
from libp2p.connection_types import ConnectionType
from libp2p.protocol_muxer.exceptions import MultiselectClientError

UNKNOWN = "not supported"
"""What libp2p's error says when a peer has none of the protocols that it was asked for."""

_wanted: ContextVar[IMuxedConn | None] = ContextVar("_wanted", default=None)


@contextmanager
def on_connection(connection: IMuxedConn | None) -> Iterator[None]:
    """Streams that this task opens meanwhile are opened on this connection, as long as it is there."""
    before = _wanted.set(connection)
    try:
        yield
    finally:
        _wanted.reset(before)


def prefer_newest(swarm: Any) -> None:
    """In the place of a swarm's own choice."""

    def select(connections: Sequence[INetConn], peer: object) -> INetConn:
        wanted = _wanted.get()
        for connection in connections:
            if connection.muxed_conn is wanted:
                return connection
        return max(enumerate(connections), key=lambda one: (not is_relayed(one[1]), one[0]))[1]

    swarm._select_connection = select


def is_foreign(error: BaseException) -> bool:
    """Whether a stream was not opened because the peer says that it does not know the protocol."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return False
        if isinstance(seen, MultiselectClientError) and UNKNOWN in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def is_relayed(connection: INetConn) -> bool:
    """Whether a connection goes through a relay."""
    kind = getattr(connection.muxed_conn, "get_connection_type", lambda: ConnectionType.DIRECT)
    return bool(kind() == ConnectionType.RELAYED)
