"""The DHT over real libp2p on loopback: its members, its records, and what strangers can do to it."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.host.exceptions import StreamFailure
from libp2p.kad_dht.common import PROTOCOL_ID as IPFS_KAD
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.stream.exceptions import StreamError, StreamReset
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.core.ids import dag_cid
from flux_tui.core.limits import Backoff
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Error, Route, SealedIntent
from flux_tui.core.wire.provide import MAX_PROVIDE, RECORDS_BURST, RECORDS_RATE
from flux_tui.net.addresses.dial_guard import told_by
from flux_tui.net.flux import libp2p_network
from flux_tui.net.flux.dht import dht_routing as dht_module
from flux_tui.net.flux.dht import provide_schedule, providing, record_streams
from flux_tui.net.flux.dht.dht_routing import ROUTE, Dht
from flux_tui.net.flux.noise_and_yamux import muxers, security
from flux_tui.net.upstream import kad as kad_module
from flux_tui.net.upstream.kad import KAD, MAX_SERVED_EACH, key_of
from tests.support.networks import BOUND, Loopback, Node, connect, node, routed, settled

ROOTS = [dag_cid(b"root %d" % number) for number in range(40)]


def dht_of(one: Node) -> Dht:
    assert isinstance(one.network, libp2p_network.Libp2pNetwork)
    return one.network.dht


def kad_of(one: Node) -> KadDHT:
    return dht_of(one)._kad


def records(one: Node) -> int:
    return dht_of(one).statistics().records


async def until(done: Callable[[], object]) -> None:
    """Wait for a condition that no event announces."""
    with trio.fail_after(BOUND):
        while not done():  # noqa: ASYNC110
            await trio.sleep(0.01)


@asynccontextmanager
async def met() -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that know each other."""
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        await a.seen.until(lambda: a.seen.known == 1)
        await b.seen.until(lambda: b.seen.known == 1)
        yield a, b


@asynccontextmanager
async def a_host(number: int = 99) -> AsyncIterator[Any]:
    """A libp2p host that is no flux node."""
    pair = create_new_key_pair(bytes([number]) * 32)
    one = new_host(key_pair=pair, sec_opt=security(pair), muxer_opt=muxers())
    async with one.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        yield one


def info(one: Node) -> PeerInfo:
    return PeerInfo(ID.from_base58(one.id), [Multiaddr(one.addr.rpartition("/p2p/")[0])])


# ── whose it is ─────────────────────────────────────────────────────────────────────────────────


async def test_a_node_of_the_public_dht_is_neither_answered_nor_asked() -> None:
    asked: list[INetStream] = []
    async with met() as (a, b), a_host() as stranger:
        public = KadDHT(stranger, DHTMode.SERVER)

        async def handle(stream: INetStream) -> None:
            asked.append(stream)
            await stream.reset()

        stranger.set_stream_handler(IPFS_KAD, handle)
        await stranger.connect(info(a))
        with pytest.raises(StreamFailure):
            await stranger.new_stream(ID.from_base58(a.id), [IPFS_KAD])
        assert await public.peer_routing.find_closest_peers_network(b"x" * 34) == [ID.from_base58(a.id)]
        assert not await public.peer_routing._query_peer_for_closest(ID.from_base58(a.id), b"x" * 34)
        # The other way round: it is met and looked up, and is still no part of our DHT.
        a.network.dial(f"{stranger.get_addrs()[0]}")
        await a.seen.until(lambda: a.seen.failed)
        dht_of(a).peer_up(str(stranger.get_id()))  # type: ignore[arg-type]
        a.network.route(ROOTS[:2], routed(1))
        b.network.provide(ROOTS[:2])
        await b.seen.until(lambda: len(b.seen.messages) == 1)
        await until(lambda: records(a) == 2)
        assert len(b.seen.messages) == 1, "both roots lead there: it is told once"
        assert not asked
        assert kad_of(a).routing_table.get_peer_ids() == [ID.from_base58(b.id)]
        spoken = a.network._host.get_mux().get_protocols()  # type: ignore[attr-defined]
        assert KAD in spoken
        assert IPFS_KAD not in spoken


async def test_flux_nodes_answer_only_their_own_dht_protocol() -> None:
    async with met() as (a, b):
        stream = await a.network._host.new_stream(ID.from_base58(b.id), [KAD])  # type: ignore[attr-defined]
        await stream.close()
        with pytest.raises(StreamFailure):
            await a.network._host.new_stream(ID.from_base58(b.id), [IPFS_KAD])  # type: ignore[attr-defined]


async def test_no_dht_values_are_stored() -> None:
    async with met() as (a, b):
        for key in ("/pk/x", "plain"):
            assert not await kad_of(a).value_store._store_at_peer(
                ID.from_base58(b.id), key.encode(), b"x" * 1000
            )
        assert kad_of(b).get_value_store_size() == 0


async def test_a_node_that_replaces_another_in_the_table_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_module, "TICK_SECONDS", 0.1)
    async with met() as (a, b):
        assert a.seen.table == {b.id}
        table = kad_of(a).routing_table
        stranger = ID.from_pubkey(create_new_key_pair(bytes([77]) * 32).public_key)
        table.remove_peer(ID.from_base58(b.id))
        assert await table.add_peer(PeerInfo(stranger, [Multiaddr("/ip4/127.0.0.1/tcp/1")]))
        await a.seen.until(lambda: str(stranger) in a.seen.table)


# ── providing ───────────────────────────────────────────────────────────────────────────────────


async def test_many_roots_go_to_a_node_in_one_stream() -> None:
    async with met() as (a, b):
        asked = dht_of(a).statistics().asked
        a.network.provide(ROOTS)
        await until(lambda: records(b) == len(ROOTS))
        for root in ROOTS:
            (provider,) = kad_of(b).provider_store.get_providers(key_of(root))
            assert str(provider.peer_id) == a.id
            assert [str(addr) for addr in provider.addrs] == [a.addr]
        assert dht_of(a).statistics().asked - asked <= 4, "a look-up, and one stream with all of them"


async def test_a_node_of_an_earlier_version_gets_all_roots_within_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes ten in a window and silently drops the rest."""
    monkeypatch.setattr(record_streams, "ADD_WINDOW", 0.6)
    monkeypatch.setattr(providing, "RETRY", Backoff(0.1, 0.1))
    async with met() as (a, b):
        b.network._host.remove_stream_handler(record_streams.PROVIDE)  # type: ignore[attr-defined]
        kad_of(b)._provider_rate_window = 0.5
        a.network.provide(ROOTS)
        await until(lambda: records(b) == len(ROOTS))
        await until(lambda: dht_of(a)._providing.schedule.kept == set(ROOTS))


async def test_a_sender_above_the_budget_hears_how_much_was_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest comes later: nothing is lost, and it is no fault."""
    monkeypatch.setattr(record_streams, "ADMITTED", 25 / RECORDS_BURST)
    monkeypatch.setattr(providing, "RETRY", Backoff(0.1, 0.1))
    async with met() as (a, b):
        a.network.provide(ROOTS)
        await until(lambda: records(b) >= 25)
        await until(lambda: records(b) == len(ROOTS))
        assert not b.seen.faults


async def test_a_stream_above_the_budget_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_streams, "ADMITTED", 4 / RECORDS_BURST)
    async with met() as (a, b):
        a.network.provide(ROOTS[:4])
        await until(lambda: records(b) == 4)
        with pytest.raises((StreamFailure, StreamError)):
            stream = await a.network._host.new_stream(ID.from_base58(b.id), [record_streams.PROVIDE])  # type: ignore[attr-defined]
            await stream.read(4)
        assert not b.seen.faults, "it is no fault"


async def test_a_budget_limits_the_roots_that_a_node_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_streams, "RECORDS_BURST", 10.0)
    monkeypatch.setattr(record_streams, "RECORDS_RATE", 0.001)
    monkeypatch.setattr(providing, "MAX_KEYS", 5)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        a.network.provide(ROOTS[:20])
        await connect(a, b)
        await until(lambda: records(b) == 10)  # the others wait until the budget allows more
        await settled()
        kept = set(kad_of(b).provider_store.providers)
        assert kept == {key_of(root) for root in ROOTS[10:20]}, "the newest came first"


async def test_a_long_round_is_reported_from_its_begin_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providing, "REPORT_LEFT", 8)
    monkeypatch.setattr(providing, "MAX_KEYS", 16)
    async with met() as (a, b):
        a.network.provide(ROOTS[:4])
        await until(lambda: records(b) == 4)
        assert not a.seen.provided, "a short round is not"
        a.network.provide(ROOTS[4:])
        await until(lambda: records(b) == len(ROOTS) and len(a.seen.provided) == 2)
        (first, left, seconds), (rest, none, zero) = a.seen.provided
        assert (first, left, rest, none, zero) == (16, 20, 20, 0, 0.0)
        assert seconds >= 20 / RECORDS_RATE


@pytest.mark.parametrize("body", [b"", b"\xc1", b"x" * (MAX_PROVIDE + 1)])
async def test_invalid_provider_records_are_a_fault_of_the_peer(body: bytes) -> None:
    async with met() as (a, b):
        stream = await a.network._host.new_stream(ID.from_base58(b.id), [record_streams.PROVIDE])  # type: ignore[attr-defined]
        await stream.write(len(body).to_bytes(4, "big") + body[:100])
        await b.seen.until(lambda: b.seen.faults)
        assert [(peer, fault) for peer, fault, _ in b.seen.faults] == [(a.id, "garbage")]
        assert not records(b)


async def test_nothing_is_stored_for_a_banned_node() -> None:
    async with met() as (a, b):
        b.network._links.table.ban(a.id, 600.0)  # type: ignore[attr-defined]
        with pytest.raises((StreamFailure, StreamError)):
            stream = await a.network._host.new_stream(ID.from_base58(b.id), [record_streams.PROVIDE])  # type: ignore[attr-defined]
            await stream.read(4)
        assert not records(b)


async def test_provider_records_are_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providing, "REPROVIDE_SECONDS", 0.2)
    async with met() as (a, b):
        a.network.provide(ROOTS[:2])
        await until(lambda: records(b) == 2)
        dht_of(b)._records.clear()  # as after 48 hours, or a restart
        await until(lambda: records(b) == 2)


async def test_a_withdrawn_root_is_not_provided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not repeated when it would be due, nor when the swarm has grown. A waiting record is not sent at all."""
    monkeypatch.setattr(providing, "REPROVIDE_SECONDS", 0.2)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        a.network.provide(ROOTS[:3])
        a.network.withdraw(ROOTS[2:3])
        await connect(a, b)
        await until(lambda: records(b) == 2)
        a.network.withdraw(ROOTS[1:2])
        dht_of(b)._records.clear()  # as after 48 hours, or a restart
        async with node(Loopback(), 3) as late:
            await connect(late, b)
            await until(lambda: records(late) == 1 and records(b) == 1)
            a.network.provide(ROOTS[3:4])  # the next record sent is the last one there is
            await until(lambda: records(late) == 2 and records(b) == 2)
            for one in (b, late):
                kept = set(kad_of(one).provider_store.providers)
                assert kept == {key_of(ROOTS[0]), key_of(ROOTS[3])}
        assert not kad_of(a).provider_store.providers, (
            "it keeps no record of itself that it could answer with"
        )


async def test_a_root_withdrawn_during_a_round_is_sent_to_no_more_peers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with met() as (a, b):
        providing_of_a = dht_of(a)._providing
        send, begun = providing_of_a._send, trio.Event()

        async def slowly(peer: ID, waiting: Callable[[], Sequence[bytes]]) -> int:
            if key_of(ROOTS[0]) in waiting():
                begun.set()
                await trio.sleep_forever()
            return await send(peer, waiting)

        monkeypatch.setattr(providing_of_a, "_send", slowly)
        a.network.provide(ROOTS[:1])
        with trio.fail_after(BOUND):
            await begun.wait()
        a.network.withdraw(ROOTS[:1])
        a.network.provide(ROOTS[1:2])
        await until(lambda: records(b) == 1)  # it did not wait for the record that it had withdrawn
        assert set(kad_of(b).provider_store.providers) == {key_of(ROOTS[1])}
        await until(
            lambda: dht_of(a)._providing.schedule.kept == {ROOTS[1]}
        )  # once its own side of the exchange has ended


async def test_nodes_that_come_later_get_provider_records_too() -> None:
    async with met() as (a, b):
        a.network.provide(ROOTS[:2])
        await until(lambda: records(b) == 2)
        async with node(Loopback(), 3) as late:
            await connect(late, b)
            await until(lambda: records(late) == 2)


async def test_a_root_withdrawn_while_the_budget_is_used_up_is_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(record_streams, "RECORDS_BURST", 4.0)
    monkeypatch.setattr(record_streams, "RECORDS_RATE", 8.0)
    monkeypatch.setattr(providing, "MAX_KEYS", 4)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        a.network.provide(ROOTS[:8])
        await connect(a, b)
        await until(lambda: records(b) == 4)  # the other four wait for the budget
        a.network.withdraw(ROOTS[1:2])
        await until(lambda: records(b) == 7)
        await settled()
        kept = set(kad_of(b).provider_store.providers)
        assert kept == {key_of(root) for root in ROOTS[:8] if root != ROOTS[1]}


async def test_records_of_others_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kad_module, "MAX_RECORDS", 3)
    monkeypatch.setattr(provide_schedule, "MAX_PROVIDED", 8)
    async with met() as (a, b):
        a.network.provide(ROOTS)
        await until(lambda: len(dht_of(a)._providing.schedule.kept) == 8)
        assert dht_of(a)._providing.schedule.kept == set(ROOTS[-8:])
        assert records(b) == 3


async def test_silent_streams_do_not_stop_the_dht(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kad_module, "SERVE_SECONDS", 2.0)
    async with met() as (a, b), a_host() as stranger:
        await stranger.connect(info(b))
        streams = [await stranger.new_stream(ID.from_base58(b.id), [KAD]) for _ in range(MAX_SERVED_EACH)]
        await until(lambda: dht_of(b)._kad_host._serving.get(stranger.get_id()) == MAX_SERVED_EACH)
        with pytest.raises((StreamFailure, StreamError)):
            stream = await stranger.new_stream(ID.from_base58(b.id), [KAD])
            await stream.read(1)
        a.network.provide(ROOTS[:3])
        await until(lambda: records(b) == 3)
        assert len(streams) == MAX_SERVED_EACH
        await until(lambda: not dht_of(b)._kad_host._serving)


# ── routing ─────────────────────────────────────────────────────────────────────────────────────


async def test_an_invalid_routed_intent_is_a_fault_of_the_peer() -> None:
    wrong = [
        b"\x00" * 8,
        codec.encode_frame(Error(text="not here")),
        codec.encode_frame(routed(1), 5),
        codec.encode_frame(routed(1))[:-1] + b"\x07",  # hops
    ]
    async with met() as (a, b):
        for number, data in enumerate(wrong, 1):
            stream = await a.network._host.new_stream(ID.from_base58(b.id), [ROUTE])  # type: ignore[attr-defined]
            await stream.write(data)
            await b.seen.until(lambda number=number: len(b.seen.faults) == number)  # type: ignore[misc]
        assert {(peer, fault) for peer, fault, _ in b.seen.faults} == {(a.id, "garbage")}
        assert not b.seen.messages


async def test_an_unfinished_routed_intent_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_module, "TAKE_SECONDS", 0.5)
    monkeypatch.setattr(dht_module, "MAX_TAKING", 2)
    async with met() as (a, b):
        for _ in range(4):
            # A stream above the limit is refused when it is opened or written to.
            with contextlib.suppress(StreamFailure, StreamReset):
                stream = await a.network._host.new_stream(ID.from_base58(b.id), [ROUTE])  # type: ignore[attr-defined]
                await stream.write(b"\x01")
        await until(lambda: dht_of(b)._taking == 2)  # the others are not even read
        await until(lambda: not dht_of(b)._taking)
        stream = await a.network._host.new_stream(ID.from_base58(b.id), [ROUTE])  # type: ignore[attr-defined]
        await stream.write(codec.encode_frame(routed(1)))
        await b.seen.until(lambda: b.seen.messages == [routed(1)])


async def test_an_intent_goes_to_few_providers_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_module, "MAX_FANOUT", 2)
    monkeypatch.setattr(dht_module, "SEND_SECONDS", 0.3)
    async with met() as (a, b):
        for number in range(10, 20):  # none of them is online
            stranger = ID.from_pubkey(create_new_key_pair(bytes([number]) * 32).public_key)
            provider = PeerInfo(stranger, [Multiaddr("/ip4/127.0.0.1/tcp/1")] * 50)
            with told_by(ID.from_base58(b.id)):
                kad_of(a).provider_store.add_provider(key_of(ROOTS[0]), provider)
        kept = kad_of(a).provider_store.get_providers(key_of(ROOTS[0]))
        assert {len(provider.addrs) for provider in kept} == {8}
        opened = dht_of(a)._kad_host._opened
        opened.clear()
        a.network.forward(ROOTS[:1], Route(intent=SealedIntent(signed=b"x", signature=bytes(64)), hops=0))
        await until(lambda: len(opened) == 2)
        await settled()
        assert len(opened) == 2


async def test_connections_that_only_a_lookup_needed_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_module, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(dht_module, "IDLE_SECONDS", 0.5)
    async with met() as (a, middle), node(Loopback(), 3) as c:
        await connect(c, middle)
        await a.seen.until(lambda: a.seen.known == 2)
        connections = a.network._host.get_network().connections  # type: ignore[attr-defined]
        other = ID.from_base58(c.id)
        await until(lambda: connections.get(other))
        await until(lambda: not connections.get(other))
        assert a.network.peers() == (middle.id,), "links stay"


async def test_the_longest_unused_incoming_connections_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dht_module, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(dht_module, "MAX_SPARE", 1)
    async with met() as (a, b), a_host(98) as one, a_host(99) as other:
        connections = a.network._host.get_network().connections  # type: ignore[attr-defined]
        for stranger in (one, other):
            await stranger.connect(info(a))
            await until(lambda stranger=stranger: connections.get(stranger.get_id()))  # type: ignore[misc]
        await until(lambda: not connections.get(one.get_id()))
        assert connections.get(other.get_id())
        assert a.network.peers() == (b.id,)


async def test_an_intent_routed_again_goes_to_other_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dht_module, "WIDTH", 1)
    async with met() as (a, middle), node(Loopback(), 3) as c:
        await connect(c, middle)
        await a.seen.until(lambda: a.seen.known == 2)
        a.network.route(ROOTS[:1], routed(1, 1))
        await until(lambda: len(middle.seen.messages) + len(c.seen.messages) == 1)
        a.network.route(ROOTS[:1], routed(1, 2))
        await until(lambda: len(middle.seen.messages) == len(c.seen.messages) == 1)
        await c.network._host.close()  # type: ignore[attr-defined]
        for number in (3, 4):
            a.network.route(ROOTS[:1], routed(1, number))
        await middle.seen.until(lambda: len(middle.seen.messages) == 3)
