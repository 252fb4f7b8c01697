"""Circuits with limits: the reason of an end names them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, Status, StopMessage
from libp2p.relay.circuit_v2.utils import write_delimited_msg
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.net.flux import libp2p_network, relay
from flux_tui.net.nat.circuits import Circuit, CircuitLimit, limit_of
from flux_tui.net.upstream.hole_punching import HolePunching
from tests.support.hosts import host_of, id_of
from tests.support.networks import BOUND, MIB, Node, Seen, a_chunk

LIMIT = 8 * MIB


@pytest.fixture(autouse=True)
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let relays tell a limit. They do not hold circuits to it: what is tested comes before."""

    async def with_limit(stream: Any, message: Any) -> None:
        opened = (
            isinstance(message, HopMessage)
            and message.status == Status.OK
            and not message.HasField("reservation")
        )
        if opened or (isinstance(message, StopMessage) and message.type == StopMessage.CONNECT):
            message.limit.CopyFrom(Limit(data=LIMIT, duration=3600))
        await write_delimited_msg(stream, message)

    async def stay(punching: HolePunching, peer: ID) -> None:
        await trio.lowlevel.checkpoint()

    monkeypatch.setattr(relay, "write_delimited_msg", with_limit)
    monkeypatch.setattr(HolePunching, "punch", stay)


@asynccontextmanager
async def member(number: int, **options: Any) -> AsyncIterator[Node]:
    seen = Seen()
    key = create_new_key_pair(bytes([number]) * 32)
    opening = libp2p_network.open_network(key, ["/ip4/127.0.0.1/tcp/0"], use_mdns=False, **options)
    async with opening(seen) as network:
        yield Node(network, seen)


@asynccontextmanager
async def relayed_pair() -> AsyncIterator[tuple[Node, Node]]:
    async with (
        member(1, serve_relay=True) as middle,
        member(2, relays=[middle.addr]) as hidden,
        member(3) as asker,
    ):
        with trio.fail_after(BOUND):
            while asker.seen.latest(hidden.id) != "up":
                asker.network.dial(hidden.network.addrs[0])
                await asker.seen.until(lambda: asker.seen.links or asker.seen.failed)
                asker.seen.failed.clear()
        await hidden.seen.up(asker.id)
        yield asker, hidden


async def test_a_circuit_that_the_relay_ended_says_why() -> None:
    async with relayed_pair() as (asker, hidden):
        hidden.serve(asker.id, *[a_chunk(MIB, fill=number) for number in range(8)])
        await asker.seen.until(lambda: len(asker.seen.payloads) == 8)
        for connection in list(host_of(hidden).get_network().connections[id_of(asker)]):
            await connection.close()
        await asker.seen.until(lambda: asker.seen.whys)
        assert asker.seen.whys == [
            "the relay passes on no more than 8.0 MiB and 1:00:00 in one circuit, and ended it"
        ]


async def test_time_is_a_limit_too(autojump_clock: MockClock) -> None:
    made = Circuit(Stream(), True, Multiaddr("/p2p-circuit"), CircuitLimit(0, 120))  # type: ignore[arg-type]
    assert made.why_ended is None
    await trio.sleep(110)
    assert made.why_ended == "the relay passes on no more than 2:00 in one circuit, and ended it"


async def test_a_circuit_without_limits_is_never_over(autojump_clock: MockClock) -> None:
    made = Circuit(Stream(), True, Multiaddr("/p2p-circuit"), None)  # type: ignore[arg-type]
    await trio.sleep(80_000)
    assert made.why_ended is None
    assert limit_of(Limit()) is None


class Stream:
    """A stream that is never used."""
