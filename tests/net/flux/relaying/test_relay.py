"""Relays over real libp2p on loopback: which nodes are reached through one, and which are not."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.relay.circuit_v2.config import RelayConfig
from libp2p.relay.circuit_v2.protocol import CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.net.addresses.dial_guard import told_by_person
from flux_tui.net.flux import libp2p_network
from flux_tui.net.flux.relaying import relay
from flux_tui.net.nat import peer_relays
from flux_tui.net.port import NetworkError
from flux_tui.net.upstream import dial_peer
from tests.support.hosts import host_of, id_of, plain_host, silent_port
from tests.support.members import member
from tests.support.networks import BOUND, MIB, Node, Seen, a_chunk, settled, words


async def through(asker: Node, addr: str) -> None:
    """Connect through this address. A reservation may still be on its way."""
    with trio.fail_after(BOUND):
        while not asker.seen.links:
            asker.network.dial(addr)
            await asker.seen.until(lambda: asker.seen.links or asker.seen.failed)
            asker.seen.failed.clear()


async def test_a_node_is_reached_through_its_relay() -> None:
    chunks = [a_chunk(MIB, fill=number) for number in range(8)]
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        addr = hidden.network.addrs[0]
        assert addr == f"{middle.addr}/p2p-circuit/p2p/{hidden.id}"
        await through(asker, addr)
        await hidden.seen.up(asker.id)
        assert asker.seen.addrs == [addr]
        for number in range(100):
            assert asker.network.push(hidden.id, words(number))
        hidden.serve(asker.id, *chunks)
        await hidden.seen.until(lambda: len(hidden.seen.messages) == 100)
        await asker.seen.until(lambda: len(asker.seen.payloads) == len(chunks))
        assert asker.seen.payloads == {chunk.cid: chunk.data for chunk in chunks}
        assert not middle.seen.messages, "it is not told what it carries"
        assert {peer for _, peer in middle.seen.links} <= {hidden.id}, (
            "only the node that it serves is its peer"
        )
    assert asker.seen.latest(hidden.id) == "down"


@asynccontextmanager
async def libp2p_relay() -> AsyncIterator[str]:
    """Return the address of libp2p's own relay, with limits that no test reaches."""
    host = plain_host(90)
    limits = RelayLimits(duration=3600, data=1 << 30, max_circuit_conns=16, max_reservations=128)
    service = CircuitV2Protocol(host, limits, allow_hop=True)
    async with (
        host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]),
        background_trio_service(service),
    ):
        await service.event_started.wait()
        (listener,) = host.get_network().listeners.values()
        yield f"{listener.get_addrs()[0]}/p2p/{host.get_id()}"
        await listener.close()


@asynccontextmanager
async def own_relay() -> AsyncIterator[str]:
    async with member(90, serve_relay=True) as relay:
        yield relay.addr


@pytest.mark.parametrize(("serve", "stays"), [(libp2p_relay, False), (own_relay, True)])
async def test_libp2ps_relay_still_ends_all_circuits_to_a_node_with_one_of_them(
    serve: Callable[[], AbstractAsyncContextManager[str]], stays: bool
) -> None:
    """If this fails for libp2p's relay, compare again: it may take the place of `Relay`."""
    async with (
        serve() as addr,
        member(1, relays=[addr]) as hidden,
        member(2) as one,
        member(3) as other,
    ):
        for asker in (one, other):
            await through(asker, hidden.network.addrs[0])
            await hidden.seen.up(asker.id)
        one.network.disconnect(hidden.id, "it has what it wanted")
        await hidden.seen.down(one.id)
        await settled()
        if stays:
            other.network.push(hidden.id, words(1))
            await hidden.seen.until(lambda: hidden.seen.messages)
        else:
            await hidden.seen.down(other.id)


def test_libp2ps_relay_still_has_these_limits() -> None:
    """They are in the docstring of `relay.py`."""
    limits = RelayConfig().limits
    assert limits is not None
    assert (limits.data, limits.duration) == (1024**3, 3600)
    assert (limits.max_circuit_conns, limits.max_reservations) == (8, 4)


async def test_a_private_swarm_has_relays_too() -> None:
    key = bytes(range(32))
    async with (
        member(1, serve_relay=True, swarm_key=key) as middle,
        member(2, relays=[middle.addr], swarm_key=key) as hidden,
        member(3, swarm_key=key) as asker,
    ):
        await through(asker, hidden.network.addrs[0])
        asker.network.push(hidden.id, words(7))
        await hidden.seen.until(lambda: hidden.seen.messages == [words(7)])


async def test_a_returning_relay_restores_the_reservation() -> None:
    async with member(1, serve_relay=True) as first:
        port, addr = first.port, first.addr
    async with member(2, relays=[addr]) as hidden, member(3) as asker:
        await hidden.seen.until(lambda: hidden.seen.failed)
        assert hidden.seen.failed[0][1].startswith(f"there is no reservation at the relay {addr}: ")
        seen = Seen()
        key = create_new_key_pair(bytes([1]) * 32)
        again = libp2p_network.open_network(
            key, [f"/ip4/127.0.0.1/tcp/{port}"], use_mdns=False, serve_relay=True
        )
        async with again(seen):
            await through(asker, hidden.network.addrs[0])
            await hidden.seen.up(asker.id)


async def test_a_node_without_a_reservation_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        member(1, serve_relay=True) as middle,
        member(2) as stranger,
        member(3) as asker,
        member(4) as no_relay,
    ):
        addr = relay.circuit_addr(middle.addr, stranger.id)
        asker.network.dial(addr)
        await asker.seen.until(lambda: asker.seen.failed)
        said = "the relay says: that peer is not there (it has no reservation)"
        assert asker.seen.failed == [(addr, f"{addr} cannot be reached: {said}")]
        asker.seen.failed.clear()
        addr = relay.circuit_addr(no_relay.addr, stranger.id)
        asker.network.dial(addr)
        await asker.seen.until(lambda: asker.seen.failed)
        assert asker.seen.failed[0][1].endswith("the relay does not answer, or is not a relay")
        monkeypatch.setattr(relay, "MAX_RESERVATIONS", 0)
        async with member(5, relays=[middle.addr]) as late:
            await late.seen.until(lambda: late.seen.failed)
            assert "it takes no more reservations" in late.seen.failed[0][1]


async def test_a_node_that_is_gone_leaves_its_reservation_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reservation lasts an hour. A relay with few of them would else have none left after a few visitors."""
    monkeypatch.setattr(relay, "MAX_RESERVATIONS", 1)
    async with member(1, serve_relay=True) as middle:
        async with member(2, relays=[middle.addr]) as first:
            await first.seen.up(middle.id)
            async with member(3, relays=[middle.addr]) as second:
                await second.seen.until(lambda: second.seen.failed)
                assert "it takes no more reservations" in second.seen.failed[0][1], "the first is there"
        await middle.seen.down(first.id)
        async with member(4, relays=[middle.addr]) as third:
            await third.seen.until(lambda: third.seen.links or third.seen.failed)
            assert third.seen.failed == []
            assert third.seen.links == [("up", middle.id)], "a node with a reservation links to its relay"


@pytest.mark.parametrize(
    ("terms", "why"),
    [(relay.Terms(size=2 * MIB), "bytes"), (relay.Terms(seconds=2.0), "seconds")],
    ids=["bytes", "seconds"],
)
async def test_a_circuit_ends_with_its_terms(
    terms: relay.Terms, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libp2p_network, "FULL", terms)
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        await through(asker, hidden.network.addrs[0])
        await hidden.seen.up(asker.id)
        if why == "bytes":
            hidden.serve(asker.id, *(a_chunk(MIB, fill=number) for number in range(4)))
        await asker.seen.until(lambda: asker.seen.latest(hidden.id) == "down")


async def test_a_slow_relay_passes_bytes_on_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libp2p_network, "FULL", relay.Terms(rate=float(MIB)))
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        await through(asker, hidden.network.addrs[0])
        await hidden.seen.up(asker.id)
        began = trio.current_time()
        hidden.serve(asker.id, *(a_chunk(MIB, fill=number) for number in range(3)))
        await asker.seen.until(lambda: len(asker.seen.payloads) == 3)
        assert trio.current_time() - began > 1.5


async def test_only_a_peer_has_a_reservation_at_a_node_that_relays_a_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It offers that only while it has an address on the internet."""
    async with member(1, relay_for_peers=1) as middle, member(2, relays=[middle.addr]) as hidden:
        await hidden.seen.until(lambda: hidden.seen.failed)
        assert "is not a relay" in hidden.seen.failed[0][1], "it has no such address"
        monkeypatch.setattr(peer_relays, "is_public", lambda addr: True)
        await hidden.seen.until(lambda: "no more reservations" in hidden.seen.failed[-1][1])
        hidden.network.dial(middle.addr)
        await hidden.seen.up(middle.id)
        async with member(3) as asker:
            await through(asker, hidden.network.addrs[0])


async def test_a_relay_is_tried_at_all_of_its_addresses() -> None:
    """The relay is named by an old address, too. The asking node knows another address that leads nowhere."""
    async with member(1, serve_relay=True) as middle, silent_port() as port:
        old = f"/ip4/127.0.0.1/tcp/1/p2p/{middle.id}"
        async with member(2, relays=[old, middle.addr]) as hidden, member(3) as asker:
            stale = [Multiaddr(f"/ip4/127.0.0.1/tcp/{number}") for number in (port, 1)]
            store = asker.network._host.get_peerstore()  # type: ignore[attr-defined]
            with told_by_person():
                store.add_addrs(ID.from_base58(middle.id), stale, 120)
            await through(asker, relay.circuit_addr(middle.addr, hidden.id))
            await hidden.seen.up(asker.id)
            assert not hidden.seen.failed
            assert hidden.network.addrs[:2] == tuple(
                relay.circuit_addr(addr, hidden.id) for addr in (old, middle.addr)
            )


async def test_through_a_relay_with_two_addresses_one_circuit_is_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both addresses are tried at the same time. libp2p's relay would end both circuits when this node leaves one."""
    monkeypatch.setattr(dial_peer, "START_SECONDS", 0.0)
    monkeypatch.setattr(dial_peer, "LATER_SECONDS", 0.0)
    opened: list[ID] = []
    connect = relay.Relay._connect

    async def noting(self: relay.Relay, stream: INetStream, peer: ID, target: ID) -> None:
        opened.append(target)
        await connect(self, stream, peer, target)

    monkeypatch.setattr(relay.Relay, "_connect", noting)
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        await through(asker, middle.addr)
        await hidden.seen.up(middle.id)  # it has its reservation
        named = [middle.addr, f"/ip4/127.0.0.1/tcp/1/p2p/{middle.id}"]
        addrs = [Multiaddr(relay.circuit_addr(addr, hidden.id)) for addr in named]
        with told_by_person(), trio.fail_after(BOUND):
            await host_of(asker).connect(PeerInfo(id_of(hidden), addrs))
    assert opened == [id_of(hidden)]


async def test_a_relay_without_a_working_address_is_one_sentence() -> None:
    peer = ID.from_pubkey(create_new_key_pair(bytes([9]) * 32).public_key)
    named = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer}" for port in (1, 2)]
    async with member(1, relays=named) as hidden:
        await hidden.seen.until(lambda: hidden.seen.failed)
        text = "it does not answer, or is not a relay; it is tried again later"
        said = f"there is no reservation at the relay {named[0]} or {named[1]}: {text}"
        assert hidden.seen.failed[0] == (named[0], said)
        addr = relay.circuit_addr(named[0], str(peer))
        hidden.network.dial(addr)
        await hidden.seen.until(lambda: any(told[0] == addr for told in hidden.seen.failed))
        assert (
            addr,
            f"{addr} cannot be reached: the relay does not answer, or is not a relay",
        ) in hidden.seen.failed


async def test_an_address_of_a_node_that_is_not_a_relay_is_one_sentence() -> None:
    expected = pytest.RaisesExc(NetworkError, match="cannot use a relay: .* does not say whose address it is")
    with pytest.RaisesGroup(expected, allow_unwrapped=True, flatten_subgroups=True):
        async with member(1, relays=["/ip4/127.0.0.1/tcp/1"]):
            pass


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -7200.0, 1e8, -1e8])
async def test_a_reservation_is_kept_with_any_clock_of_the_relay(
    ahead: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reservation names its end by the clock of the relay. It is renewed in time, and not all the time."""
    times = iter([time.time() + ahead, time.time()])
    lasting: list[float] = []
    kept = trio.Event()
    reserve = relay.Reservations._reserve

    async def spied(self: relay.Reservations, at: ID) -> float:
        seconds = await reserve(self, at)
        lasting.append(seconds)
        kept.set()
        return seconds

    monkeypatch.setattr(relay.Reservations, "_reserve", spied)
    monkeypatch.setattr(relay, "time", SimpleNamespace(time=lambda: next(times)))
    async with member(1, serve_relay=True) as middle, member(2, relays=[middle.addr]), member(3):
        with trio.fail_after(BOUND):
            await kept.wait()
    assert relay.KEPT_MIN <= lasting[0] <= relay.KEPT_MAX < relay.RESERVED_SECONDS


class SilentStream:
    """One end of a circuit: nothing arrives on it."""

    def __init__(self) -> None:
        self.ended = False

    async def read(self, count: int) -> bytes:
        await trio.sleep_forever()
        raise AssertionError(count)

    async def reset(self) -> None:
        self.ended = True


async def test_a_circuit_on_which_nothing_ever_comes_is_ended(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    async def nothing(*_: Any) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(relay, "widen", nothing)
    one, other = SilentStream(), SilentStream()
    with trio.fail_after(relay.IDLE_SECONDS + 60):
        await relay._join(one, other, relay.FULL, nothing)  # type: ignore[arg-type]
    assert one.ended
    assert other.ended
    began = trio.current_time()
    await relay._join(one, other, relay.Terms(seconds=5.0), nothing)  # type: ignore[arg-type]
    assert trio.current_time() - began == pytest.approx(5.0)
