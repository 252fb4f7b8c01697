"""Peers of another implementation or a later version: nothing that they may do ends their connection."""

import os
from pathlib import Path

import msgpack
import pytest
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Error, Grant, StatusYesButLater
from flux_tui.net.upstream import guarded_yamux
from flux_tui.node.node import FluxNode
from tests.abuse.attacker import attacking
from tests.net.yamux_peer import YamuxPeer, yamux_peer
from tests.support.nodes_here import until
from tests.support.victims import events, linked, victim

MIB = 2**20


def later(header: object, payload: bytes = b"") -> bytes:
    """Return a frame of a later version."""
    data: bytes = msgpack.packb(header)
    return (
        (codec.VERSION << 24 | len(data)).to_bytes(4, "big")
        + len(payload).to_bytes(4, "big")
        + data
        + payload
    )


async def test_messages_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    async with victim(tmp_path) as node, attacking(node.addrs[0]) as peer:
        await linked(node, peer)
        frames = [
            later(["teleport", 1, {"to": "elsewhere"}]),
            later(["teleport"], os.urandom(100_000)),
            later(["status_no", [raw_cid(b"x")], "asleep", True]),
        ]
        for frame in frames * 3:
            await peer.send(frame)
        await peer.push(Error(text="and this is known"))
        await until(lambda: events(node, ev.ErrorReceived))
        assert peer.peer_id in node._network.peers()
        assert not events(node, ev.PeerFaulted)
        (told,) = events(node, ev.MessagePassedOver)
        assert (told.peer, told.kind, told.count) == (peer.peer_id, "teleport", 1)
        # The others are counted, and reported when the peer disconnects.
    async with FluxNode.open(tmp_path / "victim") as node:
        assert peer.peer_id in node.derive_state().peers


async def test_an_intent_of_a_later_kind_is_not_a_fault(tmp_path: Path) -> None:
    async with victim(tmp_path) as node, attacking(node.addrs[0]) as peer:
        await linked(node, peer)
        signed = msgpack.packb([peer.peer_id, os.urandom(8), 1e10, ["seek", "anything"], []])
        signature = peer.pair.private_key.sign(signed)
        await peer.send(later(["intent", signed, signature]))
        await peer.send(later(["route", ["intent", signed, signature], 1]))
        await peer.push(Error(text="and this is known"))
        await until(lambda: events(node, ev.ErrorReceived))
        assert [told.kind for told in events(node, ev.MessagePassedOver)] == ["intent seek"]
        assert not events(node, ev.PeerFaulted)


async def offered(peer: YamuxPeer, node: FluxNode, data: list[bytes]) -> int:
    """Make the node want these chunks of the peer. Return the stream to push on."""
    push = await peer.open_push()
    await until(lambda: peer.peer_id in node._network.peers())
    cids = tuple(map(raw_cid, data))
    node.push_intent(cmd.WantMany(cids))
    await peer.send(push, codec.encode_frame(StatusYesButLater(cids=cids, eta=0.0, queue_bytes=0)))
    return push


@pytest.mark.parametrize("together", [3, 6])
async def test_a_frame_of_several_mib_is_accepted(tmp_path: Path, together: int) -> None:
    """js-libp2p writes all it has as one frame, up to the granted window."""
    data = [os.urandom(MIB) for _ in range(together)]
    frames = {raw_cid(one): codec.encode_frame(Chunk(cid=raw_cid(one)), MIB) + one for one in data}
    async with victim(tmp_path) as node, yamux_peer(node.addrs[0]) as peer:
        push = await offered(peer, node, data)
        granted: list[str] = []
        with trio.fail_after(20):
            while len(granted) < together:
                grant = await peer.hears(Grant)
                assert isinstance(grant, Grant)
                granted += grant.cids
        await peer.send(push, b"".join(frames.values()))
        await until(lambda: not node.count_pending())
        assert not events(node, ev.PeerFaulted)
        assert peer.peer_id in node._network.peers()
        # The window is granted again for the bytes taken, so the peer can go on.
        await peer.until(push, 4 * MIB)
        await peer.send(push, codec.encode_frame(Error(text="x")) * 1000)
        await until(lambda: len(events(node, ev.ErrorReceived)) >= 1)


async def test_a_long_frame_on_a_slow_line_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer than a stall may last, and never stalls."""
    monkeypatch.setattr(guarded_yamux, "STALL_SECONDS", 1.0)
    data = os.urandom(MIB)
    async with victim(tmp_path) as node, yamux_peer(node.addrs[0]) as peer:
        push = await offered(peer, node, [data])
        await peer.hears(Grant)
        body = codec.encode_frame(Chunk(cid=raw_cid(data)), MIB) + data
        await peer.send(push, body, pause=0.1)
        await until(lambda: not node.count_pending())
        assert not events(node, ev.PeerFaulted)
