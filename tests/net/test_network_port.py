"""The rules of the network port, on both implementations: in memory, and libp2p over loopback.

A node here is a network and a receiver that records what it is told. Tests wait for such records, never for
time. Where nothing more may come, they wait until every task waits for another.
"""

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from flux_tui.core.ids import PeerId, dag_cid, peer_id_from_bytes
from flux_tui.core.wire.messages import Grant, Message, SealedIntent, StatusNo
from flux_tui.net.connections import dial_table
from flux_tui.net.port import QUEUE_MESSAGES, LoadedChunk, NetworkError
from flux_tui.testing import memory_network
from flux_tui.testing.memory_network import Switchboard
from tests.support.networks import (
    BOUND,
    MIB,
    Node,
    Wire,
    a_chunk,
    connect,
    node,
    routed,
    settled,
    words,
)


@asynccontextmanager
async def pair(wire: Wire) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes, connected: the first dialled the second."""
    async with node(wire, 1) as a, node(wire, 2) as b:
        await connect(a, b)
        yield a, b


def heavy(number: int) -> SealedIntent:
    """Return a message of 48 KiB."""
    return SealedIntent(signed=number.to_bytes(4, "big") * 12_000, signature=bytes(64))


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which nobody listens during the test."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# ── links ───────────────────────────────────────────────────────────────────────────────────────


async def test_both_sides_hear_once_of_a_link_and_once_of_its_end(wire: Wire) -> None:
    async with node(wire, 1) as a:
        async with node(wire, 2) as b:
            assert a.network.peers() == ()
            await connect(a, b)
            assert a.network.peers() == (b.id,)
            assert b.network.peers() == (a.id,)
            assert a.seen.addrs == [b.addr]
            assert b.seen.addrs[0].endswith(f"/p2p/{a.id}")
            a.network.dial(b.addr)  # it is connected already: no event for this one
            await settled()
        await a.seen.down(b.id)
        assert a.network.peers() == ()
        assert a.seen.links == [("up", b.id), ("down", b.id)]
        assert b.seen.links == [("up", a.id), ("down", a.id)]
        assert not a.seen.failed
        assert not a.seen.faults + b.seen.faults


@pytest.mark.parametrize("attempt", range(3))
async def test_two_nodes_that_dial_each_other_have_one_link(wire: Wire, attempt: int) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b:
        a.network.dial(b.addr)
        b.network.dial(a.addr)
        await a.seen.up(b.id)
        await b.seen.up(a.id)
        for number in range(100):
            assert a.network.push(b.id, words(number))
            assert b.network.push(a.id, words(number))
        await a.seen.until(lambda: len(a.seen.messages) == 100)
        await b.seen.until(lambda: len(b.seen.messages) == 100)
        await settled()
        assert (a.seen.links, b.seen.links) == ([("up", b.id)], [("up", a.id)])
        assert not a.seen.failed + b.seen.failed


async def test_disconnect_ends_the_link_on_both_sides_and_refuses_the_peer(wire: Wire) -> None:
    async with pair(wire) as (a, b):
        a.network.disconnect(b.id, "it sent wrong bytes again")
        await a.seen.down(b.id)
        await b.seen.down(a.id)
        assert a.seen.whys == ["it sent wrong bytes again"]
        assert b.seen.whys[0]
        assert not a.network.push(b.id, words(1))
        a.network.dial(b.addr)
        await a.seen.until(lambda: a.seen.failed)
        assert "is not dialled" in a.seen.failed[0][1]
        assert a.seen.links == [("up", b.id), ("down", b.id)]
        assert b.seen.links == [("up", a.id), ("down", a.id)]
        a.network.disconnect(b.id, "twice does no harm")
        a.network.disconnect(PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"), "nor a stranger")


async def test_a_peer_that_was_left_is_taken_again_when_a_person_names_it(wire: Wire) -> None:
    async with pair(wire) as (a, b):
        a.network.disconnect(b.id, "a person here left it", seconds=60.0, forget=True)
        await a.seen.down(b.id)
        await b.seen.down(a.id)
        a.network.dial(b.addr)
        await a.seen.until(lambda: a.seen.failed)
        a.network.dial(b.addr, keep=True)
        await a.seen.until(lambda: a.seen.links[-1] == ("up", b.id))
        a.network.disconnect(b.id, "it sent wrong bytes", seconds=60.0)
        await a.seen.until(lambda: a.seen.links[-1] == ("down", b.id))
        a.network.disconnect(b.id, "a person here left it", seconds=60.0, forget=True)
        a.network.dial(b.addr, keep=True)
        await a.seen.until(lambda: len(a.seen.failed) >= 2)
        assert a.seen.links[-1] == ("down", b.id), "what it did wrong is not forgiven by that"


async def test_a_network_closes_at_once_with_full_queues(wire: Wire, dead_port: int) -> None:
    async with node(wire, 2) as b:
        b.seen.may_take = trio.Event()
        with trio.fail_after(BOUND):
            async with node(wire, 1) as a:
                await connect(a, b)
                a.network.dial(f"/ip4/127.0.0.1/tcp/{dead_port}/p2p/{b.id}", keep=True)
                for _ in range(64):
                    a.serve(b.id, a_chunk(MIB))
                await b.seen.until(lambda: b.seen.frames)
        assert a.seen.latest(b.id) == "down"
        b.seen.may_take.set()
        await b.seen.down(a.id)


# ── messages ────────────────────────────────────────────────────────────────────────────────────


async def test_messages_arrive_in_order_both_ways(wire: Wire) -> None:
    cids = tuple(dag_cid(bytes([number])) for number in range(256))
    pushed: list[Message] = []
    for number in range(200):
        pushed.append(words(number))
        pushed.append(Grant(cids=cids[: number % 200 + 1], ttl=30.0))
    pushed += [StatusNo(cids=cids * 2, reason="busy", has_it=True, retry_after=2.5, text="ünïcode"), heavy(1)]
    async with pair(wire) as (a, b):
        for message in pushed:
            assert a.network.push(b.id, message)
            assert b.network.push(a.id, message)
        await a.seen.until(lambda: len(a.seen.messages) == len(pushed))
        await b.seen.until(lambda: len(b.seen.messages) == len(pushed))
        assert a.seen.messages == pushed
        assert b.seen.messages == pushed


async def test_a_push_to_an_unconnected_peer_is_refused(wire: Wire) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b:
        assert not a.network.push(b.id, words(1))
        assert not a.network.serve(b.id)
        assert a.network.rtt(b.id) is None
        await connect(a, b)
        assert a.network.push(b.id, words(2))
        await b.seen.until(lambda: b.seen.messages)
        assert b.seen.messages == [words(2)]


async def test_a_full_queue_refuses_and_loses_nothing_it_accepted(wire: Wire) -> None:
    async with pair(wire) as (a, b):
        taken = 0
        while a.network.push(b.id, words(taken)):
            taken += 1
        assert taken == QUEUE_MESSAGES, "counted, where messages are small"
        await b.seen.until(lambda: len(b.seen.messages) == taken)
        while a.network.push(b.id, heavy(taken)):
            taken += 1
        assert taken < QUEUE_MESSAGES + 100, "by bytes, where they are large"
        await b.seen.until(lambda: len(b.seen.messages) == taken)
        assert b.seen.messages[:QUEUE_MESSAGES] == [words(number) for number in range(QUEUE_MESSAGES)]
        assert b.seen.messages[QUEUE_MESSAGES:] == [heavy(number) for number in range(QUEUE_MESSAGES, taken)]
        assert a.network.push(b.id, words(0)), "there is room again"


async def test_a_slow_reader_fills_only_its_own_queue(wire: Wire) -> None:
    async with pair(wire) as (a, b), node(wire, 3) as c:
        await connect(a, c)
        b.seen.may_take = trio.Event()
        a.serve(b.id, a_chunk(1000))
        await b.seen.until(lambda: b.seen.frames)
        taken = 0
        with trio.fail_after(BOUND):
            while a.network.push(b.id, heavy(taken)):
                taken += 1
                if taken % 20 == 0:
                    await settled()  # everything that can move has moved: the queue is full for good
        assert taken * 48_000 < 24 * MIB, "bounded, by what is under way and what is queued"
        assert not b.seen.messages, "while on_payload runs, its stream is not read"
        for number in range(100):
            assert a.network.push(c.id, words(number))
        await c.seen.until(lambda: len(c.seen.messages) == 100)
        assert b.network.push(a.id, words(7)), "its own pushes go on"
        await a.seen.until(lambda: a.seen.messages)
        b.seen.may_take.set()
        await b.seen.until(lambda: len(b.seen.messages) == taken)
        assert b.seen.messages == [heavy(number) for number in range(taken)]


# ── chunks ──────────────────────────────────────────────────────────────────────────────────────


async def test_chunks_cross_whole_in_order_and_after_earlier_messages(wire: Wire) -> None:
    sizes = [0, 1, 1000, 65_507, 65_536, MIB, 2 * MIB]
    chunks = [a_chunk(size, fill=index) for index, size in enumerate(sizes)]
    chunks[3] = LoadedChunk(chunks[3].cid, memoryview(chunks[3].data))
    async with pair(wire) as (a, b):
        for number in range(3):
            a.network.push(b.id, words(number))
        assert a.serve(b.id, *chunks[:4])
        assert a.serve(b.id, *chunks[4:])
        await b.seen.until(lambda: len(b.seen.payloads) == len(chunks))
        assert b.seen.frames == [words(0), words(1), words(2), *(chunk.cid for chunk in chunks)]
        assert b.seen.payloads == {chunk.cid: bytes(chunk.data) for chunk in chunks}
        await a.seen.until(lambda: len(a.seen.sent) == 2)
        assert a.seen.sent == [
            (tuple(chunk.cid for chunk in chunks[:4]), sum(sizes[:4])),
            (tuple(chunk.cid for chunk in chunks[4:]), sum(sizes[4:])),
        ]


async def test_an_unwanted_payload_is_skipped_and_the_next_frame_is_read(wire: Wire) -> None:
    chunks = [a_chunk(size, fill=index) for index, size in enumerate([10, 2 * MIB, 300_000, 0, 5])]
    async with pair(wire) as (a, b):
        b.seen.unwanted = {chunks[1].cid, chunks[2].cid, chunks[3].cid}
        a.serve(b.id, *chunks)
        await b.seen.until(lambda: len(b.seen.payloads) == 2)
        a.network.push(b.id, words(1))
        await b.seen.until(lambda: b.seen.messages)
        assert b.seen.frames == [*(chunk.cid for chunk in chunks), words(1)]
        assert set(b.seen.payloads) == {chunks[0].cid, chunks[4].cid}
        assert not b.seen.faults


async def test_chunks_are_loaded_only_when_the_stream_takes_them(wire: Wire) -> None:
    chunks = [a_chunk(MIB, fill=number) for number in range(40)]
    async with pair(wire) as (a, b):
        b.seen.may_take = trio.Event()
        for chunk in chunks:
            assert a.serve(b.id, chunk)
        assert not a.seen.taken
        await b.seen.until(lambda: b.seen.frames)
        await settled()
        assert len(a.seen.taken) < 24, "only what is under way: the other portions cost no memory"
        b.seen.may_take.set()
        await b.seen.until(lambda: len(b.seen.payloads) == 40)
        assert a.seen.taken == [chunk.cid for chunk in chunks]


async def test_a_chunk_cancelled_after_it_was_read_is_not_written(wire: Wire) -> None:
    chunks = [a_chunk(MIB, fill=number) for number in range(40)]
    async with pair(wire) as (a, b):
        b.seen.may_take = trio.Event()
        for chunk in chunks:
            a.serve(b.id, chunk)
        await b.seen.until(lambda: b.seen.frames)
        await settled()
        ahead = a.seen.taken[-1]
        assert ahead not in [cid for cids, _ in a.seen.sent for cid in cids]
        a.seen.cancelled = {ahead, *(chunk.cid for chunk in chunks if chunk.cid not in a.seen.taken)}
        b.seen.may_take.set()
        await a.seen.until(lambda: len(a.seen.taken) == 40)
        last = a_chunk(5, fill=99)
        a.serve(b.id, last)
        await b.seen.until(lambda: last.cid in b.seen.payloads)
        expected = [chunk.cid for chunk in chunks if chunk.cid not in a.seen.cancelled]
        assert b.seen.frames == [*expected, last.cid]


async def test_a_stream_that_found_no_chunks_asks_again_when_it_is_told(wire: Wire) -> None:
    async with pair(wire) as (a, b):
        assert a.network.serve(b.id)
        await settled()
        a.serve(b.id, a_chunk(10, fill=1))
        await b.seen.until(lambda: len(b.seen.payloads) == 1)
        await settled()
        a.serve(b.id, a_chunk(10, fill=2))
        await b.seen.until(lambda: len(b.seen.payloads) == 2)
        assert [len(cids) for cids, _ in a.seen.sent] == [1, 1]


# ── gossip ──────────────────────────────────────────────────────────────────────────────────────


async def test_gossip_reaches_a_node_two_hops_away(wire: Wire) -> None:
    async with node(wire, 1) as a, node(wire, 2) as middle, node(wire, 3) as b:
        await connect(a, middle)
        await connect(b, middle)
        published = 0
        with trio.fail_after(BOUND):
            while not b.seen.gossip:
                # Gossip is best effort: while the swarm forms its mesh, some messages are lost.
                a.network.publish(b"intent %d" % published)
                published += 1
                with trio.move_on_after(0.1):
                    await b.seen.until(lambda: b.seen.gossip)
        await middle.seen.until(lambda: middle.seen.gossip)
        await settled()
        assert {forwarder for forwarder, _ in middle.seen.gossip} == {a.id}
        # It names the forwarder. Once the two ends have met in the DHT, the intent may come directly.
        assert {forwarder for forwarder, _ in b.seen.gossip} <= {middle.id, a.id}
        data = [data for _, data in b.seen.gossip]
        assert set(data) <= {b"intent %d" % number for number in range(published)}
        assert len(set(data)) == len(data), "a copy is known as one"
        assert not a.seen.gossip, "nobody hears its own"


# ── the DHT ─────────────────────────────────────────────────────────────────────────────────────


async def star(wire: Wire, nodes: Sequence[Node]) -> None:
    """Connect all nodes to the first, and wait until every node knows every other."""
    for other in nodes[1:]:
        await connect(other, nodes[0])
    for one in nodes:
        await one.seen.until(lambda one=one: one.seen.known == len(nodes) - 1)  # type: ignore[misc]


async def test_a_routed_intent_reaches_a_provider_that_only_others_know(wire: Wire) -> None:
    """The provider is not connected to the asker. Nodes close to the root forward the intent to it."""
    root = dag_cid(b"a root")
    async with node(wire, 1) as hub, node(wire, 2) as provider, node(wire, 3) as asker, node(wire, 4) as d:
        everyone = [hub, provider, asker, d]
        await star(wire, everyone)
        provider.network.provide([root])
        with trio.fail_after(BOUND):
            while not any(one.seen.messages for one in (hub, d)):
                asker.network.route([root], routed(1))
                with trio.move_on_after(0.2):
                    await hub.seen.until(lambda: hub.seen.messages)
        forwarder = hub if hub.seen.messages else d
        message = forwarder.seen.messages[0]
        assert message == routed(1)
        with trio.fail_after(BOUND):
            while routed(0, 7) not in provider.seen.messages:
                forwarder.network.forward([dag_cid(b"another"), root], routed(0, 7))
                with trio.move_on_after(0.2):
                    await provider.seen.until(lambda: routed(0, 7) in provider.seen.messages)
        assert provider.network.peers() == (hub.id,), "it needed no link"
        assert not any(one.seen.faults for one in everyone)


async def test_a_withdrawn_root_is_not_sent_to_nodes_that_come_later(wire: Wire) -> None:
    kept, withdrawn = dag_cid(b"kept"), dag_cid(b"withdrawn")
    async with node(wire, 1) as provider, node(wire, 2) as late:
        provider.network.provide([kept, withdrawn])
        provider.network.withdraw([withdrawn, dag_cid(b"never provided")])
        await connect(provider, late)
        await late.seen.until(lambda: late.seen.known == 1)
        with trio.fail_after(BOUND):
            while not provider.seen.messages:
                late.network.forward([kept], routed(0, 1))
                with trio.move_on_after(0.2):
                    await provider.seen.until(lambda: provider.seen.messages)
        late.network.forward([withdrawn], routed(0, 2))
        await settled()
        assert routed(0, 2) not in provider.seen.messages


async def test_routing_without_a_dht_or_without_providers_does_nothing(wire: Wire) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b:
        a.network.route([dag_cid(b"x")], routed(1))
        a.network.forward([dag_cid(b"x")], routed(1))
        a.network.provide([dag_cid(b"x")])
        await settled()
        await connect(a, b)
        await b.seen.until(lambda: b.seen.known == 1)
        b.network.forward([dag_cid(b"y")], routed(1))
        await settled()
        assert not a.seen.messages + b.seen.messages


async def test_intents_routed_by_a_banned_peer_are_dropped(wire: Wire) -> None:
    async with pair(wire) as (a, b):
        await a.seen.until(lambda: a.seen.known == 1)
        b.network.disconnect(a.id, "it sent wrong bytes again")
        await a.seen.down(b.id)
        a.network.route([dag_cid(b"x")], routed(1))
        await settled()
        assert not b.seen.messages


# ── dialling ────────────────────────────────────────────────────────────────────────────────────


async def test_an_address_where_nobody_listens(wire: Wire, dead_port: int) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b:
        dead = f"/ip4/127.0.0.1/tcp/{dead_port}/p2p/{b.id}"
        a.network.dial(dead)
        await a.seen.until(lambda: a.seen.failed)
        reason = "nobody listens there (connection refused)"
        assert a.seen.failed == [(dead, f"{dead} cannot be reached: {reason}")]
        assert not a.seen.links
        await connect(a, b)


async def test_other_addresses_are_tried_in_order(wire: Wire, dead_port: int) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b, node(wire, 3) as c:
        dead = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{b.id}" for port in (dead_port, 1)]
        a.network.dial(dead[0], more=[dead[1], c.addr, "nonsense"])
        await a.seen.until(lambda: a.seen.failed)
        reason = "cannot be reached: nobody listens there (connection refused)"
        assert a.seen.failed == [(dead[0], f"{dead[0]} {reason}; {dead[1]} {reason}")]
        a.network.dial(dead[0], more=[dead[1], b.addr, c.addr])
        await a.seen.up(b.id)
        assert a.seen.addrs == [b.addr], "that is where it is found again"
        assert len(a.seen.failed) == 1


async def test_an_address_with_another_peers_id(wire: Wire) -> None:
    async with node(wire, 1) as a, node(wire, 2) as b, node(wire, 3) as c:
        wrong = f"{b.addr.rpartition('/p2p/')[0]}/p2p/{c.id}"
        a.network.dial(wrong)
        await a.seen.until(lambda: a.seen.failed)
        ((addr, why),) = a.seen.failed
        assert addr == wrong
        assert why.startswith(f"{wrong} cannot be reached: ")
        assert "peer" in why
        await connect(a, b)
        await connect(a, c)
        assert a.seen.links == [("up", b.id), ("up", c.id)]


async def test_a_failed_dial_is_one_sentence(wire: Wire) -> None:
    async with node(wire, 1) as a:
        cases = {
            "nonsense": "does not say whose address it is",
            "/ip4/127.0.0.1/tcp/1": "does not say whose address it is",
            "/ip4/127.0.0.1/tcp/1/p2p/me": "is not a peer id",
            f"/ip4/127.0.0.1/udp/1/p2p/{a.id}": "not an address that can be dialled",
            f"/p2p/{a.id}": "not an address that can be dialled",
            a.addr: "is this node itself",
        }
        for addr in cases:
            a.network.dial(addr)
        await a.seen.until(lambda: len(a.seen.failed) == len(cases))
        for addr, why in a.seen.failed:
            assert cases[addr] in why


async def test_a_peer_that_is_kept_is_dialled_until_it_comes_and_when_it_comes_back(wire: Wire) -> None:
    async with node(wire, 1) as a:
        async with node(wire, 2) as b:
            addr, port = b.addr, b.port
        a.network.dial(addr, keep=True)
        await a.seen.until(lambda: a.seen.failed)
        for _ in range(2):
            async with node(wire, 2, port) as b:
                await a.seen.up(b.id)
                await b.seen.up(a.id)
                a.network.push(b.id, words(1))
                await b.seen.until(lambda: b.seen.messages)
            await a.seen.down(b.id)
        assert a.seen.links == [("up", b.id), ("down", b.id)] * 2


async def test_a_running_dial_can_become_a_kept_peer(wire: Wire) -> None:
    async with node(wire, 1) as a:
        async with node(wire, 2) as b:
            a.network.dial(b.addr)
            a.network.dial(b.addr, keep=True)
            await a.seen.up(b.id)
        await a.seen.down(b.id)
        async with node(wire, 2, b.port) as b:
            await a.seen.up(b.id)


async def test_a_dial_above_the_limit_is_reported(wire: Wire, dead_port: int) -> None:
    assert dial_table.MAX_DIALS == memory_network.MAX_DIALS
    async with node(wire, 1) as a:
        peers = [
            peer_id_from_bytes(b"\x12\x20" + bytes([number]) * 32)
            for number in range(dial_table.MAX_DIALS + 1)
        ]
        addrs = [f"/ip4/127.0.0.1/tcp/{dead_port}/p2p/{peer}" for peer in peers]
        for addr in addrs:
            a.network.dial(addr)
        await a.seen.until(lambda: len(a.seen.failed) == len(addrs))
        assert {addr for addr, _ in a.seen.failed} == set(addrs)
        (too_many,) = [why for _, why in a.seen.failed if "is not dialled" in why]
        assert too_many.endswith("too many others are just now")


# ── this machine ────────────────────────────────────────────────────────────────────────────────


async def test_signatures_are_the_peers_own(wire: Wire) -> None:
    """Each implementation accepts signatures of the other: a peer id is its key."""
    async with node(wire, 1) as a, node(wire, 2) as b, node(Switchboard(), 1) as same:
        assert same.id == a.id
        signature = a.network.sign(b"words")
        assert len(signature) == 64
        assert same.network.sign(b"words") == signature
        for judge in (a.network, b.network, same.network):
            assert judge.verify(a.id, b"words", signature)
            assert not judge.verify(a.id, b"other words", signature)
            assert not judge.verify(b.id, b"words", signature)
            assert not judge.verify(a.id, b"words", signature[:-1])
            assert not judge.verify(a.id, b"words", b"")
            holds_no_key = PeerId("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
            assert not judge.verify(holds_no_key, b"words", signature)
            assert not judge.verify(PeerId("nobody"), b"words", signature)


async def test_a_port_can_be_used_by_one_network_only(wire: Wire) -> None:
    async with node(wire, 1) as a:
        in_use = pytest.RaisesExc(NetworkError, match=f"cannot listen on .*{a.port}.*: the port is in use")
        with pytest.RaisesGroup(in_use, allow_unwrapped=True, flatten_subgroups=True):
            async with node(wire, 2, a.port):
                pass
        async with node(wire, 2) as b:
            await connect(b, a)
