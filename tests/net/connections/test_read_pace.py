"""How fast a peer's pushes are read: at once while it is admitted, slowly while it is not."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils.varint import encode_uvarint
from trio.testing import MockClock

from flux_tui.core.fetching.holders import LEASE_MIN
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import MAX_CIDS_WANT, Error, Intent, Message, SealedIntent, Want
from flux_tui.net.connections.read_pace import NOT_ADMITTED, Pace
from flux_tui.net.flux.gossip import GOSSIP_BURST, GOSSIP_RATE, MAX_PARTS, TooManyPartsError, _PacedRpcs
from flux_tui.net.flux.push_stream import MESSAGE_BURST, MESSAGE_RATE, StreamSource, read_from

PEER = PeerId("12D3KooWsomebody")
COUNT = 1000


class Stream:
    """A stream whose content can be read at once, and then ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.muxed_conn = SimpleNamespace(peer_id=PEER)
        self.metric_send_channel = None

    async def read(self, n: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        data, self._data = self._data[:n], self._data[len(self._data[:n]) :]
        return data

    async def write(self, data: bytes) -> None:
        raise AssertionError("nothing is answered here")


class Listener:
    """A receiver that admits a peer, or does not."""

    def __init__(self, admitted: bool) -> None:
        self.admitted = admitted
        self.heard = 0

    def on_message(self, peer: PeerId, message: Message) -> None:
        self.heard += 1

    def admits(self, peer: PeerId) -> bool:
        assert peer == PEER
        return self.admitted


@pytest.mark.parametrize("admitted", [True, False])
async def test_messages_of_a_peer_that_is_not_admitted_are_read_slowly(
    autojump_clock: MockClock, admitted: bool
) -> None:
    listener = Listener(admitted)
    frame = codec.encode_frame(Error(text=""))
    start = trio.current_time()
    with pytest.raises(EOFError):
        await read_from(StreamSource(Stream(frame * COUNT)), PEER, cast("Any", listener))
    took = trio.current_time() - start
    assert listener.heard == COUNT, "none is lost"
    if admitted:
        assert took == 0
    else:
        assert took >= (COUNT * NOT_ADMITTED - MESSAGE_BURST) / MESSAGE_RATE


async def test_grants_of_an_honest_peer_arrive_in_time_behind_refused_wants(
    autojump_clock: MockClock,
) -> None:
    """As many wants as it may have out by its own settings, and none of them is admitted."""
    want = codec.encode_frame(a_sealed_want())
    listener = Listener(admitted=False)
    start = trio.current_time()
    with pytest.raises(EOFError):
        await read_from(StreamSource(Stream(want * 40)), PEER, cast("Any", listener))
    assert listener.heard == 40
    assert trio.current_time() - start < LEASE_MIN / 10


def a_sealed_want() -> Message:
    body = Want(cids=tuple(raw_cid(b"%d" % number) for number in range(MAX_CIDS_WANT)))
    intent = Intent(origin=PEER, nonce=bytes(12), expires=1e9, body=body)
    return SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))


def rpcs_of(stream: Stream, *, admitted: bool) -> _PacedRpcs:
    return _PacedRpcs(
        cast("Any", stream), Pace(GOSSIP_BURST, GOSSIP_RATE), lambda: admitted, lambda named: None
    )


def rpc(parts: int) -> bytes:
    """Return a message of so many parts, its own frame counted as one."""
    body = rpc_pb2.RPC(publish=[rpc_pb2.Message(data=b"x")] * (parts - 1)).SerializeToString()
    return bytes(encode_uvarint(len(body)) + body)


@pytest.mark.parametrize("admitted", [True, False])
async def test_gossip_of_a_peer_that_is_not_admitted_is_read_slowly(
    autojump_clock: MockClock, admitted: bool
) -> None:
    message = rpc(10)
    count = int(GOSSIP_BURST) // 10 + 1
    rpcs = rpcs_of(Stream(message * count), admitted=admitted)
    start = trio.current_time()
    for _ in range(count):
        assert await rpcs.read() == message, "all of it comes as it was"
    took = trio.current_time() - start
    if admitted:
        assert took == 0
    else:
        assert took >= ((count - 1) * 10 * NOT_ADMITTED - GOSSIP_BURST) / GOSSIP_RATE


async def test_the_cost_of_a_message_delays_the_next_one_not_itself(
    autojump_clock: MockClock,
) -> None:
    message = rpc(MAX_PARTS)
    rpcs = rpcs_of(Stream(message * 2), admitted=False)
    start = trio.current_time()
    assert await rpcs.read() == message
    assert trio.current_time() == start
    await rpcs.read()
    assert trio.current_time() > start + 60


async def test_a_message_of_thousands_of_parts_is_refused(autojump_clock: MockClock) -> None:
    with pytest.raises(TooManyPartsError, match="1,025"):
        await rpcs_of(Stream(rpc(MAX_PARTS + 1)), admitted=True).read()


async def test_a_long_silence_saves_no_more_than_the_burst(autojump_clock: MockClock) -> None:
    pace = Pace(8.0, 2.0)
    for _ in range(8):
        await pace.spend(1.0)
    await trio.sleep(3600.0)
    began = trio.current_time()
    for _ in range(16):
        await pace.spend(1.0)
    assert trio.current_time() - began == pytest.approx(8.0 / 2.0)
