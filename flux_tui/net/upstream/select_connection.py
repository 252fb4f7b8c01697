"""Opens a new stream on the connection that the caller names, else on the peer's newest. For libp2p 0.8.x.

Replaces `_select_connection` of the swarm.

What libp2p 0.8.1 does: `host.new_stream(peer)` takes the connection with the most streams. None of its
strategies (`ConnectionConfig.load_balancing_strategy`) takes the newest one, or one that the caller names.

Why that is not enough: after a peer has moved to another network, the connection with the most streams is the old
one. It is dead, and nothing has noticed that yet. As in libp2p, a direct connection is preferred to a relayed one.

Upstream: #1121 added the strategies; no issue about a dead connection is known.
Tests: tests/net/upstream/test_select_connection.py fails when upstream changes. In
tests/net/connections/test_keepalive.py, a peer with a dead link is not reached again without this module.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from libp2p.abc import IMuxedConn, INetConn
from libp2p.connection_types import ConnectionType
from libp2p.protocol_muxer.exceptions import MultiselectClientError

from flux_tui.core.vocabulary import Way

UNKNOWN = "protocols not supported"
"""How libp2p's error begins when a peer speaks none of the protocols that it was asked for.

libp2p 0.8.1 has a class for it, `ProtocolNotSupportedError`, but raises its base class without it as a cause, so the
words are all there is. tests/net/upstream/test_select_connection.py holds them to the installed version.
"""

_wanted: ContextVar[IMuxedConn | None] = ContextVar("_wanted", default=None)


@contextmanager
def on_connection(connection: IMuxedConn | None) -> Iterator[None]:
    """While this context lasts, the task opens its streams on this connection, if it is still open.

    Otherwise, or with None, `prefer_newest` says on which connection.
    """
    before = _wanted.set(connection)
    try:
        yield
    finally:
        _wanted.reset(before)


def prefer_newest(swarm: Any) -> None:
    """Change a swarm so that a new stream uses the connection that `on_connection` names.

    If it names none, or that one is closed: the peer's newest direct connection; if there is none, its newest
    relayed one.
    """

    def select(connections: Sequence[INetConn], peer: object) -> INetConn:
        wanted = _wanted.get()
        for connection in connections:
            if connection.muxed_conn is wanted:
                return connection
        return max(enumerate(connections), key=lambda one: (not is_relayed(one[1]), one[0]))[1]

    swarm._select_connection = select


def is_foreign(error: BaseException) -> bool:
    """Whether a stream could not be opened because the peer does not know the protocol."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return False
        if isinstance(seen, MultiselectClientError) and str(seen).startswith(UNKNOWN):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def is_relayed(connection: INetConn) -> bool:
    """Whether a connection goes through a relay."""
    return way_of(connection.muxed_conn) == "relayed"


def way_of(connection: IMuxedConn) -> Way:
    """Return how a connection reaches its peer: `relayed`, `punched` (direct, by hole punching), or `direct`."""
    kind = getattr(connection, "get_connection_type", lambda: ConnectionType.DIRECT)
    if kind() == ConnectionType.RELAYED:
        return "relayed"
    return "punched" if getattr(connection, "punched", False) else "direct"
