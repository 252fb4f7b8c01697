"""Links to peers that speak Bitswap, as the receiver of the network sees them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from flux_tui.core.ids import Cid, cid_bytes, dag_cid, raw_cid
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.net.bitswap import link, links, message_reader
from flux_tui.net.bitswap.messages import MAX_MESSAGE, BitswapMessage, Block, Entry, Presence, encode_length
from flux_tui.net.port import LoadedChunk
from flux_tui.net.upstream import guarded_yamux
from tests.support.bitswap_peer import V100, V110, V120, BitswapPeer, bitswap_peer, block_message
from tests.support.hosts import id_of
from tests.support.members import member
from tests.support.networks import Node

LEAF, NODE = raw_cid(b"leaf"), dag_cid(b"node")
V0 = cid_bytes(NODE)[2:]
BIG = os.urandom(2 * 1024 * 1024)


def want(origin: Node, *cids: Cid) -> msg.SealedIntent:
    intent = msg.Intent(origin=origin.id, nonce=os.urandom(12), expires=60, body=msg.Want(cids=cids))
    return msg.SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))


def grant(*cids: Cid) -> msg.Grant:
    return msg.Grant(cids=cids, ttl=60.0)


@asynccontextmanager
async def linked(versions: tuple[str, ...] = link.VERSIONS) -> AsyncIterator[tuple[Node, BitswapPeer]]:
    """Yield a node that has dialled a peer that speaks Bitswap, and the peer."""
    async with member(1, bitswap_peers=4) as node, bitswap_peer(versions=versions) as peer:
        node.network.dial(peer.addr)
        await node.seen.up(peer.id)
        yield node, peer


async def test_a_want_is_a_want_have_and_its_answers_are_a_yes_and_a_no() -> None:
    async with linked() as (node, peer):
        assert node.network.peers() == (peer.id,)
        assert node.network.push(peer.id, want(node, LEAF, NODE))
        await peer.until(lambda: len(peer.entries) == 2)
        assert all(entry.have and entry.tells for entry in peer.entries)
        await peer.say(node.id, Presence(cid_bytes(LEAF), have=True), Presence(cid_bytes(NODE), have=False))
        await node.seen.until(lambda: len(node.seen.messages) == 2)
        assert node.seen.messages == [
            msg.StatusYesButLater(cids=(LEAF,), eta=0.0, queue_bytes=0),
            msg.StatusNo(cids=(NODE,), reason="not_held", has_it=False),
        ]


async def test_a_grant_is_a_want_block_and_a_block_is_a_chunk() -> None:
    async with linked() as (node, peer):
        node.network.push(peer.id, grant(raw_cid(BIG), NODE))
        await peer.until(lambda: len(peer.entries) == 2)
        assert not any(entry.have for entry in peer.entries)
        assert peer.entries[0].priority > peer.entries[1].priority
        await peer.give(node.id, (raw_cid(BIG), BIG), (NODE, b"node"))
        await node.seen.until(lambda: len(node.seen.payloads) == 2)
        assert node.seen.payloads == {raw_cid(BIG): BIG, NODE: b"node"}
        node.network.push(peer.id, grant(LEAF))
        node.network.push(peer.id, msg.Cancel(cids=(LEAF,)))
        await peer.until(lambda: peer.entries[-1].cancel)
        await peer.say(node.id, Presence(cid_bytes(LEAF), have=False))
        node.network.push(peer.id, grant(NODE))
        await peer.until(lambda: len(peer.entries) == 4)
        await peer.say(node.id, Presence(cid_bytes(NODE), have=False))
        await node.seen.until(lambda: node.seen.messages)
        assert node.seen.messages == [msg.StatusNo(cids=(NODE,), reason="not_held", has_it=False)]


async def test_blocks_that_nobody_asked_for_are_passed_over() -> None:
    async with linked() as (node, peer):
        node.network.push(peer.id, grant(LEAF))
        node.seen.unwanted |= {NODE, raw_cid(b"wrong")}
        wrong = block_message((LEAF, b"wrong"))  # its hash is not that of the leaf
        await peer.send(node.id, wrong)
        await peer.send(node.id, block_message((NODE, b"node")))
        await peer.send(node.id, b"\x0e\x1a\x0c\x0a\x04\x01\x55\x13\x40\x12\x04leaf")  # of sha2-512
        await peer.send(node.id, block_message((LEAF, b"leaf")))
        await node.seen.until(lambda: node.seen.payloads)
        assert node.seen.payloads == {LEAF: b"leaf"}
        assert peer.id in node.network.peers()


async def test_a_block_in_place_of_a_have_is_a_yes_and_waits_for_its_grant() -> None:
    async with linked() as (node, peer):
        node.network.push(peer.id, want(node, LEAF))
        await peer.until(lambda: peer.entries)
        await peer.give(node.id, (LEAF, b"leaf"))
        await node.seen.until(lambda: node.seen.messages)
        assert node.seen.messages == [msg.StatusYesButLater(cids=(LEAF,), eta=0.0, queue_bytes=0)]
        assert not node.seen.payloads
        node.network.push(peer.id, grant(LEAF))
        await node.seen.until(lambda: node.seen.payloads)
        assert len(peer.entries) == 1, "the block is not asked for again"


async def test_a_peer_that_dials_is_served_what_it_wants_in_its_own_form() -> None:
    async with member(1, bitswap_peers=4) as node, bitswap_peer() as peer:
        await peer.dial(node.addr)
        await peer.want(
            node.id, Entry(V0, have=True, tells=True), Entry(cid_bytes(LEAF)), Entry(V0, cancel=True)
        )
        await node.seen.until(lambda: node.seen.messages)
        assert node.seen.links == [("up", peer.id)]
        assert node.seen.messages == [msg.Cancel(cids=(NODE,)), grant(LEAF)]
        await peer.want(node.id, Entry(V0, have=True, tells=True))
        await node.seen.until(lambda: node.seen.wants)
        assert node.seen.wants == [(peer.id, msg.Want(cids=(NODE,)))]
        node.network.push(peer.id, msg.StatusYesButLater(cids=(NODE,), eta=0.0, queue_bytes=0))
        await peer.until(lambda: peer.presences)
        assert peer.presences == [Presence(V0, have=True)]
        await peer.want(node.id, Entry(V0))
        await node.seen.until(lambda: len(node.seen.messages) == 3)
        node.serve(peer.id, LoadedChunk(LEAF, b"leaf"), LoadedChunk(NODE, b"node"))
        node.serve(peer.id, LoadedChunk(raw_cid(BIG), BIG))
        await peer.until(lambda: len(peer.blocks) == 3)
        assert peer.blocks == [Block(b"leaf", True), Block(b"node", False), Block(BIG, True)]
        await node.seen.until(lambda: len(node.seen.sent) == 2)
        assert node.seen.sent == [((LEAF, NODE), 8), ((raw_cid(BIG),), len(BIG))]
        assert peer.protocols == [V120], "one stream for all that"


async def test_what_a_peer_wants_of_an_object_is_asked_again_when_it_is_here() -> None:
    async with member(1, bitswap_peers=4) as node, bitswap_peer() as peer:
        await peer.dial(node.addr)
        await peer.want(node.id, Entry(cid_bytes(NODE), have=True))
        await node.seen.until(lambda: node.seen.wants)
        node.network.push(peer.id, msg.StatusNo(cids=(NODE,), reason="not_held", has_it=False))
        have = msg.Intent(origin=node.id, nonce=bytes(12), expires=60, body=msg.Have(root=NODE, size=4))
        node.network.push(peer.id, msg.SealedIntent(signed=codec.encode_intent(have), signature=bytes(64)))
        await node.seen.until(lambda: len(node.seen.wants) == 2)


async def test_a_no_with_a_time_is_put_to_the_core_again() -> None:
    async with member(1, bitswap_peers=4) as node, bitswap_peer() as peer:
        await peer.dial(node.addr)
        await peer.want(node.id, Entry(cid_bytes(LEAF), tells=True))
        await node.seen.until(lambda: node.seen.messages)
        node.network.push(peer.id, msg.StatusNo(cids=(LEAF,), reason="busy", has_it=True, retry_after=0.3))
        await node.seen.until(lambda: len(node.seen.messages) == 2)
        assert node.seen.messages == [grant(LEAF), grant(LEAF)]
        assert not peer.presences


@pytest.mark.parametrize("version", [V110, V100])
async def test_the_older_versions_are_spoken_with_whoever_speaks_only_them(version: str) -> None:
    async with linked((version,)) as (node, peer):
        node.network.push(peer.id, want(node, LEAF))
        await peer.until(lambda: peer.entries)
        assert peer.entries[0] == Entry(cid_bytes(LEAF), peer.entries[0].priority), "it knows no HAVE"
        await peer.send(node.id, block_message((LEAF, b"leaf"), old=version == V100))
        await node.seen.until(lambda: node.seen.messages)
        node.network.push(peer.id, grant(LEAF))
        await node.seen.until(lambda: node.seen.payloads)
        await peer.want(node.id, Entry(V0))
        await node.seen.until(lambda: len(node.seen.messages) == 2)
        node.network.push(peer.id, msg.StatusNo(cids=(LEAF,), reason="not_held", has_it=False))
        node.serve(peer.id, LoadedChunk(NODE, b"node"))
        await peer.until(lambda: peer.blocks)
        assert peer.blocks == [Block(b"node", None if version == V100 else False)]
        assert not peer.presences
        assert set(peer.protocols) == {version}


@pytest.mark.parametrize(
    "data",
    [
        b"\x02\x0a\x7f",
        encode_length(MAX_MESSAGE + 1),
        b"\xff" * 9,
        encode_length(1_200_003) + b"\x0a\x80\x9f\x49" + b"\x0a\x00" * 599_999 + b"\x00",
    ],
    ids=["not-protobuf", "too-long", "no-length", "a-million-entries"],
)
async def test_garbage_costs_a_peer_its_connection(data: bytes) -> None:
    async with linked() as (node, peer):
        await peer.send(node.id, data)
        await node.seen.down(peer.id)
        assert [(who, fault) for who, fault, _ in node.seen.faults] == [(peer.id, "garbage")]
        assert not node.network.push(peer.id, grant(LEAF))


async def test_a_message_that_does_not_come_ends_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_reader, "PAUSE_SECONDS", 0.2)
    async with linked() as (node, peer):
        stream = await peer.host.new_stream(id_of(node), [link.V120])
        await stream.write(encode_length(100_000) + bytes(10))
        await node.seen.down(peer.id)
        assert [fault for _, fault, _ in node.seen.faults] == ["slow"]


async def test_a_stream_that_ends_within_a_message_costs_only_the_message() -> None:
    async with linked() as (node, peer):
        await peer.send(node.id, encode_length(50) + b"half")
        node.network.push(peer.id, grant(LEAF))
        await peer.give(node.id, (LEAF, b"leaf"))
        await node.seen.until(lambda: node.seen.payloads)
        assert not node.seen.faults


async def test_a_link_lasts_as_long_as_the_connection() -> None:
    async with linked() as (node, peer):
        await peer.host.get_network().close_peer(id_of(node))
        await node.seen.down(peer.id)
        await peer.dial(node.addr)
        await peer.want(node.id, Entry(cid_bytes(LEAF)))
        await node.seen.up(peer.id)


async def test_an_idle_stream_is_closed_and_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "IDLE_SECONDS", 0.1)
    async with linked() as (node, peer):
        for number in range(2):
            node.network.push(peer.id, grant(raw_cid(bytes([number]))))
            await peer.until(lambda: peer.closed > number)  # noqa: B023
        assert len(peer.protocols) == 2
        assert node.seen.latest(peer.id) == "up"


async def test_only_so_many_peers_have_a_link_and_an_idle_one_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with (
        member(1, bitswap_peers=1) as node,
        bitswap_peer(90) as first,
        bitswap_peer(91) as second,
    ):
        for peer in (first, second):
            await peer.dial(node.addr)
            with suppress(Exception):  # its stream is reset
                await peer.want(node.id, Entry(cid_bytes(LEAF)))
            await node.seen.up(first.id)
        assert node.network.peers() == (first.id,)
        monkeypatch.setattr(links, "STRANGER_SECONDS", 0.0)
        with trio.fail_after(15):
            while node.seen.latest(second.id) != "up":
                with suppress(Exception):
                    await second.want(node.id, Entry(cid_bytes(LEAF)))
                await trio.sleep(0.05)
        assert node.seen.latest(first.id) == "down"


async def test_without_bitswap_such_a_peer_is_foreign() -> None:
    async with member(1) as node, bitswap_peer() as peer:
        node.network.dial(peer.addr)
        await node.seen.until(lambda: node.seen.failed)
        assert "--bitswap speaks with it" in node.seen.failed[0][1]


async def test_two_nodes_that_speak_both_use_their_own_protocol() -> None:
    async with member(1, bitswap_peers=4) as one, member(2, bitswap_peers=4) as other:
        one.network.dial(other.addr)
        await one.seen.up(other.id)
        await other.seen.up(one.id)
        assert one.network.push(other.id, msg.Keep(root=NODE, size=4)), "Bitswap has no word for it"
        await other.seen.until(lambda: other.seen.messages)


async def test_a_disconnected_peer_is_refused() -> None:
    async with linked() as (node, peer):
        node.network.disconnect(peer.id, "enough")
        await node.seen.down(peer.id)
        assert node.seen.whys == ["enough"]


async def test_a_peer_that_opens_a_stream_for_each_block_is_not_slowed_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Kubo and Helia do so. Streams that are of no use are accepted at a limited rate."""
    monkeypatch.setattr(guarded_yamux, "STREAM_BURST", 16.0)
    monkeypatch.setattr(guarded_yamux, "STREAM_RATE", 0.01)
    async with linked() as (node, peer):
        for number in range(40):
            cid = raw_cid(b"%d" % number)
            node.network.push(peer.id, grant(cid))
            await peer.give(node.id, (cid, b"%d" % number))
            await node.seen.until(lambda: cid in node.seen.payloads)  # noqa: B023


async def test_messages_of_several_streams_wait_until_the_peer_takes_what_there_is_to_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link, "MAX_UNSENT", 0)
    unknown = Entry(b"\x01\x55\x13\x40" + bytes(64), have=True, tells=True)
    async with member(1, bitswap_peers=4) as node:
        told = link.BitswapLink(node.id, node.seen, None, "direct")  # type: ignore[arg-type]
        told._theirs.presences.append(Presence(unknown.cid, have=False))
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(told._came, BitswapMessage([unknown]), 80)
                await trio.testing.wait_all_tasks_blocked()
                assert len(nursery.child_tasks) == 3
                told._theirs.presences.clear()
                told._sent.set()
