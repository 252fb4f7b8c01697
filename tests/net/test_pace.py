"""How fast what a peer pushes is read: at once while it is heeded, slowly while it is not."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils.varint import encode_uvarint
from trio.testing import MockClock

from flux_tui.core import codec
from flux_tui.core.ids import PeerId
from flux_tui.core.messages import Error, Message
from flux_tui.net.broadcast import GOSSIP_BURST, GOSSIP_RATE, _PacedRpcs
from flux_tui.net.pace import UNHEEDED
from flux_tui.net.push_stream import MESSAGE_BURST, MESSAGE_RATE, StreamSource, read_from

PEER = PeerId("12D3KooWsomebody")
COUNT = 1000


class Stream:
    """What was written to it is there at once, and then it ends."""

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
    """A receiver that heeds, or does not."""

    def __init__(self, heeded: bool) -> None:
        self.heeded = heeded
        self.heard = 0

    def on_message(self, peer: PeerId, message: Message) -> None:
        self.heard += 1

    def heeds(self, peer: PeerId) -> bool:
        assert peer == PEER
        return self.heeded


@pytest.mark.parametrize("heeded", [True, False])
async def test_messages_of_a_peer_that_is_not_heeded(autojump_clock: MockClock, heeded: bool) -> None:
    listener = Listener(heeded)
    frame = codec.encode_frame(Error(text=""))
    start = trio.current_time()
    with pytest.raises(EOFError):
        await read_from(StreamSource(Stream(frame * COUNT)), PEER, cast("Any", listener))
    took = trio.current_time() - start
    assert listener.heard == COUNT, "none is lost"
    if heeded:
        assert took == 0
    else:
        assert took >= (COUNT * UNHEEDED - MESSAGE_BURST) / MESSAGE_RATE


@pytest.mark.parametrize("heeded", [True, False])
async def test_gossip_of_a_peer_that_is_not_heeded(autojump_clock: MockClock, heeded: bool) -> None:
    body = rpc_pb2.RPC(publish=[rpc_pb2.Message(data=b"x")] * 9).SerializeToString()
    message = encode_uvarint(len(body)) + body
    count = int(GOSSIP_BURST) // 10
    rpcs = _PacedRpcs(cast("Any", Stream(message * count)), cast("Any", Listener(heeded)))
    start = trio.current_time()
    for _ in range(count):
        assert await rpcs.read() == message, "all of it comes as it was"
    took = trio.current_time() - start
    if heeded:
        assert took == 0
    else:
        assert took >= (count * 10 * UNHEEDED - GOSSIP_BURST) / GOSSIP_RATE
