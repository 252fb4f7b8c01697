"""Identifies a peer again on each new connection. For libp2p 0.8.x.

Replaces `_has_cached_protocols` of the host, and adds to `_on_notifee_disconnected`.

What libp2p 0.8.1 does: a peer that was identified once is not identified when it connects again, because its protocols
are remembered. Even without that memory: it learns of the end of a connection about 0.2 s late. A new connection that
opens before that is not identified, because the peer still counts as identified. Then the peer is forgotten.

Why that is not enough: what a peer tells after a restart is never heard. A peer also tells at which address it sees
this node. After the router got a new address, this node went on telling the old one, so no hole could be punched.

Here each peer is identified again after its connection was closed, at once if it has another connection by then.

Upstream: no issue is known. Test: tests/net/upstream/identify/test_identify_again.py; those of its tests that begin
with `test_libp2p_still` show what libp2p does, and fail when upstream changes.
"""

from typing import Any

from libp2p.abc import INetConn


def identify_again(host: Any) -> None:
    """Make a host identify a peer on each new connection. `host`: libp2p's `BasicHost`."""
    forget = host._on_notifee_disconnected

    def forget_and_identify(conn: INetConn) -> None:
        forget(conn)
        peer = conn.muxed_conn.peer_id
        if any(not one.is_closed for one in host.get_network().connections.get(peer, ())):
            host._schedule_identify(peer, reason="another connection")

    host._on_notifee_disconnected = forget_and_identify
    host._has_cached_protocols = host._identified_peers.__contains__
