"""A peer with its own yamux, as another implementation has it: one frame may be as long as its window.

Noise is libp2p's. The peer speaks `/flux/push/1.0.0` and nothing else, and accepts everything.
"""

import struct
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from libp2p.abc import ISecureConn
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.security_multistream import SecurityMultistream

from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Message
from flux_tui.net.flux.noise_and_yamux import security
from flux_tui.net.port import PUSH_PROTOCOL

HEADER = struct.Struct(">BBHII")
DATA, WINDOW, PING = 0, 1, 2
SYN, ACK = 1, 2
NOISE_BYTES = 65_519
"""The most bytes in one Noise message."""
GREETING = "/multistream/1.0.0"


def line(text: str) -> bytes:
    """Return a line of multistream."""
    return bytes([len(text) + 1]) + text.encode() + b"\n"


class YamuxPeer:
    """A peer that is connected to one node."""

    def __init__(self, session: ISecureConn, pair_id: str) -> None:
        self.peer_id = pair_id
        self.window: defaultdict[int, int] = defaultdict(lambda: 256 * 1024)
        """How many bytes the node still accepts on each stream."""
        self.heard: list[Message] = []
        self._session = session
        self._came: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._pushes: set[int] = set()
        """The streams on which the node pushes."""
        self._news = trio.lowlevel.ParkingLot()
        self._rest = b""
        self._writing = trio.Lock()

    async def until(self, stream: int, size: int) -> None:
        """Wait until the window allows a frame of this size."""
        while self.window[stream] < size:
            await self._news.park()

    async def hears(self, kind: type[Message]) -> Message:
        """Wait for a message of this kind."""
        while True:
            for message in self.heard:
                if isinstance(message, kind):
                    self.heard.remove(message)
                    return message
            await self._news.park()

    async def frame(
        self, kind: int, flags: int, stream: int, length: int, body: bytes = b"", pause: float = 0.0
    ) -> None:
        """Write a frame, in pieces with pauses between them."""
        data = HEADER.pack(0, kind, flags, stream, length) + body
        async with self._writing:
            for at in range(0, len(data), NOISE_BYTES):
                await self._session.write(data[at : at + NOISE_BYTES])
                await trio.sleep(pause)

    async def send(self, stream: int, body: bytes, pause: float = 0.0) -> None:
        """Send data as one frame of any length."""
        await self.until(stream, len(body))
        self.window[stream] -= len(body)
        await self.frame(DATA, 0, stream, len(body), body, pause)

    async def open_push(self) -> int:
        """Open the stream on which this side pushes."""
        await self.frame(WINDOW, SYN, 1, 0)
        await self.send(1, line(GREETING) + line(PUSH_PROTOCOL))
        return 1

    async def run(self) -> None:
        """Read frames, until cancelled."""
        while True:
            _, kind, flags, stream, length = HEADER.unpack(await self._exactly(HEADER.size))
            if kind == PING and flags & SYN:
                await self.frame(PING, ACK, 0, length)
            elif kind == WINDOW:
                self.window[stream] += length
                if flags & SYN:
                    await self.frame(WINDOW, ACK, stream, 0)
            elif kind == DATA and length:
                self._came[stream] += await self._exactly(length)
                await self.frame(WINDOW, 0, stream, length)
                await self._take(stream)
            self._news.unpark_all()

    async def _take(self, stream: int) -> None:
        came = self._came[stream]
        while came and stream not in self._pushes and stream % 2 == 0:
            size = came[0]
            if len(came) <= size:
                return
            said = bytes(came[1:size]).decode()
            del came[: 1 + size]
            known = said in (GREETING, PUSH_PROTOCOL)
            await self.send(stream, line(said if known else "na"))
            if said == PUSH_PROTOCOL:
                self._pushes.add(stream)
        while stream in self._pushes and len(came) >= codec.PREFIX_BYTES:
            header, payload = codec.decode_prefix(came)
            if len(came) < codec.PREFIX_BYTES + header + payload:
                return
            self.heard.append(codec.decode_header(came[codec.PREFIX_BYTES : codec.PREFIX_BYTES + header]))
            del came[: codec.PREFIX_BYTES + header + payload]

    async def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            data = await self._session.read(NOISE_BYTES)
            if not data:
                raise EOFError
            self._rest += data
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


@asynccontextmanager
async def yamux_peer(addr: str) -> AsyncIterator[YamuxPeer]:
    """A peer that has dialled this address, while the context lasts."""
    port, victim = int(addr.split("/")[4]), ID.from_base58(addr.rpartition("/")[2])
    pair = create_new_key_pair()
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream, trio.open_nursery() as nursery:
        raw = RawConnection(TrioTCPStream(stream), True)
        session = await SecurityMultistream(dict(security(pair))).secure_outbound(raw, victim)
        peer = YamuxPeer(session, str(ID.from_pubkey(pair.public_key)))
        await session.write(line(GREETING) + line("/yamux/1.0.0"))
        agreed = line(GREETING) + line("/yamux/1.0.0")
        assert await peer._exactly(len(agreed)) == agreed
        nursery.start_soon(peer.run)
        yield peer
        nursery.cancel_scope.cancel()
