"""An attacker: plain libp2p with a stream to its victim, which breaks the rules of the protocol.

It reads what the victim pushes (a peer that does not is merely slow). On its own streams it does what it
likes: whole frames, half frames, no frames, more than the window allows.
"""

import os
import struct
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p import new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX
from libp2p.stream_muxer.yamux.yamux import TYPE_DATA, YAMUX_HEADER_FORMAT, Yamux, YamuxStream
from multiaddr import Multiaddr

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import Chunk, Intent, IntentBody, Message, SealedIntent, Want
from flux_tui.net.flux.libp2p_host import silence_libp2p
from flux_tui.net.flux.noise_and_yamux import security
from flux_tui.net.port import PUSH_PROTOCOL

PROTOCOL = TProtocol(PUSH_PROTOCOL)
MIB = 2**20


class Attacker:
    """An attacker with one identity, connected to one victim."""

    def __init__(self, host: IHost, pair: KeyPair, victim: str) -> None:
        self.host = host
        self.pair = pair
        self.peer_id = PeerId(str(host.get_id()))
        self.victim = info_from_p2p_addr(Multiaddr(victim))
        self.heard: list[Message] = []
        """The messages that the victim pushed, without payloads."""
        self.on_message: Any = None
        """Called with each message, if set."""
        self.gone = trio.Event()
        """Set when the victim closed its stream to us."""
        self.stream: INetStream

    async def connect(self) -> None:
        """Connect as an honest peer would."""
        await self.host.connect(self.victim)
        self.stream = await self.open()

    async def open(self, protocol: str = PUSH_PROTOCOL) -> INetStream:
        return await self.host.new_stream(self.victim.peer_id, [TProtocol(protocol)])

    async def send(self, data: bytes) -> None:
        """Send raw bytes."""
        await self.stream.write(data)

    async def push(self, message: Message, payload: bytes = b"") -> None:
        await self.send(codec.encode_frame(message, len(payload)) + payload)

    async def chunk(self, cid: Cid, data: bytes) -> None:
        await self.push(Chunk(cid=cid), data)

    def intent(
        self,
        body: IntentBody,
        *,
        origin: PeerId | None = None,
        addrs: tuple[str, ...] = (),
        expires: float | None = None,
        pair: KeyPair | None = None,
    ) -> SealedIntent:
        """Return a signed intent, with an invalid signature if asked for."""
        signed = codec.encode_intent(
            Intent(
                origin=origin or self.peer_id,
                nonce=os.urandom(12),
                expires=time.time() + 60 if expires is None else expires,
                body=body,
                addrs=addrs,
            )
        )
        return SealedIntent(signed=signed, signature=(pair or self.pair).private_key.sign(signed))

    async def want(self, cids: Iterable[Cid]) -> None:
        await self.push(self.intent(Want(cids=tuple(cids))))

    async def ignore_window(self, stream: INetStream, size: int, block: bytes) -> int:
        """Write data again and again, ignoring the window. Return how much left before the link was cut."""
        muxed = stream.muxed_stream  # type: ignore[attr-defined]
        assert isinstance(muxed, YamuxStream)
        sent = 0
        header = struct.pack(YAMUX_HEADER_FORMAT, 0, TYPE_DATA, 0, muxed.stream_id, len(block))
        try:
            while sent < size and not muxed.conn.event_shutting_down.is_set():
                await muxed.conn._write_frame(header + block)
                sent += len(block)
        except Exception:
            return sent
        return sent

    async def hang_up(self) -> None:
        await self.host.disconnect(self.victim.peer_id)

    async def _take(self, stream: INetStream) -> None:
        buffer = bytearray()
        try:
            while data := await stream.read(1 << 20):
                buffer += data
                while len(buffer) >= codec.PREFIX_BYTES:
                    header, payload = codec.decode_prefix(buffer)
                    if len(buffer) < codec.PREFIX_BYTES + header + payload:
                        break
                    body = bytes(buffer[codec.PREFIX_BYTES : codec.PREFIX_BYTES + header])
                    del buffer[: codec.PREFIX_BYTES + header + payload]
                    message = codec.decode_header(body)
                    self.heard.append(message)
                    if self.on_message is not None:
                        self.on_message(message)
        except Exception:
            return
        finally:
            self.gone.set()


@asynccontextmanager
async def attacking(victim: str, *, connect: bool = True) -> AsyncIterator[Attacker]:
    """An attacker on this address, while the context lasts."""
    silence_libp2p()
    pair = create_new_key_pair()
    host = new_host(key_pair=pair, sec_opt=security(pair), muxer_opt={TProtocol(YAMUX): Yamux})
    async with host.run(listen_addrs=[]):
        await host.get_network().auto_connector.stop()  # type: ignore[attr-defined]
        attacker = Attacker(host, pair, victim)
        host.set_stream_handler(PROTOCOL, attacker._take)
        if connect:
            await attacker.connect()
        try:
            yield attacker
        finally:
            with trio.move_on_after(1, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                for connection in host.get_network().get_connections():
                    await connection.close()
