"""Circuits with limits: the reason of an end names them."""

from typing import Any

import pytest
import trio
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import HopMessage, Limit, Status, StopMessage
from libp2p.relay.circuit_v2.utils import write_delimited_msg
from multiaddr import Multiaddr
from trio.testing import MockClock

from flux_tui.net.flux.relaying import relay
from flux_tui.net.nat.circuits import (
    OPENER_SECONDS,
    OTHER_SECONDS,
    Circuit,
    CircuitLimit,
    CircuitTurns,
    limit_of,
)
from tests.support.hosts import host_of, id_of
from tests.support.members import never_punch, relayed_pair
from tests.support.networks import MIB, a_chunk

LIMIT = 8 * MIB
PEER = ID(b"peer")


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

    monkeypatch.setattr(relay, "write_delimited_msg", with_limit)
    never_punch(monkeypatch)


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
    made = Circuit(Stream(), True, Multiaddr("/p2p-circuit"), PEER, CircuitLimit(0, 120), CircuitTurns())  # type: ignore[arg-type]
    assert made.why_ended is None
    await trio.sleep(110)
    assert made.why_ended == "the relay passes on no more than 2:00 in one circuit, and ended it"


async def test_a_circuit_without_limits_is_never_over(autojump_clock: MockClock) -> None:
    made = Circuit(Stream(), True, Multiaddr("/p2p-circuit"), PEER, None, CircuitTurns())  # type: ignore[arg-type]
    await trio.sleep(80_000)
    assert made.why_ended is None
    assert limit_of(Limit()) is None


async def test_after_a_limit_the_node_that_opened_the_circuit_opens_the_next_one(
    autojump_clock: MockClock,
) -> None:
    opener, other = CircuitTurns(), CircuitTurns()
    for turns, opened in ((opener, True), (other, False)):
        circuit = Circuit(Stream(), opened, Multiaddr("/p2p-circuit"), PEER, CircuitLimit(LIMIT, 0), turns)  # type: ignore[arg-type]
        assert turns.wait(PEER) == 0, "nothing has ended yet"
        assert await circuit.read() == b""
    await trio.sleep(OPENER_SECONDS)
    assert opener.wait(PEER) == 0
    assert other.wait(PEER) == pytest.approx(OTHER_SECONDS - OPENER_SECONDS)
    await trio.sleep(OTHER_SECONDS - OPENER_SECONDS)
    assert other.wait(PEER) == pytest.approx(0), "the first node may be gone"


async def test_after_a_circuit_without_limits_both_may_dial_at_once(autojump_clock: MockClock) -> None:
    turns = CircuitTurns()
    assert await Circuit(Stream(), False, Multiaddr("/p2p-circuit"), PEER, None, turns).read() == b""  # type: ignore[arg-type]
    assert turns.wait(PEER) == 0


class Stream:
    """A stream that has ended."""

    async def read(self, n: int | None = None) -> bytes:
        return b""
