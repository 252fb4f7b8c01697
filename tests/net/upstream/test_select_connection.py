"""Which connection a new stream is opened on, and how a peer says that it does not know a protocol."""

from types import SimpleNamespace
from typing import Any

import pytest
from libp2p.connection_types import ConnectionType
from libp2p.custom_types import TProtocol
from libp2p.host.exceptions import StreamFailure
from libp2p.network.exceptions import SwarmException
from libp2p.protocol_muxer.exceptions import MultiselectClientError

from flux_tui.net.upstream.select_connection import is_foreign, on_connection, prefer_newest
from tests.support.hosts import plain_host, two_plain_hosts


class Connection:
    """A connection with so many streams."""

    def __init__(self, streams: int, kind: ConnectionType = ConnectionType.DIRECT) -> None:
        self.muxed_conn: Any = SimpleNamespace(get_connection_type=lambda: kind)
        self._streams = [object()] * streams
        self.get_connection_type = self.muxed_conn.get_connection_type

    def get_streams(self) -> list[object]:
        return self._streams


OLD, NEW, RELAYED = Connection(5), Connection(1), Connection(9, ConnectionType.RELAYED)


def test_libp2p_still_prefers_the_connection_with_the_most_streams() -> None:
    """If this fails, libp2p may prefer the newest connection: `prefer_newest` may not be needed."""
    swarm = plain_host(1).get_network()
    assert swarm._select_connection([OLD, NEW], None) is OLD


def test_the_newest_direct_connection_is_used_unless_another_one_was_asked_for() -> None:
    swarm: Any = SimpleNamespace()
    prefer_newest(swarm)
    assert swarm._select_connection([OLD, NEW, RELAYED], None) is NEW
    assert swarm._select_connection([RELAYED], None) is RELAYED
    with on_connection(OLD.muxed_conn):
        assert swarm._select_connection([OLD, NEW], None) is OLD
        assert swarm._select_connection([NEW], None) is NEW, "the one that was asked for is gone"
    assert swarm._select_connection([OLD, NEW], None) is NEW


async def test_libp2p_still_says_in_words_only_that_a_protocol_is_not_known() -> None:
    """If this fails, libp2p raises a class of its own for it: `is_foreign` can look for that."""
    async with two_plain_hosts() as (one, other):
        with pytest.raises(StreamFailure) as caught:
            await one.new_stream(other.get_id(), [TProtocol("/nobody/speaks/this")])
    assert is_foreign(caught.value)
    cause = caught.value.__cause__
    assert type(cause) is MultiselectClientError


def test_other_failures_do_not_say_that_a_protocol_is_not_known() -> None:
    assert not is_foreign(SwarmException("not supported"))
    assert not is_foreign(MultiselectClientError("response timed out after 10s, protocols tried: [...]"))
    error = MultiselectClientError("it caused itself")
    error.__cause__ = error
    assert not is_foreign(error)
