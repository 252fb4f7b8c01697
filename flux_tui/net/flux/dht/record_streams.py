"""Streams of provider records: tells another node which roots this node has, many at once, and hears it from others.

The protocol is `/flux/provide/1.0.0`. A node opens a stream, writes the length of one message (4 bytes, big endian)
and the message (core/wire/provide.py). The other node answers with 4 bytes: how many of the keys it accepted, counted
from the first. It accepts fewer than all if the sender is above the budget, or if it has no room. If the budget is
used up already, it resets the stream at once, which costs least.

A node of an earlier version gets libp2p's ADD_PROVIDER. It takes 10 in 10 s from one peer, and drops further ones
silently, though libp2p reports a success. So such a node is sent at most ADDS_PER_WINDOW of the keys of a message,
the first ones. Which of the two protocols it is, both sides agree on when the stream is opened.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable, TokenBuckets
from flux_tui.core.wire import codec
from flux_tui.core.wire.provide import (
    ADMITTED,
    MAX_PROVIDE,
    MAX_PROVIDER_ADDR,
    MAX_PROVIDER_ADDRS,
    RECORDS_BURST,
    RECORDS_RATE,
    Provided,
)
from flux_tui.net.connections.streams import LENGTH_BYTES, prefixed, read_number, read_prefixed, try_to_close
from flux_tui.net.port import PROVIDE_PROTOCOL, Receiver
from flux_tui.net.upstream.kad import KAD, KadHost, Records

log = logging.getLogger(__name__)

PROVIDE = TProtocol(PROVIDE_PROTOCOL)
ADDS_PER_WINDOW, ADD_WINDOW = 9, 10.5
"""ADD_PROVIDER sent to one node of an earlier version, within so many seconds: just below its limit."""
OLD_SECONDS = 3600.0
"""Seconds for which a node is taken for one of an earlier version."""
MAX_PACED = 1024
"""Nodes whose budgets are remembered, in either direction."""
SEND_SECONDS = 10.0
"""Seconds to hand over one message, dialling included."""


class RecordStreams:
    """Sends provider records of this node to others, and stores the records of others.

    `add_provider`: sends one ADD_PROVIDER, and returns whether that succeeded.
    """

    def __init__(
        self,
        host: KadHost,
        records: Records,
        receiver: Receiver,
        is_banned: Callable[[PeerId], bool],
        add_provider: Callable[[ID, bytes], Awaitable[bool]],
    ) -> None:
        self._host: Any = host
        self._records = records
        self._receiver = receiver
        self._is_banned = is_banned
        self._add_provider = add_provider
        self._sent: TokenBuckets[ID] = TokenBuckets(MAX_PACED, RECORDS_BURST, RECORDS_RATE)
        self._admitted: TokenBuckets[ID] = TokenBuckets(
            MAX_PACED, ADMITTED * RECORDS_BURST, ADMITTED * RECORDS_RATE
        )
        self._added: BoundedTable[ID, deque[float]] = BoundedTable(MAX_PACED, refresh=True)
        """When the last ADD_PROVIDER were sent to each node of an earlier version."""
        self._old: BoundedTable[ID, float] = BoundedTable(MAX_PACED, refresh=True)
        """Nodes of an earlier version, each with the time until which it is taken for one."""
        host.set_stream_handler(PROVIDE, self._take)

    async def send(self, peer: ID, waiting: Callable[[], Sequence[bytes]]) -> int:
        """Tell a node that this node has the roots with these keys, as soon as the budget allows it.

        `waiting`: returns the keys, MAX_KEYS at most. It is called again when the budget allows them, so that a root
        that was withdrawn meanwhile is not told. Returns how many of them the node accepted, counted from the first.
        Raises an error if the node is gone, or takes too long.
        """
        if self._old.get(peer, 0.0) > trio.current_time():
            return await self._add(peer, waiting)
        bucket = self._sent.of(peer, trio.current_time())
        await trio.sleep(bucket.wait(trio.current_time(), len(waiting())))
        if not (keys := waiting()):
            return 0
        with trio.fail_after(SEND_SECONDS):
            stream = await self._host.new_stream(peer, [PROVIDE, KAD])
            if stream.get_protocol() == PROVIDE:
                bucket.take(len(keys), trio.current_time())
                return await self._hand_over(stream, keys)
            await try_to_close(stream.close)
        self._old[peer] = trio.current_time() + OLD_SECONDS
        return await self._add(peer, waiting)

    async def _hand_over(self, stream: INetStream, keys: Sequence[bytes]) -> int:
        """Write one message, and return how many of its keys were accepted."""
        addrs = [addr.to_bytes() for addr in self._host.get_addrs()]
        short = [addr for addr in addrs if len(addr) <= MAX_PROVIDER_ADDR][:MAX_PROVIDER_ADDRS]
        data = codec.encode_provided(Provided(keys=tuple(keys), addrs=tuple(short)))
        accepted = None
        try:
            await stream.write(prefixed(data))
            accepted = min(await read_number(stream), len(keys))
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1):
                await try_to_close(stream.close if accepted is not None else stream.reset)
        return accepted

    async def _add(self, peer: ID, waiting: Callable[[], Sequence[bytes]]) -> int:
        """Tell a node of an earlier version, root by root: as many as its budget allows now, and at least one."""
        times = self._added.setdefault(peer, deque(maxlen=ADDS_PER_WINDOW))
        if len(times) == ADDS_PER_WINDOW:
            await trio.sleep_until(times[0] + ADD_WINDOW)
        accepted = 0
        for key in waiting():
            if len(times) == ADDS_PER_WINDOW and times[0] + ADD_WINDOW > trio.current_time():
                break
            times.append(trio.current_time())
            sent = False
            with trio.move_on_after(SEND_SECONDS):
                sent = await self._add_provider(peer, key)
            if not sent:
                break
            accepted += 1
        return accepted

    async def _take(self, stream: INetStream) -> None:
        """Store the records that another node tells, and answer how many of them were accepted."""
        sender = stream.muxed_conn.peer_id
        peer = PeerId(str(sender))
        now = trio.current_time()
        if self._is_banned(peer) or self._admitted.of(sender, now).level_at(now) < 1:
            await try_to_close(stream.reset)  # before anything is read and decoded
            return
        try:
            provided = codec.decode_provided(await read_prefixed(stream, MAX_PROVIDE, codec.OF_RECORDS))
            addrs = [Multiaddr(addr) for addr in provided.addrs]
            accepted = self._store(sender, provided.keys, addrs)
            await stream.write(accepted.to_bytes(LENGTH_BYTES, "big"))
            await stream.close()
        except codec.UnknownKindError as error:
            self._receiver.on_unknown(peer, error.kind)
            await try_to_close(stream.reset)
        except (codec.BadFrameError, ValueError) as error:  # ValueError: an address that is none
            self._receiver.on_fault(peer, "garbage", str(error))
            await try_to_close(stream.reset)
        except Exception as error:  # the stream was reset
            log.debug("provider records of %s broke off: %r", peer, error)
            await try_to_close(stream.reset)

    def _store(self, sender: ID, keys: Sequence[bytes], addrs: list[Multiaddr]) -> int:
        """Store records of a sender within its budget. Returns how many were stored, counted from the first."""
        if not addrs:
            return 0  # nobody could dial it
        now = trio.current_time()
        bucket = self._admitted.of(sender, now)
        within = keys[: max(0, int(bucket.level_at(now)))]
        bucket.take(len(within), now)
        return self._records.add_all(within, PeerInfo(sender, addrs))
