"""What nodes tell each other about peers, over libp2p: by a protocol of its own, which old nodes do not speak."""

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID

from flux_tui.core.wire.exchange import MAX_TOLD
from flux_tui.net.discovery.peer_exchange import PEERS
from tests.support.hosts import host_of, id_of
from tests.support.networks import Loopback, Node, connect, node, settled, words


async def test_a_message_about_peers_arrives_whole() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        for data in (b"x", bytes(MAX_TOLD)):
            a.network.tell(b.id, data)
            await b.seen.until(lambda: b.seen.told)
            assert b.seen.told.pop() == (a.id, data)


async def test_a_longer_message_is_a_fault() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        a.network.tell(b.id, bytes(MAX_TOLD * 3))
        await b.seen.until(lambda: b.seen.faults)
        assert b.seen.faults == [
            (a.id, "garbage", f"{MAX_TOLD * 3} bytes about peers, the limit is {MAX_TOLD}")
        ]
        assert not b.seen.told


async def test_nobody_is_dialled_to_be_told() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        host_of(a).get_peerstore().add_addrs(id_of(b), host_of(b).get_addrs(), 60)
        a.network.tell(b.id, b"x")
        await settled()
        assert not host_of(a).get_network().connections.get(id_of(b))
        assert not b.seen.told


async def test_a_node_of_an_earlier_version_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as old:
        host_of(old).remove_stream_handler(PEERS)
        await connect(a, old)
        asked: list[TProtocol] = []
        new_stream = host_of(a).new_stream

        async def noting(peer: ID, protocols: list[TProtocol]) -> object:
            asked.extend(protocols)
            return await new_stream(peer, protocols)

        monkeypatch.setattr(host_of(a), "new_stream", noting)
        for _ in range(3):
            a.network.tell(old.id, b"x")
            await until_told(a, old)
        assert asked.count(PEERS) == 1, "it is not asked again"
        a.network.push(old.id, words(1))
        await old.seen.until(lambda: old.seen.messages)
        assert not old.seen.unknown
        assert not old.seen.faults


async def until_told(a: Node, old: Node) -> None:
    exchange = a.network._exchange  # type: ignore[attr-defined]
    with trio.fail_after(5):
        while not exchange._foreign.get(old.id):  # noqa: ASYNC110 - nothing wakes for it
            await trio.sleep(0.01)
