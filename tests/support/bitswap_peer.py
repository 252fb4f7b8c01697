"""A peer that speaks Bitswap and nothing of flux: a host of libp2p itself, whose messages a test writes and reads."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from multiaddr import Multiaddr

from flux_tui.core.ids import Cid, PeerId, cid_bytes
from flux_tui.net.bitswap.link import V100, V110, V120, VERSIONS
from flux_tui.net.bitswap.messages import (
    BitswapMessage,
    Block,
    Entry,
    Presence,
    cid_of,
    decode,
    encode_block_head,
    encode_length,
    encode_wants,
)
from flux_tui.net.connections.streams import exactly
from tests.support.hosts import plain_host

__all__ = ["V100", "V110", "V120", "BitswapPeer", "bitswap_peer", "block_message"]


def block_message(*blocks: tuple[Cid, bytes], old: bool = False) -> bytes:
    """Return a message with these blocks, each as the CID says; `old`: as in 1.0.0."""
    body = b"".join(encode_block_head(cid_bytes(cid), len(data), old=old) + data for cid, data in blocks)
    return encode_length(len(body)) + body


class BitswapPeer:
    """The peer. It opens a stream for each message, as Helia does, and records all that comes."""

    def __init__(self, host: Any, versions: Sequence[str]) -> None:
        self.host = host
        self.versions = versions
        self.id = PeerId(str(host.get_id()))
        self.entries: list[Entry] = []
        self.presences: list[Presence] = []
        self.blocks: list[Block] = []
        self.protocols: list[str] = []
        self.closed = 0
        """Streams of others that have ended."""
        self.holds: dict[Cid, bytes] = {}
        """Blocks that it gives to whoever wants them."""
        self._news = trio.lowlevel.ParkingLot()
        for version in versions:
            host.set_stream_handler(TProtocol(version), self._take)

    @property
    def addr(self) -> str:
        (listener,) = self.host.get_network().listeners.values()
        return f"{listener.get_addrs()[0]}/p2p/{self.id}".replace(f"/p2p/{self.id}" * 2, f"/p2p/{self.id}")

    async def _take(self, stream: INetStream) -> None:
        self.protocols.append(str(stream.get_protocol()))
        try:
            while True:
                length = shift = 0
                while True:
                    byte = (await exactly(stream, 1))[0]
                    length |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
                message = decode(await exactly(stream, length))
                self._came(message)
                if self.holds:
                    await self._answer(PeerId(str(stream.muxed_conn.peer_id)), message.entries)
        except Exception:  # the end of the stream
            await stream.close()
        finally:
            self.closed += 1
            self._news.unpark_all()

    def _came(self, message: BitswapMessage) -> None:
        self.entries += message.entries
        self.presences += message.presences
        self.blocks += [Block(bytes(one.data), one.raw, one.supported) for one in message.blocks]
        self._news.unpark_all()

    async def _answer(self, to: PeerId, entries: Sequence[Entry]) -> None:
        blocks, presences = [], []
        for entry in entries:
            cid = cid_of(entry.cid)
            if entry.cancel or cid is None:
                continue
            if cid in self.holds and not entry.have:
                blocks.append((cid, self.holds[cid]))
            else:
                presences.append(Presence(entry.cid, have=cid in self.holds))
        if presences:
            await self.say(to, *presences)
        for block in blocks:
            await self.give(to, block)

    async def until(self, true: Any) -> None:
        """Wait for a condition on what came."""
        with trio.fail_after(30):
            while not true():
                await self._news.park()

    async def dial(self, addr: str) -> None:
        await self.host.connect(info_from_p2p_addr(Multiaddr(addr)))

    async def send(self, to: PeerId, data: bytes) -> INetStream:
        """Send bytes on a stream of their own, and close it."""
        stream: INetStream = await self.host.new_stream(
            ID.from_base58(to), [TProtocol(version) for version in self.versions]
        )
        for at in range(0, len(data), 60_000):
            await stream.write(data[at : at + 60_000])
        await stream.close_write()  # type: ignore[attr-defined]
        return stream

    async def want(self, to: PeerId, *entries: Entry) -> None:
        await self.send(to, encode_wants(entries))

    async def say(self, to: PeerId, *presences: Presence) -> None:
        await self.send(to, encode_wants((), presences))

    async def give(self, to: PeerId, *blocks: tuple[Cid, bytes]) -> None:
        await self.send(to, block_message(*blocks))


@asynccontextmanager
async def bitswap_peer(number: int = 90, versions: Sequence[str] = VERSIONS) -> AsyncIterator[BitswapPeer]:
    """Run such a peer with the key of this number. `versions`: what it speaks, the newest first."""
    host = plain_host(number)
    peer = BitswapPeer(host, versions)
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        yield peer
